"""Check images and labels before they are measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..errors import InputError

if TYPE_CHECKING:
    pass


def check_image(image: np.ndarray) -> np.ndarray:
    """The image as (c, h, w).

    Raises
    ------
    InputError
        If it is not an array of numbers of such a shape.
    """
    image = np.asarray(image)
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or image.dtype.kind not in "uifb" or not image.size:
        raise InputError(
            f"image is {image.dtype} of shape {image.shape}: give numbers of shape (channels, height, width)"
        )
    return image


def check_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The labels, if they are whole numbers from 0 and fit an image of ``shape`` (h, w).

    Raises
    ------
    InputError
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "ui" or labels.ndim not in (2, 3) or not labels.size:
        raise InputError(f"labels are {labels.dtype} of shape {labels.shape}: give integers (h, w) or (planes, h, w)")
    if labels.shape[-2:] != tuple(shape):
        raise InputError(
            f"labels are {labels.shape[-1]} x {labels.shape[-2]}, but the image is {shape[1]} x {shape[0]} pixels"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise InputError(f"labels run from {labels.min()} to {labels.max()}: give 0 (background) to 2147483647")
    return labels

"""Check arrays of pixels and labels before they are measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError


def check_image(image: ArrayLike) -> NDArray[Any]:
    """Check an image and return it as (c, h, w).

    Parameters
    ----------
    image : array_like (c, h, w) or (h, w)

    Returns
    -------
    array (c, h, w)

    Raises
    ------
    InputError
        If it is not an array of numbers of such a shape.
    """
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype.kind not in "uifb" or not array.size:
        raise InputError(
            f"`image` is {array.dtype} of shape {array.shape}: it must hold numbers of shape (channels, height, width)"
        )
    return array


def check_labels(labels: ArrayLike, shape: tuple[int, ...]) -> NDArray[Any]:
    """Check labels and return them as an array.

    Parameters
    ----------
    labels : array_like (h, w) or (p, h, w)
    shape : tuple of int
        Height and width of the image.

    Returns
    -------
    array (h, w) or (p, h, w), integer
        Numbers from 0 to 2147483647.

    Raises
    ------
    InputError
        If they are no integers, out of that range, or of another size than the image.
    """
    array = np.asarray(labels)
    if array.dtype.kind not in "ui" or array.ndim not in (2, 3) or not array.size:
        raise InputError(
            f"`labels` are {array.dtype} of shape {array.shape}: they must be integers of shape (height, width) or "
            "(planes, height, width)"
        )
    if array.shape[-2:] != tuple(shape):
        raise InputError(
            f"`labels` are {array.shape[-1]} x {array.shape[-2]} pixels, but the image is {shape[1]} x {shape[0]}: "
            "use the labels of this image"
        )
    if array.min() < 0 or array.max() > np.iinfo(np.int32).max:
        raise InputError(f"`labels` run from {array.min()} to {array.max()}: they must be 0 (background) to 2147483647")
    return array

"""Check images before they are measured."""

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

"""Resize planes and label images."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..model.frame import FRAME


def square_and_resize(crop: NDArray[Any], size: int = FRAME) -> NDArray[np.float32]:
    """Pad a crop with zeros to a square and resize it, bilinear with antialiasing.

    Parameters
    ----------
    crop : array (h, w)
    size : int
        Height and width of the result, in pixels.

    Returns
    -------
    array (size, size), float32
    """
    height, width = crop.shape
    side = max(height, width)
    square = np.zeros((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = crop
    return resize(square, (size, size))


def resize_longer_side(crop: NDArray[Any], size: int) -> NDArray[np.float32]:
    """Resize a crop so that its longer side has ``size`` pixels, bilinear with antialiasing.

    Parameters
    ----------
    crop : array (h, w)
    size : int

    Returns
    -------
    array, float32
        The shape keeps the proportions of the crop, with at least one pixel along each side.
    """
    height, width = (max(round(length * size / max(crop.shape)), 1) for length in crop.shape)
    return resize(crop, (height, width))


def resize(plane: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize a plane (h, w) to ``shape``, bilinear with antialiasing, as float32."""
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def scale_image(image: NDArray[Any], scale: float) -> NDArray[Any]:
    """Resize an image (c, h, w) by a factor, to at least one pixel along each side."""
    if scale == 1:
        return image
    height, width = (max(round(length * scale), 1) for length in image.shape[1:])
    return np.stack([resize(plane, (height, width)) for plane in image])


def resize_labels(labels: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Resize a label plane (h, w) to ``shape`` by nearest neighbor, as int32."""
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.int32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.NEAREST))

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


def resize_inside(
    crop: NDArray[np.float32], inside: NDArray[np.bool_], size: int
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Resize a crop as :func:`resize_longer_side` does, but mix only pixels of its object with each other.

    Parameters
    ----------
    crop : array (h, w), float32
    inside : array (h, w), bool
        The pixels of the object, at least one.
    size : int

    Returns
    -------
    crop : array, float32
        Means of the object's pixels, weighted as resizing weights them; 0 where it has none.
    inside : array, bool
        The pixels that lie in the object by at least a half.
    """
    level = crop[inside].min()
    weight = resize_longer_side(inside, size)
    total = resize_longer_side(np.where(inside, crop - level, np.float32(0)), size)
    return np.divide(total, weight, out=np.zeros_like(total), where=weight > 0) + level, weight >= 0.5


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


def without_offset(image: NDArray[Any]) -> NDArray[Any]:
    """Subtract the least pixel of each channel of an image (c, h, w) whose numbers float32 would round.

    Parameters
    ----------
    image : array (c, h, w)

    Returns
    -------
    array (c, h, w)
        float32 for integers of more than 16 bits and for float64; all other images as they are.

    Examples
    --------
    >>> without_offset(np.array([[[1e9, 1e9 + 0.5]]])).tolist()
    [[[0.0, 0.5]]]
    """
    if np.can_cast(image.dtype, np.float32):
        return image
    finite = np.isfinite(image)
    least = np.min(image, axis=(1, 2), keepdims=True, where=finite, initial=image.max(where=finite, initial=0))
    return np.subtract(image, least, dtype=np.float64).astype(np.float32)


def resize_labels(labels: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.int32]:
    """Resize a label plane (h, w) to ``shape`` by nearest neighbor, as int32."""
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.int32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.NEAREST))

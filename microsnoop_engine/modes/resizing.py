"""Resize crops."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LARGEST_PRODUCT = 512
"""Longest side in pixels up to which a product with a matrix is faster than Pillow."""


def resize(planes: NDArray[Any], shape: tuple[int, int]) -> NDArray[np.float32]:
    """Resize planes, bilinear with antialiasing, as Pillow does.

    Parameters
    ----------
    planes : array (..., h, w)
    shape : tuple of int
        Height and width of the result in pixels.

    Returns
    -------
    array (..., *shape), float32

    Examples
    --------
    >>> resize(np.array([[0.0, 1.0]]), (1, 4)).tolist()
    [[0.0, 0.25, 0.75, 1.0]]
    """
    pixels: NDArray[np.float32] = planes.astype(np.float32, copy=False)
    height, width = planes.shape[-2:]
    if (height, width) == shape:
        return pixels
    if max(height, width, *shape) <= LARGEST_PRODUCT:
        rows: NDArray[np.float32] = weights(height, shape[0])
        columns: NDArray[np.float32] = weights(width, shape[1])
        resized: NDArray[np.float32] = rows @ pixels @ columns.T
        return resized
    parts: list[NDArray[np.float32]] = [
        np.asarray(Image.fromarray(np.ascontiguousarray(plane)).resize(shape[::-1], Image.Resampling.BILINEAR))
        for plane in pixels.reshape(-1, height, width)
    ]
    stack: NDArray[np.float32] = np.stack(parts).reshape(*pixels.shape[:-2], *shape)
    return stack


@lru_cache(maxsize=1024)
def weights(length: int, size: int) -> NDArray[np.float32]:
    """Return the weights (size, length) by which the pixels of a line are added when it is resized.

    A pixel of the result is the mean of those of the line under a triangle around its middle, which is as wide as two
    pixels of the coarser of both lines.
    """
    step = length / size
    reach = max(step, 1.0)
    middle = (np.arange(size) + 0.5) * step
    distance = np.abs(np.arange(length) + 0.5 - middle[:, None])
    triangle = np.maximum(1 - distance / reach, 0)
    result: NDArray[np.float32] = (triangle / triangle.sum(1, keepdims=True)).astype(np.float32)
    result.flags.writeable = False
    return result


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

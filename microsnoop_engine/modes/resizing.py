"""Resize planes and label images."""

from __future__ import annotations

import numpy as np
from PIL import Image

from ..model.frame import FRAME


def square_and_resize(crop: np.ndarray, size: int = FRAME) -> np.ndarray:
    """Pad with zeros to a square and resize to ``size`` pixels, bilinear with antialiasing."""
    height, width = crop.shape
    side = max(height, width)
    square = np.zeros((side, side), np.float32)
    top, left = (side - height) // 2, (side - width) // 2
    square[top : top + height, left : left + width] = crop
    return resize(square, (size, size))


def resize_longer_side(crop: np.ndarray, size: int) -> np.ndarray:
    """Resize a crop (h, w) so that its longer side has ``size`` pixels, bilinear with antialiasing."""
    height, width = (max(round(length * size / max(crop.shape)), 1) for length in crop.shape)
    return resize(crop, (height, width))


def resize(plane: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a plane (h, w) to ``shape``, bilinear with antialiasing, as float32."""
    image = Image.fromarray(np.ascontiguousarray(plane, dtype=np.float32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.BILINEAR))


def resize_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Resize a label plane (h, w) to ``shape`` by nearest neighbor."""
    image = Image.fromarray(np.ascontiguousarray(labels, dtype=np.int32))
    return np.asarray(image.resize(shape[::-1], Image.Resampling.NEAREST))

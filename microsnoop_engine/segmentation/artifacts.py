"""Find what is bright in a plane but no object: hot pixels and saturated debris."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DEBRIS_SHARE = 0.03
"""Share of the pixels up to which bright ones may be debris that hides dimmer objects."""
DEBRIS_CONTRAST = 5.0
"""Brightness of debris above the background, in units of that of a median object."""


def without_hot_pixels(plane: NDArray[np.float32]) -> NDArray[np.float32]:
    """Replace hot pixels by the median of their neighborhood.

    Parameters
    ----------
    plane : array (h, w)

    Returns
    -------
    array (h, w)
        Pixels that exceed the median of their 3 x 3 neighborhood by more than the contrast of the plane, and by more
        than 8 standard deviations of its noise, are that median.
    """
    middle, high = np.quantile(plane, (0.5, 0.995))
    noise = 1.4826 * np.median(np.abs(plane - middle))
    limit = max(high - middle, 8 * noise)
    padded = np.pad(plane, 1, mode="edge")
    # a pixel that exceeds the median exceeds at least two of the four pixels beside it
    beside = np.stack([padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]])
    y, x = np.nonzero(plane - np.partition(beside, 1, axis=0)[1] > limit)
    if not y.size:
        return plane
    windows = np.stack([padded[y + dy, x + dx] for dy in range(3) for dx in range(3)])
    median = np.median(windows, axis=0)
    hot = plane[y, x] - median > limit
    result = plane.copy()
    result[y[hot], x[hot]] = median[hot]
    return result


def is_debris(blobs: NDArray[Any], smooth: NDArray[np.float32], keep: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the blobs that are far brighter than the others.

    Parameters
    ----------
    blobs : array (h, w), integer
        0 is background, 1..n are the blobs.
    smooth : array (h, w)
        Intensities.
    keep : array (n + 1,), bool
        The blobs that count.

    Returns
    -------
    array (n + 1,), bool
    """
    areas = np.maximum(np.bincount(blobs.ravel(), minlength=len(keep)), 1)
    level = np.bincount(blobs.ravel(), smooth.ravel(), len(keep)) / areas - np.median(smooth[blobs == 0])
    debris: NDArray[np.bool_] = keep & (level > DEBRIS_CONTRAST * np.median(level[keep]))
    return debris

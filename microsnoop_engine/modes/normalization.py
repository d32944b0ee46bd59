"""Normalize crops to their own percentiles and pad them to the frame."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model.frame import FRAME, SIZES

PERCENTILES = (1.0, 99.0)

NO_PIXELS = "no pixels inside the image"
NO_OBJECT = "no pixels of the object at this scale: enlarge the image (scale)"
NOT_FINITE = "NaN or infinite pixels"
CONSTANT = "constant"
TOO_SMALL = "covers less than 1 % of the frame: enlarge the image (scale)"
NEARLY_CONSTANT = "constant but for less than 1 % of its pixels"


def normalize_crop(
    crop: NDArray[np.float32], inside: NDArray[np.bool_] | None = None, *, pad_first: bool = False
) -> tuple[NDArray[np.float32] | None, str]:
    """Normalize a crop so that percentile 1 becomes 0 and percentile 99 becomes 1, and center it in zeros.

    Parameters
    ----------
    crop : array (h, w), float32
        At most 224 x 224 pixels.
    inside : array (h, w), bool, optional
        The pixels to keep: the percentiles are theirs, and all others are zero after normalization. By default all.
    pad_first : bool
        Take the percentiles of the crop padded with zeros to 224 x 224 (Xun et al. 2023, Methods). By default those of
        the kept pixels alone, so that a constant added to the crop changes nothing.

    Returns
    -------
    window : array (s, s), float32, or None
        s is the smallest of ``SIZES`` that holds the crop; outside of it the 224 x 224 frame is zero. None if the crop
        cannot be normalized.
    problem : str
        The reason why it cannot; else blank.

    Examples
    --------
    >>> crop = np.arange(2500, dtype=np.float32).reshape(50, 50)
    >>> window, problem = normalize_crop(crop)
    >>> window.shape, problem
    ((64, 64), '')
    >>> bool(np.allclose(window, normalize_crop(crop - 1000)[0], atol=1e-6))
    True
    >>> normalize_crop(np.ones((50, 50), np.float32))
    (None, 'constant')
    """
    if crop.size == 0:
        return None, NO_PIXELS
    kept = crop if inside is None else crop[inside]
    if kept.size == 0:
        return None, NO_OBJECT
    if not np.isfinite(kept).all():
        return None, NOT_FINITE
    if kept.min() == kept.max():
        return None, CONSTANT
    padding = FRAME * FRAME - crop.size if pad_first else 0
    low, high = percentiles_with_zeros(kept, padding)
    if high <= low:
        return None, TOO_SMALL if padding else NEARLY_CONSTANT
    # padding that counts is normalized with the crop; only where it stays zero does a smaller window do for the frame
    outside = np.float32((0.0 - low) / (high - low) if padding else 0.0)
    size = min(s for s in SIZES if s >= max(crop.shape)) if outside == 0 else FRAME
    window = np.full((size, size), outside, np.float32)
    top, left = ((size - n) // 2 for n in crop.shape)
    inner = window[top : top + crop.shape[0], left : left + crop.shape[1]]
    where = True if inside is None else inside
    np.subtract(crop, low, out=inner, where=where)
    np.divide(inner, high - low, out=inner, where=where)
    return window, ""


def percentiles_with_zeros(values: NDArray[np.float32], zeros: int) -> tuple[np.float32, np.float32]:
    """Compute percentiles 1 and 99 (linear interpolation) of values together with many zeros.

    The zeros are never written down: in sorted order they lie between the negative and the other values, so that the
    ranks next to a percentile are looked up among the values alone.

    Parameters
    ----------
    values : array, float32
        Finite numbers, at least one.
    zeros : int
        Zeros that are added to them.

    Returns
    -------
    low, high : float32

    Examples
    --------
    >>> values = np.float32([1, 2, 3])
    >>> low, high = percentiles_with_zeros(values, 98)
    >>> round(float(low), 6), round(float(high), 6)
    (0.0, 2.0)
    """
    flat = values.ravel()
    negative = int(np.count_nonzero(flat < 0)) if zeros else 0
    positions = np.array(PERCENTILES) / 100 * (flat.size + zeros - 1)
    lower = np.floor(positions).astype(np.int64)
    ranks = np.minimum(np.stack([lower, lower + 1], axis=1), flat.size + zeros - 1)
    among_zeros = (ranks >= negative) & (ranks < negative + zeros)
    value_ranks = np.where(ranks < negative, ranks, ranks - zeros).clip(0, flat.size - 1)
    ordered = np.partition(flat, np.unique(value_ranks))
    neighbors = np.where(among_zeros, 0.0, ordered[value_ranks].astype(np.float64))
    low, high = neighbors[:, 0] + (neighbors[:, 1] - neighbors[:, 0]) * (positions - lower)
    return np.float32(low), np.float32(high)

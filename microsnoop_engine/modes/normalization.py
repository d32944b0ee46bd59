"""Normalize crops to their own percentiles and pad them to the frame."""

from __future__ import annotations

import numpy as np

from ..model.frame import FRAME, SIZES

PERCENTILES = (1.0, 99.0)

NO_PIXELS = "no pixels"
NOT_FINITE = "NaN or infinite pixels"
CONSTANT = "constant"
TOO_SMALL = "covers less than 1 % of the frame: enlarge the image (scale)"
NEARLY_CONSTANT = "constant but for less than 1 % of its pixels"


def normalize_crop(crop: np.ndarray, pad_first: bool = True) -> tuple[np.ndarray | None, str]:
    """Normalize a crop so that percentile 1 becomes 0 and percentile 99 becomes 1, and center it in zeros.

    Parameters
    ----------
    crop : array (h, w), float32, at most 224 x 224
    pad_first : bool
        Take the percentiles of the crop padded with zeros to 224 x 224 (the reference method), or of the crop alone.

    Returns
    -------
    window : array (s, s), float32, or None
        s is the smallest of ``SIZES`` that holds the crop; outside of it the 224 x 224 frame is zero. None if the crop
        cannot be normalized.
    problem : str
        Why not.
    """
    if crop.size == 0:
        return None, NO_PIXELS
    if not np.isfinite(crop).all():
        return None, NOT_FINITE
    if crop.min() == crop.max():
        return None, CONSTANT
    padding = FRAME * FRAME - crop.size if pad_first else 0
    low, high = percentiles_with_zeros(crop, padding)
    if high <= low:
        return None, TOO_SMALL if padding else NEARLY_CONSTANT
    outside = (0.0 - low) / (high - low) if padding else 0.0
    size = min(s for s in SIZES if s >= max(crop.shape)) if outside == 0 else FRAME
    result = np.full((size, size), outside, np.float32)
    top, left = ((size - n) // 2 for n in crop.shape)
    inner = result[top : top + crop.shape[0], left : left + crop.shape[1]]
    np.subtract(crop, low, out=inner)
    inner /= high - low
    return result, ""


def percentiles_with_zeros(values: np.ndarray, zeros: int) -> tuple[np.float32, np.float32]:
    """Percentiles 1 and 99 (linear interpolation) of the values together with that many zeros."""
    flat = values.ravel()
    negative = int(np.count_nonzero(flat < 0)) if zeros else 0
    positions = np.array(PERCENTILES) / 100 * (flat.size + zeros - 1)
    lower = np.floor(positions).astype(np.int64)
    ranks = np.minimum(np.stack([lower, lower + 1], axis=1), flat.size + zeros - 1)
    among_zeros = (ranks >= negative) & (ranks < negative + zeros)
    places = np.where(ranks < negative, ranks, ranks - zeros).clip(0, flat.size - 1)
    ordered = np.partition(flat, np.unique(places))
    found = np.where(among_zeros, 0.0, ordered[places].astype(np.float64))
    low, high = found[:, 0] + (found[:, 1] - found[:, 0]) * (positions - lower)
    return np.float32(low), np.float32(high)

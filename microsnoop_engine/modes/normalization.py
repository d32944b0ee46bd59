"""Normalize crops to their own percentiles and center them in what the network sees."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.frame import LARGEST, PAPER, Frame

PERCENTILES = (1.0, 99.0)

NO_PIXELS = "no pixels inside the image"
NO_OBJECT = "no pixels of the object inside the crop"
NOT_FINITE = "NaN or infinite pixels"
CONSTANT = "constant"
TOO_SMALL = "covers less than 1 % of the frame: use a larger `scale`"
NEARLY_CONSTANT = "constant but for less than 1 % of its pixels"


def normalize(
    plane: NDArray[Any], inside: NDArray[np.bool_] | None = None, zeros: int = 0
) -> tuple[NDArray[np.float32] | None, np.float32, str]:
    """Normalize a crop so that percentile 1 becomes 0 and percentile 99 becomes 1.

    Parameters
    ----------
    plane : array (h, w)
        Any numbers.
    inside : array (h, w), bool, optional
        The pixels to keep: the percentiles are theirs, and all others become ``outside``. By default all.
    zeros : int
        Zeros that count in the percentiles with the crop's pixels.

    Returns
    -------
    normalized : array (h, w), float32, or None
        None if the crop cannot be normalized.
    outside : float32
        Zero after normalization where zeros count; else 0.
    problem : str
        The reason why it cannot; else blank.

    Examples
    --------
    >>> normalize(np.arange(101.0)[None])[0][0, [1, 99]].tolist(), normalize(np.ones((50, 50)))[2]
    ([0.0, 1.0], 'constant')
    """
    none = np.float32(0)
    if plane.size == 0:
        return None, none, NO_PIXELS
    pixels = plane.astype(np.float32)
    kept = pixels if inside is None else pixels[inside]
    if kept.size == 0:
        return None, none, NO_OBJECT
    if plane.dtype.kind == "f" and not np.isfinite(kept).all():
        return None, none, NOT_FINITE
    low, high = percentiles_with_zeros(kept, zeros)
    if (zeros or high <= low) and kept.min() == kept.max():
        return None, none, CONSTANT
    if high <= low:
        return None, none, TOO_SMALL if zeros else NEARLY_CONSTANT
    outside = np.float32((0.0 - low) / (high - low) if zeros else 0.0)
    np.subtract(pixels, low, out=pixels)
    np.divide(pixels, high - low, out=pixels)
    if inside is not None:
        pixels[~inside] = outside
    return pixels, outside, ""


def center(crop: NDArray[np.float32], frame: Frame = PAPER, outside: np.float32 | float = 0) -> NDArray[np.float32]:
    """Center a normalized crop in the smallest window that holds it.

    Parameters
    ----------
    crop : array (h, w), float32
        At most 224 x 224 pixels.
    frame : Frame
        What the network sees.
    outside : float
        What surrounds the crop. Other values than 0 take the whole frame.

    Returns
    -------
    array (s, s), float32
        s is one of ``frame.sizes``.

    Examples
    --------
    >>> center(np.ones((50, 50), np.float32)).shape
    (64, 64)
    """
    height, width = crop.shape
    size = LARGEST if outside else frame.window(max(crop.shape))
    window = np.full((size, size), outside, np.float32)
    top, left = (size - height) // 2, (size - width) // 2
    window[top : top + height, left : left + width] = crop
    return window


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
    ordered = np.partition(flat, sorted(set(value_ranks.ravel().tolist())))
    neighbors = np.where(among_zeros, 0.0, ordered[value_ranks].astype(np.float64))
    low, high = neighbors[:, 0] + (neighbors[:, 1] - neighbors[:, 0]) * (positions - lower)
    return np.float32(low), np.float32(high)

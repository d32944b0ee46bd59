"""Segment nuclei by a threshold and a watershed."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .artifacts import DEBRIS_SHARE, is_debris, without_hot_pixels

MIN_CONTRAST = 4.0
"""Contrast of a field below which it has no nuclei: noise has 2.7, a gradient 3.5, fields of nuclei have 8 and more."""
SMOOTHING = 1.0
"""Sigma of the Gaussian that precedes the threshold, in pixels."""
MIN_AREA = 20
"""Smaller objects are dropped, in pixels."""
MIN_SLOPE = 0.02
"""Mean slope at the edge of an object, in units of the contrast per pixel; one that is flatter is illumination."""
MAX_DARK = 0.25
"""Pixels as far below the background as the threshold lies above it, in units of those above the threshold."""


def segment_nuclei(
    plane: NDArray[Any], diameter: float | None = None, invert: bool = False, min_contrast: float = MIN_CONTRAST
) -> NDArray[np.int32]:
    """Find nuclei that are brighter than the background.

    Otsu's threshold finds them; a watershed of the distance to their edges splits those that touch, from seeds that lie
    at least 0.7 radii of a median nucleus apart. Hot pixels and saturated debris do not move the threshold. Fields
    without cells have no nuclei: those whose contrast is too low, and those that are not dark behind bright objects.

    Parameters
    ----------
    plane : array (h, w)
        A DNA stain of any real dtype and scale, finite.
    diameter : float, optional
        Of the nuclei, in pixels; by default that of the median object.
    invert : bool
        Find nuclei that are darker than the background.
    min_contrast : float
        Smallest difference between the means of nuclei and background, in standard deviations of the smoothed
        background, that a field with nuclei has.

    Returns
    -------
    array (h, w), int32
        0 is background, 1..n are the nuclei; a constant plane has none.

    Examples
    --------
    >>> plane = np.zeros((40, 40))
    >>> plane[10:20, 5:15] = 1.0
    >>> np.unique(segment_nuclei(plane)).tolist()
    [0, 1]
    """
    from scipy import ndimage
    from skimage.feature import peak_local_max
    from skimage.filters import gaussian
    from skimage.segmentation import watershed

    nothing = np.zeros(plane.shape, np.int32)
    bright = inverted(plane) if invert else plane.astype(np.float32)
    smooth = gaussian(without_hot_pixels(bright), SMOOTHING, preserve_range=True)
    if smooth.max() - smooth.min() <= 1e-6 * max(abs(float(smooth.max())), 1e-6):
        return nothing
    foreground = _foreground(smooth, min_contrast)
    if foreground is None:
        return nothing
    min_area = MIN_AREA if diameter is None else max(MIN_AREA, diameter**2 / 10)
    mask = ndimage.binary_fill_holes(foreground)
    blobs, _ = ndimage.label(mask)
    areas = np.bincount(blobs.ravel())
    keep = (areas >= min_area) & ~_is_flat(blobs, smooth, foreground)
    keep[0] = False
    if keep.sum() > 1:
        keep &= ~is_debris(blobs, smooth, keep)
    mask = keep[blobs]
    if not mask.any():
        return nothing
    radius = np.sqrt(np.median(areas[keep]) / np.pi) if diameter is None else diameter / 2
    # smoothed, so that a rough edge does not make two seeds in one nucleus
    distance = gaussian(ndimage.distance_transform_edt(mask).astype(np.float32), radius / 6, preserve_range=True)
    blobs, _ = ndimage.label(mask)
    peaks = peak_local_max(distance, min_distance=max(int(radius * 0.7), 2), labels=blobs, exclude_border=False)
    seeds = np.zeros(plane.shape, np.int32)
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    labels: NDArray[np.int32] = watershed(-distance, seeds, mask=mask).astype(np.int32)
    return labels


def inverted(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Return a plane (h, w) in which dark is bright, from 0 on."""
    bright: NDArray[np.float32] = (plane.max() - plane.astype(np.float64)).astype(np.float32)
    return bright


def contrast(smooth: NDArray[np.float32], foreground: NDArray[np.bool_]) -> float:
    """Measure how far objects stand out of the background.

    Parameters
    ----------
    smooth : array (h, w)
    foreground : array (h, w), bool

    Returns
    -------
    float
        Difference of their means in standard deviations of the background.
    """
    background = smooth[~foreground]
    return float((smooth[foreground].mean() - background.mean()) / max(background.std(), np.finfo(np.float32).tiny))


def _foreground(smooth: NDArray[np.float32], min_contrast: float) -> NDArray[np.bool_] | None:
    """Return the pixels of bright objects; None for a field without any."""
    from skimage.filters import threshold_otsu

    foreground: NDArray[np.bool_] = smooth > threshold_otsu(smooth)
    share = foreground.mean()
    if 0 < share < DEBRIS_SHARE:
        # a few very bright pixels may hide the others: look at those without them
        below = np.minimum(smooth, np.quantile(smooth, 1 - 2 * share))
        others = below > threshold_otsu(below) if np.ptp(below) > 0 else foreground
        if others.mean() > 2 * share and _has_objects(below, others, min_contrast):
            foreground = others
            smooth = below
    return foreground if _has_objects(smooth, foreground, min_contrast) else None


def _has_objects(smooth: NDArray[np.float32], foreground: NDArray[np.bool_], min_contrast: float) -> bool:
    """Return True if the foreground is bright objects on a dark background."""
    if not foreground.any() or foreground.all():
        return False
    background = np.median(smooth[~foreground])
    dark = smooth < 2 * background - smooth[foreground].min()
    return contrast(smooth, foreground) >= min_contrast and dark.sum() <= MAX_DARK * foreground.sum()


def _is_flat(blobs: NDArray[np.int32], smooth: NDArray[np.float32], foreground: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return True for each blob (and 0, the background) whose edge is as flat as uneven illumination."""
    from scipy import ndimage

    edge = (blobs > 0) & ~ndimage.binary_erosion(blobs > 0, border_value=1)
    count = int(blobs.max()) + 1
    slope = np.hypot(*np.gradient(smooth))[edge]
    pixels = np.bincount(blobs[edge], minlength=count)
    mean = np.bincount(blobs[edge], slope, count) / np.maximum(pixels, 1)
    level = float(smooth[foreground].mean() - smooth[~foreground].mean())
    flat: NDArray[np.bool_] = (mean < MIN_SLOPE * level) & (pixels > 0)
    return flat

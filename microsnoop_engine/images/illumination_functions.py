"""Calculate illumination functions from the planes of a plate."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

STATISTICS = ("mean", "median")
FILTER_SHARE = 0.25
"""Default width of the smoothing filter, in units of the longer side of the planes."""
ROBUST_MINIMUM = 0.02
"""Share of the pixels below the value that becomes 1."""
BLOCK = 8
"""Side of the blocks whose means the median takes, in pixels: all planes are held in memory, reduced by it."""
_FWHM = 2.35
"""Full width at half maximum of a Gaussian in units of its sigma, as CellProfiler rounds it."""


def illumination_function(
    planes: Iterable[NDArray[Any]], statistic: str = "mean", filter_size: float | None = None
) -> NDArray[np.float64]:
    """Calculate the function by which the planes of a channel and plate are divided.

    As CorrectIlluminationCalculate of CellProfiler does with *Regular*, *All*, *Gaussian Filter* and *Rescale: Yes*,
    the planes are averaged, smoothed, and divided by their robust minimum: the function is 1 in the darkest place.

    Parameters
    ----------
    planes : iterable of array (h, w)
        One after the other, all of one size. Pixels that are NaN or infinite are refused.
    statistic : {'mean', 'median'}
        Over the planes. The median does not see objects that fill less than half of the planes at a place, nor debris;
        it is taken of means over blocks of 8 pixels.
    filter_size : float, optional
        Full width at half maximum of the smoothing, in pixels. Default: a quarter of the longer side.

    Returns
    -------
    array (h, w), float64
        1 or more.

    Raises
    ------
    InputError
        If there are no planes, they differ in size, or are black.
    """
    if statistic not in STATISTICS:
        raise InputError(f"`statistic` is '{statistic}': choose one of {', '.join(STATISTICS)}")
    average = _mean(planes) if statistic == "mean" else _median(planes)
    size = FILTER_SHARE * max(average.shape) if filter_size is None else filter_size
    return _rescaled(_smoothed(average, size / _FWHM))


def _mean(planes: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    total: NDArray[np.float64] | None = None
    count = 0
    for plane in planes:
        _check(plane, None if total is None else total.shape)
        total = plane.astype(np.float64) if total is None else total + plane
        count += 1
    if total is None:
        raise InputError("there are no planes to calculate an illumination function from")
    return total / count


def _median(planes: Iterable[NDArray[Any]]) -> NDArray[np.float64]:
    from skimage.transform import resize

    shape: tuple[int, ...] | None = None
    reduced = []
    for plane in planes:
        _check(plane, shape)
        shape = plane.shape
        reduced.append(_block_means(plane))
    if shape is None:
        raise InputError("there are no planes to calculate an illumination function from")
    return np.asarray(resize(np.median(reduced, axis=0), shape, order=1, mode="edge"), np.float64)


def _block_means(plane: NDArray[Any]) -> NDArray[np.float64]:
    """Return the means of blocks; those at the edge may be smaller."""
    rows, columns = (np.arange(0, length, BLOCK) for length in plane.shape)
    sums = np.add.reduceat(np.add.reduceat(plane.astype(np.float64), rows, axis=0), columns, axis=1)
    heights, widths = (
        np.diff(np.append(starts, length)) for starts, length in zip((rows, columns), plane.shape, strict=True)
    )
    return np.asarray(sums / np.outer(heights, widths), np.float64)


def _check(plane: NDArray[Any], shape: tuple[int, ...] | None) -> None:
    if shape is not None and plane.shape != shape:
        sizes = " and ".join(" x ".join(map(str, each[::-1])) for each in (shape, plane.shape))
        raise InputError(f"the planes have different sizes: {sizes} pixels")
    if plane.dtype.kind == "f" and not np.isfinite(plane).all():
        raise InputError("a plane has pixels that are NaN or infinite: fill them first")


def _smoothed(plane: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Smooth by a Gaussian that does not see beyond the edges."""
    from scipy.ndimage import gaussian_filter

    weight = gaussian_filter(np.ones_like(plane), sigma, mode="constant")
    return np.asarray(gaussian_filter(plane, sigma, mode="constant") / weight, np.float64)


def _rescaled(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Divide by the robust minimum, below which nothing remains."""
    positive = np.sort(plane[plane > 0])
    if not positive.size:
        raise InputError("all planes are black: there is no illumination function of them")
    minimum = positive[int(positive.size * ROBUST_MINIMUM)]
    return np.asarray(np.maximum(plane, minimum) / minimum, np.float64)

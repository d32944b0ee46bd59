"""Measure the quality of a plane: focus, saturation and intensities."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

QUALITIES = ("Sharpness", "PowerLogLogSlope", "PercentMaximal", "MeanIntensity", "P01", "P50", "P99")
"""Names of the measurements, in their order."""
TILE = 256
"""Side of the tiles in which sharpness is measured, in pixels."""
N_TILES = 4
STEP = 4
"""Step in pixels at which percentiles are measured."""


def quality_column(name: str, channel: str) -> str:
    """Name the column of a quality of a channel.

    Examples
    --------
    >>> quality_column("Sharpness", "DNA")
    'Image_QC_Sharpness_DNA'
    """
    return f"Image_QC_{name}_{channel}"


def plane_quality(plane: NDArray[Any]) -> dict[str, float]:
    """Measure the quality of a plane.

    Sharpness and slope are measured in the four tiles of 256 pixels that vary most, so that empty background does not
    count: a run pays a few milliseconds for them.

    Parameters
    ----------
    plane : array (h, w)
        Of any real dtype. Pixels that are NaN or infinite count as the median.

    Returns
    -------
    dict of str to float
        ``Sharpness``: variance of the Laplacian by that of the pixels, 0 for a constant plane: fine structure, whatever
        the brightness. ``PowerLogLogSlope``: slope of the logarithm of the power spectrum by that of the spatial
        frequency; blur makes it steeper (Bray et al. 2012); NaN for a constant plane. ``PercentMaximal``: per cent of
        the pixels at the maximum; far above 0 where the camera was saturated. ``MeanIntensity`` and the percentiles
        ``P01``, ``P50``, ``P99`` in gray values.

    Examples
    --------
    >>> quality = plane_quality(np.random.default_rng(0).integers(0, 100, (64, 64)))
    >>> list(quality) == list(QUALITIES)
    True
    """
    sample = plane[::STEP, ::STEP].astype(np.float64)
    finite = sample[np.isfinite(sample)]
    low, median, high = np.percentile(finite, (1, 50, 99)).tolist() if finite.size else (np.nan,) * 3
    if plane.dtype.kind == "f" and not np.isfinite(plane).all():
        plane = np.nan_to_num(plane, nan=median, posinf=median, neginf=median)
    maximum = plane.max()
    tiles = [tile.astype(np.float32) for tile in _varied_tiles(plane)]
    return {
        "Sharpness": float(np.mean([_sharpness(tile) for tile in tiles])),
        "PowerLogLogSlope": _power_slope(tiles),
        "PercentMaximal": 100.0 * float(np.count_nonzero(plane == maximum)) / plane.size if maximum > low else 0.0,
        "MeanIntensity": float(plane.mean(dtype=np.float64)),
        "P01": low,
        "P50": median,
        "P99": high,
    }


def _varied_tiles(plane: NDArray[Any]) -> list[NDArray[Any]]:
    """Return the tiles that vary most; a plane that is smaller than a tile is one."""
    height, width = (min(length, TILE) for length in plane.shape)
    tiles = [
        plane[y : y + height, x : x + width]
        for y in range(0, plane.shape[0] - height + 1, height)
        for x in range(0, plane.shape[1] - width + 1, width)
    ]
    spread = [float(tile[::8, ::8].astype(np.float64).std()) for tile in tiles]
    return [tiles[index] for index in np.argsort(spread, kind="stable")[::-1][:N_TILES]]


def _sharpness(tile: NDArray[np.float32]) -> float:
    """Return the variance of the Laplacian of a tile by that of its pixels."""
    variance = float(tile.var())
    if min(tile.shape) < 3 or variance == 0:
        return 0.0
    center = tile[1:-1, 1:-1]
    laplacian = tile[:-2, 1:-1] + tile[2:, 1:-1] + tile[1:-1, :-2] + tile[1:-1, 2:] - 4 * center
    return float(laplacian.var()) / variance


def _power_slope(tiles: list[NDArray[np.float32]]) -> float:
    """Return the slope of the mean power spectrum of tiles, in logarithms; NaN where nothing varies."""
    from scipy.fft import rfft2

    height, width = tiles[0].shape
    # without a window, the edges of the tile add a slope of their own
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    power = np.mean([np.abs(rfft2((tile - tile.mean()) * window)) ** 2 for tile in tiles], axis=0)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    # rings of the width of one frequency, up to the highest of all directions
    rings = np.rint(frequency * min(height, width)).astype(int).ravel()
    means = np.bincount(rings, power.ravel()) / np.maximum(np.bincount(rings), 1)
    radii = np.arange(1, min(height, width) // 2)
    means = means[1 : len(radii) + 1]
    if len(radii) < 3 or not (means > 0).all():
        return float("nan")
    return float(np.polyfit(np.log(radii), np.log(means), 1)[0])

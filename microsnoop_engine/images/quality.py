"""Measure the quality of a plane: focus, saturation and intensities."""

from __future__ import annotations

from functools import lru_cache
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
    sample = plane[::STEP, ::STEP].ravel()
    if plane.dtype.kind not in "iu":
        sample = sample.astype(np.float64)
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
    rows, columns = plane.shape[0] // height, plane.shape[1] // width
    tiles = plane[: rows * height, : columns * width].reshape(rows, height, columns, width).swapaxes(1, 2)
    spread = tiles[..., ::8, ::8].astype(np.float64).std(axis=(2, 3)).ravel()
    chosen = np.argsort(spread, kind="stable")[::-1][:N_TILES]
    return [tiles[divmod(int(index), columns)] for index in chosen]


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

    window, rings, sizes, radii = _spectrum_rings(*tiles[0].shape)
    power = np.zeros(rings.size, np.float32)
    for tile in tiles:
        spectrum = rfft2((tile - tile.mean()) * window).ravel()
        power += spectrum.real**2 + spectrum.imag**2
    means = (np.bincount(rings, power) / sizes)[1 : len(radii) + 1]
    if len(radii) < 3 or not (means > 0).all():
        return float("nan")
    return float(np.polyfit(np.log(radii), np.log(means), 1)[0])


@lru_cache(maxsize=4)
def _spectrum_rings(
    height: int, width: int
) -> tuple[NDArray[np.float32], NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Return the window of a tile, the ring of each frequency, the sizes of the rings, and the radii that are used."""
    # without a window, the edges of the tile add a slope of their own
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    # rings of the width of one frequency, up to the highest of all directions
    rings = np.rint(frequency * min(height, width)).astype(np.intp).ravel()
    return window, rings, np.maximum(np.bincount(rings), 1), np.arange(1, min(height, width) // 2)

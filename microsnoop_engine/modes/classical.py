"""Measure handcrafted features of objects (cp_measure), under the names that CellProfiler has for them."""

from __future__ import annotations

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from importlib.metadata import version
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from ..errors import InputError, MissingExtraError

log = logging.getLogger(__name__)

SHAPE = ("sizeshape", "zernike", "feret")
"""Measurements of cp_measure that take the labels alone."""
_OF_COUNTS = float(np.iinfo(np.uint16).max)
_NAMES_OF_PAIRS = {
    "Correlation_Pearson": "Correlation_Correlation_{a}_{b}",
    "Correlation_Manders_1": "Correlation_Manders_{a}_{b}",
    "Correlation_Manders_2": "Correlation_Manders_{b}_{a}",
}
"""Measurements of two channels. Costes' thresholds take too long; rank weights differ from CellProfiler's by 20 %."""
CORRELATIONS = ("pearson", "manders_fold")
"""The measurements of cp_measure that have them."""


def program() -> str:
    """Return name and version of the program that measures handcrafted features."""
    return f"cp_measure {version('cp_measure')}"


def measure_classical(
    image: NDArray[Any], labels: NDArray[Any], numbers: NDArray[Any], channels: Sequence[str]
) -> NDArray[np.float32]:
    """Measure shape, intensity, texture, granularity, radial distribution and correlation of objects.

    Parameters
    ----------
    image : array (c, h, w)
        Pixels are scaled as by :func:`unit_scale`.
    labels : array (h, w) or (p, h, w), integer
        0 is background; objects that overlap lie in several planes.
    numbers : array (n,), integer
        The objects, in the order of the result.
    channels : sequence of str
        Their c names.

    Returns
    -------
    array (n, q), float32
        The features of :func:`classical_names`; NaN where a number is not defined (the texture of a few pixels), or an
        object is not in the labels.

    Raises
    ------
    MissingExtraError
        If cp_measure is not installed.
    """
    planes = [unit_scale(plane) for plane in image]
    result = np.full((len(numbers), len(classical_names(channels))), np.nan, np.float32)
    for mask in labels.reshape(-1, *labels.shape[-2:]):
        found = np.unique(mask)
        found = found[found > 0]
        if not len(found):
            continue
        rows = np.flatnonzero(np.isin(numbers, found))
        order = np.searchsorted(found, numbers[rows])
        compact = np.searchsorted(found, mask).astype(np.int32) + 1
        compact[mask == 0] = 0
        columns = np.column_stack(
            [np.asarray(each, np.float64) for each in _measure(planes, compact, channels).values()]
        )
        with np.errstate(over="ignore"):
            result[rows] = columns[order].astype(np.float32)
    result[~np.isfinite(result)] = np.nan
    return result


def unit_scale(plane: NDArray[Any]) -> NDArray[np.float64]:
    """Scale pixels as CellProfiler does when it reads files: integers by the largest of their type.

    Parameters
    ----------
    plane : array (h, w)

    Returns
    -------
    array (h, w), float64
        Fractions stay as they are if none is above 1, else they are counts of 16 bits and divided by 65535. Values
        outside of 0 to 1 are clipped.

    Examples
    --------
    >>> unit_scale(np.array([[51]], np.uint8)), unit_scale(np.array([[0.5]])), unit_scale(np.array([[6553.5]]))
    (array([[0.2]]), array([[0.5]]), array([[0.1]]))
    """
    if plane.dtype.kind == "b":
        scaled = plane.astype(np.float64)
    elif plane.dtype.kind in "ui":
        scaled = plane / float(np.iinfo(plane.dtype).max)
    else:
        scaled = np.asarray(plane, np.float64)
        scaled = scaled / _OF_COUNTS if scaled.max(initial=0) > 1 else scaled
    return np.asarray(scaled.clip(0, 1), np.float64)


@cache
def _names(channels: tuple[str, ...]) -> tuple[str, ...]:
    y, x = np.mgrid[:32, :32]
    disc = ((y - 16) ** 2 + (x - 16) ** 2 < 100).astype(np.int32)
    planes = [np.random.default_rng(0).random((32, 32)) for _ in channels]
    return tuple(_measure(planes, disc, channels))


def classical_names(channels: Sequence[str]) -> list[str]:
    """Name the features of :func:`measure_classical`, in their order, without the object set.

    Parameters
    ----------
    channels : sequence of str

    Returns
    -------
    list of str
        Such as ``AreaShape_Area`` and ``Intensity_MeanIntensity_DNA``.

    Raises
    ------
    MissingExtraError
        If cp_measure is not installed.
    """
    return list(_names(tuple(channels)))


def _measure(
    planes: Sequence[NDArray[np.float64]], labels: NDArray[np.int32], channels: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Measure the objects 1 to n of labels (h, w)."""
    core, pairs = _functions()
    result: dict[str, NDArray[Any]] = {}
    with warnings.catch_warnings(), threadpool_limits(1):  # threads cost more than these small products do
        warnings.simplefilter("ignore")  # of empty rings and the like, which are NaN
        for kind in SHAPE:
            result |= {f"AreaShape_{name}": values for name, values in core[kind](labels, planes[0]).items()}
        for kind in [kind for kind in core if kind not in SHAPE]:
            for channel, plane in zip(channels, planes, strict=True):
                result |= {_name(kind, name, channel): v for name, v in core[kind](labels, plane).items()}
        for (a, first), (b, second) in combinations(zip(channels, planes, strict=True), 2):
            for kind in CORRELATIONS:
                measured = pairs[kind](first, second, labels)
                result |= {
                    name.format(a=a, b=b): measured[known]
                    for known, name in _NAMES_OF_PAIRS.items()
                    if known in measured
                }
    return result


Measure = Callable[..., dict[str, NDArray[Any]]]


@cache
def _functions() -> tuple[dict[str, Measure], dict[str, Measure]]:
    """Return the measurements of one channel and those of two, with CellProfiler's rule for quartiles."""
    try:
        from cp_measure.bulk import get_core_measurements, get_correlation_measurements
    except ImportError:
        raise MissingExtraError("cp_measure", "classical", "measuring handcrafted features") from None
    return get_core_measurements(legacy=True, sanitize=False), get_correlation_measurements(sanitize=False)


def _name(kind: str, name: str, channel: str) -> str:
    """Put the channel into the name of a feature, where CellProfiler has it.

    Examples
    --------
    >>> _name("intensity", "Intensity_MeanIntensity", "DNA"), _name("texture", "Contrast_3_00_256", "DNA")
    ('Intensity_MeanIntensity_DNA', 'Texture_Contrast_DNA_3_00_256')
    >>> _name("radial_distribution", "RadialDistribution_FracAtD_1of4", "DNA")
    'RadialDistribution_FracAtD_DNA_1of4'
    """
    if kind == "texture":
        feature, rest = name.split("_", 1)
        return f"Texture_{feature}_{channel}_{rest}"
    if kind.startswith("radial"):
        category, feature, rest = name.split("_", 2)
        return f"{category}_{feature}_{channel}_{rest}"
    return f"{name}_{channel}"


def check_classical(mode: str) -> None:
    """Check that handcrafted features can be measured.

    Raises
    ------
    InputError
        If the mode is not ``cells``: only objects have a shape.
    MissingExtraError
        If cp_measure is not installed.
    """
    if mode != "cells":
        raise InputError(f"`classical` goes with `mode` cells, not with `mode` {mode}")
    _functions()


class MissingNumbers:
    """Count the handcrafted features that are not defined.

    Parameters
    ----------
    names : sequence of str
        The q features.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._missing: Counter[str] = Counter()
        self._numbers = 0

    def add(self, classical: NDArray[np.float32] | None) -> None:
        """Add the features (n, q) of an image set."""
        if classical is not None:
            self._missing.update(dict(zip(self._names, np.isnan(classical).sum(0).tolist(), strict=True)))
            self._numbers += classical.size

    def log(self) -> None:
        """Log how many numbers are missing, and the features that have most of them."""
        missing = self._missing.total()
        if missing:
            log.info(
                "%d of %d handcrafted features are not defined and missing (NaN), most of them %s",
                missing,
                self._numbers,
                ", ".join(f"{name} ({count})" for name, count in self._missing.most_common(3)),
            )

"""Find the named features that go along with the difference of two groups in the space of learned features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted
from ..evaluation.scores import FEW_UNITS
from .classifier import train_classifier

RESAMPLES = 1000
LEVEL = 0.95
ALIKE = 0.95
"""Correlation from which two named features say the same."""
_BLOCK = 64
"""Features whose bootstrap samples are in memory together."""


@dataclass(frozen=True)
class Associations:
    """Relations of q named features to the axis between two groups.

    Attributes
    ----------
    rows : array (q,), int
        Number of rows with this feature.
    correlation, low, high : array (q,)
        Spearman's correlation with the axis, and its 95 % bootstrap interval; NaN for a constant feature, and for an
        interval of a single unit.
    within : array (q,)
        The same correlation after the mean rank of its group is subtracted from each row: the relation that does not
        come from the difference of the groups itself.
    difference : array (q,)
        Mean of the first group minus that of the second, in standard deviations within the groups.
    axis : array (n,)
        Place of each row along the axis: log-odds of the first group, by a classifier that was trained without it.
    units : int
        Number of groups, or of rows, that the intervals are over.
    """

    rows: NDArray[np.intp]
    correlation: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    within: NDArray[np.float64]
    difference: NDArray[np.float64]
    axis: NDArray[np.float64]
    units: int


def associate(
    learned: NDArray[Any],
    named: NDArray[Any],
    is_first: NDArray[np.bool_],
    groups: NDArray[Any] | None = None,
    seed: int = 0,
) -> Associations:
    """Correlate named features with the axis along which two groups differ in learned features.

    Parameters
    ----------
    learned : array (n, p)
        Finite.
    named : array (n, q)
        Missing numbers are left out, feature by feature.
    is_first : array (n,), bool
        True for the rows of the first group, False for those of the second.
    groups : array (n,), optional
        Rows that are held out and drawn together, such as wells.
    seed : int

    Returns
    -------
    Associations

    Raises
    ------
    InputError
        If the arrays do not fit, or a group cannot be held out (see :func:`.train_classifier`).
    """
    named = np.asarray(named, np.float64)
    if not len(learned) == len(named) == len(is_first):
        raise InputError(
            f"{counted(len(learned), 'rows')} of learned features, {len(named)} of named ones: they must be equal"
        )
    labels = np.where(is_first, "first", "second")
    chances = np.log(np.maximum(train_classifier(learned, labels, groups, seed).held_out, np.finfo(float).tiny))
    axis = chances[:, 0] - chances[:, 1]
    known = np.isfinite(named)
    parts = None if groups is None else np.unique(groups, return_inverse=True)[1]
    if parts is None or parts.max() + 1 < FEW_UNITS:
        parts = np.arange(len(named))
    units = int(parts.max()) + 1
    drawn = np.random.default_rng(seed).multinomial(units, np.full(units, 1 / units), size=RESAMPLES)
    result = np.full((5, named.shape[1]), np.nan)
    for start in range(0, named.shape[1], _BLOCK):
        columns = slice(start, start + _BLOCK)
        result[:, columns] = _correlations(named[:, columns], known[:, columns], axis, is_first, parts, drawn)
    correlation, low, high, within, difference = result
    return Associations(known.sum(0), correlation, low, high, within, difference, axis, units)


def _correlations(
    named: NDArray[np.float64],
    known: NDArray[np.bool_],
    axis: NDArray[np.float64],
    is_first: NDArray[np.bool_],
    parts: NDArray[np.intp],
    drawn: NDArray[Any],
) -> NDArray[np.float64]:
    """Return correlation, low, high, within and difference (5, q) of some features."""
    x = _ranks(np.where(known, named, np.nan))
    y = _ranks(np.where(known, axis[:, None], np.nan))
    sums = _sums_by_part(x, y, parts)
    samples = _pearson(*(drawn @ each for each in sums))
    with np.errstate(invalid="ignore"):
        whole = _pearson(*(each.sum(0, keepdims=True) for each in sums))[0]
        constant = ~np.isfinite(whole)
        low, high = np.full((2, named.shape[1]), np.nan)
        if len(np.unique(parts)) > 1 and not constant.all():
            tails = [50 * (1 - LEVEL), 50 * (1 + LEVEL)]
            low[~constant], high[~constant] = np.nanpercentile(samples[:, ~constant], tails, axis=0)
    halves = (is_first, ~is_first)
    centered = [np.empty_like(x), np.empty_like(y)]
    for half in halves:
        for target, values in zip(centered, (x, y), strict=True):
            target[half] = values[half] - _mean(values[half])
    within = _pearson(*(each.sum(0, keepdims=True) for each in _sums_by_part(centered[0], centered[1], parts)))[0]
    first, second = (np.where(known[half], named[half], np.nan) for half in halves)
    spread = np.sqrt((_mean((first - _mean(first)) ** 2) + _mean((second - _mean(second)) ** 2)) / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        difference = np.where(spread > 0, (_mean(first) - _mean(second)) / spread, np.nan)
    return np.stack([whole, low, high, within, difference])


def alike(named: NDArray[Any], order: NDArray[np.intp], threshold: float = ALIKE) -> NDArray[np.intp]:
    """Find features that say the same as one before them.

    Parameters
    ----------
    named : array (n, q)
    order : array (m,), int
        Features, the strongest first.
    threshold : float
        Spearman's correlation, either way, from which two features say the same.

    Returns
    -------
    array (m,), int
        For each of ``order`` the first feature that it is like, itself if there is none before it.

    Examples
    --------
    >>> x = np.arange(9.0)
    >>> alike(np.column_stack([x, (x - 4) ** 2, -(x**3)]), np.array([2, 0, 1])).tolist()
    [2, 2, 1]
    """
    ranks = np.nan_to_num(_ranks(np.where(np.isfinite(named), named, np.nan)))[:, order]
    with np.errstate(divide="ignore", invalid="ignore"):
        correlation = np.abs(np.corrcoef(ranks, rowvar=False).reshape(len(order), len(order)))
    leaders: list[int] = []
    result = order.copy()
    for place in range(len(order)):
        like = next((leader for leader in leaders if correlation[place, leader] >= threshold), None)
        if like is None:
            leaders.append(place)
        else:
            result[place] = order[like]
    return result


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rank columns (n, q) from -0.5 to 0.5; NaN stays NaN."""
    from scipy.stats import rankdata

    ranks = rankdata(values, axis=0, nan_policy="omit")
    count = np.maximum(np.isfinite(values).sum(0), 1)
    return np.asarray((ranks - 0.5) / count - 0.5)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the means (q,) of columns without NaN; NaN for a column without numbers."""
    known = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(known, values, 0).sum(0) / known.sum(0))


def _sums_by_part(
    x: NDArray[np.float64], y: NDArray[np.float64], parts: NDArray[np.intp]
) -> tuple[NDArray[np.float64], ...]:
    """Return the sums (u, q) of 1, x, y, xy, xx and yy over the rows of each part."""
    from scipy.sparse import csr_array

    known = np.isfinite(x) & np.isfinite(y)
    x, y = np.where(known, x, 0), np.where(known, y, 0)
    member = csr_array((np.ones(len(parts)), (parts, np.arange(len(parts)))))
    return tuple(member @ each for each in (known.astype(np.float64), x, y, x * y, x * x, y * y))


def _pearson(n: Any, x: Any, y: Any, xy: Any, xx: Any, yy: Any) -> NDArray[np.float64]:
    """Compute correlations of sums; NaN for a constant column."""
    with np.errstate(divide="ignore", invalid="ignore"):
        covariance, spread_x, spread_y = xy - x * y / n, xx - x * x / n, yy - y * y / n
        product = spread_x * spread_y
        return np.asarray(np.where(product > (1e-12 * n) ** 2, covariance / np.sqrt(product), np.nan))

"""Test whether the replicates of a treatment are more like each other than like controls or other treatments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import comb, prod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted
from .metrics import average_precision
from .neighbors import Distances

DRAWS = 10_000
"""Number of permutations."""
MOST_PATTERNS = 10
"""Ways in which treatments spread over plates, of which each has random sets of its own."""
BLOCK = 1 << 22
"""Number of ranks that are looked up together."""


class Retrieval(NamedTuple):
    """How well the replicates of a treatment find each other.

    Attributes
    ----------
    map : float
        Mean average precision, from 0 to 1.
    p : float
        Share of the permutations, and the observation itself, that reach at least as much; above 0.
    smallest_p : float
        The smallest p that so few rows allow.
    """

    map: float
    p: float
    smallest_p: float


def replicates_among_controls(
    values: NDArray[Any],
    replicates: NDArray[np.bool_],
    groups: NDArray[Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> Retrieval:
    """Test whether replicates find each other before they find controls (mean average precision; Kalinin et al. 2025).

    Every replicate ranks all other rows by cosine. The p value is that of a permutation test: as many rows of each
    group are drawn as replicates from replicates and controls alike; of equal average precisions, the set whose rows
    are more alike counts more. So it holds if replicates without effect and controls of one plate could be exchanged,
    and it knows that the ranks of replicates depend on each other.

    Parameters
    ----------
    values : array (n, p)
        Replicates and controls; none is all zeros.
    replicates : array (n,), bool
        At least two.
    groups : array (n,), optional
        Plates, within which rows are exchanged; by default all rows are.
    draws : int
        Number of permutations.
    seed : int

    Returns
    -------
    Retrieval

    Raises
    ------
    InputError
        If there are fewer than two replicates, or no control.
    """
    count = int(replicates.sum())
    if count < 2 or count == len(values):
        raise InputError(
            f"{counted(count, 'replicates')} and {counted(len(values) - count, 'controls')}: two and one are needed at "
            "least"
        )
    strata = np.zeros(len(values), int) if groups is None else np.unique(groups, return_inverse=True)[1]
    rows = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    taken = [int(replicates[members].sum()) for members in rows]
    distances = Distances(np.asarray(values, np.float64))
    (_, squared), *more = distances.blocks()
    squared = np.concatenate([squared, *(block for _, block in more)])
    ranks = _ranks(squared, distances.tolerance)
    similar = np.where(np.isfinite(squared), -squared, 0)
    own = np.flatnonzero(replicates)[None]
    observed, alike = _precisions(ranks, own)[0], _sums(similar, own)[0]
    random = np.random.default_rng(seed)
    reached = 0
    for size in _sizes(draws, count):
        drawn = np.concatenate(
            [_draw(random, members, number, size) for members, number in zip(rows, taken, strict=True)], axis=1
        )
        gain = _precisions(ranks, drawn) - observed
        reached += int(((gain > 1e-12) | ((gain >= -1e-12) & (_sums(similar, drawn) >= alike - 1e-9))).sum())
    ways = prod(comb(len(members), number) for members, number in zip(rows, taken, strict=True))
    exact = [_exact(squared[row], replicates, row, distances.tolerance) for row in np.flatnonzero(replicates)]
    return Retrieval(float(np.mean(exact)), (reached + 1) / (draws + 1), max(1 / ways, 1 / (draws + 1)))


def replicates_among_treatments(
    values: NDArray[Any],
    treatments: NDArray[Any],
    groups: NDArray[Any] | None = None,
    draws: int = DRAWS,
    seed: int = 0,
) -> dict[str, Retrieval]:
    """Test for each treatment whether its rows find each other before they find rows of other treatments.

    The p value compares with random sets of rows of all treatments, as many of each group. Where treatments of one
    number of rows spread over groups in more than ``MOST_PATTERNS`` ways, they share random sets, each of which spreads
    as a treatment that is drawn at random.

    Parameters
    ----------
    values : array (n, p)
        Rows of treatments, without controls; none is all zeros.
    treatments : array (n,) of str
    groups : array (n,), optional
        Plates, within which rows are exchanged; by default all rows are.
    draws : int
        Number of random sets for each number of rows (of each group).
    seed : int

    Returns
    -------
    dict of str to Retrieval
        Of the treatments with two rows or more; empty if there is only one treatment.
    """
    names, codes, counts = np.unique(treatments, return_inverse=True, return_counts=True)
    if len(names) < 2:
        return {}
    strata = np.zeros(len(values), int) if groups is None else np.unique(groups, return_inverse=True)[1]
    members = [np.flatnonzero(strata == stratum) for stratum in range(strata.max() + 1)]
    distances, random = Distances(np.asarray(values)), np.random.default_rng(seed)
    found = {}
    for count in np.unique(counts[counts > 1]):
        chosen = np.flatnonzero(counts == count)
        rows = np.stack([np.flatnonzero(codes == code) for code in chosen])
        taken, kind = np.unique(
            [np.bincount(strata[of], minlength=len(members)) for of in rows], axis=0, return_inverse=True
        )
        shared = len(taken) > MOST_PATTERNS
        sizes = random.multinomial(draws, np.bincount(kind) / len(kind)) if shared else np.full(len(taken), draws)
        drawn = [
            np.concatenate([_draw(random, *of, size) for of in zip(members, numbers, strict=True)], axis=1)
            for numbers, size in zip(taken, sizes, strict=True)
        ]
        precisions = _set_precisions(distances, np.concatenate([rows, *drawn]))
        chance = precisions[len(rows) :].reshape(-1, draws)
        for number, code in enumerate(chosen):
            reached = int((chance[0 if shared else kind[number]] >= precisions[number] - 1e-12).sum())
            ways = prod(comb(len(of), int(most)) for of, most in zip(members, taken[kind[number]], strict=True))
            exact = [_exact(of, codes == code, row, distances.tolerance) for row, of in distances.of(rows[number])]
            smallest = max(1 / ways, 1 / (draws + 1))
            found[str(names[code])] = Retrieval(float(np.mean(exact)), (reached + 1) / (draws + 1), smallest)
    return found


def false_discovery_rates(p: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
    """Adjust p values for their number (Benjamini and Hochberg 1995).

    Parameters
    ----------
    p : array (n,)
        NaN take no part.

    Returns
    -------
    array (n,)
        The smallest false discovery rate at which each is a discovery; NaN for NaN.

    Examples
    --------
    >>> false_discovery_rates([0.01, 0.5, 0.02, float("nan")])
    array([0.03, 0.5 , 0.03,  nan])
    """
    p = np.asarray(p, np.float64)
    known = np.flatnonzero(np.isfinite(p))
    order = known[np.argsort(p[known])]
    adjusted = p[order] * len(order) / np.arange(1, len(order) + 1)
    result = np.full(len(p), np.nan)
    result[order] = np.minimum.accumulate(adjusted[::-1])[::-1].clip(max=1)
    return result


def _ranks(squared: NDArray[Any], tolerance: float) -> NDArray[np.float64]:
    """Return the rank (n, n) of each row among the others by distance, from 1; its mean where distances are equal."""
    ranks = np.zeros(squared.shape)
    for row, distances in enumerate(squared):
        order = np.argsort(distances)[:-1]  # without the row itself, which is infinitely far
        level = np.cumsum(np.diff(distances[order], prepend=-np.inf) > tolerance)
        place = np.arange(1, len(order) + 1)
        ranks[row, order] = (np.bincount(level, place) / np.maximum(np.bincount(level), 1))[level]
    return ranks


def _precisions(ranks: NDArray[np.float64], members: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean average precision (b,) of sets of rows (b, m) by their ranks."""
    among = np.sort(ranks[members[:, :, None], members[:, None, :]], axis=2)[:, :, 1:]
    return np.asarray((np.arange(1, among.shape[2] + 1) / among).mean((1, 2)))


def _sums(similar: NDArray[np.float64], members: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the sums (b,) of the similarities (n, n) among sets of rows (b, m)."""
    return np.asarray(similar[members[:, :, None], members[:, None, :]].sum((1, 2)))


def _set_precisions(distances: Distances, sets: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return the mean average precision (b,) of sets of rows (b, m) among all rows."""
    count = sets.shape[1]
    order = np.argsort(sets, axis=None, kind="stable")
    rows, starts = np.unique(sets.ravel()[order], return_index=True)
    result, hits = np.zeros(len(sets)), np.arange(1, count)
    for (_, squared), places in zip(distances.of(rows), np.split(order, starts[1:]), strict=True):
        number, position = np.divmod(places, count)
        apart = np.arange(count) != position[:, None]
        others = squared[sets[number][apart].reshape(-1, count - 1)]
        ordered = np.sort(squared)
        closer = np.searchsorted(ordered, others - distances.tolerance)
        reached = np.searchsorted(ordered, others + distances.tolerance, side="right")
        ranks = np.sort((closer + reached + 1) / 2, axis=1)
        result[number] += (hits / ranks).mean(1) / count
    return result


def _exact(distances: NDArray[Any], relevant: NDArray[np.bool_], row: int | np.intp, tolerance: float) -> float:
    """Return the average precision of one row's distances (n,) to all rows."""
    others = np.arange(len(distances)) != row
    return average_precision(distances[others], relevant[others], tolerance)


def _sizes(draws: int, count: int) -> Iterator[int]:
    """Yield numbers of permutations that are looked at together."""
    size = max(BLOCK // count**2, 1)
    for start in range(0, draws, size):
        yield min(size, draws - start)


def _draw(random: np.random.Generator, rows: NDArray[np.intp], number: int, size: int) -> NDArray[np.intp]:
    """Draw some of the rows without repetition (size, number)."""
    if number == 0:
        return np.empty((size, 0), np.intp)
    keys = random.random((size, len(rows)), dtype=np.float32)
    return np.asarray(rows[np.argpartition(keys, number - 1, axis=1)[:, :number]])

"""Statistics of a screen from its controls, doses and replicates: distances, Z', dose response, replicability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .neighbors import has_direction
from .scores import Score

DRAWS = 10_000
"""Number of draws of an interval."""
NULL_DRAWS = 1000
"""Number of random sets of rows that the replicates of a treatment are compared with."""


def distance_from_controls(values: NDArray[Any], is_control: NDArray[Any]) -> NDArray[Any]:
    """Measure the distance of each row from the mean of the controls, in units of the controls' median distance.

    Parameters
    ----------
    values : array (n, p)
    is_control : array (n,), bool

    Returns
    -------
    array (n,)
        From 0; a typical control has 1, a row with missing values NaN.

    Raises
    ------
    InputError
        If no control has all features, or all controls are equal.
    """
    controls = is_control & np.isfinite(values).all(1)
    if not controls.any():
        raise InputError("no control row has all features")
    distance = np.linalg.norm(values - values[controls].mean(0, dtype=np.float64), axis=1)
    unit = np.median(distance[controls])
    if unit == 0:
        raise InputError("the controls do not differ from each other: there is no unit of distance")
    return np.asarray(distance / unit)


def between_controls(
    values: NDArray[Any], negative: NDArray[Any], positive: NDArray[Any], groups: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Project each row onto the axis from the negative (0) to the positive controls (1).

    Parameters
    ----------
    values : array (n, p)
    negative, positive : array (n,), bool
    groups : array (n,), optional
        A row is projected onto the axis of the controls in the other groups (rows of a plate, plates).

    Returns
    -------
    array (n,)
        NaN for rows with missing values, and for those whose group holds all controls of a kind.
    """
    present = np.isfinite(values).all(1)
    groups = np.zeros(len(values), int) if groups is None else np.asarray(groups)
    names = np.unique(groups)
    result = np.full(len(values), np.nan)
    for name in names:
        here = groups == name
        elsewhere = present & (~here if len(names) > 1 else True)
        if not ((negative & elsewhere).any() and (positive & elsewhere).any()):
            continue
        start, end = (values[role & elsewhere].mean(0, dtype=np.float64) for role in (negative, positive))
        axis = end - start
        result[here] = (values[here] - start) @ axis / (axis @ axis)
    return result


def z_prime(negative: NDArray[Any], positive: NDArray[Any]) -> float:
    """Compute the Z' factor of two sets of numbers, 1 - 3 (s1 + s2) / |m1 - m2| (Zhang et al. 1999).

    Parameters
    ----------
    negative, positive : array (n,), array (m,)

    Returns
    -------
    float
        At most 1; an assay is good from 0.5.

    Raises
    ------
    InputError
        If a set has fewer than two numbers.
    """
    if min(len(negative), len(positive)) < 2:
        raise InputError("Z' needs two controls of each kind at least")
    distance = abs(np.mean(positive) - np.mean(negative))
    return float(1 - 3 * (np.std(negative, ddof=1) + np.std(positive, ddof=1)) / distance)


def z_prime_interval(negative: NDArray[Any], positive: NDArray[Any], level: float = 0.95, seed: int = 0) -> Score:
    """Compute the Z' factor with its generalized confidence interval (Weerahandi 1993) for normal distributions.

    Parameters
    ----------
    negative, positive : array (n,), array (m,)
    level : float
        Share of the draws inside the interval, between 0 and 1.
    seed : int

    Returns
    -------
    Score

    Raises
    ------
    InputError
        As :func:`z_prime`.
    """
    value, random = z_prime(negative, positive), np.random.default_rng(seed)
    means, deviations = [], []
    for values in (negative, positive):
        count = len(values)
        deviation = np.std(values, ddof=1) * np.sqrt((count - 1) / random.chisquare(count - 1, DRAWS))
        means.append(np.mean(values) + deviation * random.normal(size=DRAWS) / np.sqrt(count))
        deviations.append(deviation)
    drawn = 1 - 3 * (deviations[0] + deviations[1]) / np.abs(means[0] - means[1])
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return Score(value, float(low), float(high))


def dose_correlations(position: NDArray[Any], doses: NDArray[Any], compounds: NDArray[Any]) -> dict[str, float]:
    """Compute Spearman's rank correlation of a position with the dose, for compounds with three doses or more.

    Parameters
    ----------
    position, doses : array (n,)
        Rows where one is NaN take no part.
    compounds : array (n,)

    Returns
    -------
    dict of str to float
        By compound, from -1 to 1.
    """
    from scipy.stats import spearmanr

    known = np.isfinite(position) & np.isfinite(doses)
    correlations = {}
    for compound in np.unique(compounds[known]):
        rows = known & (compounds == compound)
        if len(np.unique(doses[rows])) > 2:
            correlations[str(compound)] = float(spearmanr(doses[rows], position[rows]).statistic)
    return correlations


def mean_correlation(correlations: NDArray[Any], counts: NDArray[Any], level: float = 0.95, seed: int = 0) -> Score:
    """Average rank correlations, with an interval for other rows of the same compounds.

    Fisher's transform of a correlation r of n rows is drawn around its value with the variance (1 + r^2 / 2) / (n - 3)
    (Bonett and Wright 2000), where r is kept half a step of Spearman's coefficient away from 1. Three rows tell
    nothing.

    Parameters
    ----------
    correlations : array (c,)
        From -1 to 1.
    counts : array (c,)
        Numbers of rows, from 3.
    level : float
        Share of the draws inside the interval, between 0 and 1.
    seed : int

    Returns
    -------
    Score
    """
    value, counts = np.asarray(correlations, np.float64), np.asarray(counts)
    most = 1 - 6 / (counts * (counts**2 - 1.0))
    kept = np.clip(value, -most, most)
    spread = np.sqrt((1 + kept**2 / 2) / np.maximum(counts - 3, 1))
    random = np.random.default_rng(seed)
    drawn = np.tanh(np.arctanh(kept) + spread * random.normal(size=(DRAWS, len(value))))
    drawn = np.where(counts > 3, drawn, random.uniform(-1, 1, drawn.shape)).mean(1)
    low, high = np.percentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return Score(float(value.mean()), float(min(low, value.mean())), float(max(high, value.mean())))


@dataclass(frozen=True)
class Replicability:
    """Similarity of the replicates of treatments.

    Attributes
    ----------
    names : array (t,)
        Treatments with two rows or more.
    similarity : array (t,)
        Median cosine between the rows of each, from -1 to 1.
    threshold : float
        95th percentile of the similarity of random sets of rows of different treatments.
    share : float
        Share of the treatments above the threshold, from 0 to 1.
    rows : int
        Number of rows of these treatments.
    """

    names: NDArray[Any]
    similarity: NDArray[Any]
    threshold: float
    share: float
    rows: int

    def interval(self, level: float = 0.95) -> Score:
        """Return the share with its interval over the treatments (Wilson 1927)."""
        from scipy.stats import binomtest

        alike = int((self.similarity > self.threshold).sum())
        found = binomtest(alike, len(self.names)).proportion_ci(level, "wilson")
        return Score(self.share, float(found.low), float(found.high))


def replicability(values: NDArray[Any], treatments: NDArray[Any], seed: int = 0) -> Replicability:
    """Find the share of treatments whose replicates are more similar than chance ("percent replicating", Way 2022).

    Parameters
    ----------
    values : array (n, p)
        Rows of zeros have no direction and take no part.
    treatments : array (n,)
    seed : int
        Of the random sets, which have as many rows as the median treatment.

    Returns
    -------
    Replicability

    Raises
    ------
    InputError
        If no treatment has two rows, or there is one treatment only.
    """
    from sklearn.preprocessing import normalize

    directed = has_direction(values)
    values, treatments = np.asarray(values)[directed], np.asarray(treatments)[directed]
    if not len(values):
        raise InputError("replicability needs rows that are not all zeros")
    names, codes, counts = np.unique(treatments, return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        raise InputError("replicability needs two treatments, and replicates of them")
    directions = normalize(np.asarray(values, np.float64))
    repeated = np.flatnonzero(counts > 1)
    members = np.split(np.argsort(codes, kind="stable"), np.cumsum(counts)[:-1])
    observed = np.array([_median_pair(directions[members[code]]) for code in repeated])
    size = min(max(int(np.median(counts[repeated])), 2), len(names))
    random = np.random.default_rng(seed)
    chance = []
    for _ in range(NULL_DRAWS):
        chosen = random.choice(len(names), size, replace=False)
        chance.append(_median_pair(directions[[random.choice(members[code]) for code in chosen]]))
    threshold = float(np.percentile(chance, 95))
    return Replicability(
        names[repeated], observed, threshold, float((observed > threshold).mean()), int(counts[repeated].sum())
    )


def _median_pair(directions: NDArray[Any]) -> float:
    """Return the median cosine of two rows of a set of directions."""
    pairs = directions @ directions.T
    return float(np.median(pairs[np.triu_indices(len(pairs), 1)]))

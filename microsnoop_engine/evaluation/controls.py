"""What controls, doses and replicates say of a screen: distances, the axis between controls, Z', replicability."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError

NULL_DRAWS = 1000
"""Random sets of rows that a treatment's replicates are compared with."""


def distance_from_controls(values: np.ndarray, is_control: np.ndarray) -> np.ndarray:
    """How far each row lies from the mean of the controls, in units of the controls' median distance.

    Parameters
    ----------
    values : array (n, p)
        NaN rows stay NaN.
    is_control : array (n,), bool

    Returns
    -------
    array (n,)
        From 0; 1 is a usual control.

    Raises
    ------
    InputError
        If no control has all features, or all controls are alike.
    """
    own = is_control & np.isfinite(values).all(1)
    if not own.any():
        raise InputError("no control row has all features")
    distance = np.linalg.norm(values - values[own].mean(0, dtype=np.float64), axis=1)
    usual = np.median(distance[own])
    if usual == 0:
        raise InputError("the controls do not differ from each other: there is no unit of distance")
    return distance / usual


def between_controls(
    values: np.ndarray, negative: np.ndarray, positive: np.ndarray, groups: np.ndarray | None = None
) -> np.ndarray:
    """Where each row lies on the way from the negative (0) to the positive controls (1).

    Parameters
    ----------
    values : array (n, p)
    negative, positive : array (n,), bool
    groups : array (n,), optional
        The way for a row is that of the controls of the other groups (rows of a plate, plates).

    Returns
    -------
    array (n,)
        NaN for rows without features, and for those whose own group holds all controls of a kind.
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
        way = end - start
        result[here] = (values[here] - start) @ way / (way @ way)
    return result


def z_prime(negative: np.ndarray, positive: np.ndarray) -> float:
    """Zhang's Z' of two sets of numbers: 1 - 3 (s1 + s2) / |m1 - m2|; 1 at best, an assay is good from 0.5.

    Raises
    ------
    InputError
        If a set has fewer than two numbers.
    """
    if min(len(negative), len(positive)) < 2:
        raise InputError("Z' needs two controls of each kind at least")
    distance = abs(np.mean(positive) - np.mean(negative))
    return float(1 - 3 * (np.std(negative, ddof=1) + np.std(positive, ddof=1)) / distance)


def dose_correlations(position: np.ndarray, doses: np.ndarray, compounds: np.ndarray) -> dict[str, float]:
    """Spearman's rank correlation of a position with the dose, of every compound with three doses or more.

    Parameters
    ----------
    position, doses : array (n,)
        Rows where one is NaN take no part.
    compounds : array (n,)
    """
    from scipy.stats import spearmanr

    known = np.isfinite(position) & np.isfinite(doses)
    found = {}
    for compound in np.unique(compounds[known]):
        rows = known & (compounds == compound)
        if len(np.unique(doses[rows])) > 2:
            found[str(compound)] = float(spearmanr(doses[rows], position[rows]).statistic)
    return found


@dataclass(frozen=True)
class Replicability:
    """How alike replicates are.

    Attributes
    ----------
    names : array (t,)
        Treatments with two rows or more.
    similarity : array (t,)
        Median cosine between the rows of each.
    threshold : float
        95 % of random sets of as many rows of different treatments stay below.
    share : float
        Of the treatments that are above.
    """

    names: np.ndarray
    similarity: np.ndarray
    threshold: float
    share: float


def replicability(values: np.ndarray, treatments: np.ndarray, seed: int = 0) -> Replicability:
    """Share of treatments whose replicates are more alike than chance ("percent replicating"; Way et al. 2022).

    Parameters
    ----------
    values : array (n, p)
    treatments : array (n,)
    seed : int
        Of the random sets; a set has as many rows as the median treatment.

    Raises
    ------
    InputError
        If no treatment has two rows, or there is one treatment only.
    """
    from sklearn.preprocessing import normalize

    names, codes, counts = np.unique(treatments, return_inverse=True, return_counts=True)
    if len(names) < 2 or counts.max() < 2:
        raise InputError("replicability needs two treatments, and replicates of them")
    similarity = normalize(np.asarray(values, np.float64))
    similarity = similarity @ similarity.T
    repeated = np.flatnonzero(counts > 1)
    found = np.array([_median_pair(similarity, np.flatnonzero(codes == code)) for code in repeated])
    size = min(max(int(np.median(counts[repeated])), 2), len(names))
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(codes == code) for code in range(len(names))]
    chance = []
    for _ in range(NULL_DRAWS):
        chosen = random.choice(len(names), size, replace=False)
        chance.append(_median_pair(similarity, np.array([random.choice(members[code]) for code in chosen])))
    threshold = float(np.percentile(chance, 95))
    return Replicability(names[repeated], found, threshold, float((found > threshold).mean()))


def _median_pair(similarity: np.ndarray, rows: np.ndarray) -> float:
    pairs = similarity[np.ix_(rows, rows)]
    return float(np.median(pairs[np.triu_indices(len(rows), 1)]))

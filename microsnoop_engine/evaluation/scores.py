"""Score predictions: accuracy and balanced accuracy, with intervals that respect groups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted


@dataclass(frozen=True)
class Score:
    """A share of correct predictions, with its interval.

    Attributes
    ----------
    value, low, high : float
        From 0 to 1.
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{100 * self.value:.1f} ({100 * self.low:.1f}-{100 * self.high:.1f})"


def accuracy(correct: NDArray[Any], members: NDArray[Any]) -> NDArray[Any]:
    """Compute the share of correct predictions.

    Parameters
    ----------
    correct, members : array (..., l)
        Numbers of correct predictions and of rows of each true label.

    Returns
    -------
    array (...)
        From 0 to 1.
    """
    return np.asarray(correct.sum(-1) / members.sum(-1))


def balanced_accuracy(correct: NDArray[Any], members: NDArray[Any]) -> NDArray[Any]:
    """Compute the mean recall of the true labels that occur.

    Parameters
    ----------
    correct, members : array (..., l)
        Numbers of correct predictions and of rows of each true label.

    Returns
    -------
    array (...)
        From 0 to 1.
    """
    return np.asarray(np.nanmean(np.where(members > 0, correct / np.maximum(members, 1), np.nan), axis=-1))


DRAWS = 1 << 22
"""Number of groups that are drawn together."""
FEW_UNITS = 5
"""Number of groups from which an interval is one over groups; of fewer, the rows are drawn."""
SCORES = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}


def score_predictions(
    labels: NDArray[Any],
    predictions: NDArray[Any],
    groups: NDArray[Any] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Score]:
    """Score predictions by accuracy and balanced accuracy, with percentile bootstrap intervals.

    Parameters
    ----------
    labels, predictions : array (n,)
    groups : array (n,), optional
        Rows that share a group (a plate, a field) are drawn together; by default each row is drawn by itself.
    resamples : int
        Number of bootstrap samples, from 1.
    level : float
        Share of the bootstrap samples inside the interval, between 0 and 1.
    seed : int

    Returns
    -------
    dict of str to Score
        ``accuracy`` and ``balanced_accuracy``. With a single group there is no interval: low and high are NaN. Where
        all bootstrap samples are alike (all predictions are right), the interval is that of Jeffreys' prior for as
        many trials as there are groups or rows.

    Raises
    ------
    InputError
        If the arrays are empty or differ in length, or the level is not between 0 and 1.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if len(labels) != len(predictions):
        raise InputError(
            f"{counted(len(labels), 'labels')}, {counted(len(predictions), 'predictions')}: their numbers must be equal"
        )
    return score_correct(labels, predictions == labels, groups, resamples, level, seed)


def score_correct(
    labels: NDArray[Any],
    correct: NDArray[Any],
    groups: NDArray[Any] | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Score]:
    """Score predictions that are known to be right or wrong, or right in a share of cases.

    Any other numbers of rows (precisions, silhouettes) have their mean as ``accuracy``, and the mean over the labels of
    the mean as ``balanced_accuracy``.

    Parameters
    ----------
    labels : array (n,)
    correct : array (n,)
        From 0 to 1 for predictions.
    groups, resamples, level, seed
        See :func:`score_predictions`.

    Returns
    -------
    dict of str to Score
        See :func:`score_predictions`.

    Raises
    ------
    InputError
        As :func:`score_predictions`.
    """
    from scipy.stats import beta

    labels, correct = np.asarray(labels), np.asarray(correct, np.float64)
    groups = None if groups is None else np.asarray(groups)
    sizes = (len(labels), len(correct), len(labels) if groups is None else len(groups))
    if not len(labels) or len(set(sizes)) > 1:
        raise InputError(
            f"{counted(sizes[0], 'labels')}, {counted(sizes[1], 'predictions')} and {counted(sizes[2], 'groups')}: "
            "their numbers must be equal, and at least one"
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            f"level is {level} and resamples {resamples}: the level must be between 0 and 1, resamples 1 or more"
        )
    units = _Units(labels, correct, groups)
    drawn = units.drawn(resamples, seed) if units.count > 1 else {}
    members, tails = units.weights @ units.members, [50 * (1 - level), 50 * (1 + level)]
    result = {}
    for name, function in SCORES.items():
        value, low, high = float(function(units.weights @ units.correct, members)), np.nan, np.nan
        if drawn:
            low, high = np.percentile(drawn[name], tails)
        if drawn and np.ptp(drawn[name]) < 1e-12 and correct.min() >= 0 and correct.max() <= 1:
            low, high = beta.ppf(np.divide(tails, 100), value * units.count + 0.5, (1 - value) * units.count + 0.5)
            low, high = min(low, value), max(high, value)
        result[name] = Score(value, float(low), float(high))
    return result


class _Units:
    """Hold what a bootstrap draws: groups, or rows.

    Attributes
    ----------
    weights : array (u,)
        Numbers of equal units, which are counted together.
    count : int
        Number of units.
    correct, members : sparse array (u, l)
        Sums over the rows of a unit, by label.
    """

    def __init__(self, labels: NDArray[Any], correct: NDArray[Any], groups: NDArray[Any] | None) -> None:
        from scipy.sparse import csr_array

        names, codes = np.unique(labels, return_inverse=True)
        members = np.ones(len(labels))
        if groups is None:
            kinds, numbers = np.unique(np.column_stack([codes, correct]), axis=0, return_counts=True)
            unit, codes, correct = np.arange(len(kinds)), kinds[:, 0].astype(int), kinds[:, 1]
            self.weights, members = numbers.astype(np.float64), members[: len(kinds)]
        else:
            names_of_groups, unit = np.unique(groups, return_inverse=True)
            self.weights = np.ones(len(names_of_groups))
        shape = len(self.weights), len(names)
        self.count = int(self.weights.sum())
        self.correct, self.members = (csr_array((values, (unit, codes)), shape) for values in (correct, members))

    def drawn(self, resamples: int, seed: int) -> dict[str, NDArray[Any]]:
        """Return the scores (resamples,) of bootstrap samples of as many units."""
        random, chances = np.random.default_rng(seed), self.weights / self.count
        size = max(DRAWS // len(chances), 1)
        drawn: dict[str, list[NDArray[Any]]] = {name: [] for name in SCORES}
        for start in range(0, resamples, size):
            times = random.multinomial(self.count, chances, size=min(size, resamples - start))
            right, members = times @ self.correct, times @ self.members
            for name, function in SCORES.items():
                drawn[name].append(function(right, members))
        return {name: np.concatenate(parts) for name, parts in drawn.items()}


@dataclass(frozen=True)
class Estimate(Score):
    """A score with what it was computed from.

    Attributes
    ----------
    rows : int
        Number of rows of the table.
    unit : str
        What the interval is over: the name of the groups, or of the rows.
    units : int
        Number of these.
    """

    rows: int
    unit: str
    units: int


def estimate(
    labels: NDArray[Any], correct: NDArray[Any], groups: Mapping[str, NDArray[Any] | None], rows: str = "rows"
) -> dict[str, Estimate]:
    """Score predictions with intervals over the first kind of groups of which there are five, or else over the rows.

    Parameters
    ----------
    labels, correct : array (n,)
        See :func:`score_correct`.
    groups : dict of str to array (n,) or None
        Groups by the name of their kind; None where there are none.
    rows : str
        Name of the rows.

    Returns
    -------
    dict of str to Estimate
        ``accuracy`` and ``balanced_accuracy``; all NaN without rows.

    Raises
    ------
    InputError
        As :func:`score_correct`.
    """
    many = ((name, of) for name, of in groups.items() if of is not None and len(np.unique(of)) >= FEW_UNITS)
    unit, chosen = next(many, (rows, None))
    units = len(correct) if chosen is None else len(np.unique(chosen))
    if not len(correct):
        return dict.fromkeys(SCORES, Estimate(np.nan, np.nan, np.nan, 0, unit, 0))
    found = score_correct(labels, correct, chosen)
    return {name: Estimate(**asdict(score), rows=len(correct), unit=unit, units=units) for name, score in found.items()}

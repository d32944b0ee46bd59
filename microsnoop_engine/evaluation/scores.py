"""Score predictions: accuracy and balanced accuracy, with intervals that respect groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


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
        ``accuracy`` and ``balanced_accuracy``. With a single group there is no interval: low and high are NaN.

    Raises
    ------
    InputError
        If the arrays are empty or differ in length, or the level is not between 0 and 1.
    """
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if len(labels) != len(predictions):
        raise InputError(f"{len(labels)} labels, {len(predictions)} predictions: their numbers must be equal")
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

    Parameters
    ----------
    labels : array (n,)
    correct : array (n,)
        From 0 to 1.
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
    from scipy.sparse import csr_matrix

    labels, correct = np.asarray(labels), np.asarray(correct, np.float64)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if not len(labels) or not len(labels) == len(correct) == len(groups):
        raise InputError(
            f"{len(labels)} labels, {len(correct)} predictions and {len(groups)} groups: their numbers must be "
            "equal, and at least one"
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            f"level is {level} and resamples {resamples}: the level must be between 0 and 1, resamples 1 or more"
        )
    names, codes = np.unique(labels, return_inverse=True)
    group_names, group = np.unique(groups, return_inverse=True)
    shape = len(group_names), len(names)
    members_of, correct_of = (csr_matrix((values, (group, codes)), shape) for values in (np.ones(len(labels)), correct))
    random, chances = np.random.default_rng(seed), np.full(shape[0], 1 / shape[0])
    size = max(DRAWS // shape[0], 1)
    drawn: dict[str, list[NDArray[Any]]] = {name: [] for name in SCORES}
    for start in range(0, resamples if shape[0] > 1 else 0, size):
        times = random.multinomial(shape[0], chances, size=min(size, resamples - start))
        right, members = times @ correct_of, times @ members_of
        for name, function in SCORES.items():
            drawn[name].append(function(right, members))
    result = {}
    for name, function in SCORES.items():
        value = float(function(np.bincount(codes, correct), np.bincount(codes).astype(float)))
        tails = [50 * (1 - level), 50 * (1 + level)]
        low, high = np.percentile(np.concatenate(drawn[name]), tails) if drawn[name] else (np.nan, np.nan)
        result[name] = Score(value, float(low), float(high))
    return result

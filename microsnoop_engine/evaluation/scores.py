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


def accuracy(confusion: NDArray[Any]) -> NDArray[Any]:
    """Compute the share of correct predictions.

    Parameters
    ----------
    confusion : array (..., l, l)
        Counts; true labels in rows, predicted ones in columns.

    Returns
    -------
    array (...)
        From 0 to 1.
    """
    return np.asarray(np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1)))


def balanced_accuracy(confusion: NDArray[Any]) -> NDArray[Any]:
    """Compute the mean recall of the true labels that occur.

    Parameters
    ----------
    confusion : array (..., l, l)
        Counts; true labels in rows, predicted ones in columns.

    Returns
    -------
    array (...)
        From 0 to 1.
    """
    members = confusion.sum(-1)
    correct = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.asarray(np.nanmean(np.where(members > 0, correct / np.maximum(members, 1), np.nan), axis=-1))


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
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    if not len(labels) or not len(labels) == len(predictions) == len(groups):
        raise InputError(
            f"{len(labels)} labels, {len(predictions)} predictions and {len(groups)} groups: their numbers must be "
            "equal, and at least one"
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(
            f"level is {level} and resamples {resamples}: the level must be between 0 and 1, resamples 1 or more"
        )
    names, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    truth, predicted = codes.reshape(2, -1)
    group_names, group = np.unique(groups, return_inverse=True)
    tables = np.zeros((len(group_names), len(names), len(names)))
    np.add.at(tables, (group, truth, predicted), 1)
    drawn = np.random.default_rng(seed).multinomial(
        len(group_names), np.full(len(group_names), 1 / len(group_names)), size=resamples
    )
    drawn_tables = np.tensordot(drawn, tables, axes=1)
    tails = [50 * (1 - level), 50 * (1 + level)]
    result = {}
    for name, function in SCORES.items():
        low, high = np.percentile(function(drawn_tables), tails) if len(group_names) > 1 else (np.nan, np.nan)
        result[name] = Score(float(function(tables.sum(0))), float(low), float(high))
    return result

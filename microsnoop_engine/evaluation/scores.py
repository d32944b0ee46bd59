"""How good predictions are: accuracy and balanced accuracy, with intervals that respect groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True)
class Score:
    """A share of right answers, with its interval.

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


def accuracy(confusion: np.ndarray) -> np.ndarray:
    """Share of right answers.

    Parameters
    ----------
    confusion : array (..., l, l)
        Counts; true labels in rows, predicted ones in columns.

    Returns
    -------
    array (...)
        From 0 to 1.
    """
    return np.trace(confusion, axis1=-2, axis2=-1) / confusion.sum((-2, -1))


def balanced_accuracy(confusion: np.ndarray) -> np.ndarray:
    """Mean over the true labels that occur of the share of each that is answered rightly.

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
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.nanmean(np.where(members > 0, right / np.maximum(members, 1), np.nan), axis=-1)


SCORES = {"accuracy": accuracy, "balanced_accuracy": balanced_accuracy}


def score_predictions(
    labels: np.ndarray,
    predictions: np.ndarray,
    groups: np.ndarray | None = None,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> dict[str, Score]:
    """Accuracy and balanced accuracy with percentile bootstrap intervals.

    Parameters
    ----------
    labels, predictions : array (n,)
    groups : array (n,), optional
        Rows that belong together (a plate, a field) and are therefore drawn together; by default each row for itself.
    resamples : int
        Bootstrap samples.
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
            f"{len(labels)} labels, {len(predictions)} predictions and {len(groups)} groups: give as many of each, "
            "at least one"
        )
    if not 0 < level < 1 or resamples < 1:
        raise InputError(f"level is {level} and resamples {resamples}: give a level between 0 and 1, 1 or more samples")
    names, codes = np.unique(np.concatenate([labels, predictions]), return_inverse=True)
    truth, found = codes.reshape(2, -1)
    group_names, group = np.unique(groups, return_inverse=True)
    tables = np.zeros((len(group_names), len(names), len(names)))
    np.add.at(tables, (group, truth, found), 1)
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

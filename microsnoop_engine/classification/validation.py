"""Describe how well a classifier does on rows that it was not trained on."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..evaluation.scores import Estimate, estimate

log = logging.getLogger(__name__)

BINS = 10
"""Largest number of bins of the calibration error."""
PER_BIN = 20
"""Smallest number of rows of a bin."""


@dataclass(frozen=True)
class Validation:
    """Scores of held-out predictions.

    Attributes
    ----------
    classes : tuple of str
    confusion : array (k, k), int
        Numbers of rows by true class (row) and predicted class (column).
    balanced_accuracy : Estimate
        Mean recall of the classes, with its 95 % interval.
    recall : tuple of Estimate
        Share of each class that is found.
    calibration_error : float
        Mean distance between the probability of the predicted class and the share of right predictions, in bins of
        equally many rows (Guo et al. 2017, section 2), from 0 to 1.
    bins : int
        Number of these bins.
    """

    classes: tuple[str, ...]
    confusion: NDArray[np.intp]
    balanced_accuracy: Estimate
    recall: tuple[Estimate, ...]
    calibration_error: float
    bins: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share (k,) of the predictions of each class that are right; NaN for a class that is never predicted."""
        predicted = self.confusion.sum(0)
        with np.errstate(invalid="ignore"):
            return np.asarray(np.diag(self.confusion) / predicted)


def validate(
    classes: Sequence[str],
    labels: NDArray[Any],
    probabilities: NDArray[np.float64],
    groups: Mapping[str, NDArray[Any] | None] | None = None,
) -> Validation:
    """Score held-out probabilities.

    Parameters
    ----------
    classes : sequence of str
        k names, sorted.
    labels : array (n,)
    probabilities : array (n, k)
    groups : mapping of str to array (n,), optional
        Groups by the name of their kind; intervals are over the first kind with five groups, else over rows.

    Returns
    -------
    Validation
    """
    codes = np.searchsorted(np.asarray(classes), labels)
    predicted = probabilities.argmax(1)
    confusion = np.zeros((len(classes),) * 2, np.intp)
    np.add.at(confusion, (codes, predicted), 1)
    correct, kinds = (predicted == codes).astype(np.float64), dict(groups or {})
    recall = []
    for code in range(len(classes)):
        rows = codes == code
        here = {name: None if of is None else of[rows] for name, of in kinds.items()}
        recall.append(estimate(codes[rows], correct[rows], here, "cells")["accuracy"])
    overall = estimate(codes, correct, kinds, "cells")["balanced_accuracy"]
    error, bins = calibration_error(probabilities.max(1), correct)
    return Validation(tuple(classes), confusion, overall, tuple(recall), error, bins)


def calibration_error(confidence: NDArray[np.float64], correct: NDArray[np.float64]) -> tuple[float, int]:
    """Compute the mean distance between probabilities and shares of right predictions.

    Parameters
    ----------
    confidence : array (n,)
        Probability of the predicted class.
    correct : array (n,)
        1 where the prediction is right, else 0.

    Returns
    -------
    error : float
        From 0 to 1.
    bins : int
        Number of bins of equally many rows.

    Examples
    --------
    >>> error, bins = calibration_error(np.full(40, 0.9), np.repeat([0.0, 1.0], [10, 30]))
    >>> round(error, 3), bins
    (0.25, 2)
    """
    bins = int(np.clip(len(confidence) // PER_BIN, 1, BINS))
    parts = np.array_split(np.argsort(confidence, kind="stable"), bins)
    gaps = [len(part) * abs(confidence[part].mean() - correct[part].mean()) for part in parts]
    return float(sum(gaps) / len(confidence)), bins


def warn_of_chance(accuracy: Estimate, classes: int, remedy: str) -> None:
    """Warn of a balanced accuracy that chance reaches, too.

    Parameters
    ----------
    accuracy : Estimate
    classes : int
        Number of classes.
    remedy : str
        What to do.
    """
    least = accuracy.value if np.isnan(accuracy.low) else accuracy.low
    if least <= 1 / classes:
        log.warning("held-out rows are told apart no better than by chance (%.0f %%): %s", 100 / classes, remedy)

"""Learn classes from labeled rows by logistic regression, with calibrated probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted
from .folds import Split, group_folds

GRID = tuple(10.0**power for power in range(-5, 3))
"""Inverse strengths of the regularization that are tried (C of scikit-learn), from the strongest."""
TEMPERATURES = (0.05, 20.0)
"""Smallest and largest factor by which scores are divided to calibrate them."""
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Classifier:
    """A logistic regression on standardized features.

    Attributes
    ----------
    classes : tuple of str
        k names.
    mean, scale : array (p,)
        Of the features of the labeled rows.
    weights : array (k, p)
    bias : array (k,)
    regularization : float
        The chosen inverse strength (C of scikit-learn).
    temperature : float
        By which scores are divided to become logits of calibrated probabilities (Guo et al. 2017, section 4.2).
    """

    classes: tuple[str, ...]
    mean: NDArray[np.float64]
    scale: NDArray[np.float64]
    weights: NDArray[np.float64]
    bias: NDArray[np.float64]
    regularization: float
    temperature: float

    def probabilities(self, features: NDArray[Any]) -> NDArray[np.float64]:
        """Compute the probability of each class.

        Parameters
        ----------
        features : array (n, p)

        Returns
        -------
        array (n, k)
            From 0 to 1, each row adds up to 1; NaN for a row with missing or infinite features.
        """
        features = np.asarray(features, np.float64)
        known = np.isfinite(features).all(1)
        result = np.full((len(features), len(self.classes)), np.nan)
        standardized = (features[known] - self.mean) / self.scale
        result[known] = _softmax((standardized @ self.weights.T + self.bias) / self.temperature)
        return result


@dataclass(frozen=True)
class Training:
    """A classifier, and its probabilities for rows that it had not seen.

    Attributes
    ----------
    classifier : Classifier
        Trained on all rows.
    held_out : array (n, k)
        Probabilities of each row by a classifier that was trained, tuned and calibrated without the row's group.
    """

    classifier: Classifier
    held_out: NDArray[np.float64]


def train_classifier(
    features: NDArray[Any], labels: NDArray[Any] | Sequence[str], groups: NDArray[Any] | None = None, seed: int = 0
) -> Training:
    """Train a classifier on labeled rows.

    The regularization is the one of :data:`GRID` with the smallest cross-validated log loss; then one temperature is
    fitted to the cross-validated scores. For :attr:`Training.held_out`, both are chosen again without each fold.

    Parameters
    ----------
    features : array (n, p)
    labels : array (n,) or sequence of str
    groups : array (n,), optional
        Rows of a group (a well, an image) are never both trained and tested on. By default every row is a group.
    seed : int
        Of the folds.

    Returns
    -------
    Training

    Raises
    ------
    InputError
        If the arrays do not fit, features are missing, there are fewer than two classes, or a class lies in a single
        group.
    """
    features, labels = np.asarray(features, np.float64), np.asarray(labels)
    if features.ndim != 2 or len(labels) != len(features) or (groups is not None and len(groups) != len(labels)):
        raise InputError(
            f"{counted(len(labels), 'labels')} for features of shape {features.shape}: they need one row per label"
        )
    if not np.isfinite(features).all():
        raise InputError("`features` has missing or infinite numbers: leave these rows out")
    names, codes = np.unique(labels, return_inverse=True)
    if len(names) < 2:
        raise InputError("`labels` has fewer than two classes")
    splits = group_folds(codes, groups, seed)
    if not splits:
        raise InputError("`groups`: a class lies in a single group, so it cannot be tested on another one")
    held_out = np.empty((len(codes), len(names)))
    for train, test in splits:
        inner = group_folds(codes[train], None if groups is None else np.asarray(groups)[train], seed)
        part = _fit(features[train], codes[train], names, inner)
        held_out[test] = part.probabilities(features[test])
    return Training(_fit(features, codes, names, splits), held_out)


def _fit(
    features: NDArray[np.float64], codes: NDArray[np.intp], names: NDArray[Any], splits: Sequence[Split]
) -> Classifier:
    """Choose regularization and temperature on folds, and fit to all rows.

    Without folds (a class has two groups, and one of them is held out), the middle of the grid is taken, uncalibrated.
    """
    chosen, temperature = GRID[len(GRID) // 2], 1.0
    if splits:
        scores = np.empty((len(GRID), len(codes), len(names)))
        for train, test in splits:
            mean, scale = _moments(features[train])
            path = _path((features[train] - mean) / scale, codes[train], GRID)
            rows = (features[test] - mean) / scale
            for number, (weights, bias) in enumerate(path):
                scores[number, test] = rows @ weights.T + bias
        best = int(np.argmin([_log_loss(each, codes) for each in scores]))
        chosen, temperature = GRID[best], _temperature(scores[best], codes)
    mean, scale = _moments(features)
    ((weights, bias),) = _path((features - mean) / scale, codes, (chosen,))
    return Classifier(tuple(map(str, names)), mean, scale, weights, bias, chosen, temperature)


def _moments(features: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and deviation (p,) of columns; the deviation of a constant one is 1."""
    mean, scale = features.mean(0), features.std(0)
    return mean, np.where(scale > 1e-9 * np.maximum(np.abs(mean), 1e-3), scale, 1.0)


def _path(
    standardized: NDArray[np.float64], codes: NDArray[np.intp], grid: Sequence[float]
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Fit weights (k, p) and bias (k,) for each regularization.

    With fewer rows than features, rows are first rotated into the space that they span, where the solution lies.
    """
    from sklearn.linear_model import LogisticRegression
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):  # threads for small products wait more than they compute
        basis = None
        if len(standardized) < standardized.shape[1]:
            left, singular, basis = np.linalg.svd(standardized, full_matrices=False)
            standardized = left * singular
        model, fits = LogisticRegression(max_iter=5000, tol=1e-6, warm_start=True), []
        for value in grid:
            model.set_params(C=value).fit(standardized, codes)
            weights, bias = model.coef_, model.intercept_
            if len(weights) == 1:
                weights, bias = np.vstack([-weights, weights]) / 2, np.concatenate([-bias, bias]) / 2
            fits.append((weights @ basis if basis is not None else weights.copy(), bias.copy()))
    return fits


def _softmax(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(scores - scores.max(1, keepdims=True))
    return np.asarray(shifted / shifted.sum(1, keepdims=True))


def _log_loss(scores: NDArray[np.float64], codes: NDArray[np.intp]) -> float:
    chosen = _softmax(scores)[np.arange(len(codes)), codes]
    return float(-np.log(np.maximum(chosen, _SMALLEST)).mean())


def _temperature(scores: NDArray[np.float64], codes: NDArray[np.intp]) -> float:
    """Find the temperature of the smallest log loss, with one more row of each class whose label is unknown.

    Without these rows, a few examples that are all told apart would make every probability 1 (Platt 1999, section 2.2).
    """
    from scipy.optimize import minimize_scalar

    classes = scores.shape[1]
    rows = np.bincount(codes, minlength=classes)[codes, None]
    targets = (np.eye(classes)[codes] * rows + 1 / classes) / (rows + 1)

    def loss(exponent: float) -> float:
        probabilities = np.maximum(_softmax(scores / np.exp(exponent)), _SMALLEST)
        return float(-(targets * np.log(probabilities)).sum(1).mean())

    result = minimize_scalar(loss, bounds=np.log(TEMPERATURES), method="bounded")
    return float(np.exp(result.x))

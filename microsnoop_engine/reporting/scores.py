"""Compute the scores of a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError
from ..evaluation import controls, metrics
from ..evaluation.neighbors import has_direction
from ..evaluation.scores import score_correct
from ..evaluation.table import has_word
from .screen import Screen, short_name

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScreenScore:
    """Measure one aspect of the quality of a screen.

    Attributes
    ----------
    name, meaning : str
    value : float
    higher_is_better : bool
    chance : float, optional
        Value expected of features without any information.
    """

    name: str
    meaning: str
    value: float
    higher_is_better: bool = True
    chance: float | None = None


def screen_scores(screen: Screen) -> list[ScreenScore]:
    """Compute every score that the roles of the columns allow.

    Parameters
    ----------
    screen : Screen

    Returns
    -------
    list of ScreenScore
    """
    return [score for kind in (_labels, _replicates, _batches, _controls) for score in kind(screen)]


def _labels(screen: Screen) -> list[ScreenScore]:
    roles = screen.roles
    if roles.label is None:
        return []
    rows = screen.present & ~screen.negative & screen.annotated & has_word(screen.frame[roles.label])
    if not rows.any():
        return []
    scores = []
    labels, values, label = screen.column(roles.label)[rows], screen.values[rows], short_name(roles.label)
    names, counts = np.unique(labels, return_counts=True)
    groups = screen.column(roles.groups)[rows] if roles.groups else None
    if len(names) > 1 and counts.min() > 1:
        accuracy = score_or_none(lambda: _neighbor_accuracy(values, labels, groups, roles.neighbors))
        if accuracy is not None:
            where = f" of another {short_name(roles.groups)}" if roles.groups else ""
            text = (
                f"wells whose {roles.neighbors} most similar wells{where} have the same {label}, mean over its values"
            )
            text += "; without negative controls" if screen.negative.any() else ""
            scores.append(ScreenScore(f"{label} by neighbors", text, accuracy, chance=1 / len(names)))
    if roles.compound:
        scores += _matches(screen, rows)
    return scores


def _matches(screen: Screen, rows: NDArray[Any]) -> list[ScreenScore]:
    """Compute NSC and, with a batch column, NSCB of these rows."""
    roles = screen.roles
    assert roles.compound is not None
    assert roles.label is not None
    rows = rows & has_word(screen.frame[roles.compound])
    labels = screen.column(roles.label)[rows]
    compounds = screen.column(roles.compound)[rows]
    tasks: list[tuple[str, str, NDArray[Any] | None]] = [("NSC", "another compound", None)]
    if roles.batch:
        other = f"another compound and another {short_name(roles.batch)}"
        tasks.append(("NSCB", other, screen.column(roles.batch)[rows]))
    scores = []
    treatments = screen.treatment
    assert treatments is not None  # at least the label names a treatment
    for name, other, batches in tasks:
        means, first = treatment_means(screen.values[rows], treatments[rows], batches)
        match = metrics.nsc(means, labels[first], compounds[first], None if batches is None else batches[first])
        if len(match.rows):
            text = f"treatments whose most similar treatment of {other} has the same {short_name(roles.label)}; "
            text += f"{len(match.rows)} treatments"
            scores.append(ScreenScore(name, text, match.accuracy))
    return scores


def treatment_means(
    values: NDArray[Any], treatments: NDArray[Any], batches: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """Average the rows of each treatment (and batch).

    Parameters
    ----------
    values : array (n, p)
    treatments : array (n,) of str
    batches : array (n,) of str, optional

    Returns
    -------
    means : array (t, p)
    first : array (t,)
        First row of each treatment.
    """
    keys = treatments.astype(str)
    if batches is not None:
        keys = np.char.add(np.char.add(keys, "\t"), batches.astype(str))
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), values.shape[1]))
    np.add.at(sums, codes, values)
    return sums / np.bincount(codes)[:, None], first


def _neighbor_accuracy(
    values: NDArray[Any], labels: NDArray[Any], groups: NDArray[Any] | None, k: int, metric: str = "cosine"
) -> float:
    """Predict labels by nearest neighbors; the balanced accuracy."""
    if metric == "cosine":
        rows = has_direction(values)
        values, labels, groups = values[rows], labels[rows], None if groups is None else groups[rows]
    correct = metrics.knn_correct(values, labels, None if groups is None else list(groups), k, metric)
    return score_correct(labels, correct, groups, resamples=1)["balanced_accuracy"].value


def _replicates(screen: Screen) -> list[ScreenScore]:
    if screen.treatment is None:
        return []
    rows = screen.present & ~screen.negative & screen.annotated
    values, treatments = screen.values[rows], screen.treatment[rows]
    replicability = score_or_none(lambda: controls.replicability(values, treatments))
    if replicability is None:
        return []
    text = "treatments whose replicates are more alike than 95 % of random sets of wells"
    scores = [ScreenScore("Replicates alike", text, replicability.share, chance=0.05)]
    precision = score_or_none(lambda: _average_precision(values, treatments))
    if precision is not None:
        text = "mean average precision of finding a treatment's replicates when all wells are ranked by similarity"
        scores.append(ScreenScore("mAP of replicates", text, precision))
    return scores


def _average_precision(values: NDArray[Any], treatments: NDArray[Any]) -> float:
    names, counts = np.unique(treatments, return_counts=True)
    rows = np.isin(treatments, names[counts > 1])
    return float(np.nanmean(list(metrics.mean_average_precision(values[rows], treatments[rows]).values())))


def _batches(screen: Screen) -> list[ScreenScore]:
    if screen.roles.batch is None:
        return []
    batches = screen.column(screen.roles.batch)[screen.present]
    names, counts = np.unique(batches, return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        return []
    accuracy = _neighbor_accuracy(screen.values[screen.present], batches, None, screen.roles.neighbors)
    batch = short_name(screen.roles.batch)
    text = f"how often the nearest wells share the {batch}; at chance level there is no batch effect"
    return [ScreenScore(f"{batch} by neighbors", text, accuracy, higher_is_better=False, chance=1 / len(names))]


def _controls(screen: Screen) -> list[ScreenScore]:
    position, roles = screen.position(), screen.roles
    if position is None:
        return []
    scores = []
    negative, positive = (position[role & np.isfinite(position)] for role in (screen.negative, screen.positive))
    separation = score_or_none(lambda: controls.z_prime(negative, positive))
    if separation is not None:
        text = "of the position between negative and positive controls: above 0.5 is an excellent assay"
        scores.append(ScreenScore("Z'", text, separation))
    rows = screen.present & (screen.negative | screen.positive)
    labels = np.where(screen.positive, "positive", "negative")[rows]
    groups = screen.column(roles.groups)[rows] if roles.groups else None
    # not the cosine: sphered negative controls lie around zero, where angles are noise
    accuracy = score_or_none(
        lambda: _neighbor_accuracy(screen.values[rows], labels, groups, roles.neighbors, "euclidean")
    )
    if accuracy is not None:
        where = f" of another {short_name(roles.groups)}" if roles.groups else ""
        text = f"controls whose nearest controls{where} are of the same kind"
        scores.append(ScreenScore("Controls told apart", text, accuracy, chance=0.5))
    if roles.dose:
        treated = ~(screen.negative | screen.positive)
        doses = np.where(treated, screen.frame[roles.dose].to_numpy(np.float64), np.nan)
        compounds = screen.column(roles.compound) if roles.compound else np.full(len(doses), "all")
        correlations = controls.dose_correlations(position, doses, compounds)
        if correlations:
            text = f"Spearman's rank correlation of dose and position between controls, {_per_compound(correlations)}"
            scores.append(ScreenScore("Dose followed", text, float(np.mean(list(correlations.values())))))
    return scores


def _per_compound(correlations: dict[str, float]) -> str:
    if len(correlations) == 1:
        return "all treated wells"
    some = ", ".join(f"{name} {value:.2f}" for name, value in list(correlations.items())[:6])
    return f"mean over compounds ({some}{', ...' if len(correlations) > 6 else ''})"


def score_or_none(score: Callable[[], Result]) -> Result | None:
    """Compute a score; None if there are too few rows for it, or an optional package is missing."""
    try:
        return score()
    except (InputError, MissingExtraError):
        return None

"""Compute the scores of a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError, counted
from ..evaluation import controls, metrics
from ..evaluation.neighbors import has_direction
from ..evaluation.scores import Estimate, Score, estimate
from ..evaluation.table import has_word
from .screen import Screen, short_name

Result = TypeVar("Result")


@dataclass(frozen=True)
class ScreenScore:
    """Measure one aspect of the quality of a screen.

    Attributes
    ----------
    name, meaning : str
    estimate : Estimate
        Value, interval and numbers of rows.
    higher_is_better : bool
    chance : float, optional
        Value expected of features without any information.
    """

    name: str
    meaning: str
    estimate: Estimate
    higher_is_better: bool = True
    chance: float | None = None

    @property
    def value(self) -> float:
        """The score itself."""
        return self.estimate.value


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
    scored = rows & screen.known(roles.groups)
    labels, label = screen.column(roles.label)[scored], short_name(roles.label)
    names, counts = np.unique(labels, return_counts=True)
    if len(names) > 1 and counts.min() > 1:
        accuracy = score_or_none(lambda: _neighbor_accuracy(screen, scored, labels))
        if accuracy is not None:
            where = f" of another {short_name(roles.groups)}" if roles.groups else ""
            nearest = f"{roles.neighbors} most similar {screen.rows}{where}"
            text = f"{screen.rows} whose {nearest} have the same {label}, mean over its values"
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
    tasks: list[tuple[str, str, str | None]] = [("NSC", "another compound", None)]
    if roles.batch:
        tasks.append(("NSCB", f"another compound and another {short_name(roles.batch)}", roles.batch))
    scores = []
    treatments = screen.treatment
    assert treatments is not None  # at least the label names a treatment
    known = rows
    for name, other, batch in tasks:
        rows = known & screen.known(roles.compound, batch)
        if not rows.any():
            continue
        labels, compounds = screen.column(roles.label)[rows], screen.column(roles.compound)[rows]
        batches = screen.column(batch)[rows] if batch else None
        means, first, members = treatment_means(screen.values[rows], treatments[rows], batches)
        match = metrics.nsc(means, labels[first], compounds[first], None if batches is None else batches[first])
        if len(match.rows):
            text = f"treatments whose most similar treatment of {other} has the same {short_name(roles.label)}; "
            text += counted(len(match.rows), "treatments")
            of = {"compounds": compounds[first][match.rows]}
            found = estimate(labels[first][match.rows], match.correct, of, "treatments")["accuracy"]
            scores.append(ScreenScore(name, text, replace(found, rows=int(members[match.rows].sum()))))
    return scores


def treatment_means(
    values: NDArray[Any], treatments: NDArray[Any], batches: NDArray[Any] | None = None
) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
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
    members : array (t,)
        Number of its rows.
    """
    keys = treatments.astype(str)
    if batches is not None:
        keys = np.char.add(np.char.add(keys, "\t"), batches.astype(str))
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), values.shape[1]))
    np.add.at(sums, codes, values)
    members = np.bincount(codes)
    return sums / members[:, None], first, members


def _neighbor_accuracy(
    screen: Screen, rows: NDArray[Any], labels: NDArray[Any], apart: bool = True, metric: str = "cosine"
) -> Estimate:
    """Predict the labels of rows by their nearest neighbors (of other groups); the balanced accuracy."""
    roles, values = screen.roles, screen.values[rows]
    groups = screen.column(roles.groups)[rows] if roles.groups and apart else None
    if metric == "cosine":
        kept = has_direction(values)
        values, labels, groups = values[kept], labels[kept], None if groups is None else groups[kept]
        rows = np.flatnonzero(rows)[kept]
    correct = metrics.knn_correct(values, labels, None if groups is None else list(groups), roles.neighbors, metric)
    kinds = {short_name(roles.groups or ""): groups} | {name: unit[rows] for name, unit in screen.units().items()}
    return estimate(labels, correct, kinds, screen.rows)["balanced_accuracy"]


def _replicates(screen: Screen) -> list[ScreenScore]:
    if screen.treatment is None:
        return []
    rows = screen.present & ~screen.negative & screen.annotated
    names, counts = np.unique(screen.treatment[rows], return_counts=True)
    repeated = rows & np.isin(screen.treatment, names[counts > 1])
    values, treatments = screen.values[rows], screen.treatment[rows]
    scores = []
    replicability = score_or_none(lambda: controls.replicability(values, treatments))
    if replicability is not None:
        text = f"treatments whose replicates are more alike than 95 % of random sets of {screen.rows}"
        found = _counted(replicability.interval(), replicability.rows, "treatments", len(replicability.names))
        scores.append(ScreenScore("Replicates alike", text, found, chance=0.05))
    values, treatments = screen.values[repeated], screen.treatment[repeated]
    precisions = score_or_none(lambda: metrics.average_precisions(values, treatments))
    if precisions is not None and np.isfinite(precisions).any():
        known = np.isfinite(precisions)
        of = {"treatments": treatments[known]}
        found = estimate(treatments[known], precisions[known], of, screen.rows)["balanced_accuracy"]
        text = f"mean average precision of finding a treatment's replicates among all {screen.rows} by similarity"
        scores.append(ScreenScore("mAP of replicates", text, found))
    return scores


def _batches(screen: Screen) -> list[ScreenScore]:
    if screen.roles.batch is None:
        return []
    rows = screen.present & screen.known(screen.roles.batch)
    batches = screen.column(screen.roles.batch)[rows]
    names, counts = np.unique(batches, return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        return []
    accuracy = score_or_none(lambda: _neighbor_accuracy(screen, rows, batches, apart=False))
    if accuracy is None:
        return []
    batch = short_name(screen.roles.batch)
    text = f"how often the nearest {screen.rows} share the {batch}; at chance level there is no batch effect"
    return [ScreenScore(f"{batch} by neighbors", text, accuracy, higher_is_better=False, chance=1 / len(names))]


def _controls(screen: Screen) -> list[ScreenScore]:
    position, roles = screen.position(), screen.roles
    if position is None:
        return []
    scores = []
    negative, positive = (position[role & np.isfinite(position)] for role in (screen.negative, screen.positive))
    separation = score_or_none(lambda: controls.z_prime_interval(negative, positive))
    if separation is not None:
        text = "of the position between negative and positive controls: above 0.5 is an excellent assay"
        count = len(negative) + len(positive)
        kinds = f"{len(negative)} negative and {counted(len(positive), 'positive controls')}"
        scores.append(ScreenScore("Z'", f"{text}; {kinds}", _counted(separation, count, screen.rows, count)))
    rows = screen.present & (screen.negative | screen.positive) & screen.known(roles.groups)
    labels = np.where(screen.positive, "positive", "negative")[rows]
    # not the cosine: sphered negative controls lie around zero, where angles are noise
    accuracy = score_or_none(lambda: _neighbor_accuracy(screen, rows, labels, metric="euclidean"))
    if accuracy is not None:
        where = f" of another {short_name(roles.groups)}" if roles.groups else ""
        text = f"controls whose nearest controls{where} are of the same kind"
        scores.append(ScreenScore("Controls told apart", text, accuracy, chance=0.5))
    if roles.dose:
        treated = ~(screen.negative | screen.positive) & screen.known(roles.compound)
        doses = np.where(treated, screen.frame[roles.dose].to_numpy(np.float64), np.nan)
        compounds = screen.column(roles.compound) if roles.compound else np.full(len(doses), "all")
        correlations = controls.dose_correlations(position, doses, compounds)
        if correlations:
            text = f"Spearman's rank correlation of dose and position between controls, {_per_compound(correlations)}"
            known = np.isfinite(position) & np.isfinite(doses)
            counts = np.array([int((known & (compounds == name)).sum()) for name in correlations])
            mean = controls.mean_correlation(np.array(list(correlations.values())), counts)
            found = _counted(mean, int(counts.sum()), screen.rows, int(counts.sum()))
            scores.append(ScreenScore("Dose followed", text, found))
    return scores


def _counted(score: Score, rows: int, unit: str, units: int) -> Estimate:
    return Estimate(**asdict(score), rows=rows, unit=unit, units=units)


def _per_compound(correlations: dict[str, float]) -> str:
    if len(correlations) == 1:
        return "all compounds together"
    some = ", ".join(f"{name} {value:.2f}" for name, value in list(correlations.items())[:6])
    return f"mean over compounds ({some}{', ...' if len(correlations) > 6 else ''})"


def score_or_none(score: Callable[[], Result]) -> Result | None:
    """Compute a score; None if there are too few rows for it, or an optional package is missing."""
    try:
        return score()
    except (InputError, MissingExtraError):
        return None

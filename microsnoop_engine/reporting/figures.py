"""Compute the scores of a screen."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError, MissingExtraError
from ..evaluation import controls as assay
from ..evaluation import metrics as evaluation
from ..evaluation.scores import score_predictions
from ..evaluation.table import has_word
from .screen import Screen, short_name


@dataclass(frozen=True)
class ScreenScore:
    """A number that says how good a screen is.

    Attributes
    ----------
    name, meaning : str
    value : float
    higher_is_better : bool
    chance : float, optional
        What features without any information give.
    """

    name: str
    meaning: str
    value: float
    higher_is_better: bool = True
    chance: float | None = None


def screen_scores(screen: Screen) -> list[ScreenScore]:
    """All figures that the known columns allow."""
    found: list[ScreenScore] = []
    for kind in (_label_figures, _replicate_figures, _batch_figures, _control_figures):
        found += kind(screen)
    return found


def _label_figures(screen: Screen) -> list[ScreenScore]:
    meaning, found = screen.meaning, []
    if meaning.label is None:
        return found
    rows = screen.present & ~screen.negative & has_word(screen.frame[meaning.label])
    if not rows.any():
        return found
    labels, values = screen.column(meaning.label)[rows], screen.values[rows]
    names, counts = np.unique(labels, return_counts=True)
    groups = screen.column(meaning.groups)[rows] if meaning.groups else None
    if len(names) > 1 and counts.min() > 1:
        score = score_or_none(lambda: _predicted(values, labels, groups, meaning.neighbors))
        if score is not None:
            where = f" of another {short_name(meaning.groups)}" if meaning.groups else ""
            text = f"wells whose {meaning.neighbors} most similar wells{where} have the same "
            text += f"{short_name(meaning.label)}, "
            text += "mean over its values" + ("; without negative controls" if screen.negative.any() else "")
            found.append(ScreenScore(f"{short_name(meaning.label)} by neighbors", text, score, chance=1 / len(names)))
    if meaning.compound:
        compounds = screen.column(meaning.compound)[rows]
        batches = screen.column(meaning.batch)[rows] if meaning.batch else None
        asked = [("NSC", "another compound", None)]
        asked += (
            [("NSCB", f"another compound and another {short_name(meaning.batch)}", batches)] if meaning.batch else []
        )
        for name, other, column in asked:
            by_treatment = treatment_means(values, screen.treatment[rows], column)
            chosen = by_treatment.first
            match = evaluation.nsc(
                by_treatment.values, labels[chosen], compounds[chosen], None if column is None else column[chosen]
            )
            if len(match.rows):
                text = f"treatments whose most similar treatment of {other} has the same {short_name(meaning.label)}; "
                text += f"{len(match.rows)} treatments asked"
                found.append(ScreenScore(name, text, match.accuracy))
    return found


@dataclass(frozen=True)
class _Means:
    values: np.ndarray
    first: np.ndarray


def treatment_means(values: np.ndarray, treatments: np.ndarray, batches: np.ndarray | None = None) -> _Means:
    """Means by treatment (and batch), and the first row of each."""
    keys = treatments.astype(str)
    if batches is not None:
        keys = np.char.add(np.char.add(keys, "\t"), batches.astype(str))
    _, first, codes = np.unique(keys, return_index=True, return_inverse=True)
    sums = np.zeros((len(first), values.shape[1]))
    np.add.at(sums, codes, values)
    return _Means(sums / np.bincount(codes)[:, None], first)


def _predicted(
    values: np.ndarray, labels: np.ndarray, groups: np.ndarray | None, k: int, metric: str = "cosine"
) -> float:
    predictions = evaluation.knn_predict(values, labels, groups, k, metric)
    return score_predictions(labels, predictions, groups, resamples=1)["balanced_accuracy"].value


def _replicate_figures(screen: Screen) -> list[ScreenScore]:
    if screen.treatment is None:
        return []
    rows = screen.present & ~screen.negative
    found = score_or_none(lambda: assay.replicability(screen.values[rows], screen.treatment[rows]))
    if found is None:
        return []
    text = "treatments whose replicates are more alike than 95 % of random sets of wells"
    figure = [ScreenScore("Replicates alike", text, found.share, chance=0.05)]
    precision = score_or_none(lambda: _average_precision(screen.values[rows], screen.treatment[rows]))
    if precision is not None:
        text = "mean average precision: how far up its replicates stand when all wells are ranked by similarity"
        figure.append(ScreenScore("mAP of replicates", text, precision))
    return figure


def _average_precision(values: np.ndarray, treatments: np.ndarray) -> float:
    names, counts = np.unique(treatments, return_counts=True)
    rows = np.isin(treatments, names[counts > 1])
    return float(np.mean(list(evaluation.mean_average_precision(values[rows], treatments[rows]).values())))


def _batch_figures(screen: Screen) -> list[ScreenScore]:
    if screen.meaning.batch is None:
        return []
    batches = screen.column(screen.meaning.batch)[screen.present]
    names, counts = np.unique(batches, return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        return []
    score = _predicted(screen.values[screen.present], batches, None, screen.meaning.neighbors)
    batch = short_name(screen.meaning.batch)
    text = f"wells whose {batch} their neighbors give away: at best no more than chance"
    return [ScreenScore(f"{batch} by neighbors", text, score, higher_is_better=False, chance=1 / len(names))]


def _control_figures(screen: Screen) -> list[ScreenScore]:
    position, meaning = screen.position(), screen.meaning
    if position is None:
        return []
    found = []
    roles = [position[role & np.isfinite(position)] for role in (screen.negative, screen.positive)]
    apart = score_or_none(lambda: assay.z_prime(*roles))
    if apart is not None:
        text = "of the position between negative and positive controls: above 0.5 is an excellent assay"
        found.append(ScreenScore("Z'", text, apart))
    rows = screen.present & (screen.negative | screen.positive)
    labels = np.where(screen.positive, "positive", "negative")[rows]
    groups = screen.column(meaning.groups)[rows] if meaning.groups else None
    # sphered negative controls lie around zero, where an angle says nothing
    score = score_or_none(lambda: _predicted(screen.values[rows], labels, groups, meaning.neighbors, "euclidean"))
    if score is not None:
        where = f" of another {short_name(meaning.groups)}" if meaning.groups else ""
        text = f"controls whose nearest controls{where} are of the same kind"
        found.append(ScreenScore("Controls told apart", text, score, chance=0.5))
    if meaning.dose:
        treated = ~(screen.negative | screen.positive)
        doses = np.where(treated, screen.frame[meaning.dose].to_numpy(np.float64), np.nan)
        compounds = screen.column(meaning.compound) if meaning.compound else np.full(len(doses), "all")
        correlations = assay.dose_correlations(position, doses, compounds)
        if correlations:
            text = f"Spearman's rank correlation of dose and position between controls, {_per_compound(correlations)}"
            found.append(ScreenScore("Dose followed", text, float(np.mean(list(correlations.values())))))
    return found


def _per_compound(correlations: dict[str, float]) -> str:
    if len(correlations) == 1:
        return "all treated wells"
    some = ", ".join(f"{name} {value:.2f}" for name, value in list(correlations.items())[:6])
    return f"mean over compounds ({some}{', ..' if len(correlations) > 6 else ''})"


def score_or_none(function: Callable):
    """What a function gives; None where the rows are too few for it, or an optional package is missing."""
    try:
        return function()
    except (InputError, MissingExtraError):
        return None

"""What a report shows, as plain lists and dictionaries: maps, plates, figures before and after, doses, neighbours."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from .errors import InputError, MissingExtraError
from .evaluation import controls as assay
from .evaluation import metrics as evaluation
from .evaluation.embedding_map import principal_components, umap
from .evaluation.scores import score_predictions
from .evaluation.table import has_word
from .tables.aggregation import COUNT
from .tables.columns import METADATA, PLATE, WELL
from .tables.queries import select_rows

MOST_ROWS = 10_000
"""Of a table of objects that is larger, rows are drawn at random."""
MOST_NUMBERS = 8_000_000
"""Of the features that can be shown on plates, one byte each."""
MOST_COLOURS = 40
"""Different values of a column of words that points can be coloured by."""
NEAREST = 8
FITTED = ". Sphering that is fitted on fewer controls than features makes them look nearer than they are"
_WELL = re.compile(r"^([A-Z]{1,2})0*([1-9]\d?)$")


@dataclass(frozen=True)
class Meaning:
    """What the columns of a screen mean; None where it is not known.

    Attributes
    ----------
    controls, positive : str, optional
        Queries of the negative and the positive control rows (see :mod:`microsnoop_engine.queries`).
    treatment : tuple of str
        Columns that together name a treatment; rows that share them are replicates.
    label : str, optional
        Column of what is to be told apart (mechanism of action, phenotype).
    compound, dose, batch : str, optional
        Columns; ``batch`` (plate, week) is what must not show in the features.
    groups : str, optional
        Column of rows that are not compared with each other when labels are predicted.
    neighbours : int
        That vote for a label.
    """

    controls: str | None = None
    positive: str | None = None
    treatment: tuple[str, ...] = ()
    label: str | None = None
    compound: str | None = None
    dose: str | None = None
    batch: str | None = None
    groups: str | None = None
    neighbours: int = 5

    def check(self, frame: pd.DataFrame) -> None:
        """Raise InputError if a column is not in the table."""
        columns = {name: getattr(self, name) for name in ("label", "compound", "dose", "batch", "groups")}
        for option, name in [*columns.items(), *(("treatment", name) for name in self.treatment)]:
            if name is not None and name not in frame:
                raise InputError(f"--{option}: there is no column '{name}' among {', '.join(map(str, frame)):.300}")
        if self.dose and not pd.api.types.is_numeric_dtype(frame[self.dose]):
            raise InputError(f"--dose: the column '{self.dose}' does not hold numbers")


class Screen:
    """The rows of a table, what they mean, and their features.

    Parameters
    ----------
    frame : DataFrame
        Metadata.
    values : array (n, p)
        Features.
    meaning : Meaning

    Attributes
    ----------
    negative, positive : array (n,), bool
        Control rows; none where there is no query.
    treatment : array (n,) of str, or None
    """

    def __init__(self, frame: pd.DataFrame, values: np.ndarray, meaning: Meaning):
        meaning.check(frame)
        self.frame, self.values, self.meaning = frame, np.asarray(values, np.float64), meaning
        self.present = np.isfinite(self.values).all(1)
        none = np.zeros(len(frame), bool)
        self.negative = select_rows(frame, meaning.controls) if meaning.controls else none
        self.positive = select_rows(frame, meaning.positive) if meaning.positive else none
        columns = list(meaning.treatment) or [name for name in (meaning.label,) if name]
        self.treatment = frame[columns].astype(str).agg(" ".join, axis=1).to_numpy() if columns else None

    def column(self, name: str) -> np.ndarray:
        """A column as words."""
        return self.frame[name].astype(str).to_numpy()

    def distance(self) -> np.ndarray | None:
        """Distance from the negative controls (n,); None where it is not known."""
        if not (self.negative & self.present).any():
            return None
        return assay.distance_from_controls(self.values, self.negative)

    def position(self) -> np.ndarray | None:
        """Position (n,) on the way from the negative to the positive controls; None where there are no both."""
        if not (self.negative & self.present).any() or not (self.positive & self.present).any():
            return None
        groups = self.column(self.meaning.groups) if self.meaning.groups else None
        return assay.between_controls(self.values, self.negative, self.positive, groups)


@dataclass(frozen=True)
class Figure:
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


def figures(screen: Screen) -> list[Figure]:
    """All figures that the known columns allow."""
    found: list[Figure] = []
    for kind in (_label_figures, _replicate_figures, _batch_figures, _control_figures):
        found += kind(screen)
    return found


def _label_figures(screen: Screen) -> list[Figure]:
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
        score = _tried(lambda: _predicted(values, labels, groups, meaning.neighbours))
        if score is not None:
            where = f" of another {_short(meaning.groups)}" if meaning.groups else ""
            text = f"wells whose {meaning.neighbours} most similar wells{where} have the same {_short(meaning.label)}, "
            text += "mean over its values" + ("; without negative controls" if screen.negative.any() else "")
            found.append(Figure(f"{_short(meaning.label)} by neighbours", text, score, chance=1 / len(names)))
    if meaning.compound:
        compounds = screen.column(meaning.compound)[rows]
        batches = screen.column(meaning.batch)[rows] if meaning.batch else None
        asked = [("NSC", "another compound", None)]
        asked += [("NSCB", f"another compound and another {_short(meaning.batch)}", batches)] if meaning.batch else []
        for name, other, column in asked:
            by_treatment = _means(values, screen.treatment[rows], column)
            chosen = by_treatment.first
            match = evaluation.not_same(
                by_treatment.values, labels[chosen], compounds[chosen], None if column is None else column[chosen]
            )
            if len(match.rows):
                text = f"treatments whose most similar treatment of {other} has the same {_short(meaning.label)}; "
                text += f"{len(match.rows)} treatments asked"
                found.append(Figure(name, text, match.accuracy))
    return found


@dataclass(frozen=True)
class _Means:
    values: np.ndarray
    first: np.ndarray


def _means(values: np.ndarray, treatments: np.ndarray, batches: np.ndarray | None = None) -> _Means:
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


def _replicate_figures(screen: Screen) -> list[Figure]:
    if screen.treatment is None:
        return []
    rows = screen.present & ~screen.negative
    found = _tried(lambda: assay.replicability(screen.values[rows], screen.treatment[rows]))
    if found is None:
        return []
    text = "treatments whose replicates are more alike than 95 % of random sets of wells"
    figure = [Figure("Replicates alike", text, found.share, chance=0.05)]
    precision = _tried(lambda: _average_precision(screen.values[rows], screen.treatment[rows]))
    if precision is not None:
        text = "mean average precision: how far up its replicates stand when all wells are ranked by similarity"
        figure.append(Figure("mAP of replicates", text, precision))
    return figure


def _average_precision(values: np.ndarray, treatments: np.ndarray) -> float:
    names, counts = np.unique(treatments, return_counts=True)
    rows = np.isin(treatments, names[counts > 1])
    return float(np.mean(list(evaluation.mean_average_precision(values[rows], treatments[rows]).values())))


def _batch_figures(screen: Screen) -> list[Figure]:
    if screen.meaning.batch is None:
        return []
    batches = screen.column(screen.meaning.batch)[screen.present]
    names, counts = np.unique(batches, return_counts=True)
    if len(names) < 2 or counts.min() < 2:
        return []
    score = _predicted(screen.values[screen.present], batches, None, screen.meaning.neighbours)
    batch = _short(screen.meaning.batch)
    text = f"wells whose {batch} their neighbours give away: at best no more than chance"
    return [Figure(f"{batch} by neighbours", text, score, higher_is_better=False, chance=1 / len(names))]


def _control_figures(screen: Screen) -> list[Figure]:
    position, meaning = screen.position(), screen.meaning
    if position is None:
        return []
    found = []
    roles = [position[role & np.isfinite(position)] for role in (screen.negative, screen.positive)]
    apart = _tried(lambda: assay.z_prime(*roles))
    if apart is not None:
        text = "of the position between negative and positive controls: above 0.5 is an excellent assay"
        found.append(Figure("Z'", text, apart))
    rows = screen.present & (screen.negative | screen.positive)
    labels = np.where(screen.positive, "positive", "negative")[rows]
    groups = screen.column(meaning.groups)[rows] if meaning.groups else None
    # sphered negative controls lie around zero, where an angle says nothing
    score = _tried(lambda: _predicted(screen.values[rows], labels, groups, meaning.neighbours, "euclidean"))
    if score is not None:
        where = f" of another {_short(meaning.groups)}" if meaning.groups else ""
        text = f"controls whose nearest controls{where} are of the same kind"
        found.append(Figure("Controls told apart", text, score, chance=0.5))
    if meaning.dose:
        treated = ~(screen.negative | screen.positive)
        doses = np.where(treated, screen.frame[meaning.dose].to_numpy(np.float64), np.nan)
        compounds = screen.column(meaning.compound) if meaning.compound else np.full(len(doses), "all")
        correlations = assay.dose_correlations(position, doses, compounds)
        if correlations:
            text = f"Spearman's rank correlation of dose and position between controls, {_per_compound(correlations)}"
            found.append(Figure("Dose followed", text, float(np.mean(list(correlations.values())))))
    return found


def _per_compound(correlations: dict[str, float]) -> str:
    if len(correlations) == 1:
        return "all treated wells"
    some = ", ".join(f"{name} {value:.2f}" for name, value in list(correlations.items())[:6])
    return f"mean over compounds ({some}{', ..' if len(correlations) > 6 else ''})"


def _tried(function: Callable):
    """What a function gives; None where the rows are too few for it, or an optional package is missing."""
    try:
        return function()
    except (InputError, MissingExtraError):
        return None


def maps(values: np.ndarray, rows: np.ndarray) -> dict[str, dict]:
    """Coordinates of rows, by the kind of map: ``{"PCA": {"x": .., "y": .., "axes": ..}, "UMAP": ..}``."""
    found = {}
    components = _tried(lambda: principal_components(values[rows]))
    if components is not None:
        coordinates, share = components
        axes = [f"PC {n + 1} ({100 * part:.0f} % of the variance)" for n, part in enumerate(share)]
        found["PCA"] = _points(coordinates, axes)
    if len(rows) > 3:
        coordinates = _tried(lambda: umap(values[rows]))
        if coordinates is not None:
            found["UMAP"] = _points(coordinates, ["UMAP 1", "UMAP 2"])
    return found


def _points(coordinates: np.ndarray, axes: Sequence[str]) -> dict:
    return {"x": rounded(coordinates[:, 0]), "y": rounded(coordinates[:, 1]), "axes": list(axes)}


def drawn(count: int) -> np.ndarray:
    """The rows of a table of ``count`` rows that a report shows, in order: all, or ``MOST_ROWS`` of them at random."""
    if count <= MOST_ROWS:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, MOST_ROWS, replace=False))


def colours(screen: Screen) -> list[dict]:
    """What points can be coloured by: name, and numbers or words by row."""
    meaning = screen.meaning
    first = [meaning.label, *meaning.treatment, meaning.dose, meaning.batch, meaning.compound, PLATE]
    others = [name for name in screen.frame if name.startswith(METADATA) and not name.startswith(f"{METADATA}Crop_")]
    found = []
    for name in dict.fromkeys(filter(None, [*first, *others])):
        if name not in screen.frame:
            continue
        column = screen.frame[name]
        different = column.nunique()
        if pd.api.types.is_numeric_dtype(column) and different > 1:
            found.append({"name": _short(name), "numbers": rounded(column.to_numpy(np.float64))})
        elif 1 < different <= MOST_COLOURS:
            words = column.astype(str).where(has_word(column), "(none)")
            found.append({"name": _short(name), "words": words.tolist()})
    return found


def plates(frame: pd.DataFrame) -> list[dict]:
    """Plates with their size and, for every well, the rows of the table: ``{"name", "rows", "columns", "wells"}``."""
    if WELL not in frame:
        return []
    names = frame[PLATE].astype(str) if PLATE in frame else pd.Series("plate", frame.index)
    found = []
    for name, members in frame.groupby(names.to_numpy()).indices.items():
        wells: dict[tuple[int, int], list[int]] = {}
        for member in members:
            place = well_place(str(frame[WELL].iloc[member]))
            if place is not None:
                wells.setdefault(place, []).append(int(member))
        if wells:
            size = _plate_size(*(max(place[axis] for place in wells) + 1 for axis in (0, 1)))
            places = [{"row": row, "column": column, "members": rows} for (row, column), rows in wells.items()]
            found.append({"name": str(name), "rows": size[0], "columns": size[1], "wells": places})
    return found


def well_place(well: str) -> tuple[int, int] | None:
    """Row and column of a well, from 0, of a name as ``B03``; None for other names.

    Examples
    --------
    >>> well_place("B03"), well_place("AA1"), well_place("x")
    ((1, 2), (26, 0), None)
    """
    match = _WELL.match(well.strip().upper())
    if match is None:
        return None
    row = 0
    for letter in match[1]:
        row = 26 * row + ord(letter) - ord("A") + 1
    return row - 1, int(match[2]) - 1


def _plate_size(rows: int, columns: int) -> tuple[int, int]:
    """The smallest usual plate that holds so many."""
    usual = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
    return next((size for size in usual if size[0] >= rows and size[1] >= columns), (rows, columns))


def quantities(after: Screen, before: Screen | None) -> list[dict]:
    """What the plates can be coloured by: name, numbers by row, a word on what it is."""
    found = []
    if COUNT in after.frame:
        numbers = after.frame[COUNT].to_numpy(np.float64)
        found.append({"name": "Number of objects", "numbers": rounded(numbers), "note": "objects behind each well"})
    for screen, when in ((after, "after sphering" if before else ""), (before, "before sphering")):
        distance = screen.distance() if screen else None
        if distance is not None:
            name = f"Distance from controls{', ' if when else ''}{when}"
            note = "from the mean of the negative controls; 1 is a usual control well"
            note += FITTED if when.startswith("after") else ""
            found.append({"name": name, "numbers": rounded(distance), "note": note})
    position = after.position()
    if position is not None:
        note = "0: as the negative controls, 1: as the positive ones"
        found.append({"name": "Position between controls", "numbers": rounded(position), "note": note})
    return found


def feature_bytes(values: np.ndarray, names: Sequence[str]) -> dict | None:
    """Features in 255 steps between their smallest and largest value, one byte each; None where they are too many."""
    if values.size > MOST_NUMBERS:
        return None
    low, high = np.nanmin(values, 0), np.nanmax(values, 0)
    span = np.where(high > low, high - low, 1)
    steps = np.where(np.isfinite(values), np.rint(254 * (values - low) / span), 255).astype(np.uint8)
    return {
        "names": list(names),
        "low": rounded(low),
        "high": rounded(high),
        "bytes": base64.b64encode(np.ascontiguousarray(steps.T).tobytes()).decode(),
    }


def doses(screen: Screen) -> dict | None:
    """Position between controls (or distance from them) by dose."""
    meaning = screen.meaning
    if meaning.dose is None:
        return None
    position, distance = screen.position(), screen.distance()
    y, what = (position, "Position between controls") if position is not None else (distance, "Distance from controls")
    if y is None:
        return None
    compounds = screen.column(meaning.compound) if meaning.compound else np.full(len(y), "treated")
    kind = np.where(screen.negative, "negative controls", np.where(screen.positive, "positive controls", compounds))
    x = screen.frame[meaning.dose].to_numpy(np.float64)
    return {"x": rounded(x), "y": rounded(y), "kind": kind.tolist(), "what": what, "dose": _short(meaning.dose)}


def replicates(after: Screen, before: Screen | None) -> dict | None:
    """Similarity of the replicates of every treatment, after and before."""
    if after.treatment is None:
        return None
    found = {}
    for name, screen in (("after", after), ("before", before)):
        if screen is not None:
            rows = screen.present & ~screen.negative
            found[name] = _tried(lambda s=screen, r=rows: assay.replicability(s.values[r], s.treatment[r]))
    if found.get("after") is None:
        return None
    return {
        name: {"names": part.names.tolist(), "similarity": rounded(part.similarity), "threshold": part.threshold}
        for name, part in found.items()
        if part is not None
    }


def nearest_treatments(screen: Screen) -> dict | None:
    """The treatments most similar to each by the cosine of their mean features."""
    if screen.treatment is None:
        return None
    rows = np.flatnonzero(screen.present)
    names = np.unique(screen.treatment[rows])
    if len(names) < 3:
        return None
    means = _means(screen.values[rows], screen.treatment[rows]).values
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(float).tiny)
    found = {}
    for number, name in enumerate(names):
        similarity = means @ means[number]
        order = [other for other in np.argsort(-similarity, kind="stable") if other != number][:NEAREST]
        found[str(name)] = [[str(names[other]), round(float(similarity[other]), 3)] for other in order]
    return found


def rounded(values: np.ndarray) -> list[float | None]:
    """As JSON numbers of five digits; None for NaN and infinity."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in np.asarray(values, np.float64)]


def _short(name: str) -> str:
    return name.removeprefix(METADATA)

"""Prepare the data of each panel of the report."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..evaluation import controls as assay
from ..evaluation.embedding_map import principal_components, umap
from ..evaluation.table import has_word
from ..tables.columns import COUNT, METADATA, PLATE, WELL
from .figures import score_or_none, treatment_means
from .screen import Screen, short_name

MOST_ROWS = 10_000
"""Of a table of objects that is larger, rows are drawn at random."""
MOST_NUMBERS = 8_000_000
"""Of the features that can be shown on plates, one byte each."""
MOST_COLORS = 40
"""Different values of a column of words that points can be colored by."""
NEAREST = 8
FITTED = ". Sphering that is fitted on fewer controls than features makes them look nearer than they are"
_WELL = re.compile(r"^([A-Z]{1,2})0*([1-9]\d?)$")


def maps(values: np.ndarray, rows: np.ndarray) -> dict[str, dict]:
    """Coordinates of rows, by the kind of map: ``{"PCA": {"x": .., "y": .., "axes": ..}, "UMAP": ..}``."""
    found = {}
    components = score_or_none(lambda: principal_components(values[rows]))
    if components is not None:
        coordinates, share = components
        axes = [f"PC {n + 1} ({100 * part:.0f} % of the variance)" for n, part in enumerate(share)]
        found["PCA"] = _points(coordinates, axes)
    if len(rows) > 3:
        coordinates = score_or_none(lambda: umap(values[rows]))
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


def colors(screen: Screen) -> list[dict]:
    """What points can be colored by: name, and numbers or words by row."""
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
            found.append({"name": short_name(name), "numbers": rounded(column.to_numpy(np.float64))})
        elif 1 < different <= MOST_COLORS:
            words = column.astype(str).where(has_word(column), "(none)")
            found.append({"name": short_name(name), "words": words.tolist()})
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
    """What the plates can be colored by: name, numbers by row, a word on what it is."""
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
    return {"x": rounded(x), "y": rounded(y), "kind": kind.tolist(), "what": what, "dose": short_name(meaning.dose)}


def replicates(after: Screen, before: Screen | None) -> dict | None:
    """Similarity of the replicates of every treatment, after and before."""
    if after.treatment is None:
        return None
    found = {}
    for name, screen in (("after", after), ("before", before)):
        if screen is not None:
            rows = screen.present & ~screen.negative
            found[name] = score_or_none(lambda s=screen, r=rows: assay.replicability(s.values[r], s.treatment[r]))
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
    means = treatment_means(screen.values[rows], screen.treatment[rows]).values
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

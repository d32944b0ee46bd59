"""Prepare the data of each panel of the report."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..evaluation import controls
from ..evaluation.embedding_map import principal_components, umap
from ..evaluation.table import has_word
from ..tables.columns import COUNT, METADATA, PLATE, WELL
from ..tables.plates import plate_columns
from ..tables.wells import well_name
from .scores import score_or_none, treatment_means
from .screen import Screen, short_name

MOST_ROWS = 10_000
"""Objects in a report, and points on a map; of more, some are drawn at random."""
MOST_WELLS = 30_000
"""Rows of a table of wells in a report; of more, plates are drawn at random."""
MOST_NUMBERS = 8_000_000
"""Feature values that can be shown on plates, one byte each."""
MOST_COLORS = 40
"""Most frequent values of a text column by which points are colored; the rest are the others."""
NEAREST = 8
"""Similar treatments listed for each treatment."""
FITTED = ". A correction that is fitted on fewer controls than features makes them look nearer than they are"
Panel = dict[str, Any]
"""JSON values, as the script of the page takes them."""
_WELL = re.compile(r"^([A-Z]{1,2})0*([1-9]\d?)$")


def maps(values: NDArray[Any], rows: NDArray[Any]) -> dict[str, Panel]:
    """Compute the maps of rows.

    Parameters
    ----------
    values : array (n, p)
    rows : array (r,)
        Indices of the rows on the maps.

    Returns
    -------
    dict of str to dict
        ``PCA`` and ``UMAP``, each with ``x``, ``y`` (r numbers) and the names of the two ``axes``.
    """
    kinds = {}
    components = score_or_none(lambda: principal_components(values[rows]))
    if components is not None:
        coordinates, share = components
        axes = [f"PC {n + 1} ({100 * part:.0f} % of the variance)" for n, part in enumerate(share)]
        kinds["PCA"] = _points(coordinates, axes)
    if len(rows) > 3:
        embedded = score_or_none(lambda: umap(values[rows]))
        if embedded is not None:
            kinds["UMAP"] = _points(embedded, ["UMAP 1", "UMAP 2"])
    return kinds


def _points(coordinates: NDArray[Any], axes: Sequence[str]) -> Panel:
    return {"x": rounded(coordinates[:, 0]), "y": rounded(coordinates[:, 1]), "axes": list(axes)}


def draw_rows(count: int, most: int | None = None) -> NDArray[np.intp]:
    """Draw rows at random, in order: all ``count`` of them, or ``most`` (by default ``MOST_ROWS``)."""
    most = MOST_ROWS if most is None else most
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(0).choice(count, most, replace=False))


def draw_plates(frame: pd.DataFrame) -> NDArray[np.intp]:
    """Draw whole plates of a table of wells at random, ``MOST_WELLS`` rows at most; rows in order."""
    columns = plate_columns(map(str, frame))
    if len(frame) <= MOST_WELLS or not columns:
        return draw_rows(len(frame), MOST_WELLS)
    plates = frame.groupby(columns, dropna=False, observed=True, sort=False).ngroup().to_numpy()
    order = np.random.default_rng(0).permutation(plates.max() + 1)
    total = np.cumsum(np.bincount(plates)[order])
    drawn = order[: max(int((total <= MOST_WELLS).sum()), 1)]
    rows = np.flatnonzero(np.isin(plates, drawn))
    return rows[draw_rows(len(rows), MOST_WELLS)]


def colors(screen: Screen) -> list[Panel]:
    """List the columns by which points can be colored: ``name``, and ``numbers`` or ``words`` of the rows.

    Columns of words that differ in most rows, such as names of files, are left out.
    """
    roles = screen.roles
    first = [roles.label, *roles.treatment, roles.dose, roles.batch, roles.compound, PLATE]
    others = [name for name in map(str, screen.frame) if name.startswith(METADATA)]
    columns: list[Panel] = []
    for name in dict.fromkeys(name for name in (*first, *others) if name):
        if name not in screen.frame or name.startswith(f"{METADATA}Crop_"):
            continue
        column = screen.frame[name]
        distinct = column.nunique()
        if pd.api.types.is_numeric_dtype(column) and distinct > 1:
            columns.append({"name": short_name(name), "numbers": rounded(column.to_numpy(np.float64))})
        elif 1 < distinct <= max(MOST_COLORS, len(column) // 2):
            words = column.astype(str).where(has_word(column), "(none)")
            frequent = words.value_counts().index[:MOST_COLORS]
            words = words.where(words.isin(frequent), "(others)")
            columns.append({"name": short_name(name), "words": words.tolist()})
    return columns


def plates(frame: pd.DataFrame) -> list[Panel]:
    """Lay the wells of a table out on plates.

    Parameters
    ----------
    frame : DataFrame

    Returns
    -------
    list of dict
        ``name``, size in ``rows`` and ``columns``, and ``wells``, each with ``row``, ``column`` (from 0) and the
        indices of its ``members`` in the table.
    """
    if WELL not in frame:
        return []
    apart = plate_columns(map(str, frame))
    apart = [name for name in apart if name == PLATE or frame[name].nunique() > 1] or apart[:1]
    names = frame[apart].astype(str).agg(" ".join, axis=1) if apart else pd.Series("plate", frame.index)
    layouts: list[Panel] = []
    for name, members in frame.groupby(names.to_numpy()).indices.items():
        wells: dict[tuple[int, int], list[int]] = {}
        for member in members:
            position = well_position(str(frame[WELL].iloc[member]))
            if position is not None:
                wells.setdefault(position, []).append(int(member))
        if wells:
            rows, columns = _plate_size(*(max(position[axis] for position in wells) + 1 for axis in (0, 1)))
            entries = [{"row": row, "column": column, "members": rows} for (row, column), rows in wells.items()]
            layouts.append({"name": str(name), "rows": rows, "columns": columns, "wells": entries})
    return layouts


def well_position(well: str) -> tuple[int, int] | None:
    """Parse the name of a well into row and column, from 0; None for other names.

    Examples
    --------
    >>> well_position("B03"), well_position("AA1"), well_position("x")
    ((1, 2), (26, 0), None)
    """
    match = _WELL.match(well_name(well))
    if match is None:
        return None
    row = 0
    for letter in match[1]:
        row = 26 * row + ord(letter) - ord("A") + 1
    return row - 1, int(match[2]) - 1


def _plate_size(rows: int, columns: int) -> tuple[int, int]:
    """Find the smallest usual plate with these rows and columns."""
    usual = ((2, 3), (3, 4), (4, 6), (6, 8), (8, 12), (16, 24), (32, 48))
    return next((size for size in usual if size[0] >= rows and size[1] >= columns), (rows, columns))


def quantities(after: Screen, before: Screen | None) -> list[Panel]:
    """List the quantities by which plates can be colored: ``name``, ``numbers`` of the rows, and a ``note``."""
    entries: list[Panel] = []
    if COUNT in after.frame:
        numbers = after.frame[COUNT].to_numpy(np.float64)
        entries.append({"name": "Number of objects", "numbers": rounded(numbers), "note": "objects in each well"})
    for screen, when in ((after, "after the correction" if before else ""), (before, "before the correction")):
        distance = screen.distance() if screen else None
        if distance is not None:
            name = f"Distance from controls{', ' if when else ''}{when}"
            note = "from the mean of the negative controls; 1 is the median control well"
            note += FITTED if when.startswith("after") else ""
            entries.append({"name": name, "numbers": rounded(distance), "note": note})
    position = after.position()
    if position is not None:
        note = "0: like the negative controls, 1: like the positive controls"
        entries.append({"name": "Position between controls", "numbers": rounded(position), "note": note})
    return entries


def feature_bytes(values: NDArray[Any], names: Sequence[str]) -> Panel | None:
    """Encode features as one byte each, in 255 steps between their smallest and largest value.

    Parameters
    ----------
    values : array (n, p)
    names : sequence of str
        Names of the p features.

    Returns
    -------
    dict or None
        ``names``, ``low``, ``high`` and the ``bytes`` in base64, feature after feature, 255 for NaN and infinity;
        None for more than ``MOST_NUMBERS`` values.
    """
    if values.size > MOST_NUMBERS:
        return None
    known = np.where(np.isfinite(values), values, np.nan)
    low, high = np.nanmin(known, 0), np.nanmax(known, 0)
    span = np.where(high > low, high - low, 1)
    steps = np.where(np.isfinite(values), np.rint(254 * (known - low) / span), 255).astype(np.uint8)
    return {
        "names": list(names),
        "low": rounded(low),
        "high": rounded(high),
        "bytes": base64.b64encode(np.ascontiguousarray(steps.T).tobytes()).decode(),
    }


def doses(screen: Screen, before: Screen | None = None) -> Panel | None:
    """Plot the position between controls (or the distance from them) against the dose; None without both.

    Of rows after a correction, if ``before`` is given.
    """
    roles = screen.roles
    if roles.dose is None:
        return None
    position, distance = screen.position(), screen.distance()
    y, quantity = (
        (position, "Position between controls") if position is not None else (distance, "Distance from controls")
    )
    if y is None:
        return None
    compounds = np.full(len(y), "treated")
    if roles.compound:
        compounds = np.where(screen.known(roles.compound), screen.column(roles.compound), "(none)")
    kind = np.where(screen.negative, "negative controls", np.where(screen.positive, "positive controls", compounds))
    x = screen.frame[roles.dose].to_numpy(np.float64)
    note = " On the features after the correction: controls on which it was fitted look nearer than they are."
    found: Panel = {"x": rounded(x), "y": rounded(y), "kind": kind.tolist(), "what": quantity}
    return found | {"dose": short_name(roles.dose), "note": note if before is not None else ""}


def replicates(after: Screen, before: Screen | None) -> Panel | None:
    """Compare the similarity of each treatment's replicates after and before a correction; None without treatments."""
    results = {}
    for name, screen in (("after", after), ("before", before)):
        if screen is not None and screen.treatment is not None:
            rows = screen.present & ~screen.negative & screen.annotated
            values, treatments = screen.values[rows], screen.treatment[rows]
            results[name] = score_or_none(partial(controls.replicability, values, treatments))
    if results.get("after") is None:
        return None
    return {
        name: {
            "names": result.names.tolist(),
            "similarity": rounded(result.similarity),
            "threshold": result.threshold,
            "rows": result.rows,
        }
        for name, result in results.items()
        if result is not None
    }


def nearest_treatments(screen: Screen) -> Panel | None:
    """Rank the treatments most similar to each, by the cosine of their mean features; None for fewer than three."""
    if screen.treatment is None:
        return None
    rows = np.flatnonzero(screen.present & screen.annotated)
    names = np.unique(screen.treatment[rows])
    if len(names) < 3:
        return None
    means, _, members = treatment_means(screen.values[rows], screen.treatment[rows])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(float).tiny)
    nearest = {}
    for number, name in enumerate(names):
        similarity = means @ means[number]
        order = np.argsort(-similarity, kind="stable")[: NEAREST + 1]
        nearest[str(name)] = [
            [str(names[other]), round(float(similarity[other]), 3), int(members[other])]
            for other in order[order != number][:NEAREST]
        ]
    return nearest


def rounded(values: NDArray[Any]) -> list[float | None]:
    """Round to five digits for JSON; None for NaN and infinity."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in np.asarray(values, np.float64)]

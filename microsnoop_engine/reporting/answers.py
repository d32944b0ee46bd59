"""Prepare the answers of the report: treatments, dose curves, corrections compared, a difference explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError, counted, require_columns
from ..evaluation.dose_response import DoseCurve
from ..evaluation.table import has_word
from ..tables.activity import Activity, find_activity, known_activity
from ..tables.columns import OBJECT_NUMBER
from ..tables.formats import open_table
from ..tables.plates import plate_columns
from ..tables.source import in_memory, read_frame
from .panels import Panel, rounded
from .scores import treatment_means
from .screen import Screen

MOST_TREATMENTS, MOST_WELLS = 1000, 5000
"""Treatments and wells that are tested for activity; of more, the command ``activity`` tests all."""
MOST_CLUSTERED = 300
"""Treatments of a heatmap."""
MOST_NAMED = 20
"""Named features that explain a difference; those that say the same are counted with the first of them."""
CURVE_POINTS = 60
"""Points of a drawn dose curve."""


def activity(after: Screen, before: Screen | None, tested: pd.DataFrame | None = None) -> Panel | None:
    """Test which treatments differ from the negative controls, on the features before a correction where there are any.

    Parameters
    ----------
    after, before : Screen
    tested : DataFrame, optional
        The table of :func:`.tables.activity.activity`: its treatments are shown, and none is tested again.

    Returns
    -------
    dict or None
        ``message`` where nothing can be tested; else ``when`` the features were tested, and lists with an entry per
        treatment. None without negative controls, without treatments, and for objects.

    Raises
    ------
    InputError
        If ``tested`` is another table, or there are no controls and treatments to go with it.
    """
    screen = after if before is None else before
    roles = screen.roles
    columns = list(roles.treatment) or [name for name in (roles.label,) if name]
    if not screen.negative.any() or not columns or OBJECT_NUMBER in screen.frame:
        if tested is not None:
            raise InputError("`activity` needs a table of wells, `controls` and `treatment`")
        return None
    assert screen.treatment is not None
    count = len(np.unique(screen.treatment[screen.annotated & ~screen.negative]))
    if tested is None and (count > MOST_TREATMENTS or len(screen.frame) > MOST_WELLS):
        what = f"{counted(count, 'treatments')} in {counted(len(screen.frame), 'wells')}"
        return {
            "message": f"Not tested here: {what}. Let microsnoop activity test them, and give its result to the report."
        }
    names = [f"feature {number}" for number in range(screen.values.shape[1])]
    frame = screen.frame.reset_index(drop=True).join(pd.DataFrame(screen.values, columns=names))
    apart = [name for name in plate_columns(list(map(str, screen.frame))) if screen.frame[name].nunique() > 1]
    if apart:
        frame["plate of the row"] = frame[apart].astype(str).agg(" ".join, axis=1)
    arguments = frame, names, str(roles.controls), columns
    settings: dict[str, Any] = {
        "compound": roles.compound,
        "dose": roles.dose if roles.compound else None,
        "positive": roles.positive if screen.positive.any() else None,
        "by": "plate of the row" if apart else None,
    }
    if tested is not None:
        return _panel(known_activity(*arguments, tested, **settings)) | {"when": "by the command activity"}
    try:
        found = find_activity(*arguments, **settings)
    except InputError as error:
        return {"message": f"Not tested: {str(error).replace('`', '')}."}
    return _panel(found) | {"when": "before the correction" if before is not None else ""}


def _panel(found: Activity) -> Panel:
    """Turn the activity of treatments into JSON values."""
    frame = found.frame
    panel: Panel = {"names": found.names, "fdr": found.fdr, "response": found.response}
    for key, column in (
        *(("rows", "Rows"), ("controls", "Controls"), ("map", "Activity_mAP"), ("p", "Activity_p")),
        *(("q", "Activity_q"), ("distinct_p", "Distinct_p"), ("distinct_q", "Distinct_q")),
        *(("distance", "Distance_From_Controls"), ("cells", "Object_Count_Change")),
    ):
        panel[key] = rounded(frame[column].to_numpy(np.float64)) if column in frame else None
    for key, column in (("active", "Active"), ("distinct", "Distinct")):
        panel[key] = [None if value is None else bool(value) for value in frame[column]]
    panel["note"] = frame["Note"].tolist()
    panel["curves"] = [_curve(name, curve, found) for name, curve in found.curves.items()]
    return panel


def _curve(name: str, curve: DoseCurve, found: Activity) -> Panel:
    """Turn a dose curve and the rows it was fitted to into JSON values."""
    rows = (found.compounds == name) & (found.doses > 0) & np.isfinite(found.responses)
    doses = found.doses[rows]
    entry: Panel = {"name": name, "kind": curve.kind, "note": curve.note, "rows": curve.rows, "doses": curve.doses}
    entry |= {"x": rounded(doses), "y": rounded(found.responses[rows]), "line": None}
    entry |= dict(zip(("ec50", "low", "high"), rounded(np.array([curve.ec50, curve.low, curve.high])), strict=True))
    if curve.kind != "flat":
        grid = np.geomspace(doses.min(), doses.max(), CURVE_POINTS) if curve.kind == "hill" else np.unique(doses)
        entry["line"] = {"x": rounded(grid), "y": rounded(curve.at(grid))}
    return entry


def clusters(screen: Screen) -> Panel | None:
    """Order treatments such that those of similar mean features lie side by side (average linkage of cosines).

    Parameters
    ----------
    screen : Screen

    Returns
    -------
    dict or None
        ``names`` and their ``cosines``, in percent, row after row; None for fewer than three treatments or more than
        ``MOST_CLUSTERED``.
    """
    from scipy.cluster.hierarchy import leaves_list, linkage, optimal_leaf_ordering
    from scipy.spatial.distance import squareform

    if screen.treatment is None:
        return None
    rows = np.flatnonzero(screen.present & screen.annotated)
    names = np.unique(screen.treatment[rows])
    if not 3 <= len(names) <= MOST_CLUSTERED:
        return None
    means, _, _ = treatment_means(screen.values[rows], screen.treatment[rows])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), np.finfo(float).tiny)
    cosines = (means @ means.T).clip(-1, 1)
    distances = squareform(1 - cosines, checks=False).clip(min=0)
    order = leaves_list(optimal_leaf_ordering(linkage(distances, "average"), distances))
    return {
        "names": names[order].tolist(),
        "cosines": [np.rint(100 * row).astype(int).tolist() for row in cosines[np.ix_(order, order)]],
    }


def corrections(table: str | Path | pd.DataFrame) -> list[Panel]:
    """Read the comparison of corrections.

    Parameters
    ----------
    table : str, Path or DataFrame
        Result of :func:`.compare_corrections`.

    Returns
    -------
    list of dict
        By correction its ``name``, ``note``, and values and intervals of ``replicates`` and ``batch``, with the numbers
        of rows and treatments.

    Raises
    ------
    InputError
        If it is another table.
    """
    source = in_memory(table, Path("corrections")) if isinstance(table, pd.DataFrame) else open_table(table)
    frame = read_frame(source)
    require_columns(frame, ["Correction", "Replicates", "Batch", "Note"], "`corrections`: the table")
    rows = []
    for _, row in frame.iterrows():
        entry: Panel = {"name": str(row["Correction"]), "note": "" if pd.isna(row["Note"]) else str(row["Note"])}
        for name in ("Replicates", "Batch"):
            parts = rounded(row[[name, f"{name}_Low", f"{name}_High", f"{name}_Rows"]].to_numpy(np.float64))
            entry[name.lower()] = dict(zip(("value", "low", "high", "rows"), parts, strict=True))
        entry["treatments"], entry["chance"] = rounded(
            row[["Replicates_Treatments", "Batch_Chance"]].to_numpy(np.float64)
        )
        rows.append(entry)
    return rows


def explained(table: str | Path | pd.DataFrame) -> list[Panel]:
    """Read the named features that explain the difference of two groups.

    Parameters
    ----------
    table : str, Path or DataFrame
        Result of :func:`.explain`.

    Returns
    -------
    list of dict
        The ``MOST_NAMED`` features with the largest correlations: ``name``, ``value`` with its interval ``low`` to
        ``high``, ``within``, ``difference``, number of ``rows``, and how many are ``like`` it.

    Raises
    ------
    InputError
        If it is another table.
    """
    source = in_memory(table, Path("explained")) if isinstance(table, pd.DataFrame) else open_table(table)
    frame = read_frame(source)
    columns = ["Correlation", "Low", "High", "Within", "Difference", "Rows"]
    require_columns(frame, ["Feature", "Like", *columns], "`explained`: the table")
    like = frame["Like"].value_counts()
    first = frame[~has_word(frame["Like"]) & frame["Correlation"].notna()].head(MOST_NAMED)
    names = ("value", "low", "high", "within", "difference", "rows")
    return [
        {"name": str(row["Feature"]), "like": int(like.get(row["Feature"], 0))}
        | dict(zip(names, rounded(row[columns].to_numpy(np.float64)), strict=True))
        for _, row in first.iterrows()
    ]

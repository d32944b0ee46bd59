"""Score the features of a table by the labels in one of its columns."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, listing, require_columns
from .metrics import cross_validated_predict, knn_correct, mean_average_precision, nsc, silhouette
from .missing import complete_part
from .neighbors import has_direction
from .scores import score_correct

log = logging.getLogger(__name__)

TASKS = ("knn", "linear", "mlp", "silhouette", "map", "nsc", "nscb")


def has_word(column: pd.Series) -> NDArray[np.bool_]:
    """Find the rows (n,), bool, whose cell is neither missing nor blank."""
    return column.notna().to_numpy() & (column.astype(str).str.strip() != "").to_numpy()


def evaluate_frame(
    frame: pd.DataFrame,
    features: Sequence[str],
    label: str,
    tasks: Sequence[str] = ("knn",),
    *,
    compound: str | None = None,
    batch: str | None = None,
    groups: str | None = None,
    neighbors: int = 11,
    metric: str = "cosine",
) -> list[dict[str, float | str]]:
    """Score how well features separate labels.

    Rows without a label or group, or with missing or infinite features, take no part; nor do features that more than a
    fifth of the rows lack. Both are counted in a warning. Rows of zeros have no direction and take no part where
    cosines are compared.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    label : str
        Column of the labels, such as the mechanism of action.
    tasks : sequence of {'knn', 'linear', 'mlp', 'silhouette', 'map', 'nsc', 'nscb'}
        See :mod:`microsnoop_engine.evaluation.metrics`.
    compound, batch : str, optional
        Columns for ``nsc`` and ``nscb``.
    groups : str, optional
        Column of the rows that ``knn``, classifiers and ``map`` do not compare with each other (plate, donor).
    neighbors : int
        Number of neighbors of ``knn``.
    metric : {'cosine', 'euclidean'}
        Distance of ``knn``: angles separate kinds of effect, lengths separate effect from none.

    Returns
    -------
    list of dict
        Per score: ``task``; ``rows``, the number of rows that took part; ``value``, at most 1; with classifiers and
        ``knn`` the 95 % interval ``low`` to ``high``; with cosines the number of rows ``left_out`` for want of a
        direction, with ``nsc`` and ``nscb`` also of a compound, or of another one with the same label.

    Raises
    ------
    InputError
        If a task is unknown or lacks its column, or the rows cannot be scored.
    """
    if unknown := [task for task in tasks or [""] if task not in TASKS]:
        raise InputError(f"`tasks` has '{unknown[0]}': choose some of {', '.join(TASKS)}")
    columns = {"label": label, "compound": compound, "batch": batch, "groups": groups}
    for parameter, column in columns.items():
        if column is not None:
            require_columns(frame, [column], f"`{parameter}`: the table")
    needed = {"nsc": ["compound"], "nscb": ["compound", "batch"]}
    for task in tasks:
        if any(columns[parameter] is None for parameter in needed.get(task, [])):
            names = " and ".join(f"`{parameter}`" for parameter in needed[task])
            raise InputError(f"the task '{task}' needs {names}")
    frame, values = _scorable(frame, features, label, groups)
    for parameter, column in (("label", label), ("groups", groups)):
        if column is not None and frame[column].nunique(dropna=False) < 2:
            only = frame[column].iloc[0]
            raise InputError(f"`{parameter}`: all rows have the same '{column}', '{only}': choose another column")
    if "map" in tasks and groups and not (frame.groupby(label)[groups].nunique(dropna=False) > 1).any():
        raise InputError(f"the task 'map': every '{label}' lies in one '{groups}' only: choose other `groups`")

    labels = frame[label].astype(str).to_numpy()
    group_of = None if groups is None else frame[groups].astype(str).to_numpy()
    directed = has_direction(values)
    results: list[dict[str, float | str]] = []
    for task in tasks:
        cosine = task in ("map", "nsc", "nscb", "silhouette") or (task == "knn" and metric == "cosine")
        rows = directed if cosine else np.ones(len(values), bool)
        if task in ("nsc", "nscb"):
            others = [column for column in (compound, batch if task == "nscb" else None) if column]
            rows = rows & np.logical_and.reduce([has_word(frame[other]) for other in others])
        left_out = int((~rows).sum())
        counts: dict[str, float | str] = {"rows": len(values) - left_out}
        if left_out:
            counts["left_out"] = left_out
        chosen, named = values if rows.all() else values[rows], labels[rows]
        grouped = None if group_of is None else group_of[rows]
        if task in ("nsc", "nscb"):
            match = nsc(chosen, named, *(frame.loc[rows, other].astype(str).to_numpy() for other in others))
            counts["rows"], counts["left_out"] = len(match.rows), match.left_out + left_out
            results.append({"task": task, **counts, "value": match.accuracy})
        elif task == "map":
            precisions = list(mean_average_precision(chosen, named, grouped).values())
            results.append({"task": task, **counts, "value": float(np.nanmean(precisions))})
        elif task == "silhouette":
            results.append({"task": task, **counts, "value": silhouette(chosen.astype(np.float64), named)})
        else:
            if task == "knn":
                correct = knn_correct(chosen, named, grouped, neighbors, metric)
            else:
                correct = cross_validated_predict(chosen.astype(np.float64), named, grouped, task) == named
            for name, score in score_correct(named, correct, grouped).items():
                results.append({"task": f"{task}, {name.replace('_', ' ')}", **counts, **asdict(score)})
    return results


def _scorable(
    frame: pd.DataFrame, features: Sequence[str], label: str, groups: str | None
) -> tuple[pd.DataFrame, NDArray[Any]]:
    """Return the other columns (n rows) and the features (n, p) of what has no missing numbers; warn of the rest."""
    features = list(features)
    labeled = has_word(frame[label])
    if groups is not None and (without := labeled & ~has_word(frame[groups])).any():
        log.warning("%d of %d rows have no '%s' and are left out", without.sum(), len(frame), groups)
        labeled &= ~without
        if not labeled.any():
            raise InputError(f"`groups`: no row with a label has a '{groups}': choose another column")
    left = set(features) - {label, groups}
    others = [name for name in frame if name not in left]
    values, frame = frame[features].to_numpy(), frame[others]
    if values.dtype.kind != "f":
        values = values.astype(np.float64)
    if not labeled.all():
        values, frame = values[labeled], frame[labeled]
    rows, columns = complete_part(values)
    if not rows.any():
        raise InputError(f"no row has both a label in '{label}' and all features")
    lacking = [name for name, kept in zip(features, columns, strict=True) if not kept]
    if lacking:
        log.warning(
            "%d features are missing in more than a fifth of the rows and left out: %s", len(lacking), listing(lacking)
        )
        values = values[:, columns]
    if not rows.all():
        log.warning("%d of %d rows have missing or infinite features and are left out", (~rows).sum(), len(rows))
        values, frame = values[rows], frame[rows]
    return frame, np.ascontiguousarray(values)

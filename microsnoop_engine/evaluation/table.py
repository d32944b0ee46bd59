"""Score the features of a table by the labels in one of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from .metrics import cross_validated_predict, knn_predict, mean_average_precision, nsc, silhouette
from .scores import score_predictions

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

    Rows without a label or with missing features take no part.

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
        ``knn`` the 95 % interval ``low`` to ``high``; with ``nsc`` and ``nscb`` the number of treatments ``left_out``.

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
    frame = frame[has_word(frame[label]) & frame[list(features)].notna().all(axis=1)]
    if not len(frame):
        raise InputError(f"no row has both a label in '{label}' and all features")
    for parameter, column in (("label", label), ("groups", groups)):
        if column is not None and frame[column].nunique(dropna=False) < 2:
            only = frame[column].iloc[0]
            raise InputError(f"`{parameter}`: all rows have the same '{column}', '{only}': choose another column")
    if "map" in tasks and groups and not (frame.groupby(label)[groups].nunique(dropna=False) > 1).any():
        raise InputError(f"the task 'map': every '{label}' lies in one '{groups}' only: choose other `groups`")

    values, labels = frame[list(features)].to_numpy(np.float64), frame[label].astype(str).to_numpy()
    compounds, batches, group_of = (
        None if column is None else frame[column].astype(str).to_numpy() for column in (compound, batch, groups)
    )
    results: list[dict[str, float | str]] = []
    for task in tasks:
        if compounds is not None and task in ("nsc", "nscb"):
            match = nsc(values, labels, compounds, batches if task == "nscb" else None)
            results.append({"task": task, "rows": len(match.rows), "left_out": match.left_out, "value": match.accuracy})
        elif task == "map":
            precisions = mean_average_precision(values, labels, group_of)
            results.append({"task": task, "rows": len(values), "value": float(np.nanmean(list(precisions.values())))})
        elif task == "silhouette":
            results.append({"task": task, "rows": len(values), "value": silhouette(values, labels)})
        else:
            if task == "knn":
                predictions = knn_predict(values, labels, group_of, neighbors, metric)
            else:
                predictions = cross_validated_predict(values, labels, group_of, task)
            for name, score in score_predictions(labels, predictions, group_of).items():
                title = f"{task}, {name.replace('_', ' ')}"
                results.append({"task": title, "rows": len(values), **asdict(score)})
    return results

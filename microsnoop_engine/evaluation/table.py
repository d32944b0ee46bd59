"""Evaluate a table of features."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from ..errors import InputError
from . import metrics as evaluation
from .scores import score_predictions

log = logging.getLogger(__name__)
TASKS = ("knn", "linear", "mlp", "silhouette", "map", "nsc", "nscb")


def has_word(column: pd.Series) -> np.ndarray:
    """Which rows (n,), bool, of a column hold anything; words of nothing but blanks do not."""
    return column.notna().to_numpy() & (column.astype(str).str.strip() != "").to_numpy()


def evaluate(
    frame: pd.DataFrame,
    features: Sequence[str],
    label: str,
    tasks: Sequence[str],
    compound: str | None = None,
    batch: str | None = None,
    groups: str | None = None,
    k: int = 11,
    metric: str = "cosine",
) -> list[dict[str, float | str]]:
    """Figures of how well the features tell labels apart (see :mod:`microsnoop_engine.evaluation`).

    Rows without a label or with missing features are left out; the rows that took part are counted.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    label : str
        Column of the labels, such as the mechanism of action.
    tasks : sequence of str
        Of ``TASKS``.
    compound, batch : str, optional
        Columns for ``nsc`` and ``nscb``.
    groups : str, optional
        Column of what must not be compared with itself (plate, donor) in ``knn``, probes and ``map``.
    k : int
        Neighbors.
    metric : {'cosine', 'euclidean'}
        Of the neighbors: angles tell kinds of effect apart, distances effect from none.

    Raises
    ------
    InputError
        If a task lacks its column.
    """
    if unknown := [task for task in tasks or [""] if task not in TASKS]:
        raise InputError(f"task is '{unknown[0]}': give some of {', '.join(TASKS)}")
    for option, column in (("label", label), ("compound", compound), ("batch", batch), ("groups", groups)):
        if column is not None and column not in frame:
            raise InputError(f"--{option}: there is no column '{column}'")
    rows = has_word(frame[label]) & frame[list(features)].notna().all(axis=1)
    frame = frame[rows]
    if not len(frame):
        raise InputError(f"no row has both a label in '{label}' and all features")
    values, labels = frame[list(features)].to_numpy(np.float64), frame[label].astype(str).to_numpy()
    apart = frame[groups].astype(str).to_numpy() if groups else None
    for option, column in (("label", label), ("groups", groups)):
        if column is not None and frame[column].nunique(dropna=False) < 2:
            only = frame[column].iloc[0]
            raise InputError(f"--{option}: all rows have the same '{column}', '{only}': choose another column")
    found = []
    for task in tasks:
        if task in ("nsc", "nscb"):
            if compound is None or (task == "nscb" and batch is None):
                raise InputError(f"task '{task}' needs --compound" + (" and --batch" if task == "nscb" else ""))
            batches = frame[batch].astype(str).to_numpy() if task == "nscb" else None
            match = evaluation.nsc(values, labels, frame[compound].astype(str).to_numpy(), batches)
            found.append({"task": task, "rows": len(match.rows), "left_out": match.left_out, "value": match.accuracy})
        elif task == "map":
            if groups and not (frame.groupby(label)[groups].nunique(dropna=False) > 1).any():
                raise InputError(f"task 'map': every '{label}' lies in one '{groups}' only: give other --groups")
            each = evaluation.mean_average_precision(values, labels, apart)
            found.append({"task": task, "rows": len(values), "value": float(np.nanmean(list(each.values())))})
        elif task == "silhouette":
            found.append({"task": task, "rows": len(values), "value": evaluation.silhouette(values, labels)})
        else:
            predictions = (
                evaluation.knn_predict(values, labels, apart, k, metric)
                if task == "knn"
                else evaluation.cross_validated_predict(values, labels, apart, task)
            )
            scores = score_predictions(labels, predictions, apart)
            found += [
                {"task": f"{task}, {name.replace('_', ' ')}", "rows": len(values), **asdict(score)}
                for name, score in scores.items()
            ]
    return found

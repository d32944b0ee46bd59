"""Score the features of a table by the labels in one of its columns."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted, listing, require_columns
from .clustering import kmeans_ari
from .metrics import average_precisions, cross_validated_predict, knn_correct, nsc, silhouettes
from .missing import complete_part
from .neighbors import has_direction
from .scores import SCORES, estimate

log = logging.getLogger(__name__)

TASKS = ("knn", "linear", "mlp", "silhouette", "ari", "map", "nsc", "nscb")
SEVERAL = ("map", "nsc", "nscb")
"""Tasks whose rows may have several labels."""
MANY_LABELS = 10
"""Number of labels from which they are taken as a sample of labels, and the interval of ``map`` is one over labels."""
_SHOWN = {"map": {"balanced_accuracy": "map"}} | {name: {"accuracy": name} for name in ("silhouette", "nsc", "nscb")}


def has_word(column: pd.Series) -> NDArray[np.bool_]:
    """Find the rows (n,), bool, whose cell is neither missing nor blank."""
    return column.notna().to_numpy() & (column.astype(str).str.strip() != "").to_numpy()


def joined_words(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.object_]:
    """Join the words of columns to one name per row, such as compound and dose to a treatment.

    Parameters
    ----------
    frame : DataFrame
    columns : sequence of str

    Returns
    -------
    array (n,) of str
        '' for rows without a word in the first column.

    Raises
    ------
    InputError
        If different words join to the same name: rows of two treatments would be taken for replicates.

    Examples
    --------
    >>> frame = pd.DataFrame({"Compound": ["A", "A", None], "Dose": [1.5, None, 2.0]})
    >>> joined_words(frame, ["Compound", "Dose"]).tolist()
    ['A 1.5', 'A', '']
    """
    words = [np.where(has_word(frame[name]), frame[name].astype(str), "") for name in columns]
    parts = {row: " ".join(filter(None, row)) for row in zip(*words, strict=True) if row[0]}
    first: dict[str, tuple[str, ...]] = {}
    for row, name in parts.items():
        if first.setdefault(name, row) != row:
            raise InputError(
                f"'{name}' is the name of two treatments by {', '.join(columns)}: {first[name]} and {row}. Rename one"
            )
    return np.array([parts.get(row, "") for row in zip(*words, strict=True)], dtype=object)


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
    separator: str | None = None,
    units: Mapping[str, Sequence[str]] | None = None,
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
    tasks : sequence of {'knn', 'linear', 'mlp', 'silhouette', 'ari', 'map', 'nsc', 'nscb'}
        See :mod:`microsnoop_engine.evaluation.metrics`, for ``ari`` :func:`.kmeans_ari`.
    compound, batch : str, optional
        Columns for ``nsc`` and ``nscb``.
    groups : str, optional
        Column of the rows that ``knn``, classifiers and ``map`` do not compare with each other (plate, donor).
    neighbors : int
        Number of neighbors of ``knn``.
    metric : {'cosine', 'euclidean'}
        Distance of ``knn``: angles separate kinds of effect, lengths separate effect from none.
    separator : str, optional
        Separates several labels of a row, such as ``|`` in ``a|b``: rows that share one are alike. For ``map``, ``nsc``
        and ``nscb``.
    units : mapping of str to sequence of str, optional
        What rows are parts of (wells, for a table of objects), with the columns that together name one.

    Returns
    -------
    list of dict
        Per score: ``task``; ``rows``, the number of rows that took part; ``value``, at most 1; its 95 % interval
        ``low`` to ``high`` over the ``units`` of the kind ``unit`` (see below); with cosines the number of rows
        ``left_out`` for want of a direction, with ``map`` also of a row to find, with ``nsc`` and ``nscb`` of a
        compound, or of another one with the same label.

        Units are the groups, with ``map`` otherwise the labels if there are ten, otherwise ``units``, with ``nsc`` and
        ``nscb`` the compounds. Of fewer than five, they are the rows.

    Raises
    ------
    InputError
        If a task is unknown or lacks its column, or the rows cannot be scored.
    """
    if unknown := [task for task in tasks or [""] if task not in TASKS]:
        raise InputError(f"`tasks` has '{unknown[0]}': choose some of {', '.join(TASKS)}")
    if separator is not None and (not separator or set(tasks) - set(SEVERAL)):
        raise InputError(f"`separator` is for the tasks {', '.join(SEVERAL)}, and at least one character")
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
    parts = {name: frame.groupby(list(of), dropna=False).ngroup().to_numpy() for name, of in (units or {}).items()}
    directed = has_direction(values)
    results: list[dict[str, float | str]] = []
    for task in tasks:
        if task == "ari":
            kinds = {str(groups): group_of} | parts
            results.append({"task": "ari", **asdict(kmeans_ari(values, labels, kinds))})
            continue
        cosine = task in ("map", "nsc", "nscb", "silhouette") or (task == "knn" and metric == "cosine")
        rows = directed if cosine else np.ones(len(values), bool)
        if task in ("nsc", "nscb"):
            others = [column for column in (compound, batch if task == "nscb" else None) if column]
            rows = rows & np.logical_and.reduce([has_word(frame[other]) for other in others])
        if task in ("knn", "map", "silhouette") and separator is None:
            _refuse_single_rows(labels, rows)
        chosen, named = values if rows.all() else values[rows], labels[rows]
        grouped = None if group_of is None else group_of[rows]
        kinds = {str(groups): grouped} | {name: part[rows] for name, part in parts.items()}
        if task in ("nsc", "nscb"):
            columns_apart = [frame.loc[rows, other].astype(str).to_numpy() for other in others]
            second = columns_apart[1] if task == "nscb" else None
            match = nsc(chosen, named, columns_apart[0], second, separator)
            numbers, named = match.correct, named[match.rows]
            kinds = {str(compound): frame.loc[rows, str(compound)].astype(str).to_numpy()[match.rows]}
        elif task == "map":
            numbers = average_precisions(chosen, named, grouped, separator)
            found = np.isfinite(numbers)
            numbers, named = numbers[found], named[found]
            sample = named if len(np.unique(named)) >= MANY_LABELS else None
            kinds = {str(groups): None if grouped is None else grouped[found], label: sample}
            kinds |= {name: part[rows][found] for name, part in parts.items()}
        elif task == "silhouette":
            numbers = silhouettes(chosen.astype(np.float64), named)
        elif task == "knn":
            numbers = knn_correct(chosen, named, grouped, neighbors, metric)
        else:
            numbers = (cross_validated_predict(chosen.astype(np.float64), named, grouped, task) == named).astype(
                np.float64
            )
        estimates = estimate(named, numbers, kinds)
        for name, title in _SHOWN.get(task, {key: f"{task}, {key.replace('_', ' ')}" for key in SCORES}).items():
            left_out = len(values) - len(numbers)
            results.append({"task": title, **asdict(estimates[name]), **({"left_out": left_out} if left_out else {})})
    return results


def _refuse_single_rows(labels: NDArray[Any], directed: NDArray[np.bool_]) -> None:
    """Refuse labels (n,) that have a single row only because the other ones have no direction."""
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    lost = (counts > 1) & (np.bincount(codes[directed], minlength=len(names)) == 1)
    if lost.any():
        raise InputError(
            f"{counted((~directed).sum(), 'rows')} of zeros without a direction left out, labels have a single row: "
            f"{listing(names[lost])}. Leave these labels out"
        )


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
            "%s missing in more than a fifth of the rows and left out: %s",
            *(counted(len(lacking), "features are", "feature is"), listing(lacking)),
        )
        values = values[:, columns]
    if not rows.all():
        log.warning("%d of %d rows have missing or infinite features and are left out", (~rows).sum(), len(rows))
        values, frame = values[rows], frame[rows]
    return frame, np.ascontiguousarray(values)

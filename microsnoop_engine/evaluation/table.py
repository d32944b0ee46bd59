"""Evaluate a table of features."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd

from ..aggregation import aggregate
from ..columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER
from ..errors import InputError
from ..tables import Source, open_source
from . import metrics as evaluation
from .scores import score_predictions

log = logging.getLogger(__name__)

LEVELS = ("image", "well", "treatment")
TASKS = ("knn", "linear", "mlp", "silhouette", "map", "nsc", "nscb")
PLATE, WELL = f"{METADATA}Plate", f"{METADATA}Well"


def in_memory(frame: pd.DataFrame, path: Path) -> Source:
    """A table that is in memory already."""
    return Source(path, tuple(frame.columns), lambda columns: iter([frame[list(columns)]]))


def read_frame(source: Source, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A whole table in memory.

    Raises
    ------
    InputError
        If it has no rows.
    """
    chunks = list(source.chunks(columns))
    if not chunks:
        raise InputError(f"'{source.path}' has no rows")
    return pd.concat(chunks, ignore_index=True)


def aggregate_levels(
    source: Source,
    level: str,
    features: Sequence[str],
    treatment: Sequence[str] = (),
    statistic: str = "mean",
    least: int = 1,
    platemap: Path | None = None,
    on: Sequence[str] = (PLATE, WELL),
    listed: Sequence[str] = (),
) -> pd.DataFrame:
    """Objects to images, images to wells, wells to treatments, as far as asked (Xun et al. 2023, Methods).

    Parameters
    ----------
    source : Source
    level : {'image', 'well', 'treatment'}
    features : sequence of str
    treatment : sequence of str
        Columns of a treatment, such as compound and concentration.
    statistic : {'mean', 'median'}
    least : int
        Rows of the result with fewer objects are left out.
    platemap : Path, optional
        Table with a row per well, joined once wells are known.
    on : sequence of str
        Columns that it is joined on.
    listed : sequence of str
        Columns of the wells whose different values a treatment keeps, joined by spaces, such as its weeks
        (the batch of NSCB). Other columns that differ among the wells of a treatment are left out.

    Raises
    ------
    InputError
        If columns are missing.
    """
    if level not in LEVELS:
        raise InputError(f"level is '{level}': give one of {', '.join(LEVELS)}")
    if level == "treatment" and not treatment:
        raise InputError("level 'treatment' needs the columns of a treatment: --treatment Metadata_Compound,..")
    places = [name for name in (PLATE, WELL) if name in source.columns]
    image = [name for name in ("TableNumber", IMAGE_NUMBER) if name in source.columns]
    if level == "image" and not image:
        raise InputError(f"'{source.path}' has no column {IMAGE_NUMBER}: its rows cannot be told apart by image")
    if level != "image" and WELL not in places:
        raise InputError(f"'{source.path}' has no column {WELL}: add it, or rename the column that holds the well")
    steps = [[*places, *image]] if image else []
    if level != "image":
        steps.append(places)
    for number, by in enumerate(steps):
        last = number == len(steps) - 1
        frame = aggregate(source, by, features, statistic, least if last and level != "treatment" else 1)
        source = in_memory(frame, source.path)
    if platemap is not None:
        frame = join_platemap(frame, platemap, on)
        source = in_memory(frame, source.path)
    if level != "treatment":
        return frame
    result = aggregate(source, treatment, features, statistic, least)
    return result.assign(**_lists(frame, result, list(treatment), listed))


def _lists(frame: pd.DataFrame, result: pd.DataFrame, by: list[str], names: Sequence[str]) -> dict[str, list[str]]:
    """The different values of columns in each group, as words."""
    if missing := [name for name in names if name not in frame]:
        raise InputError(f"--list: the wells have no column {', '.join(missing)}")
    groups = frame.groupby(by, dropna=False)
    values = {name: groups[name].agg(lambda column: " ".join(sorted(set(map(str, column))))) for name in names}
    keys = pd.MultiIndex.from_frame(result[by]) if len(by) > 1 else pd.Index(result[by[0]])
    return {name: column.reindex(keys).tolist() for name, column in values.items()}


def join_platemap(frame: pd.DataFrame, path: Path, on: Sequence[str]) -> pd.DataFrame:
    """A table with the columns of a platemap, whose names get ``Metadata_`` before them where they lack it.

    Raises
    ------
    InputError
        If key columns are missing, a well stands twice in the platemap, or none fits.
    """
    platemap = read_frame(open_source(path))
    platemap = platemap.rename(columns=lambda name: name if name.startswith(METADATA) else f"{METADATA}{name}")
    for table, where in ((frame, "the table"), (platemap, f"'{path}'")):
        if missing := [name for name in on if name not in table]:
            raise InputError(f"{where} has no column {', '.join(missing)}: name the columns to join with --on")
    if (twice := platemap.duplicated(list(on))).any():
        raise InputError(f"'{path}' has {platemap.loc[twice, list(on)].iloc[0].tolist()} more than once")
    new = [name for name in platemap if name in on or name not in frame]
    joined = frame.astype(dict.fromkeys(on, str)).merge(
        platemap[new].astype(dict.fromkeys(on, str)), "left", list(on), indicator=True
    )
    if not (joined["_merge"] == "both").any():
        raise InputError(f"no well of the table is in '{path}' (such as {joined[list(on)].iloc[0].tolist()})")
    if (missing := joined["_merge"] == "left_only").any():
        first = joined.loc[missing, list(on)].iloc[0].tolist()
        log.warning("%d of %d wells are not in '%s' (such as %s)", missing.sum(), len(joined), path, first)
    return joined.drop(columns="_merge")


def combine(a: pd.DataFrame, b: pd.DataFrame, on: Sequence[str] | None = None) -> tuple[pd.DataFrame, int, int]:
    """Two tables of the same objects or wells side by side.

    Parameters
    ----------
    a, b : DataFrame
    on : sequence of str, optional
        Keys; by default image and object number, else plate and well, as far as both have them.

    Returns
    -------
    joined : DataFrame
        Rows that both have; columns of ``b`` that ``a`` has too are taken from ``a``.
    only_a, only_b : int
        Rows without a partner.

    Raises
    ------
    InputError
        If there is no common key, a key stands twice, or nothing fits.
    """
    if on is None:
        choices = (("TableNumber", IMAGE_NUMBER, OBJECT_NUMBER), (IMAGE_NUMBER, OBJECT_NUMBER), (PLATE, WELL), (WELL,))
        on = next((keys for keys in choices if set(keys) <= set(a) & set(b)), None)
        if on is None:
            raise InputError("the tables share no keys (ImageNumber and ObjectNumber, or plate and well): give --on")
    on = list(on)
    for frame, name in ((a, "first"), (b, "second")):
        if missing := [key for key in on if key not in frame]:
            raise InputError(f"the {name} table has no column {', '.join(missing)}")
        if frame.duplicated(on).any():
            row = ", ".join(map(str, frame.loc[frame.duplicated(on), on].iloc[0]))
            raise InputError(f"the {name} table has several rows for {', '.join(on)} = {row}: choose finer keys (--on)")
    for key in on:
        if pd.api.types.is_numeric_dtype(a[key]) is not pd.api.types.is_numeric_dtype(b[key]):
            raise InputError(f"{key} holds numbers in one table and words in the other: write it alike in both")
    joined = a.merge(b[[*on, *(name for name in b if name not in a)]], "inner", on)
    if not len(joined):
        raise InputError(f"no row of the two tables fits by {', '.join(on)}")
    return joined, len(a) - len(joined), len(b) - len(joined)


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
        Neighbours.
    metric : {'cosine', 'euclidean'}
        Of the neighbours: angles tell kinds of effect apart, distances effect from none.

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
            match = evaluation.not_same(values, labels, frame[compound].astype(str).to_numpy(), batches)
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

"""Aggregate objects to images, wells and treatments."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError, require_columns
from ..storage.paths import as_path
from .columns import IMAGE_NUMBER, PLATE, TABLE_NUMBER, WELL
from .features import select_features
from .formats import open_table, write_table
from .grouping import aggregate_groups
from .outputs import check_output
from .platemaps import join_platemap
from .source import FeatureTable, TableSource, in_memory, name_in_errors

LEVELS = ("image", "well", "treatment")


def aggregate(
    table: str | Path | pd.DataFrame | TableSource,
    level: str = "well",
    treatment: Sequence[str] = (),
    *,
    features: str | Sequence[str] = "all",
    statistic: str = "mean",
    min_objects: int = 1,
    platemap: str | Path | pd.DataFrame | None = None,
    on: Sequence[str] = (PLATE, WELL),
    keep_values: Sequence[str] = (),
    objects: str | None = None,
    out: str | Path | None = None,
) -> FeatureTable:
    """Aggregate objects to images, images to wells and wells to treatments (Xun et al. 2023, Methods).

    Each level is computed from the one below: a well is the mean (or median) of its images, not of all its objects.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`. It need not fit into memory.
    level : {'image', 'well', 'treatment'}
        What a row of the result describes.
    treatment : sequence of str
        With level ``treatment``: the columns that define a treatment, such as compound and concentration.
    features : str or sequence of str
        See :func:`.select_features`.
    statistic : {'mean', 'median'}
    min_objects : int
        Rows of the result with fewer objects are left out.
    platemap : str, Path or DataFrame, optional
        Table with a row per well, joined to the wells.
    on : sequence of str
        Columns that it is joined on.
    keep_values : sequence of str
        With level ``treatment``: columns of the wells whose different values a treatment keeps, joined by spaces, such
        as its weeks (the batch of NSCB). Other columns that differ among the wells of a treatment are left out.
    objects : str, optional
        Object set of a CellProfiler export.
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).

    Returns
    -------
    FeatureTable
        ``Metadata_Object_Count`` counts the objects behind each row.

    Raises
    ------
    InputError
        If an argument or the table cannot be used, or ``out`` cannot be written; checked before any work is done.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table, platemap))
    source = open_table(table, objects)
    names = select_features(source, features)
    with name_in_errors(table):
        _check_level(source, level, treatment)
        frame = _images_or_wells(source, level, names, statistic, 1 if level == "treatment" else min_objects)
        if platemap is not None:
            frame = join_platemap(frame, platemap, on)
        if level == "treatment":
            frame = _treatments(frame, source.path, treatment, names, statistic, min_objects, keep_values)
    if out is not None:
        write_table(frame, out, names)
    return FeatureTable(frame, names)


def _check_level(source: TableSource, level: str, treatment: Sequence[str]) -> None:
    if level not in LEVELS:
        raise InputError(f"`level` is '{level}': choose one of {', '.join(LEVELS)}")
    if level == "treatment" and not treatment:
        raise InputError("`level` treatment needs `treatment`: the columns that define one, such as Metadata_Compound")
    if level == "image" and IMAGE_NUMBER not in source.columns:
        raise InputError(f"'{source.path}' has no column {IMAGE_NUMBER}: its rows cannot be assigned to images")
    if level != "image" and WELL not in source.columns:
        raise InputError(f"'{source.path}' has no column {WELL}: add it, or rename the column that holds the well")


def _images_or_wells(
    source: TableSource, level: str, features: Sequence[str], statistic: str, min_objects: int
) -> pd.DataFrame:
    """Aggregate to images where the table knows them and, unless images are the level, on to wells."""
    well = [name for name in (PLATE, WELL) if name in source.columns]
    if IMAGE_NUMBER in source.columns:
        image = [*well, *(name for name in (TABLE_NUMBER, IMAGE_NUMBER) if name in source.columns)]
        if level == "image":
            return aggregate_groups(source, image, features, statistic, min_objects)
        source = in_memory(aggregate_groups(source, image, features, statistic), source.path)
    return aggregate_groups(source, well, features, statistic, min_objects)


def _treatments(
    wells: pd.DataFrame,
    path: Path,
    treatment: Sequence[str],
    features: Sequence[str],
    statistic: str,
    min_objects: int,
    keep_values: Sequence[str],
) -> pd.DataFrame:
    """Aggregate wells to treatments."""
    require_columns(wells, keep_values, "`keep_values`: the table of wells")
    treatment = list(treatment)
    result = aggregate_groups(in_memory(wells, path), treatment, features, statistic, min_objects)
    groups = wells.groupby(treatment, dropna=False)
    keys = pd.MultiIndex.from_frame(result[treatment]) if len(treatment) > 1 else pd.Index(result[treatment[0]])
    values = {name: groups[name].agg(lambda column: " ".join(sorted(set(map(str, column))))) for name in keep_values}
    return result.assign(**{name: column.reindex(keys).tolist() for name, column in values.items()})

"""Join tables with platemaps and with each other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import InputError, require_columns
from ..storage.paths import as_path
from .columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER, PLATE, TABLE_NUMBER, WELL
from .features import select_features
from .formats import check_output, open_table, write_table
from .source import FeatureTable, TableSource, name_in_errors, read_frame

log = logging.getLogger(__name__)

KEYS = ((TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER), (IMAGE_NUMBER, OBJECT_NUMBER), (PLATE, WELL), (WELL,))
"""Columns that two tables are joined on, the first ones that both have."""


def join_platemap(frame: pd.DataFrame, platemap: str | Path | pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    """Add the columns of a platemap to a table of wells.

    Parameters
    ----------
    frame : DataFrame
    platemap : str, Path or DataFrame
        Table with a row per well. Its column names get the prefix ``Metadata_`` where they lack it. Wells of ``frame``
        that it lacks stay, without its values, and are logged as a warning.
    on : sequence of str
        Columns to join on; compared as text.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If key columns are missing, the platemap has several rows for a well, or no well is in both.
    """
    source, on = open_table(platemap), list(on)
    layout = read_frame(source).rename(columns=lambda name: name if name.startswith(METADATA) else METADATA + name)
    for table, where in ((frame, "the table"), (layout, f"'{source.path}'")):
        require_columns(table, on, f"`on`: {where}")
    if (repeated := layout.duplicated(on)).any():
        raise InputError(f"'{source.path}' has {layout.loc[repeated, on].iloc[0].tolist()} more than once")
    added = [name for name in layout if name in on or name not in frame]
    text = dict.fromkeys(on, str)
    joined = frame.astype(text).merge(layout[added].astype(text), "left", on, indicator=True)
    if not (joined["_merge"] == "both").any():
        raise InputError(f"no well of the table is in '{source.path}' (such as {joined[on].iloc[0].tolist()})")
    if (missing := joined["_merge"] == "left_only").any():
        first = joined.loc[missing, on].iloc[0].tolist()
        log.warning("%d of %d wells are not in '%s' (such as %s)", missing.sum(), len(joined), source.path, first)
    return joined.drop(columns="_merge")


@dataclass(frozen=True)
class CombinedTable(FeatureTable):
    """Two tables side by side.

    Attributes
    ----------
    frame : DataFrame
        Rows that both have. Columns that both have are taken from the first.
    features : list of str
    unmatched : tuple of two int
        Numbers of rows of the first and of the second table that the other one lacks.
    """

    unmatched: tuple[int, int]


def combine(
    first: str | Path | pd.DataFrame | TableSource,
    second: str | Path | pd.DataFrame | TableSource,
    on: Sequence[str] | None = None,
    *,
    objects: str | None = None,
    out: str | Path | None = None,
) -> CombinedTable:
    """Join two tables of the same objects or wells, such as Microsnoop's and CellProfiler's columns.

    Parameters
    ----------
    first, second : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    on : sequence of str, optional
        Key columns; by default image and object number, else plate and well, as far as both have them.
    objects : str, optional
        Object set of a CellProfiler export.
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).

    Returns
    -------
    CombinedTable

    Raises
    ------
    InputError
        If there is no common key, a table has several rows for a key, no key is in both, or ``out`` cannot be written.
    """
    if out is not None:
        check_output(as_path(out))
    sources = [open_table(table, objects) for table in (first, second)]
    features = list(dict.fromkeys(name for source in sources for name in select_features(source)))
    a, b = (read_frame(source) for source in sources)
    with name_in_errors(first, second):
        joined = join_tables(a, b, on)
    if out is not None:
        write_table(joined, out, features)
    return CombinedTable(joined, features, (len(a) - len(joined), len(b) - len(joined)))


def join_tables(a: pd.DataFrame, b: pd.DataFrame, on: Sequence[str] | None = None) -> pd.DataFrame:
    """Return the rows that two tables share, with the columns of both.

    Parameters
    ----------
    a, b : DataFrame
    on : sequence of str, optional
        Key columns; by default the first of :data:`KEYS` that both have.

    Returns
    -------
    DataFrame
        In the order of ``a``; columns that both have are taken from ``a``.

    Raises
    ------
    InputError
        If there is no common key, a table has several rows for a key, or no key is in both.
    """
    if on is None:
        on = next((keys for keys in KEYS if set(keys) <= set(a) & set(b)), None)
        if on is None:
            raise InputError(
                "the tables share no keys (ImageNumber and ObjectNumber, or plate and well): name key columns with `on`"
            )
    on = list(on)
    for frame, name in ((a, "first"), (b, "second")):
        require_columns(frame, on, f"`on`: the {name} table")
        if (repeated := frame.duplicated(on)).any():
            row = ", ".join(map(str, frame.loc[repeated, on].iloc[0]))
            raise InputError(
                f"the {name} table has several rows for {', '.join(on)} = {row}: choose finer key columns with `on`"
            )
    for key in on:
        if pd.api.types.is_numeric_dtype(a[key]) is not pd.api.types.is_numeric_dtype(b[key]):
            raise InputError(f"{key} holds numbers in one table and words in the other: write it alike in both")
    joined = a.merge(b[[*on, *(name for name in b if name not in a)]], "inner", on)
    if not len(joined):
        raise InputError(f"no {', '.join(on)} is in both tables")
    return joined

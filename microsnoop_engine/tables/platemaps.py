"""Read platemaps and add what they say to a table of wells."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, listing, require_columns
from ..storage.paths import path_kind
from .column_types import is_identifier
from .columns import METADATA, PLATE, WELL
from .formats import open_table
from .keys import key_column, key_rows
from .source import read_frame
from .wells import is_well_column

log = logging.getLogger(__name__)

_BARCODES = ("metadata_assay_plate_barcode", "metadata_barcode", "metadata_plate_barcode")
_MAP_NAME = "metadata_plate_map_name"


def join_platemap(frame: pd.DataFrame, platemap: str | Path | pd.DataFrame, on: Sequence[str]) -> pd.DataFrame:
    """Add the columns of a platemap to a table of wells.

    Parameters
    ----------
    frame : DataFrame
    platemap : str, Path or DataFrame
        Table with a row per well. Its column names get the prefix ``Metadata_`` where they lack it. Or the Broad
        Institute's ``barcode_platemap.csv``, with the maps that it names in the folder ``platemap`` beside it. Wells of
        ``frame`` that it lacks stay, without its values, and are logged as a warning. So are columns that the table has
        with other values, which the platemap's replace.
    on : sequence of str
        Columns to join on, compared by value (see :mod:`.keys`); ``Plate=Metadata_Plate`` where platemap and table call
        one differently.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If key columns are missing, the platemap has several rows for a well, or no well is in both.
    """
    layout, path = read_platemap(platemap)
    ours, theirs = _key_columns(frame, layout, on, path)
    layout = layout.dropna(how="all", subset=theirs)
    keys = key_rows(layout, theirs)
    if (repeated := keys.duplicated()).any():
        raise InputError(f"'{path}' has {list(keys[repeated][0])} more than once")
    wells = key_rows(frame, ours)
    rows = keys.get_indexer(wells)
    known = rows >= 0
    if not known.any():
        raise InputError(f"no well of the table is in '{path}' (such as {list(wells[0])}){_hint(keys)}")
    if not known.all():
        first = list(wells[~known][0])
        log.warning("%d of %d wells are not in '%s' (such as %s)", (~known).sum(), len(frame), path, first)
    joined = frame.copy()
    for name in layout.columns.difference(theirs, sort=False):
        if name in ours:
            continue
        values = _taken(layout[name], rows, frame.index)
        if name in frame:
            _warn_of_other_values(frame[name], values, known, name, path, wells)
            values = _replaced(frame[name], values, known)
        joined[name] = values
    return joined


def read_platemap(platemap: str | Path | pd.DataFrame) -> tuple[pd.DataFrame, Path]:
    """Read a platemap, with the prefix ``Metadata_`` before all names of columns.

    Returns
    -------
    layout : DataFrame
    path : Path
        The platemap as messages name it.

    Raises
    ------
    InputError
        If it cannot be read, or names maps that are not there.
    """
    source = open_table(platemap)
    layout = _named(read_frame(source))
    by_lower = {name.lower(): name for name in map(str, layout)}
    barcode = next((by_lower[name] for name in _BARCODES if name in by_lower), None)
    if barcode and _MAP_NAME in by_lower and not any(map(is_well_column, map(str, layout))):
        layout = _broad_maps(layout, barcode, by_lower[_MAP_NAME], source.path)
    if WELL not in layout and len(wells := [name for name in map(str, layout) if is_well_column(name)]) == 1:
        layout = layout.rename(columns={wells[0]: WELL})
    _warn_of_words(layout, source.path)
    return layout, source.path


def _named(layout: pd.DataFrame) -> pd.DataFrame:
    return layout.rename(columns=lambda name: name if name.startswith(METADATA) else METADATA + name)


def _broad_maps(barcodes: pd.DataFrame, barcode: str, map_name: str, path: Path) -> pd.DataFrame:
    """Join the maps that a list of barcodes names: a row per plate and well."""
    folders, maps = (path.parent / "platemap", path.parent / "platemaps", path.parent), {}
    for name in barcodes[map_name].dropna().unique():
        candidates = [folder / f"{name}{ending}" for folder in folders for ending in (".txt", ".csv", ".tsv", "")]
        file = next((file for file in candidates if path_kind(file) == "file"), None)
        if file is None:
            raise InputError(f"'{path}' names the map {name}, which is not there: add '{candidates[0]}'")
        maps[name] = _named(read_frame(open_table(file)))
    plates = [
        maps[row[map_name]].assign(**{PLATE: row[barcode]})
        for _, row in barcodes.dropna(subset=[barcode, map_name]).iterrows()
    ]
    return pd.concat(plates, ignore_index=True)


def _key_columns(
    frame: pd.DataFrame, layout: pd.DataFrame, on: Sequence[str], path: Path
) -> tuple[list[str], list[str]]:
    """Return the key columns of the table, and those of the platemap."""
    ours, theirs = [], []
    for word in on:
        first, _, second = word.partition("=")
        pair = (second or first), first
        if second and (_with_prefix(first, layout) is None or second not in frame):
            pair = first, second
        ours.append(pair[0])
        theirs.append(_with_prefix(pair[1], layout) or pair[1])
    require_columns(frame, ours, "`on`: the table")
    require_columns(layout, theirs, f"`on`: '{path}'")
    return ours, theirs


def _with_prefix(name: str, layout: pd.DataFrame) -> str | None:
    return next((known for known in (name, METADATA + name) if known in layout), None)


def _hint(keys: pd.MultiIndex) -> str:
    return f"; it has {listing([list(key) for key in keys[:2]])}: write plates and wells alike in both"


def _taken(column: pd.Series, rows: NDArray[Any], index: pd.Index) -> pd.Series:
    """Return the values of a column at some rows, missing ones where the row is -1."""
    known = rows >= 0
    if known.all():
        return pd.Series(column.array.take(rows), index)
    if column.dtype.kind == "b" and column.dtype == bool:
        column = column.astype("boolean")
    if isinstance(column.dtype, np.dtype) and column.dtype.kind in "iu":
        column = column.astype("Int64")
    return pd.Series(column.array.take(rows, allow_fill=True), index)


def _warn_of_other_values(
    table: pd.Series, values: pd.Series, known: NDArray[Any], name: str, path: Path, wells: pd.MultiIndex
) -> None:
    other = (key_column(table).fillna("") != key_column(values.rename(name)).fillna("")).to_numpy() & known
    if other.any():
        first = int(other.argmax())
        log.warning(
            "%s differs between the table and '%s' in %d of %d wells (%s: %s and %s); the platemap's is used",
            name,
            path,
            other.sum(),
            known.sum(),
            list(wells[first]),
            table.iloc[first],
            values.iloc[first],
        )


def _replaced(table: pd.Series, values: pd.Series, known: NDArray[Any]) -> pd.Series:
    if known.all():
        return values
    return values.astype(object).where(known, table.astype(object)).infer_objects()


def _warn_of_words(layout: pd.DataFrame, path: Path) -> None:
    """Name the words in columns that hold numbers else, such as a decimal comma."""
    for name in layout:
        if layout[name].dtype != object or is_identifier(str(name)):
            continue
        values = layout[name].dropna().astype(str)
        words = pd.to_numeric(values, errors="coerce").isna()
        if words.any() and not words.all() and words.mean() <= 0.5:
            row: Any = words.idxmax()
            log.warning(
                "'%s', column %s: '%s' in data row %d is no number, so the whole column counts as words; write numbers "
                "with a point",
                path,
                str(name).removeprefix(METADATA),
                values[row],
                row + 1,
            )

"""Read only the rows of a table that a query describes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import InputError, counted, require_columns
from ..storage.paths import path_kind
from .columns import IMAGE_NUMBER, OBJECT_NUMBER
from .csv_files import open_csv
from .file_names import FLAGGED_OBJECTS, IMAGE_QUALITY
from .object_flags import OBJECT_FLAGS, read_flagged_objects
from .queries import query_columns, select_rows
from .source import TableSource, read_frame

log = logging.getLogger(__name__)


def select(source: TableSource, query: str) -> TableSource:
    """Keep the rows of a table that a query describes.

    Parameters
    ----------
    source : TableSource
    query : str
        See :func:`.select_rows`. Columns that the table lacks are looked up beside it: ``Metadata_QC_ObjectFlags`` by
        ImageNumber and ObjectNumber in ``object_flags.csv``, others by ImageNumber in ``quality.csv``.

    Returns
    -------
    TableSource
        Its chunks hold these rows alone; how many they are is logged.

    Raises
    ------
    InputError
        If the query cannot be read or names no such column, or no row is left.
    """
    named = query_columns(query)
    further = [name for name in named if name not in source.columns]
    beside = _tables_beside(source, further)
    own = [name for name in named if name not in further]
    own = list(dict.fromkeys([*own, *(key for keys, _ in beside for key in keys)]))
    if not own:
        raise InputError(f'the query "{query}" names no column')

    def rows(chunk: pd.DataFrame) -> pd.Series:
        known = chunk
        for keys, table in beside:
            known = known.join(table.set_index(keys), on=keys)
        return pd.Series(select_rows(known, query), chunk.index)

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for chunk in source.chunks(list(dict.fromkeys([*columns, *own]))):
            yield chunk.loc[rows(chunk), list(columns)]

    total, parts = 0, []
    for chunk in source.chunks(own):
        parts.append(total + np.flatnonzero(rows(chunk)))
        total += len(chunk)
    kept = np.concatenate(parts) if parts else np.array([], np.intp)
    if not len(kept):
        raise InputError(f"'{source.path}': none of the {counted(total, 'rows')} satisfies the query \"{query}\"")
    log.info("'%s': %d of %d rows are left out by the query", source.path, total - len(kept), total)
    return replace(source, read=read, rows=kept if source.rows is None else source.rows[kept])


def _tables_beside(source: TableSource, names: Sequence[str]) -> list[tuple[list[str], pd.DataFrame]]:
    """Return columns of objects and of image sets, each table with its keys."""
    tables = []
    keys = [IMAGE_NUMBER, OBJECT_NUMBER]
    if OBJECT_FLAGS in names and set(keys) <= set(source.columns):
        objects = source.path.parent / FLAGGED_OBJECTS
        if path_kind(objects) == "file":
            names = [name for name in names if name != OBJECT_FLAGS]
            tables.append((keys, read_flagged_objects(objects)[[*keys, OBJECT_FLAGS]]))
    if names:
        tables.append(([IMAGE_NUMBER], _image_columns(source, names)))
    return tables


def _image_columns(source: TableSource, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of the image sets, with their ImageNumber."""
    path = source.path.parent / IMAGE_QUALITY
    if IMAGE_NUMBER not in source.columns or path_kind(path) != "file":
        require_columns(source.columns, names, f"'{source.path}'")
    images = open_csv(path)
    require_columns([*source.columns, *images.columns], names, f"'{source.path}', with '{path}',")
    return read_frame(images, [IMAGE_NUMBER, *names])

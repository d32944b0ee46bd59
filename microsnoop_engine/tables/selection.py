"""Read only the rows of a table that a query describes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from ..errors import InputError, require_columns
from ..storage.paths import path_kind
from .columns import IMAGE_NUMBER
from .csv_files import open_csv
from .queries import query_columns, select_rows
from .source import TableSource, read_frame

log = logging.getLogger(__name__)

IMAGE_QUALITY = "quality.csv"
"""Beside the table of a run: the quality and flags of its image sets, which queries may name too."""


def select(source: TableSource, query: str) -> TableSource:
    """Keep the rows of a table that a query describes.

    Parameters
    ----------
    source : TableSource
    query : str
        See :func:`.select_rows`. Columns that the table lacks are looked up by ImageNumber in ``quality.csv`` beside
        it.

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
    images = _image_columns(source, further) if further else None
    own = [name for name in named if name not in further]
    if images is not None and IMAGE_NUMBER not in own:
        own.append(IMAGE_NUMBER)
    if not own:
        raise InputError(f'the query "{query}" names no column')

    def rows(chunk: pd.DataFrame) -> pd.Series:
        known = chunk if images is None else chunk.join(images, on=IMAGE_NUMBER)
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
        raise InputError(f"'{source.path}': none of the {total} rows satisfies the query \"{query}\"")
    log.info("'%s': %d of %d rows are left out by the query", source.path, total - len(kept), total)
    return replace(source, read=read, rows=kept if source.rows is None else source.rows[kept])


def _image_columns(source: TableSource, names: Sequence[str]) -> pd.DataFrame:
    """Return columns of the image sets by ImageNumber."""
    path = source.path.parent / IMAGE_QUALITY
    if IMAGE_NUMBER not in source.columns or path_kind(path) != "file":
        require_columns(source.columns, names, f"'{source.path}'")
    images = open_csv(path)
    require_columns([*source.columns, *images.columns], names, f"'{source.path}', with '{path}',")
    return read_frame(images, [IMAGE_NUMBER, *names]).set_index(IMAGE_NUMBER)

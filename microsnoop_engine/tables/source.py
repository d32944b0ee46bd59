"""Tables that are read in chunks, so that they need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from .provenance import Provenance

CHUNK_BYTES = 64 << 20
"""Approximate size of a chunk in memory."""


@dataclass(frozen=True)
class TableSource:
    """A table on disk.

    Attributes
    ----------
    path : Path
        Where it is, as messages name it.
    columns : tuple of str
    read : callable
        Takes names of columns; yields chunks (``pandas.DataFrame``) of them, in the order of the rows.
    features : tuple of str, optional
        The columns that the file itself declares to be features (X of AnnData); None where it declares none.
    provenance : Provenance
        How its features were computed, as far as the file says so.
    rows : array (n,), int, optional
        The numbers of the rows in the file, where a query selects some of them.
    """

    path: Path
    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[pd.DataFrame]]
    features: tuple[str, ...] | None = None
    provenance: Provenance = ()
    rows: NDArray[np.intp] | None = None

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Read the table in chunks.

        Parameters
        ----------
        columns : sequence of str, optional
            By default all.

        Returns
        -------
        iterator of DataFrame

        Raises
        ------
        InputError
            If there is no such column, or the file is damaged.
        """
        names = list(self.columns if columns is None else columns)
        require_columns(self.columns, names, f"'{self.path}'")
        return self.read(names)


@dataclass(frozen=True)
class FeatureTable:
    """A table in memory and its feature columns.

    Attributes
    ----------
    frame : DataFrame
    features : list of str
        The columns of ``frame`` that are features.
    """

    frame: pd.DataFrame
    features: list[str]


def in_memory(frame: pd.DataFrame, path: Path = Path("DataFrame")) -> TableSource:
    """Wrap a table that is in memory already; messages name it by ``path``."""
    return TableSource(path, tuple(frame.columns), lambda columns: iter([frame[list(columns)]]))


def read_frame(source: TableSource, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """Read a table into memory.

    Parameters
    ----------
    source : TableSource
    columns : sequence of str, optional
        By default all.

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If it has no rows.
    """
    chunks = list(source.chunks(columns))
    if not chunks:
        raise InputError(f"'{source.path}' has no rows")
    frame = pd.concat(chunks, ignore_index=True)
    chunks.clear()
    pa.default_memory_pool().release_unused()  # Arrow keeps what it read, as much as the table again
    return frame


def rows_per_chunk(columns: int) -> int:
    """Return the number of rows of a chunk with this number of columns."""
    return max(CHUNK_BYTES // (8 * max(columns, 1)), 256)


@contextmanager
def name_in_errors(*tables: object) -> Iterator[None]:
    """Put the paths of tables before the message of an :class:`.InputError` that names none of them.

    Parameters
    ----------
    *tables : object
        The tables that the block works on, as a caller gave them; those that are no paths are skipped.
    """
    paths = [str(table) for table in tables if isinstance(table, str | Path) or hasattr(table, "__fspath__")]
    try:
        yield
    except InputError as error:
        if not paths or any(path in str(error) for path in paths):
            raise
        names = " and ".join(f"'{path}'" for path in paths)
        raise InputError(f"{names}: {error}") from None

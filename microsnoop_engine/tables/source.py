"""Read tables in chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..errors import InputError

if TYPE_CHECKING:
    pass


def in_memory(frame: pd.DataFrame, path: Path) -> TableSource:
    """A table that is in memory already."""
    return TableSource(path, tuple(frame.columns), lambda columns: iter([frame[list(columns)]]))


def read_frame(source: TableSource, columns: Sequence[str] | None = None) -> pd.DataFrame:
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


CHUNK_BYTES = 64 << 20
"""About what a chunk takes in memory."""


@dataclass(frozen=True)
class TableSource:
    """A table on disk.

    Attributes
    ----------
    path : Path
    columns : tuple of str
    read : callable
        Chunks (``pandas.DataFrame``) of the columns that it is given, in order, read one after the other.
    """

    path: Path
    columns: tuple[str, ...]
    read: Callable[[Sequence[str]], Iterator[pd.DataFrame]]

    def chunks(self, columns: Sequence[str] | None = None) -> Iterator[pd.DataFrame]:
        """Chunks with these columns (default: all).

        Raises
        ------
        InputError
            If there is no such column, or the file is damaged.
        """
        columns = list(self.columns if columns is None else columns)
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise InputError(
                f"'{self.path}' has no column {', '.join(missing[:5])}; it has {', '.join(self.columns[:10])}, .."
            )
        return self.read(columns)


def rows_of(columns: int) -> int:
    """Rows of a chunk with so many columns."""
    return max(CHUNK_BYTES // (8 * max(columns, 1)), 256)

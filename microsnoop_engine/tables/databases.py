"""Read and write tables of SQLite files."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, first_line
from ..storage.atomic import atomic_path
from ..storage.paths import is_remote
from .column_types import plain_frame
from .provenance import CROPS, KEYS, Computed, Provenance
from .source import rows_per_chunk

TABLE_NAME = "profiles"
"""The table that is written."""
PROVENANCE = "profiles_provenance"
"""The table beside it: weights and precision, a row for each network, and how many rows were written."""
MOST_COLUMNS = 2000
"""Most columns of a table in SQLite as it is commonly built."""


class Database:
    """An SQLite file, opened for each query.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def _query(self, query: str) -> Iterator[list[tuple[Any, ...]]]:
        """Yield the rows of a query, a chunk at a time."""
        with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            size = rows_per_chunk(len(cursor.description))
            while rows := cursor.fetchmany(size):
                yield rows

    def tables(self) -> list[str]:
        """List the names of the tables; of the views, if there is no table.

        A view repeats what tables hold, and one of too many columns cannot be read.
        """
        for kind in ("table", "view"):
            chunks = self._query(
                f"SELECT name FROM sqlite_master WHERE type = '{kind}' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' "
                f"AND name <> '{PROVENANCE}'"
            )
            if names := [str(row[0]) for rows in chunks for row in rows]:
                return names
        return []

    def columns(self, table: str) -> dict[str, str]:
        """Return the names of the columns of a table, with their declared types in capitals.

        Raises
        ------
        sqlite3.DatabaseError
            If the table cannot be read, such as a view of too many columns.
        """
        info = self._query(f"PRAGMA table_info({_quoted(table)})")
        return {str(row[1]): str(row[2]).upper() for rows in info for row in rows}

    def rows(self, table: str, names: Sequence[str], order: Sequence[str] = ()) -> Iterator[pd.DataFrame]:
        """Yield chunks of some columns, sorted by others.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        selected = ", ".join(map(_quoted, names))
        sorting = f" ORDER BY {', '.join(map(_quoted, order))}" if order else ""
        try:
            declared = self.columns(table)
            for rows in self._query(f"SELECT {selected} FROM {_quoted(table)}{sorting}"):
                yield plain_frame(pd.DataFrame(rows, columns=list(names), dtype=object), declared)
        except sqlite3.DatabaseError as error:
            raise InputError(f"'{self._path}', table {table}: {error}; export it again") from None

    def provenance(self) -> Provenance:
        """Return how the learned features of the table ``profiles`` were computed.

        It is empty if that is not known, or the table has other rows than were written.
        """
        there, columns = self.columns(PROVENANCE), ["rows", *KEYS]
        if not set(columns) <= there.keys():
            return ()
        columns += [CROPS] if CROPS in there else []
        (rows,) = next(self._query(f"SELECT COUNT(*) FROM {TABLE_NAME}"))[0]
        kept = [row for chunk in self._query(f"SELECT {', '.join(columns)} FROM {PROVENANCE}") for row in chunk]
        return tuple(Computed(*map(str, values)) for written, *values in kept if written == rows)


def write_database(frame: pd.DataFrame, path: Path, provenance: Provenance = ()) -> None:
    """Write a table into an SQLite file, whole or not at all; other tables of an existing file stay.

    Parameters
    ----------
    frame : DataFrame
    path : Path
        New, or an SQLite file, which gains or replaces the table ``profiles``.
    provenance : Provenance
        How the learned features were computed, for the table ``profiles_provenance``.

    Raises
    ------
    InputError
        If the table has too many columns, or the file is there and no SQLite file.
    """
    if len(frame.columns) > MOST_COLUMNS:
        raise InputError(
            f"SQLite holds at most {MOST_COLUMNS} columns, the table has {len(frame.columns)}: write .parquet"
        )
    with atomic_path(path) as temporary, closing(sqlite3.connect(temporary)) as connection:
        if not is_remote(path) and path.exists() and path.stat().st_size:
            try:
                with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as existing:
                    existing.backup(connection)
            except sqlite3.DatabaseError as error:
                raise InputError(
                    f"'{path}' is there and no SQLite file ({first_line(error)}): choose another name"
                ) from None
        with connection:
            truths = {name: "BOOLEAN" for name in frame if pd.api.types.is_bool_dtype(frame[name])}
            frame.to_sql(TABLE_NAME, connection, index=False, chunksize=1000, if_exists="replace", dtype=truths)
            connection.execute(f"DROP TABLE IF EXISTS {PROVENANCE}")
            if provenance:
                kept = pd.DataFrame([{"rows": len(frame), **asdict(computed)} for computed in provenance])
                kept.to_sql(PROVENANCE, connection, index=False)


def _quoted(name: str) -> str:
    doubled = name.replace('"', '""')
    return f'"{doubled}"'

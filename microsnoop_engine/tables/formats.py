"""Open and write tables of every supported format."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pandas as pd

from ..errors import InputError, first_line
from ..storage.atomic import atomic_path
from ..storage.paths import as_path, is_remote, path_kind
from .csv_files import CSV, open_csv
from .parquet_files import TABLE, open_parquet, table_files
from .source import TableSource, in_memory

PARQUET = (".parquet", ".pq")
SQLITE = (".sqlite", ".sqlite3", ".db", ".db3")
FORMATS = (".parquet", ".csv", ".csv.gz", ".sqlite", ".h5ad")
"""Endings of the files that can be written."""
SQLITE_COLUMNS = 2000
"""Most columns of a table in SQLite as it is commonly built."""


def open_table(table: str | Path | pd.DataFrame | TableSource, objects: str | None = None) -> TableSource:
    """Open a table of any program, to be read in chunks.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        A path: an output folder of ``microsnoop profile``; a .parquet file or data set; a .csv, .csv.gz or .tsv file;
        a folder of CellProfiler's ExportToSpreadsheet (..Image.csv, ..Nuclei.csv, ..); an SQLite file of its
        ExportToDatabase; an .h5ad file (AnnData). Or a table that is in memory or open already.
    objects : str, optional
        Object set of a CellProfiler export whose rows to read; by default the one that all others are parents of
        (such as Cytoplasm).

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If there is nothing at the path, or no such table.
    """
    if isinstance(table, TableSource):
        return table
    if isinstance(table, pd.DataFrame):
        return in_memory(table)
    path = as_path(table)
    if path_kind(path) is None:
        raise InputError(f"there is no file or folder '{path}'")
    if path_kind(path / TABLE) == "folder":
        path = path / TABLE
    name = path.name.lower()
    if is_remote(path) and not name.endswith((*PARQUET, *CSV)):
        raise InputError(f"'{path}': only Parquet and CSV tables are read from a store: copy the table to a disk")
    folder = path_kind(path) == "folder"
    if folder and not name.endswith(PARQUET) and not table_files(path):
        from .cellprofiler_exports import open_csv_folder

        return open_csv_folder(path, objects)
    if folder or name.endswith(PARQUET):
        return open_parquet(path)
    if name.endswith(CSV):
        return open_csv(path)
    if name.endswith(SQLITE):
        from .cellprofiler_exports import open_sqlite

        return open_sqlite(path, objects)
    if name.endswith(".h5ad"):
        from .anndata_files import open_h5ad

        return open_h5ad(path)
    raise InputError(
        f"'{path}' is no table that can be read: choose a .parquet, .csv, .csv.gz, .sqlite or .h5ad file, or a folder"
    )


def write_table(frame: pd.DataFrame, path: str | Path, features: Sequence[str]) -> Path:
    """Write a table, whole or not at all, in the format that its name ends in.

    Parameters
    ----------
    frame : DataFrame
    path : str or Path
        Ends in .parquet, .csv, .csv.gz, .sqlite (table ``profiles``) or .h5ad.
    features : sequence of str
        The columns that are features: X of an .h5ad file.

    Returns
    -------
    Path

    Raises
    ------
    InputError
        If the name ends differently, or nothing can be written there.
    """
    path = as_path(path)
    ending = check_output(path)
    try:
        if ending == ".h5ad":
            from .anndata_files import write_h5ad

            write_h5ad(frame, features, path)
            return path
        with atomic_path(path) as temporary:
            if ending == ".parquet":
                frame.to_parquet(temporary, index=False)
            elif ending == ".sqlite":
                _write_sqlite(frame, temporary)
            else:
                frame.to_csv(temporary, index=False, compression="gzip" if ending == ".csv.gz" else None)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror or first_line(error)}") from None
    return path


def check_output(path: Path, formats: Sequence[str] = FORMATS) -> str:
    """Check that a file can be written, and make its folder.

    Parameters
    ----------
    path : Path
    formats : sequence of str
        Endings that its name may have.

    Returns
    -------
    str
        The ending.

    Raises
    ------
    InputError
        If it has none of them, is a folder, or nothing can be written there.
    """
    ending = next((ending for ending in formats if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise InputError(f"'{path}': choose a name that ends in {', '.join(formats)}")
    if path_kind(path) == "folder":
        raise InputError(f"'{path}' is a folder: choose another name for the file")
    if is_remote(path):
        return ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise InputError(f"'{path}' cannot be written ({reason}): choose another folder") from None
    return ending


def _write_sqlite(frame: pd.DataFrame, path: Path) -> None:
    if len(frame.columns) > SQLITE_COLUMNS:
        raise InputError(
            f"SQLite holds at most {SQLITE_COLUMNS} columns, the table has {len(frame.columns)}: write .parquet"
        )
    with closing(sqlite3.connect(path)) as connection, connection:
        frame.to_sql("profiles", connection, index=False, chunksize=1000)

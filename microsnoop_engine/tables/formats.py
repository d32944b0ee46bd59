"""Open and write tables of every supported format."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..errors import InputError, first_line
from ..storage.atomic import atomic_path
from ..storage.paths import as_path, is_remote, path_kind
from .parquet_files import TABLE, table_files

if TYPE_CHECKING:
    pass
from .csv_files import CSV, open_csv
from .parquet_files import open_parquet
from .source import TableSource


def open_table(path: str | Path, objects: str | None = None) -> TableSource:
    """The table at a path.

    Parameters
    ----------
    path : str or Path
        An output folder of ``microsnoop profile``; a .parquet file or data set; a .csv, .csv.gz or .tsv file; a folder
        of CellProfiler's ExportToSpreadsheet (..Image.csv, ..Nuclei.csv, ..); an SQLite file of its ExportToDatabase;
        an .h5ad file (AnnData).
    objects : str, optional
        Of a CellProfiler export: the object set whose rows are wanted; by default the one that all others are parents
        of (such as Cytoplasm).

    Raises
    ------
    InputError
        If there is nothing, or it is none of these.
    """
    path = as_path(path)
    if path_kind(path) is None:
        raise InputError(f"there is no file or folder '{path}'")
    if path_kind(path / TABLE) == "folder":
        path = path / TABLE
    name = path.name.lower()
    if is_remote(path) and not name.endswith((".parquet", ".pq", *CSV)):
        raise InputError(f"'{path}': of tables in a store, only Parquet and CSV are read: copy it to a disk")
    folder = path_kind(path) == "folder"
    if folder and not name.endswith((".parquet", ".pq")) and not table_files(path):
        from .cellprofiler_exports import open_csv_folder

        return open_csv_folder(path, objects)
    if folder or name.endswith((".parquet", ".pq")):
        return open_parquet(path)
    if name.endswith(CSV):
        return open_csv(path)
    if name.endswith((".sqlite", ".sqlite3", ".db", ".db3")):
        from .cellprofiler_exports import open_sqlite

        return open_sqlite(path, objects)
    if name.endswith(".h5ad"):
        from .anndata_files import open_h5ad

        return open_h5ad(path)
    raise InputError(f"'{path}' is no table that can be read: give .parquet, .csv, .csv.gz, .sqlite, .h5ad or a folder")


FORMATS = (".parquet", ".csv", ".csv.gz", ".sqlite", ".h5ad")


def write_table(frame: pd.DataFrame, path: str | Path, features: Sequence[str]) -> Path:
    """Write a table that fits into memory, in one step, in the format that the path ends in.

    Parameters
    ----------
    frame : DataFrame
    path : str or Path
        Ends in .parquet, .csv, .csv.gz, .sqlite (table ``profiles``) or .h5ad.
    features : sequence of str
        The columns that are features.

    Raises
    ------
    InputError
        If the ending is another one.
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
    """The one of these endings that a file to be written has; its folder is made.

    Raises
    ------
    InputError
        If it has none of them, is a folder, or nothing can be written there.
    """
    ending = next((ending for ending in formats if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise InputError(f"'{path}': give a name that ends in {', '.join(formats)}")
    if path_kind(path) == "folder":
        raise InputError(f"'{path}' is a folder: give another name for the table")
    if is_remote(path):
        return ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise InputError(f"'{path}' cannot be written ({reason}): choose another place") from None
    return ending


def _write_sqlite(frame: pd.DataFrame, path: Path) -> None:
    import sqlite3
    from contextlib import closing

    if len(frame.columns) > 2000:
        raise InputError(f"SQLite holds at most 2000 columns, the table has {len(frame.columns)}: write .parquet")
    with closing(sqlite3.connect(path)) as connection, connection:
        frame.to_sql("profiles", connection, index=False, chunksize=1000)

"""Open and write tables of every supported format."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeGuard

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from ..errors import InputError, first_line
from ..storage.atomic import atomic_path
from ..storage.paths import as_path, is_remote, path_kind, read_if_there
from .conventions import conventional
from .csv_files import CSV, open_csv
from .features import provenance_of
from .file_names import TABLE
from .mudata_files import is_modality
from .outputs import check_output
from .parquet_files import holds_parquet, open_parquet
from .provenance import Provenance, as_metadata, write_beside
from .selection import select
from .source import TableSource, in_memory

PARQUET = (".parquet", ".pq")
FEATHER = (".feather", ".arrow")
SQLITE = (".sqlite", ".sqlite3", ".db", ".db3")


def open_table(
    table: str | Path | pd.DataFrame | TableSource, objects: str | None = None, where: str | None = None
) -> TableSource:
    """Open a table of any program, to be read in chunks.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        A path: an output folder of ``microsnoop profile``; a .parquet or .feather file or a Parquet data set; a .csv,
        .tsv or .txt file, also compressed (.gz, .bz2, .zst); a folder of CellProfiler's ExportToSpreadsheet
        (..Image.csv, ..Nuclei.csv, ..), or of such folders; an SQLite file of its ExportToDatabase or of
        cytominer-database; AnnData (.h5ad, .zarr); a modality of MuData (``FILE.h5mu/NAME``). Or a table that is in
        memory or open already.
    objects : str, optional
        Object set of a CellProfiler export whose rows to read; by default the one that all others are parents of
        (such as Cytoplasm).
    where : str, optional
        Query of the rows to read, by default all (see :func:`.select`).

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If there is nothing at the path, or no such table; if no row satisfies the query.
    """
    source = _open(table, objects)
    return select(source, where) if where is not None else source


def _open(table: str | Path | pd.DataFrame | TableSource, objects: str | None) -> TableSource:
    """Open a table with all its rows."""
    if isinstance(table, TableSource):
        return table
    if isinstance(table, pd.DataFrame):
        return in_memory(table)
    path = as_path(table)
    if is_modality(path):
        from .anndata_files import open_anndata

        return conventional(open_anndata(path))
    if path_kind(path) is None:
        raise InputError(f"there is no file or folder '{path}'")
    if path_kind(path / TABLE) == "folder":
        path = path / TABLE
    name = path.name.lower()
    if is_remote(path) and not name.endswith((*PARQUET, *CSV)):
        raise InputError(f"'{path}': only Parquet and CSV tables are read from a store: copy the table to a disk")
    folder = path_kind(path) == "folder"
    if folder and is_anndata_store(path):
        from .anndata_files import open_anndata

        return conventional(open_anndata(path))
    if folder and not name.endswith(PARQUET) and not holds_parquet(path):
        from .cellprofiler_exports import open_csv_folder
        from .site_folders import open_site_folders, site_folders

        sites = site_folders(path)
        return open_site_folders(path, sites, objects) if sites else open_csv_folder(path, objects)
    if folder or name.endswith(PARQUET):
        return conventional(open_parquet(path))
    if name.endswith(FEATHER):
        return conventional(open_parquet(path, "feather"))
    if name.endswith(CSV):
        return conventional(open_csv(path))
    if name.endswith(SQLITE):
        from .cellprofiler_exports import open_sqlite

        return open_sqlite(path, objects)
    if name.endswith(".h5ad"):
        from .anndata_files import open_anndata

        return conventional(open_anndata(path))
    raise InputError(
        f"'{path}' is no table that can be read: choose a .parquet, .feather, .csv, .tsv, .txt, .sqlite or .h5ad file, "
        "or a folder"
    )


def is_anndata_store(folder: Path) -> bool:
    """Return True for a folder that holds AnnData as Zarr."""
    return any(b'"anndata"' in (read_if_there(folder / name) or b"") for name in (".zattrs", "zarr.json"))


def is_anndata(table: object) -> TypeGuard[Path]:
    """Return True for the path of an AnnData file or store, or of a modality of MuData."""
    if not isinstance(table, str | Path):
        return False
    path = as_path(table)
    if is_modality(path):
        return True
    return path.name.lower().endswith(".h5ad") or (path_kind(path) == "folder" and is_anndata_store(path))


def write_table(
    frame: pd.DataFrame,
    path: str | Path,
    features: Sequence[str],
    like: object = None,
    rows: NDArray[np.intp] | None = None,
    provenance: Provenance = (),
) -> Path:
    """Write a table, whole or not at all, in the format that its name ends in.

    Parameters
    ----------
    frame : DataFrame
    path : str or Path
        Ends in .parquet, .csv, .csv.gz, .sqlite (table ``profiles``; other tables of the file stay) or .h5ad.
    features : sequence of str
        The columns that are features: X of an .h5ad file.
    like : Path, optional
        The table that the rows come from. Of AnnData, the result keeps names of rows, ``var``, ``layers``, ``obsm`` and
        ``uns``, as far as they fit.
    rows : array (n,), int, optional
        The number in ``like`` of each row; by default all in their order, if there are as many.
    provenance : Provenance
        How the features were computed; what it says of columns that the table has is kept. Parquet, AnnData and SQLite
        keep it inside, a CSV file in ``NAME.csv.json`` beside it.

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
    provenance = provenance_of([*map(str, frame), *features], provenance)
    try:
        if ending == ".h5ad":
            from .anndata_files import write_anndata

            write_anndata(frame, features, path, as_path(like) if is_anndata(like) else None, rows, provenance)
            return path
        if ending == ".sqlite":
            from .databases import write_database

            write_database(frame, path, provenance)
            return path
        with atomic_path(path) as temporary:
            if ending == ".parquet":
                table = pa.Table.from_pandas(frame, preserve_index=False)
                metadata = {**(table.schema.metadata or {}), **as_metadata(provenance)}
                pq.write_table(table.replace_schema_metadata(metadata), temporary)
            else:
                frame.to_csv(temporary, index=False, compression="gzip" if ending == ".csv.gz" else None)
        if ending != ".parquet":
            write_beside(path, provenance)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror or first_line(error)}") from None
    return path

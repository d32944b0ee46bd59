"""Read Parquet files and folders of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, first_line
from ..storage.paths import files_in, for_arrow, path_kind, store_errors
from .source import TableSource, rows_per_chunk

TABLE = "profiles.parquet"
"""Name of the table in an output folder of ``microsnoop profile``."""

_PANDAS_INDEX = re.compile(r"__index_level_\d+__$")


def read_table(path: Path) -> pa.Table:
    """Read a Parquet table into memory.

    Parameters
    ----------
    path : Path
        An output folder of ``microsnoop profile``, or a Parquet file or data set.

    Returns
    -------
    pyarrow.Table

    Raises
    ------
    InputError
        If there is none, or it is damaged.
    """
    path = path / TABLE if path_kind(path / TABLE) else path
    kind = path_kind(path)
    if kind is None or (kind == "folder" and not table_files(path)):
        raise InputError(f"there is no table at '{path}'")
    with store_errors(path):
        try:
            name, filesystem = for_arrow(path)
            return pq.read_table(name, filesystem=filesystem, partitioning=None)
        except pa.ArrowInvalid as error:
            raise InputError(f"'{path}' cannot be read as Parquet: {error}") from None


def table_files(folder: Path) -> list[Path]:
    """List the files of a Parquet data set, in order."""
    return [folder / str(name) for name in files_in(folder) if name.suffix == ".parquet" and len(name.parts) == 1]


def open_parquet(path: Path) -> TableSource:
    """Open a Parquet file or data set, to be read in chunks.

    Parameters
    ----------
    path : Path
        A file, or a folder of files with the same columns.

    Returns
    -------
    TableSource
        Without the index columns of pandas.

    Raises
    ------
    InputError
        If it is damaged.
    """
    import pyarrow.dataset as ds

    files = table_files(path) if path_kind(path) == "folder" else [path]
    names, filesystem = [for_arrow(file)[0] for file in files], for_arrow(path)[1]
    with store_errors(path):
        try:
            data = ds.dataset(names, format="parquet", partitioning=None, filesystem=filesystem)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"'{path}' cannot be read as Parquet: {first_line(error)}; write it again") from None

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        with store_errors(path):
            yield from read_fragments(columns)

    def read_fragments(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        for fragment in data.get_fragments():
            try:
                missing = set(columns) - set(fragment.physical_schema.names)
                if missing:
                    raise InputError(
                        f"'{fragment.path}' has no column {sorted(missing)[0]}, which '{files[0]}' has: leave it out, "
                        "or write both with the same columns"
                    )
                options = {"columns": list(columns), "batch_size": rows_per_chunk(len(columns)), "batch_readahead": 1}
                for batch in fragment.to_batches(schema=data.schema, **options):
                    if batch.num_rows:
                        yield batch.to_pandas(ignore_metadata=True)
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"'{fragment.path}' is damaged: {first_line(error)}; write it again") from None

    return TableSource(path, tuple(name for name in data.schema.names if not _PANDAS_INDEX.match(name)), read)

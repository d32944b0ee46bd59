"""Read Parquet files and folders of them."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, first_line
from ..storage.paths import files_in, folders_in, for_arrow, path_kind, store_errors
from .column_types import TextColumn, arrow_frame, as_plain, common_type, is_measured
from .columns import IMAGE_SET, METADATA
from .file_names import TABLE
from .provenance import Provenance, below_each_other, from_metadata
from .source import TableSource, rows_per_chunk

log = logging.getLogger(__name__)

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


def holds_parquet(folder: Path) -> bool:
    """Return True for a folder with Parquet files, its own or in folders called ``COLUMN=VALUE``."""
    if table_files(folder):
        return True
    return any("=" in name for name in folders_in(folder)) and bool(_all_files(folder, "parquet"))


def open_parquet(path: Path, file_format: str = "parquet") -> TableSource:
    """Open a file or data set of Parquet or Feather, to be read in chunks.

    Parameters
    ----------
    path : Path
        A file; or a folder of files, also in folders called ``COLUMN=VALUE``, which add a column. The files may hold a
        column in other types: text wins over numbers, fractions over whole numbers, anything over an empty column.
        Metadata that a file lacks are missing in its rows, which is logged as a warning.
    file_format : {'parquet', 'feather'}

    Returns
    -------
    TableSource
        Without the index columns of pandas.

    Raises
    ------
    InputError
        If it is damaged, or files have other features, or features by other weights. Files of another precision are
        logged as a warning.
    """
    data_set = _DataSet(path, file_format)
    return TableSource(path, tuple(data_set.types), data_set.chunks, provenance=data_set.provenance())


class _DataSet:
    """Files of one table, and the types of the columns that hold the values of all of them."""

    def __init__(self, path: Path, file_format: str) -> None:
        import pyarrow.dataset as ds

        self._files = _all_files(path, file_format) if path_kind(path) == "folder" else [path]
        self._filesystem = for_arrow(path)[1]
        self._format = file_format
        self._parts = [_partition(path, file) for file in self._files]
        with store_errors(path):
            self._schemas = []
            for file in self._files:
                try:
                    name = for_arrow(file)[0]
                    data = ds.dataset(name, format=file_format, partitioning=None, filesystem=self._filesystem)
                except (pa.ArrowInvalid, OSError) as error:
                    _refuse_repeated_columns(file)
                    kind = file_format.capitalize()
                    raise InputError(
                        f"'{file}' cannot be read as {kind}: {first_line(error)}; write it again"
                    ) from None
                self._schemas.append(data.schema)
        self.types = self._common_types()
        for name in [name for name, kind in self.types.items() if pa.types.is_string(kind) and is_measured(name)]:
            self.types[name] = self._kind_of_text(name)

    def provenance(self) -> Provenance:
        """Return how the features of all files were computed."""
        schemas = zip(self._files, self._schemas, strict=True)
        return below_each_other([(file, from_metadata(schema.metadata)) for file, schema in schemas])

    def _common_types(self) -> dict[str, pa.DataType]:
        """Find the type of each column, and refuse files without a feature that others have."""
        kinds: dict[str, list[pa.DataType]] = {}
        for schema, part, file in zip(self._schemas, self._parts, self._files, strict=True):
            names = [name for name in schema.names if not _PANDAS_INDEX.match(name)]
            known = set(names)
            if len(known) < len(names):
                twice = Counter(names).most_common(1)[0][0]
                raise InputError(f"'{file}' has the column {twice} more than once: rename it")
            for column in schema:
                if column.name in known:
                    kinds.setdefault(column.name, []).append(column.type)
            for name, value in part.items():
                if name not in known:
                    kinds.setdefault(name, []).append(TextColumn.kind_of(name, value))
        for name, found in kinds.items():
            if len(found) == len(self._files):
                continue
            has = [
                name in schema.names or name in part for schema, part in zip(self._schemas, self._parts, strict=True)
            ]
            lacks, holds = self._files[has.index(False)], self._files[has.index(True)]
            if not name.startswith((METADATA, IMAGE_SET)):
                raise InputError(
                    f"'{lacks}' has no column {name}, which '{holds}' has: leave it out, or write both with the same "
                    "columns"
                )
            log.warning("%d of %d files have no column %s ('%s')", has.count(False), len(has), name, lacks)
        return {name: common_type(found) for name, found in kinds.items()}

    def _kind_of_text(self, name: str) -> pa.DataType:
        """Find out whether a feature that is kept as text holds numbers."""
        column = TextColumn(name)
        for number, schema in enumerate(self._schemas):
            for batch in self._read(number, [name]) if name in schema.names else ():
                column.add(as_plain(batch.column(0), pa.string()))
        return pa.float64() if pa.types.is_null(column.kind) else column.kind

    def _read(self, number: int, names: list[str]) -> Iterator[pa.RecordBatch]:
        """Yield the batches of some columns of a file."""
        import pyarrow.dataset as ds

        file = self._files[number]
        with store_errors(file):
            try:
                name = for_arrow(file)[0]
                data = ds.dataset(name, format=self._format, partitioning=None, filesystem=self._filesystem)
                scan = {"batch_size": rows_per_chunk(len(names)), "batch_readahead": 1}
                if self._format == "parquet" and self._filesystem is None:
                    # a store answers slowly and is read ahead; from a disk that only keeps the file in memory
                    scan["fragment_scan_options"] = ds.ParquetFragmentScanOptions(pre_buffer=False)
                yield from data.to_batches(columns=names, **scan)
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"'{file}' is damaged: {first_line(error)}; write it again") from None

    def chunks(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield chunks of some columns."""
        names = list(columns)
        for number, (schema, part) in enumerate(zip(self._schemas, self._parts, strict=True)):
            known = set(schema.names)
            here = [name for name in names if name in known]
            for batch in self._read(number, here):
                if not batch.num_rows:
                    continue
                read = dict(zip(here, batch.columns, strict=True))
                values = {}
                for name in names:
                    column = read.get(name)
                    if column is None:
                        column = pa.array([part.get(name)] * batch.num_rows, pa.string())
                    values[name] = as_plain(column, self.types[name])
                yield arrow_frame(values)


def _all_files(folder: Path, file_format: str) -> list[Path]:
    """List the files of a data set, those in its subfolders only if it has none of its own."""
    if files := (table_files(folder) if file_format == "parquet" else []):
        return files
    names = [name for name in files_in(folder) if name.suffix == ".parquet"]
    return [folder.joinpath(*name.parts) for name in names if not name.name.startswith((".", "_"))]


def _partition(folder: Path, file: Path) -> dict[str, str | None]:
    """Return the values of the columns that the folders of a file are named by."""
    values: dict[str, str | None] = {}
    for word in [*str(file.parent)[len(str(folder)) :].replace("\\", "/").split("/")]:
        name, equals, value = word.partition("=")
        if name and equals:
            values[unquote(name)] = None if value == "__HIVE_DEFAULT_PARTITION__" else unquote(value)
    return values


def _refuse_repeated_columns(file: Path) -> None:
    """Name a column that a Parquet file has twice, which pyarrow refuses without its name."""
    name, filesystem = for_arrow(file)
    try:
        names = pq.read_schema(name, filesystem=filesystem).names
    except (pa.ArrowInvalid, OSError):
        return
    if repeated := [name for name, count in Counter(names).items() if count > 1]:
        raise InputError(f"'{file}' has the column {repeated[0]} more than once: rename it")

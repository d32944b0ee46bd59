"""Tables of any origin, in chunks of bounded size: Parquet, CSV, CellProfiler's CSV folder and SQLite, AnnData."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from .errors import InputError, first_line
from .profiles import TABLE, table_files
from .storage.atomic import writing
from .storage.paths import as_path, beginning, for_arrow, is_remote, kind_of, reaching, stream_for_arrow

if TYPE_CHECKING:
    import pyarrow as pa


CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
_PANDAS_INDEX = re.compile(r"__index_level_\d+__$")
CHUNK_BYTES = 64 << 20
"""About what a chunk takes in memory."""


@dataclass(frozen=True)
class Source:
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


def open_source(path: str | Path, objects: str | None = None) -> Source:
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
    if kind_of(path) is None:
        raise InputError(f"there is no file or folder '{path}'")
    if kind_of(path / TABLE) == "folder":
        path = path / TABLE
    name = path.name.lower()
    if is_remote(path) and not name.endswith((".parquet", ".pq", *CSV)):
        raise InputError(f"'{path}': of tables in a store, only Parquet and CSV are read: copy it to a disk")
    folder = kind_of(path) == "folder"
    if folder and not name.endswith((".parquet", ".pq")) and not table_files(path):
        from .cellprofiler_tables import open_csv_folder

        return open_csv_folder(path, objects)
    if folder or name.endswith((".parquet", ".pq")):
        return _open_parquet(path)
    if name.endswith(CSV):
        return open_csv(path)
    if name.endswith((".sqlite", ".sqlite3", ".db", ".db3")):
        from .cellprofiler_tables import open_sqlite

        return open_sqlite(path, objects)
    if name.endswith(".h5ad"):
        from .anndata_tables import open_h5ad

        return open_h5ad(path)
    raise InputError(f"'{path}' is no table that can be read: give .parquet, .csv, .csv.gz, .sqlite, .h5ad or a folder")


def _open_parquet(path: Path) -> Source:
    import pyarrow as pa
    import pyarrow.dataset as ds

    files = table_files(path) if kind_of(path) == "folder" else [path]
    places, filesystem = [for_arrow(file)[0] for file in files], for_arrow(path)[1]
    with reaching(path):
        try:
            data = ds.dataset(places, format="parquet", partitioning=None, filesystem=filesystem)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"'{path}' cannot be read as Parquet: {first_line(error)}; write it anew") from None

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        with reaching(path):
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
                options = {"columns": list(columns), "batch_size": rows_of(len(columns)), "batch_readahead": 1}
                for batch in fragment.to_batches(schema=data.schema, **options):
                    if batch.num_rows:
                        yield batch.to_pandas(ignore_metadata=True)
            except (pa.ArrowInvalid, OSError) as error:
                raise InputError(f"'{fragment.path}' is damaged: {first_line(error)}; write it anew") from None

    return Source(path, tuple(name for name in data.schema.names if not _PANDAS_INDEX.match(name)), read)


def open_csv(path: Path) -> Source:
    """A .csv or .tsv file, also gzipped.

    The first block says which columns are numbers. What looks whole there, or is missing, may have fractions further
    down; what is missing there may be words.
    """
    import pyarrow as pa
    import pyarrow.csv as pv

    options = pv.ReadOptions(block_size=8 << 20, use_threads=False)  # with threads, errors do not say the row
    parse = pv.ParseOptions(delimiter="\t" if ".tsv" in path.name.lower() else ",")

    def reader(columns: Sequence[str] | None = None, types: dict[str, pa.DataType] | None = None):
        convert = pv.ConvertOptions(
            include_columns=list(columns) if columns else None,
            column_types=types,
            null_values=["", "NA", "NaN", "nan", "NULL", "null", "None"],
            strings_can_be_null=True,
        )
        try:
            return pv.open_csv(stream_for_arrow(path), options, parse, convert)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"'{path}' cannot be read as a table: {first_line(error)}; write it anew") from None

    with beginning(path) as file:
        utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    try:
        if utf16:
            raise UnicodeError
        with reader() as first:
            schema = first.schema
            names = schema.names
    except UnicodeError:
        raise InputError(f"'{path}' is not UTF-8 text: save it as CSV in UTF-8") from None
    if len(names) == 1 and (other := re.search("[;\t|]", names[0])):
        raise InputError(f"'{path}': its columns are separated by {other[0]!r}: save it with commas")
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"'{path}' has the column {twice[0]} more than once: rename it")
    if foreign := [field.name for field in schema if pa.types.is_binary(field.type)]:
        raise InputError(f"'{path}', column {foreign[0]}: this is not UTF-8 text: save it as CSV in UTF-8")
    types = {field.name: pa.float64() for field in schema if pa.types.is_floating(field.type)}
    types |= {field.name: pa.string() for field in schema if pa.types.is_temporal(field.type)}
    whole = {field.name for field in schema if pa.types.is_integer(field.type)}
    unsettled = whole | {field.name for field in schema if pa.types.is_null(field.type)}
    types |= dict.fromkeys(unsettled, pa.string())

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        settling, line = _Settling(unsettled.intersection(columns), whole), 2
        try:
            with (
                reaching(path),
                reader(columns, {name: kind for name, kind in types.items() if name in columns}) as batches,
            ):
                for batch in batches:
                    if batch.num_rows:
                        yield settling.settled(batch).to_pandas()
                    line += batch.num_rows
        except pa.ArrowInvalid as error:
            said = re.sub(r"CSV column #(\d+)", lambda found: f"column {columns[int(found[1])]}", first_line(error))
            raise InputError(
                f"'{path}', in line {line} or after it: {said}; correct this value, or remove the row"
            ) from None
        except OSError as error:
            raise InputError(f"'{path}' is damaged: {first_line(error)}; write it anew") from None

    return Source(path, tuple(names), read)


class _Settling:
    """Text columns of a table read in blocks, made numbers as soon as they turn out to be numbers."""

    def __init__(self, names: set[str], numbers: set[str]):
        self._names, self._numbers = set(names), set(numbers)

    def settled(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The batch with its numbers as numbers; ``ArrowInvalid`` at a word after numbers."""
        import pyarrow as pa

        for name in sorted(self._names):
            words = batch.column(name)
            try:
                column = _as_numbers(words)
            except pa.ArrowInvalid as error:
                if name in self._numbers:
                    raise pa.ArrowInvalid(f"In column {name}, which holds numbers: {first_line(error)}") from None
                self._names.remove(name)
                continue
            if words.null_count < len(words):
                self._numbers.add(name)
            batch = batch.set_column(batch.schema.get_field_index(name), name, column)
        return batch


def _as_numbers(words: pa.Array) -> pa.Array:
    """Words as whole numbers or, if they are not, real ones."""
    import pyarrow as pa

    if words.null_count == len(words):
        return words.cast(pa.float64())
    try:
        return words.cast(pa.int64())
    except pa.ArrowInvalid:
        return words.cast(pa.float64())


def rows_of(columns: int) -> int:
    """Rows of a chunk with so many columns."""
    return max(CHUNK_BYTES // (8 * max(columns, 1)), 256)


FORMATS = (".parquet", ".csv", ".csv.gz", ".sqlite", ".h5ad")


def write_frame(frame: pd.DataFrame, path: str | Path, features: Sequence[str]) -> Path:
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
    ending = check_target(path)
    try:
        if ending == ".h5ad":
            from .anndata_tables import write_h5ad

            write_h5ad(frame, features, path)
            return path
        with writing(path) as temporary:
            if ending == ".parquet":
                frame.to_parquet(temporary, index=False)
            elif ending == ".sqlite":
                _write_sqlite(frame, temporary)
            else:
                frame.to_csv(temporary, index=False, compression="gzip" if ending == ".csv.gz" else None)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written: {error.strerror or first_line(error)}") from None
    return path


def check_target(path: Path, formats: Sequence[str] = FORMATS) -> str:
    """The one of these endings that a file to be written has; its folder is made.

    Raises
    ------
    InputError
        If it has none of them, is a folder, or nothing can be written there.
    """
    ending = next((ending for ending in formats if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise InputError(f"'{path}': give a name that ends in {', '.join(formats)}")
    if kind_of(path) == "folder":
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

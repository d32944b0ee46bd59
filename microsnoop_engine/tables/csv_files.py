"""Read CSV files in chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pv

from ..errors import InputError, first_line
from ..storage.paths import open_header, store_errors, stream_for_arrow
from .source import TableSource

CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")
BLOCK_BYTES = 8 << 20
"""Size of the text of a chunk."""


def open_csv(path: Path) -> TableSource:
    """Open a .csv or .tsv file, also gzipped, to be read in chunks.

    The first block decides which columns are numbers. A column of integers there may have fractions further down, an
    empty one numbers or words.

    Parameters
    ----------
    path : Path

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If it is no such table.
    """
    options = pv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)  # with threads, errors do not name the row
    parse = pv.ParseOptions(delimiter="\t" if ".tsv" in path.name.lower() else ",")

    def reader(
        columns: Sequence[str] | None = None, types: dict[str, pa.DataType] | None = None
    ) -> pv.CSVStreamingReader:
        convert = pv.ConvertOptions(
            include_columns=list(columns) if columns else None,
            column_types=types,
            null_values=["", "NA", "NaN", "nan", "NULL", "null", "None"],
            strings_can_be_null=True,
        )
        try:
            return pv.open_csv(stream_for_arrow(path), options, parse, convert)
        except (pa.ArrowInvalid, OSError) as error:
            raise InputError(f"'{path}' cannot be read as a table: {first_line(error)}; write it again") from None

    with open_header(path) as file:
        utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    try:
        if utf16:
            raise UnicodeError
        with reader() as first:
            schema = first.schema
            names = schema.names
    except UnicodeError:
        raise InputError(f"'{path}' is not UTF-8 text: save it as CSV in UTF-8") from None
    _check_header(path, schema)
    types = {field.name: pa.float64() for field in schema if pa.types.is_floating(field.type)}
    types |= {field.name: pa.string() for field in schema if pa.types.is_temporal(field.type)}
    integers = {field.name for field in schema if pa.types.is_integer(field.type)}
    undecided = integers | {field.name for field in schema if pa.types.is_null(field.type)}
    types |= dict.fromkeys(undecided, pa.string())

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        texts, line = _UndecidedColumns(undecided.intersection(columns), integers), 2
        chosen = {name: kind for name, kind in types.items() if name in columns}
        try:
            with store_errors(path), reader(columns, chosen) as batches:
                for batch in batches:
                    if batch.num_rows:
                        yield texts.converted(batch).to_pandas()
                    line += batch.num_rows
        except pa.ArrowInvalid as error:
            reason = re.sub(r"CSV column #(\d+)", lambda match: f"column {columns[int(match[1])]}", first_line(error))
            raise InputError(
                f"'{path}', in line {line} or after it: {reason}; correct this value, or remove the row"
            ) from None
        except OSError as error:
            raise InputError(f"'{path}' is damaged: {first_line(error)}; write it again") from None

    return TableSource(path, tuple(names), read)


def _check_header(path: Path, schema: pa.Schema) -> None:
    """Refuse other separators, repeated columns and other encodings."""
    names = schema.names
    if len(names) == 1 and (separator := re.search("[;\t|]", names[0])):
        raise InputError(f"'{path}': its columns are separated by {separator[0]!r}: save it with commas")
    if repeated := [name for name in names if names.count(name) > 1]:
        raise InputError(f"'{path}' has the column {repeated[0]} more than once: rename it")
    if binary := [field.name for field in schema if pa.types.is_binary(field.type)]:
        raise InputError(f"'{path}', column {binary[0]}: this is not UTF-8 text: save it as CSV in UTF-8")


class _UndecidedColumns:
    """Columns read as text, block by block, and converted to numbers for as long as they hold nothing else."""

    def __init__(self, names: set[str], numeric: set[str]) -> None:
        self._names, self._numeric = set(names), set(numeric)

    def converted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Convert a batch; raises ``ArrowInvalid`` at a word after numbers."""
        for name in sorted(self._names):
            text = batch.column(name)
            try:
                column = _as_numbers(text)
            except pa.ArrowInvalid as error:
                if name in self._numeric:
                    raise pa.ArrowInvalid(f"In column {name}, which holds numbers: {first_line(error)}") from None
                self._names.remove(name)
                continue
            if text.null_count < len(text):
                self._numeric.add(name)
            batch = batch.set_column(batch.schema.get_field_index(name), name, column)
        return batch


def _as_numbers(text: pa.Array) -> pa.Array:
    """Convert text to int64 or, if it has fractions or nothing, to float64."""
    if text.null_count == len(text):
        return text.cast(pa.float64())
    try:
        return text.cast(pa.int64())
    except pa.ArrowInvalid:
        return text.cast(pa.float64())

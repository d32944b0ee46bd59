"""Read CSV files in chunks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from ..errors import InputError, first_line
from ..storage.paths import open_header, store_errors, stream_for_arrow

if TYPE_CHECKING:
    import pyarrow as pa
from .source import TableSource

CSV = (".csv", ".csv.gz", ".tsv", ".tsv.gz", ".txt")


def open_csv(path: Path) -> TableSource:
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
                store_errors(path),
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

    return TableSource(path, tuple(names), read)


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

"""Read CSV files in chunks."""

from __future__ import annotations

import csv
import io
import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv

from ..errors import InputError, first_line
from ..storage.paths import open_header, store_errors, stream_for_arrow
from .column_types import MISSING_WORDS, TextColumn, arrow_frame, is_identifier, is_measured, text_to
from .columns import IMAGE_NUMBER, IMAGE_SET, METADATA, OBJECT_NUMBER
from .provenance import read_beside
from .source import TableSource

log = logging.getLogger(__name__)

_PACKED = ("", ".gz", ".bz2", ".zst")
CSV = tuple(f"{ending}{packed}" for ending in (".csv", ".tsv", ".txt") for packed in _PACKED)
BLOCK_BYTES = 8 << 20
"""Size of the text of a chunk."""
LOOKED_AT = 1000
"""Number of lines that show how a file separates columns and writes decimals."""
_COMMA = re.compile(r"([+-]?\d*),(\d+(?:[eE][+-]?\d+)?)")
_COMMA_OR_WHOLE = re.compile(rf"{_COMMA.pattern}|[+-]?\d*(?:[eE][+-]?\d+)?")
_UNNAMED = "Unnamed: {}"
"""Name of a column without one, as pandas calls it."""


def open_csv(path: Path) -> TableSource:
    """Open a file of text separated by commas, semicolons or tabs, also compressed, to be read in chunks.

    Identifiers are text exactly as written (see :mod:`.column_types`). Every other column has one type from the first
    row to the last. Rows without any value, as Excel leaves them, are left out. CellProfiler's files with two header
    rows have the columns that its other exports have. Of columns with the same name and the same values, such as the
    metadata that CellProfiler writes twice, there is one. Where semicolons or tabs separate columns, numbers may have
    decimal commas.

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
    with open_header(path) as file:
        if file.read(2) in (b"\xff\xfe", b"\xfe\xff"):
            raise InputError(f"'{path}' is not UTF-8 text: save it as CSV in UTF-8")
    table = _CsvFile(path)
    return TableSource(path, table.names, table.chunks, provenance=read_beside(path))


@dataclass
class _CsvFile:
    """A file, its columns and what is known of their types."""

    path: Path
    names: tuple[str, ...] = ()
    _header: tuple[str, ...] = ()  # all names, each once: a copy of a column has one of its own
    _delimiter: str = ","
    _decimal: str = "."
    _header_rows: int = 1
    _types: dict[str, pa.DataType] = field(default_factory=dict)
    _undecided: dict[str, bool] = field(default_factory=dict)  # by name: numbers in the first block
    _blank: set[int] = field(default_factory=set)
    _decided: bool = False

    def __post_init__(self) -> None:
        self._find_separator()
        try:
            with self._open() as first:
                schema = first.schema
            names = _names(schema.names)
            if pair := self._two_headers(schema.names):
                names, self._header_rows = pair, 2
            names, copies = _copies_named(names)
            if names != schema.names:
                self._header = tuple(names)
                with self._open() as first:
                    schema = first.schema
        except UnicodeError:
            raise InputError(f"'{self.path}' is not UTF-8 text: save it as CSV in UTF-8") from None
        if len(schema.names) == 1:
            self._refuse_separator(schema.names[0])
        if binary := [field.name for field in schema if pa.types.is_binary(field.type)]:
            raise InputError(f"'{self.path}', column {binary[0]}: this is not UTF-8 text: save it as CSV in UTF-8")
        self._header = tuple(schema.names)
        self.names = tuple(name for name in self._header if name not in copies)
        self._compare_copies(copies)
        for column in schema:
            if column.name not in copies:
                self._sort(column.name, column.type)

    def _find_separator(self) -> None:
        """Choose semicolons or tabs, and decimal commas, where the beginning of the file leaves no doubt."""
        lines = self._head().splitlines()[:LOOKED_AT]
        if ".tsv" in self.path.name.lower():
            self._delimiter = "\t"
        elif "," not in "".join(lines[:1]):
            self._delimiter = next((separator for separator in ";\t" if separator in "".join(lines[:1])), ",")
        if self._delimiter == ",":
            return
        header, *rows = csv.reader(lines, delimiter=self._delimiter) if lines else [[]]
        for number, name in enumerate(header):
            values = [] if is_identifier(name) else [row[number].strip() for row in rows if number < len(row)]
            decimals = [value for value in values if _COMMA.fullmatch(value)]
            if decimals and all(_COMMA_OR_WHOLE.fullmatch(value) for value in values if value not in MISSING_WORDS):
                self._decimal = ","
                log.info("'%s': numbers are read with a decimal comma (%s in %s)", self.path, decimals[0], name)
                return

    def _with_points(self, name: str, text: pa.Array) -> pa.Array:
        """Write the numbers of a column of text with decimal points; refuse files that use both signs."""
        if self._decimal == "." or is_identifier(name):
            return text
        if pc.any(pc.match_substring_regex(text, r"^\s*[+-]?\d+(\.\d+|(\.\d{3})+,\d+)\s*$")).as_py():
            raise InputError(
                f"'{self.path}', column {name}: points in numbers, where others have decimal commas: write all "
                "numbers with a decimal point only"
            )
        return pc.replace_substring_regex(text, rf"^\s*{_COMMA.pattern}\s*$", r"\1.\2")

    def _open(
        self, columns: Sequence[str] | None = None, types: dict[str, pa.DataType] | None = None
    ) -> pv.CSVStreamingReader:
        convert = pv.ConvertOptions(
            include_columns=list(columns) if columns else None,
            column_types=types,
            null_values=["", *MISSING_WORDS],
            strings_can_be_null=types is None,
            decimal_point=self._decimal,
        )
        options = pv.ReadOptions(block_size=BLOCK_BYTES, use_threads=False)  # with threads, errors do not name the row
        if self._header:
            options.column_names, options.skip_rows = list(self._header), self._header_rows
        parse = pv.ParseOptions(delimiter=self._delimiter)
        try:
            return pv.open_csv(stream_for_arrow(self.path), options, parse, convert)
        except (pa.ArrowInvalid, OSError) as error:
            self._refuse_separator(self._head().partition("\n")[0])
            raise InputError(f"'{self.path}' cannot be read as a table: {first_line(error)}; write it again") from None

    def _two_headers(self, first: list[str]) -> list[str] | None:
        """Return the names of columns below CellProfiler's row of object sets, or None if there is no such row."""
        if IMAGE_SET not in first:
            return None
        rows = csv.reader(io.StringIO(self._head(), newline=""), delimiter=self._delimiter)
        next(rows)
        second = next(rows, [])
        if len(second) != len(first) or not {IMAGE_NUMBER, OBJECT_NUMBER} <= set(second):
            return None
        return [_joined_name(objects, name) for objects, name in zip(first, second, strict=True)]

    def _head(self) -> str:
        """Return the beginning of the file, as far as it can be read."""
        source = stream_for_arrow(self.path)
        try:
            with pa.input_stream(source) if isinstance(source, str) else source as stream:
                head: str = stream.read(BLOCK_BYTES).decode("utf-8-sig", "replace")
        except (pa.ArrowInvalid, OSError):
            return ""
        return head

    def _refuse_separator(self, header: str) -> None:
        """Refuse a header without the separator of the file, but with another one."""
        if self._delimiter not in header and (separator := re.search("[;\t|]", header)):
            raise InputError(f"'{self.path}': its columns are separated by {separator[0]!r}: save it with commas")

    def _compare_copies(self, copies: dict[str, str]) -> None:
        """Refuse columns of one name with different values."""
        names = [*copies, *dict.fromkeys(copies.values())]
        for batch in self._batches(names) if copies else ():
            for copy, name in copies.items():
                if not batch.column(copy).equals(batch.column(name)):
                    raise InputError(
                        f"'{self.path}' has the column {name} more than once, with different values: rename one of them"
                    )

    def _sort(self, name: str, kind: pa.DataType) -> None:
        """Decide the type of a column by its name and the first block, or leave it to :meth:`_decide`."""
        is_number = pa.types.is_floating(kind) or pa.types.is_integer(kind)
        loose = name.startswith(METADATA) or is_identifier(name)
        if is_measured(name) and name not in (IMAGE_NUMBER, OBJECT_NUMBER) and (is_number or pa.types.is_null(kind)):
            self._types[name] = pa.float64()
        elif pa.types.is_floating(kind) and not loose:
            self._types[name] = kind
        else:
            self._types[name] = pa.string()
            self._undecided[name] = is_number and not loose

    def _decide(self) -> None:
        """Read the undecided columns once as text: their types, and the rows without any value."""
        if self._decided:
            return
        columns = {name: TextColumn(name) for name in self._undecided}
        line, blank = 1 + self._header_rows, list[int]()
        for batch in self._batches(list(columns)) if columns else ():
            texts = [batch.column(name) for name in columns]
            for (name, column), text in zip(columns.items(), texts, strict=True):
                column.add(self._with_points(name, text))
            self._refuse_header(texts, list(columns), line)
            empty = np.logical_and.reduce([pc.equal(text, "").to_numpy(zero_copy_only=False) for text in texts])
            blank.extend(line - 1 - self._header_rows + np.flatnonzero(empty))
            line += batch.num_rows
        if blank:
            self._blank = self._wholly_blank(set(blank))
        for name, column in columns.items():
            is_number = self._undecided[name] and column.mixed
            self._types[name] = pa.float64() if is_number else column.kind
        self._decided = True

    def _refuse_header(self, texts: list[pa.Array], names: list[str], line: int) -> None:
        if len(names) < 2 or self._header_rows > 1:
            return
        same = np.logical_and.reduce(
            [pc.equal(text, name).to_numpy(zero_copy_only=False) for text, name in zip(texts, names, strict=True)]
        )
        if same.any():
            raise InputError(
                f"'{self.path}', line {line + same.argmax()} repeats the header, as where two files were put together: "
                "remove this line"
            )

    def _wholly_blank(self, rows: set[int]) -> set[int]:
        """Return those rows that have no value in any column."""
        others = [name for name in self.names if name not in self._undecided]
        if not others:
            return rows
        found, start = set[int](), 0
        for batch in self._batches(others):
            here = sorted(row for row in rows if start <= row < start + batch.num_rows)
            part = batch.take(pa.array([row - start for row in here], pa.int64()))
            full = [all(value == "" for value in row.values()) for row in part.to_pylist()]
            found.update(row for row, is_blank in zip(here, full, strict=True) if is_blank)
            start += batch.num_rows
        return found

    def _batches(self, columns: list[str], types: dict[str, pa.DataType] | None = None) -> Iterator[pa.RecordBatch]:
        """Yield the blocks of some columns, as text unless types are given."""
        types, line = types or dict.fromkeys(columns, pa.string()), 1 + self._header_rows
        try:
            with store_errors(self.path), self._open(columns, types) as batches:
                for batch in batches:
                    if batch.num_rows:
                        yield batch
                    line += batch.num_rows
        except pa.ArrowInvalid as error:
            reason = re.sub(
                r"CSV column #(\d+)", lambda match: f"column {self.names[int(match[1])]}", first_line(error)
            )
            raise InputError(
                f"'{self.path}', in line {line} or after it: {reason}; correct this value, or remove the row"
            ) from None
        except OSError as error:
            raise InputError(f"'{self.path}' is damaged: {first_line(error)}; write it again") from None

    def chunks(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield chunks of some columns."""
        self._decide()
        names, row = list(columns), 0
        read = {name: kind if pa.types.is_floating(kind := self._types[name]) else pa.string() for name in names}
        for batch in self._batches(names, read):
            if self._blank and (here := [n - row for n in self._blank if row <= n < row + batch.num_rows]):
                keep = np.ones(batch.num_rows, bool)
                keep[here] = False
                row, batch = row + batch.num_rows, batch.filter(pa.array(keep))
            else:
                row += batch.num_rows
            values = {
                name: column if pa.types.is_floating(column.type) else text_to(kind, self._with_points(name, column))
                for name, column, kind in zip(names, batch.columns, map(self._types.get, names), strict=True)
            }
            if batch.num_rows:
                yield arrow_frame(values)


def _joined_name(objects: str, name: str) -> str:
    """Name a column of CellProfiler's file with two header rows as in its other exports."""
    if name in (IMAGE_NUMBER, OBJECT_NUMBER) or (objects == IMAGE_SET and name.startswith(METADATA)):
        return name
    return f"{objects}_{name}"


def _names(names: list[str]) -> list[str]:
    """Name columns without a name, such as those that Excel leaves at the end."""
    if names.count("") < 2:
        return names
    return [name or _UNNAMED.format(number) for number, name in enumerate(names)]


def _copies_named(names: list[str]) -> tuple[list[str], dict[str, str]]:
    """Give columns with the name of an earlier one a name of their own; also return those names with the former ones.

    Examples
    --------
    >>> _copies_named(["Metadata_Well", "Metadata_Well"])
    (['Metadata_Well', 'Metadata_Well (column 2)'], {'Metadata_Well (column 2)': 'Metadata_Well'})
    """
    first = {name: number for number, name in reversed(list(enumerate(names)))}
    own = [name if first[name] == number else f"{name} (column {number + 1})" for number, name in enumerate(names)]
    return own, {mine: name for mine, name in zip(own, names, strict=True) if mine != name}

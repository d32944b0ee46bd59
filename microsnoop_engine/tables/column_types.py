"""Decide what the columns of a table hold: text exactly as it is written, numbers, or truth values.

Names of plates, wells, compounds and the like are text. Any other column holds numbers where all its values are
written as numbers are. Only features and numbers know words for a missing value; elsewhere NA is a name, and only an
empty value is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import InputError
from .columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER, TABLE_NUMBER, parse_feature
from .wells import is_well_column

MISSING_WORDS = ("NA", "N/A", "#N/A", "NaN", "nan", "NAN", "-nan", "NULL", "null", "None", "none", "<NA>")
"""Words for a missing number."""

_IDENTIFIER = re.compile(
    r"plate|well|barcode|batch|experiment|accession|inchi|inchikey|smiles|gene|symbol|compound|drug|treatment|"
    r"perturbation|pert|sample|donor|patient|line|name|label|id|role|type|moa|target|file|filename|path|pathname|url|"
    r"map"
)
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
_QUANTITIES = (
    "dose",
    "concentration",
    "conc",
    "count",
    "number",
    "um",
    "nm",
    "mm",
    "row",
    "col",
    "column",
    "minutes",
    "hours",
)
_MEASURED = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9]*_)?(?:AreaShape|Intensity|Texture|Granularity|Correlation|RadialDistribution|Neighbors|"
    r"Location|Colocalization|ImageQuality|Number_Object_Number|Parent|Children|Microsnoop)_.+|(?:Count|Threshold)_.+"
)
_KEYS = frozenset((TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER))

_NUMBER = r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|[iI][nN][fF](?:inity)?)"
_WHOLE = r"0|-?[1-9]\d{0,17}"
_NAME = r"[+-]?0\d.*|[+-]?\d{19,}"
"""Numbers with leading zeros, or with more digits than a number of a table holds."""
_CODE = r"\d+[eE]\d+"
"""Such as the plate 24E5, unless the column has numbers with a point or a sign in the exponent too."""
_POINT = r".*(?:\.|[eE][+-]).*"
_TRUTH = r"true|false|True|False|TRUE|FALSE"


def is_identifier(name: str) -> bool:
    """Return True for a column of names, whose values are text even where they look like numbers.

    Metadata are names if a word in theirs says so; of other columns, which may be features, the last word has to.

    Examples
    --------
    >>> [is_identifier(name) for name in ("Metadata_Plate", "Assay_Plate_Barcode", "CompoundID", "Metadata_Dose")]
    [True, True, True, False]
    >>> [is_identifier(name) for name in ("Nuclei_AreaShape_Area", "Metadata_Plate_Row", "path_length")]
    [False, False, False]
    """
    if is_measured(name):
        return False
    bare = name.removeprefix("Image_")
    words = [word.lower() for word in _WORDS.findall(bare.removeprefix(METADATA))]
    if not bare.startswith(METADATA):
        return is_well_column(bare) or any(map(_IDENTIFIER.fullmatch, words[-1:]))
    return any(map(_IDENTIFIER.fullmatch, words)) and words[-1] not in _QUANTITIES


def require_numbers(column: pd.Series, parameter: str) -> None:
    """Refuse a column of words where numbers are needed, such as doses with their unit.

    Parameters
    ----------
    column : Series
    parameter : str
        What needs the numbers, as the message names it.

    Raises
    ------
    InputError
        If the column does not hold numbers.
    """
    if pd.api.types.is_numeric_dtype(column):
        return
    rows = np.flatnonzero(column.notna() & pd.to_numeric(column, errors="coerce").isna())
    example = f": '{column.iloc[rows[0]]}' in row {rows[0] + 1}" if len(rows) else ""
    raise InputError(
        f"{parameter}: the column '{column.name}' does not hold numbers{example}; write them with a point, and no unit"
    )


def is_measured(name: str) -> bool:
    """Return True for a column that holds numbers by its name: a learned feature, one of CellProfiler's, or a key.

    Examples
    --------
    >>> [is_measured(name) for name in ("Nuclei_AreaShape_Area", "ImageNumber", "Metadata_Site")]
    [True, True, False]
    """
    return not name.startswith(METADATA) and (
        name in _KEYS or parse_feature(name) is not None or _MEASURED.fullmatch(name) is not None
    )


class TextColumn:
    """Find out what a column of text holds, block by block.

    Parameters
    ----------
    name : str
    """

    def __init__(self, name: str) -> None:
        self._measured, self._identifier = is_measured(name) and name not in _KEYS, is_identifier(name)
        self._found: dict[str, bool] = {}

    def add(self, text: pa.Array) -> None:
        """Look at a block of values; empty ones are missing and count for nothing."""
        if self._identifier:
            return
        values = pc.utf8_trim_whitespace(pc.unique(text).drop_null())
        values = values.filter(pc.not_equal(values, ""))
        if not len(values):
            return
        number, missing, truth = _matches(values, _NUMBER), _missing(values), _matches(values, _TRUTH)
        whole = _matches(values, _WHOLE)
        for kind, rows in {
            "number": number,
            "fraction": pc.and_not(number, whole),
            "point": _matches(values, _POINT),
            "code": _matches(values, _CODE),
            "name": _matches(values, _NAME),
            "truth": truth,
            "missing": missing,
            "word": pc.invert(pc.or_(pc.or_(number, missing), truth)),
        }.items():
            self._found[kind] = self._found.get(kind, False) or bool(pc.any(rows).as_py())

    @classmethod
    def kind_of(cls, name: str, value: str | None) -> pa.DataType:
        """Return the type of a column that holds one value."""
        column = cls(name)
        column.add(pa.array([value], pa.string()))
        return column.kind

    def _has(self, *kinds: str) -> bool:
        return any(self._found.get(kind, False) for kind in kinds)

    @property
    def mixed(self) -> bool:
        """True if there are both numbers and words."""
        return self._has("number") and self._has("word", "truth")

    @property
    def kind(self) -> pa.DataType:
        """The type of the column; null if it is empty."""
        if self._identifier or self._has("word"):
            return pa.string()
        if self._measured:
            return pa.string() if self._has("truth") else pa.float64()
        if not self._found:
            return pa.null()
        if self._has("truth"):
            return pa.string() if self._has("number", "missing") else pa.bool_()
        if not self._has("number") or self._has("name") or (self._has("code") and not self._has("point")):
            return pa.string()
        return pa.float64() if self._has("fraction") else pa.int64()


def _matches(text: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(text, f"^(?:{pattern})$")


def _missing(text: pa.Array) -> pa.Array:
    return pc.is_in(text, pa.array(MISSING_WORDS, text.type))


def empty_to_null(text: pa.Array) -> pa.Array:
    """Turn empty text into missing values."""
    return pc.if_else(pc.equal(text, ""), pa.scalar(None, text.type), text)


def text_to(kind: pa.DataType, text: pa.Array) -> pa.Array:
    """Convert a column of text to a type that :class:`TextColumn` found.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value is none of this type.
    """
    text = empty_to_null(text)
    if pa.types.is_string(kind) or pa.types.is_null(kind):
        return text
    text = pc.utf8_trim_whitespace(text)
    text = pc.if_else(_missing(text), pa.scalar(None, text.type), text)
    return pc.replace_substring_regex(text, r"^\+", "").cast(kind)


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that a column of any Arrow type is read as: numbers, truth values, times or text."""
    if pa.types.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pa.types.is_decimal(kind):
        return pa.int64() if kind.scale == 0 and kind.precision <= 18 else pa.float64()
    known = pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_temporal, pa.types.is_null
    return kind if any(test(kind) for test in known) else pa.string()


def common_type(kinds: Iterable[pa.DataType]) -> pa.DataType:
    """Return the type that holds the values of columns of several files: text, if one of them is text."""
    found = {plain_type(kind) for kind in kinds} - {pa.null()}
    if len(found) < 2:
        return found.pop() if found else pa.null()
    if all(pa.types.is_integer(kind) for kind in found):
        return pa.int64() if pa.uint64() not in found else pa.string()
    if all(pa.types.is_integer(kind) or pa.types.is_floating(kind) for kind in found):
        return pa.float64()
    if all(pa.types.is_timestamp(kind) or pa.types.is_date(kind) for kind in found):
        return pa.timestamp("ns")
    return pa.string()


def as_plain(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """Convert a column to a plain type; whole numbers become text without a decimal point.

    Raises
    ------
    pyarrow.ArrowInvalid
        If a value is none of this type.
    """
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.type.equals(kind):
        return column
    if pa.types.is_string(kind):
        if pa.types.is_nested(column.type):
            values = column.to_pylist()
            return pa.array([None if v is None else json.dumps(v, default=str) for v in values], pa.string())
        if pa.types.is_floating(column.type):
            values = column.to_pylist()
            return pa.array([None if v is None or v != v else _number_text(v) for v in values], pa.string())
        if pa.types.is_fixed_size_binary(column.type):
            column = column.cast(pa.binary())
        try:
            return column.cast(kind)
        except pa.ArrowInvalid:
            return pa.array([None if v is None else repr(v) for v in column.to_pylist()], pa.string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return text_to(kind, column.cast(pa.string()))
    if pa.types.is_decimal(column.type) and pa.types.is_integer(kind):
        return column.cast(kind)
    return column.cast(kind, safe=not pa.types.is_floating(kind))


def _number_text(value: float) -> str:
    return str(int(value)) if value.is_integer() else repr(value)


def arrow_frame(columns: Mapping[str, pa.Array]) -> pd.DataFrame:
    """Make a table of pandas of plain columns; whole numbers and truth values with gaps stay what they are."""
    single = {name: _series(name, column) for name, column in columns.items() if not _converts_at_once(column)}
    others = {name: column for name, column in columns.items() if name not in single}
    if not others:
        return pd.DataFrame(single, copy=False)
    frame: pd.DataFrame = pa.table(others).to_pandas()
    return pd.concat([frame, pd.DataFrame(single, copy=False)], axis=1)[list(columns)] if single else frame


def _converts_at_once(column: pa.Array) -> bool:
    """Return True for a column that pandas holds as Arrow does."""
    whole = pa.types.is_integer(column.type) or pa.types.is_boolean(column.type)
    return pa.types.is_floating(column.type) or (whole and not column.null_count)


def _series(name: str, column: pa.Array) -> Any:
    if column.null_count and not is_measured(name):
        if pa.types.is_boolean(column.type):
            return column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
        if pa.types.is_integer(column.type):
            return column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
    if pa.types.is_null(column.type) and is_measured(name):
        return column.cast(pa.float64()).to_pandas()
    series = column.to_pandas()
    if pa.types.is_string(column.type) or pa.types.is_null(column.type):
        return series.astype(object)
    return series


def plain_frame(rows: pd.DataFrame, declared: Mapping[str, str]) -> pd.DataFrame:
    """Give the columns of a chunk of a database the types that the database declares.

    Parameters
    ----------
    rows : DataFrame
        Values as the database returns them.
    declared : mapping of str to str
        Declared types in capitals. Words for a missing value among declared numbers become missing values; other words
        stay as they are.

    Returns
    -------
    DataFrame
    """
    names = list(map(str, rows))
    return pd.DataFrame({name: _declared(rows[name], name, declared.get(name, "")) for name in names}, copy=False)


def _declared(values: pd.Series, name: str, declared: str) -> pd.Series:
    is_whole = "INT" in declared
    is_number = is_whole or any(word in declared for word in ("REAL", "FLOA", "DOUB", "NUM", "DEC"))
    if "BOOL" in declared:
        return values.map(lambda value: None if value is None else bool(value)).astype("boolean")
    if not (is_number or is_measured(name)):
        values = values.infer_objects()
        return values.astype("Int64") if _whole_with_gaps(values) else values
    numbers = pd.to_numeric(values.where(~values.isin(MISSING_WORDS), np.nan), errors="coerce")
    if (numbers.isna() & values.notna() & ~values.isin(MISSING_WORDS)).any():
        return values
    if is_measured(name) and name not in _KEYS:
        return numbers.astype(np.float64)
    if numbers.isna().all():
        return numbers.astype("Int64" if is_whole else np.float64)
    if is_whole and (numbers.dropna() % 1 == 0).all():
        return numbers.astype("Int64") if numbers.isna().any() else numbers.astype(np.int64)
    return numbers


def _whole_with_gaps(values: pd.Series) -> bool:
    """Return True for integers and None: as floats they would lose digits."""
    present = values.dropna() if values.dtype == object else values[:0]
    return bool(len(present)) and bool(present.map(lambda value: type(value) is int).all())

"""Select rows by a comparison such as ``Metadata_role == 'negative' and Metadata_dose < 10``; no code is executed."""

from __future__ import annotations

import ast
import logging
import operator
import re
from collections.abc import Callable
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted
from .column_types import is_identifier
from .keys import key_column, key_text
from .wells import is_well_column, well_name

log = logging.getLogger(__name__)

_COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.In: lambda column, values: column.isin(values),
    ast.NotIn: lambda column, values: ~column.isin(values),
}
_EQUALITIES = (ast.Eq, ast.NotEq, ast.In, ast.NotIn)
_NEGATIONS = (ast.NotEq, ast.NotIn)
_HELP = "write it like \"Metadata_role == 'negative' and Metadata_plate in ['P1', 'P2']\""
_TOKENS = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|`(?P<name>[^`]+)`""")


def select_rows(frame: pd.DataFrame, query: str) -> NDArray[np.bool_]:
    """Find the rows that a query describes.

    Parameters
    ----------
    frame : DataFrame
    query : str
        Columns compared (``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``not in``) with words in quotes,
        numbers, True and False, or lists of them, joined by ``and``, ``or``, ``not`` and brackets. Names of columns
        with blanks stand in backticks. Missing values satisfy only ``!=`` and ``not in``; ``is None`` finds them. Names
        that are numbers are equal to the number, and wells are equal however they are written (see :mod:`.keys`).

    Returns
    -------
    array (n,), bool

    Raises
    ------
    InputError
        If it is anything else, names a column that is not there, or compares words with numbers.

    Examples
    --------
    >>> select_rows(pd.DataFrame({"dose": [1, 5, 20]}), "dose > 1 and dose < 10")
    array([False,  True, False])
    >>> wells = pd.DataFrame({"Dose (uM)": [1, None], "Well": ["A1", "B2"]})
    >>> select_rows(wells, "`Dose (uM)` is None or Well == 'A01'")
    array([ True,  True])
    """
    try:
        tree, columns = _parse(query)
        return np.asarray(_rows(tree, _Columns(frame, columns)), dtype=bool)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _unreadable(query) from None
    except _NotAllowed as error:
        reason = re.sub(r"_column_\d+_", lambda match: columns.get(match[0], match[0]), str(error))
        raise InputError(f'the query "{_short(query)}": {reason}; {_HELP}') from None


def warn_of_other_spellings(frame: pd.DataFrame, query: str) -> None:
    """Warn of rows that a query leaves out although they hold its word in other letters, such as dmso for DMSO.

    Parameters
    ----------
    frame : DataFrame
    query : str
        See :func:`select_rows`.
    """
    tree, columns = _parse(query)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Compare) or not isinstance(node.left, ast.Name):
            continue
        name = columns.get(node.left.id, node.left.id)
        values = [of for right in node.comparators for of in ast.walk(right) if isinstance(of, ast.Constant)]
        words = {of.value for of in values if isinstance(of.value, str)}
        if not words or not isinstance(node.ops[0], ast.Eq | ast.In) or is_well_column(name):
            continue
        plain = {_plain(word) for word in words}
        held = frame[name].dropna().astype(str)
        for other, count in held[~held.isin(words)].value_counts().items():
            if _plain(str(other)) in plain:
                log.warning(
                    "the query \"%s\" leaves out %s with '%s' in '%s': spell them alike, or name both",
                    *(_short(query), counted(count, "rows"), other, name),
                )


def _plain(word: str) -> str:
    """Return a word without the signs by which spellings differ."""
    return re.sub(r"[\W_]+", "", word.casefold()) or word


def query_columns(query: str) -> list[str]:
    """Find the columns that a query names.

    Parameters
    ----------
    query : str
        See :func:`select_rows`.

    Returns
    -------
    list of str
        In the order of the query, each once. True and False are no columns.

    Raises
    ------
    InputError
        If the query cannot be read.

    Examples
    --------
    >>> query_columns("Metadata_Dose < 10 and `Cell count` > 5")
    ['Metadata_Dose', 'Cell count']
    """
    try:
        tree, columns = _parse(query)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _unreadable(query) from None
    # ast.walk is breadth-first
    names = sorted((node for node in ast.walk(tree) if isinstance(node, ast.Name)), key=lambda node: node.col_offset)
    words = [node.id for node in names if node.id.lower() not in ("true", "false")]
    return list(dict.fromkeys(columns.get(word, word) for word in words))


def _parse(query: str) -> tuple[ast.expr, dict[str, str]]:
    """Return the expression of a query, with words in place of names in backticks, and these names by the words."""
    columns: dict[str, str] = {}

    def placeholder(match: re.Match[str]) -> str:
        if match["name"] is None:
            return match[0]
        word = f"_column_{len(columns)}_"
        columns[word] = match["name"]
        return word

    return ast.parse(_TOKENS.sub(placeholder, query.strip()), mode="eval").body, columns


def _unreadable(query: str) -> InputError:
    return InputError(
        f'the query "{_short(query)}" cannot be read: {_HELP}; a name with blanks stands between backticks (`)'
    )


class _Columns:
    """The columns of a table, by the names that a query has for them."""

    def __init__(self, frame: pd.DataFrame, names: dict[str, str]) -> None:
        self.index = frame.index
        self._frame, self._names = frame, names

    def get(self, word: str) -> pd.Series:
        """Return a column as truth values, numbers or words."""
        name = self._names.get(word, word)
        if name not in self._frame:
            raise _NotAllowed(f"there is no column '{name}' (write words in quotes)")
        return _one_kind(self._frame[name])

    def __contains__(self, word: str) -> bool:
        return self._names.get(word, word) in self._frame


def _one_kind(column: pd.Series) -> pd.Series:
    """Return truth values or numbers that are kept as objects, with gaps or as decimals, in a type of their own."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        column = column.astype(object)
    if column.dtype != object:
        return column
    kinds = set(map(type, column.dropna()))
    if kinds and kinds <= {bool, np.bool_}:
        return column.astype("boolean")
    if kinds and all(issubclass(kind, Number) for kind in kinds):
        return column.map(lambda value: np.nan if pd.isna(value) else float(value)).astype(np.float64)
    return column


def _short(query: str) -> str:
    return query if len(query) <= 200 else f"{query[:200]} ..."


class _NotAllowed(Exception):
    """A part of a query that is no comparison of columns with values."""


def _rows(node: ast.expr, frame: _Columns) -> pd.Series:
    if isinstance(node, ast.BoolOp):
        parts = [_rows(value, frame) for value in node.values]
        join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        result = parts[0]
        for part in parts[1:]:
            result = join(result, part)
        return result
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return ~_rows(node.operand, frame)
    if not isinstance(node, ast.Compare):
        raise _NotAllowed(f"'{ast.unparse(node)}' is no comparison")
    result, left = pd.Series(True, frame.index), node.left
    for operation, right in zip(node.ops, node.comparators, strict=True):
        result &= _comparison(left, operation, right, frame)
        left = right
    return result


def _comparison(left: ast.expr, operation: ast.cmpop, right: ast.expr, frame: _Columns) -> pd.Series:
    a = _value(left, frame)
    if isinstance(right, ast.Constant) and right.value is None and isinstance(a, pd.Series):
        if isinstance(operation, ast.Is | ast.Eq):
            return a.isna()
        if isinstance(operation, ast.IsNot | ast.NotEq):
            return a.notna()
    b = _value(right, frame)
    takes_list = isinstance(operation, ast.In | ast.NotIn)
    if type(operation) not in _COMPARISONS or not isinstance(a, pd.Series) or isinstance(b, list) is not takes_list:
        words = f"{ast.unparse(left)} .. {ast.unparse(right)}"
        raise _NotAllowed(f"'{words}' does not compare a column with a value (or, by 'in', with a list)")
    if isinstance(b, pd.Series):
        if _is_number(a) != _is_number(b):
            kind = "numbers" if _is_number(a) else "words"
            raise _NotAllowed(f"the column {ast.unparse(left)} holds {kind}, not such as {ast.unparse(right)}")
    else:
        a, values = _of_one_kind(a, b if takes_list else [b], operation, left, right)
        b = values if takes_list else values[0]
    rows: pd.Series = _COMPARISONS[type(operation)](a, b)
    missing = isinstance(operation, _NEGATIONS)
    return rows.astype("boolean").where(a.notna(), missing).fillna(missing).astype(bool)


def _of_one_kind(
    column: pd.Series, values: list[Any], operation: ast.cmpop, left: ast.expr, right: ast.expr
) -> tuple[pd.Series, list[Any]]:
    """Return a column and values that can be compared: names that are numbers equal the number."""
    equality = isinstance(operation, _EQUALITIES)
    words = [value for value in values if not _is_number(value)]
    if _is_number(column):
        if pd.api.types.is_bool_dtype(column) and all(word.lower() in ("true", "false") for word in words):
            return column, [value if _is_number(value) else value.lower() == "true" for value in values]
        if equality and is_identifier(str(column.name)) and all(map(_reads_as_number, words)):
            return column, [value if _is_number(value) else float(value) for value in values]
        if words:
            raise _NotAllowed(f"the column {ast.unparse(left)} holds numbers, not such as {ast.unparse(right)}")
        return column, values
    if len(words) < len(values):
        if not (equality or words) and column.dropna().map(_reads_as_number).all():
            return pd.to_numeric(column), values
        if not (equality and column.dropna().map(_reads_as_number).any()):
            raise _NotAllowed(f"the column {ast.unparse(left)} holds words, not such as {ast.unparse(right)}")
        return key_column(column), [key_text(value) for value in values]
    if equality and is_well_column(str(column.name)):
        return key_column(column), [well_name(value) for value in values]
    return column, values


def _reads_as_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _value(node: ast.expr, frame: _Columns) -> Any:
    """Return the column, word, number or list that a node stands for."""
    if isinstance(node, ast.Name):
        if node.id not in frame and node.id.lower() in ("true", "false"):
            return node.id.lower() == "true"
        return frame.get(node.id)
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        number = _value(node.operand, frame)
        if _is_number(number):
            return -number
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(element, frame) for element in node.elts]
        if not any(isinstance(value, pd.Series | list) for value in values):
            return values
    raise _NotAllowed(f"'{ast.unparse(node)}' is no column, word, number or list")


def _is_number(value: pd.Series | str | float) -> bool:
    return pd.api.types.is_numeric_dtype(value) if isinstance(value, pd.Series) else isinstance(value, int | float)

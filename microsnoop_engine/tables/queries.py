"""Select rows by a comparison such as ``Metadata_role == 'negative' and Metadata_dose < 10``; no code is executed."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError

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
_HELP = "write it like \"Metadata_role == 'negative' and Metadata_plate in ['P1', 'P2']\""


def select_rows(frame: pd.DataFrame, query: str) -> NDArray[np.bool_]:
    """Find the rows that a query describes.

    Parameters
    ----------
    frame : DataFrame
    query : str
        Columns compared (``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``not in``) with words in quotes,
        numbers or lists of them, joined by ``and``, ``or``, ``not`` and brackets. Missing values satisfy only ``!=``
        and ``not in``.

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
    """
    try:
        tree = ast.parse(query.strip(), mode="eval").body
        return np.asarray(_rows(tree, frame), dtype=bool)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f'the query "{_short(query)}" cannot be read: {_HELP}') from None
    except _NotAllowed as error:
        raise InputError(f'the query "{_short(query)}": {error}; {_HELP}') from None


def _short(query: str) -> str:
    return query if len(query) <= 200 else f"{query[:200]} ..."


class _NotAllowed(Exception):
    """A part of a query that is no comparison of columns with values."""


def _rows(node: ast.expr, frame: pd.DataFrame) -> pd.Series:
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


def _comparison(left: ast.expr, operation: ast.cmpop, right: ast.expr, frame: pd.DataFrame) -> pd.Series:
    a, b = _value(left, frame), _value(right, frame)
    takes_list = isinstance(operation, ast.In | ast.NotIn)
    if type(operation) not in _COMPARISONS or not isinstance(a, pd.Series) or isinstance(b, list) is not takes_list:
        words = f"{ast.unparse(left)} .. {ast.unparse(right)}"
        raise _NotAllowed(f"'{words}' does not compare a column with a value (or, by 'in', with a list)")
    if any(_is_number(a) != _is_number(value) for value in (b if takes_list else [b])):
        kind = "numbers" if _is_number(a) else "words"
        raise _NotAllowed(f"the column {ast.unparse(left)} holds {kind}, not such as {ast.unparse(right)}")
    rows: pd.Series = _COMPARISONS[type(operation)](a, b)
    return rows.fillna(False).astype(bool)


def _value(node: ast.expr, frame: pd.DataFrame) -> Any:
    """Return the column, word, number or list that a node stands for."""
    if isinstance(node, ast.Name):
        if node.id not in frame:
            raise _NotAllowed(f"there is no column '{node.id}' (write words in quotes)")
        return frame[node.id]
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

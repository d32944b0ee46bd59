"""Rows of a table by an expression, ``Metadata_role == 'negative' and Metadata_dose < 10``; nothing is executed."""

from __future__ import annotations

import ast
import operator
from typing import Any

import numpy as np
import pandas as pd

from ..errors import InputError

_COMPARISONS = {
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


def select_rows(frame: pd.DataFrame, query: str) -> np.ndarray:
    """Which rows (n,), bool, a query describes.

    Parameters
    ----------
    frame : DataFrame
    query : str
        Columns compared (``==``, ``!=``, ``<``, ``<=``, ``>``, ``>=``, ``in``, ``not in``) with words in quotes,
        numbers or lists of them, joined by ``and``, ``or``, ``not`` and brackets. Missing values satisfy only ``!=``
        and ``not in``.

    Raises
    ------
    InputError
        If it is anything else, names a column that is not there, or compares words with numbers.
    """
    try:
        tree = ast.parse(query.strip(), mode="eval").body
        return np.asarray(_rows(tree, frame), dtype=bool)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise InputError(f'the query "{_short(query)}" cannot be read: {_HELP}') from None
    except _NotAllowed as error:
        raise InputError(f'the query "{_short(query)}": {error}; {_HELP}') from None


def _short(query: str) -> str:
    return query if len(query) <= 200 else f"{query[:200]} .."


class _NotAllowed(Exception):
    pass


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
    many = isinstance(operation, ast.In | ast.NotIn)
    if type(operation) not in _COMPARISONS or not isinstance(a, pd.Series) or isinstance(b, list) is not many:
        words = f"{ast.unparse(left)} .. {ast.unparse(right)}"
        raise _NotAllowed(f"'{words}' does not compare a column with a value (or, by 'in', with a list)")
    others = b if many else [b]
    if not isinstance(b, pd.Series) and any(_is_number(a) != isinstance(value, int | float) for value in others):
        kind = "numbers" if _is_number(a) else "words"
        raise _NotAllowed(f"the column {ast.unparse(left)} holds {kind}, not such as {ast.unparse(right)}")
    found = _COMPARISONS[type(operation)](a, b)
    return found.fillna(False).astype(bool) if hasattr(found, "fillna") else found


def _value(node: ast.expr, frame: pd.DataFrame) -> Any:
    if isinstance(node, ast.Name):
        if node.id not in frame:
            raise _NotAllowed(f"there is no column '{node.id}' (words stand in quotes)")
        return frame[node.id]
    if isinstance(node, ast.Constant) and isinstance(node.value, str | int | float):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        return -_value(node.operand, frame)
    if isinstance(node, ast.List | ast.Tuple):
        values = [_value(element, frame) for element in node.elts]
        if not any(isinstance(value, pd.Series | list) for value in values):
            return values
    raise _NotAllowed(f"'{ast.unparse(node)}' is no column, word, number or list")


def _is_number(column: pd.Series) -> bool:
    return pd.api.types.is_numeric_dtype(column)

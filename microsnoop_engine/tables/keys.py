"""Compare the keys of tables by their values: 41744, '41744' and 41744.0 are one plate, A1 and A01 one well."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from .wells import is_well_column, well_names

_WHOLE = re.compile(r"(-?\d+)\.0+")


def key_text(value: object) -> str:
    """Write a key as the text it is compared by.

    Examples
    --------
    >>> [key_text(value) for value in (41744, 41744.0, "41744.0", " 41744", "0041744", 0.5, True, "A1")]
    ['41744', '41744', '41744', '41744', '0041744', '0.5', 'True', 'A1']
    """
    text = str(value).strip()
    match = _WHOLE.fullmatch(text)
    if match is not None:
        return match[1]
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # 1e+16 and above
    return text


def key_column(column: pd.Series) -> pd.Series:
    """Write a column of keys as the text they are compared by; missing ones stay missing.

    Parameters
    ----------
    column : Series
        A column of wells is known by its name (see :func:`.is_well_column`).

    Returns
    -------
    Series
        Text, or None where there is none.
    """
    if is_well_column(str(column.name)):
        return well_names(column)
    text = column.astype(object)
    names = {value: key_text(value) for value in text.dropna().unique()}
    return text.map(names).where(text.notna(), None)


def key_rows(frame: pd.DataFrame, on: Sequence[str]) -> pd.MultiIndex:
    """Return the keys of the rows of a table, to compare and to join by.

    Parameters
    ----------
    frame : DataFrame
    on : sequence of str
        The key columns.

    Returns
    -------
    MultiIndex
        A row of text per row of the table. Missing values equal each other.
    """
    return pd.MultiIndex.from_arrays([key_column(frame[name]).fillna("") for name in on], names=list(on))

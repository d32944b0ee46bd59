"""Compare names of wells however they are written."""

from __future__ import annotations

import re

import pandas as pd

from .columns import METADATA

_LETTERS = re.compile(r"(?P<row>[A-Z]{1,2})[\s_-]*(?P<column>\d{1,3})", re.IGNORECASE)
_NUMBERS = re.compile(r"R(?P<row>\d{1,3})[\s_-]*C(?P<column>\d{1,3})", re.IGNORECASE)
_COLUMN = re.compile(r"(image_)?(metadata_)?well([\s_]?(position|name|id|label))?", re.IGNORECASE)
ROWS, COLUMNS = 32, 48
"""Rows and columns of the largest plate, of 1536 wells."""


def well_name(text: object) -> str:
    """Write the name of a well as row letter and two-digit column.

    Parameters
    ----------
    text : object
        A well as any program writes it.

    Returns
    -------
    str
        Text that names no well of a plate of up to 32 rows and 48 columns is returned without the blanks around it.

    Examples
    --------
    >>> [well_name(text) for text in ("A01", "a1", "A - 1", "r01c01", "AF48", "AB-7", "edge", "W00")]
    ['A01', 'A01', 'A01', 'A01', 'AF48', 'AB07', 'edge', 'W00']
    """
    word = str(text).strip()
    if match := _LETTERS.fullmatch(word):
        letters = match["row"].upper()
        row = ord(letters[-1]) - 64 + (26 * (ord(letters[0]) - 64) if len(letters) > 1 else 0)
    elif match := _NUMBERS.fullmatch(word):
        row = int(match["row"])
    else:
        return word
    column = int(match["column"])
    if not (1 <= row <= ROWS and 1 <= column <= COLUMNS):
        return word
    letters = chr(64 + row) if row <= 26 else f"A{chr(64 + row - 26)}"
    return f"{letters}{column:02d}"


def well_names(column: pd.Series) -> pd.Series:
    """Write a column of wells as :func:`well_name` does; missing ones stay missing.

    Examples
    --------
    >>> well_names(pd.Series(["a1", None, "B - 2"])).tolist()
    ['A01', None, 'B02']
    """
    names = {value: well_name(value) for value in column.dropna().unique()}
    text = column.astype(object)
    return text.map(names).where(text.notna(), None)


def is_well_column(name: str) -> bool:
    """Return True for the name of a column of wells.

    Examples
    --------
    >>> [is_well_column(name) for name in ("Metadata_Well", "well_position", "WELL LABEL", "Metadata_Role")]
    [True, True, True, False]
    """
    return _COLUMN.fullmatch(name.removeprefix(METADATA)) is not None

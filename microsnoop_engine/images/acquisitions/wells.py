"""Name wells by row and column: A01 to AF48, plates of up to 1536 wells."""

from __future__ import annotations

import re

ROWS = (*"ABCDEFGHIJKLMNOPQRSTUVWXYZ", *(f"A{letter}" for letter in "ABCDEF"))
"""Letters of the rows, from the top."""
COLUMNS = 48

_WELL = re.compile(r"([A-Z]|A[A-F])0{0,2}([1-9]\d?)", re.IGNORECASE)


def well_name(row: int | str, column: int | str) -> str:
    """Return the name of a well.

    Parameters
    ----------
    row : int or str
        From 1, or its letters.
    column : int or str
        From 1.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If no plate has such a row or column.

    Examples
    --------
    >>> well_name(1, 1), well_name("b", "12"), well_name(32, 48)
    ('A01', 'B12', 'AF48')
    """
    letters = str(row).upper()
    if letters.isdecimal():
        letters = ROWS[int(letters) - 1] if 1 <= int(letters) <= len(ROWS) else ""
    if letters not in ROWS or not str(column).isdecimal() or not 1 <= int(column) <= COLUMNS:
        raise ValueError(f"no plate has a well in row {row}, column {column}")
    return f"{letters}{int(column):02d}"


def parse_well(text: str) -> str | None:
    """Return the name of a well in its usual form; None if the text is no name of a well.

    Examples
    --------
    >>> parse_well("a1"), parse_well("AF048"), parse_well("A00"), parse_well("s1")
    ('A01', 'AF48', None, 'S01')
    """
    match = _WELL.fullmatch(text)
    if match is None or int(match[2]) > COLUMNS:
        return None
    return well_name(match[1], match[2])

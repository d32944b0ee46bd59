"""Read the training sets that CellProfiler Analyst's Classifier saves as text."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..storage.paths import read_bytes
from ..tables.columns import IMAGE_NUMBER, OBJECT_NUMBER, TABLE_NUMBER

CLASS, X, Y = "Class", "Location_Center_X", "Location_Center_Y"
_KEYS = (IMAGE_NUMBER, OBJECT_NUMBER)
_LAYOUTS = {
    2: _KEYS,
    3: (TABLE_NUMBER, *_KEYS),
    4: (*_KEYS, X, Y),
    5: (TABLE_NUMBER, *_KEYS, X, Y),
}
"""Meaning of the numbers behind the class, by their count. Versions before 2.1 wrote no positions."""
_FIRST_LINE = re.compile(rb"#\s*Training set created while using properties|label \S")


def is_training_set(path: Path) -> bool:
    """Return True for a text file that begins as CellProfiler Analyst writes its training sets."""
    return path.suffix.lower() == ".txt" and _FIRST_LINE.match(read_bytes(path)) is not None


def read_training_set(path: Path) -> pd.DataFrame:
    """Read a training set of CellProfiler Analyst.

    A line per cell holds its class, the numbers of table (if any), image and object, and the pixel of its center. A
    line that begins with ``label`` lists the classes, lines with ``#`` hold comments and a cache, which is not read.

    Parameters
    ----------
    path : Path

    Returns
    -------
    DataFrame
        Columns ``TableNumber`` (if any), ``ImageNumber``, ``ObjectNumber``, ``Class``, and ``Location_Center_X`` and
        ``Location_Center_Y`` in whole pixels, where the file has them.

    Raises
    ------
    InputError
        If a line holds anything else.
    """
    rows: list[list[int]] = []
    classes: list[str] = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), start=1):
        words = line.split()
        if not words or line.startswith("#") or words[0] == "label":
            continue
        try:
            numbers = [int(float(word)) for word in words[1:]]
        except ValueError:
            numbers = []
        if len(numbers) not in _LAYOUTS or (rows and len(numbers) != len(rows[0])):
            raise InputError(
                f"'{path}', line {number}: '{line:.60}' is no class with the numbers of image and object, and a "
                "position: save the training set again in CellProfiler Analyst"
            )
        rows.append(numbers)
        classes.append(words[0])
    if not rows:
        raise InputError(f"'{path}' has no cells: label some in CellProfiler Analyst")
    frame = pd.DataFrame(rows, columns=list(_LAYOUTS[len(rows[0])]))
    return frame.assign(**{CLASS: classes})

"""Read the labels of cells and find the rows of a table that they belong to."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted, listing, require_columns
from ..evaluation.table import has_word
from ..storage.paths import as_path, path_kind
from ..tables.columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER, PLATE, TABLE_NUMBER, WELL
from ..tables.formats import open_table
from ..tables.keys import key_rows, key_text
from ..tables.source import read_frame
from .cpa_training_sets import X, Y, is_training_set, read_training_set

log = logging.getLogger(__name__)

LABEL_COLUMNS = ("label", "class")
"""Names of the column of labels, in any case."""
MOST_UNMATCHED = 0.1
"""Share of the labels that may belong to no row."""
GROUP, ROI = f"{METADATA}Group", f"{METADATA}Roi"
"""Columns of tables of Fiji: the group of an outline, 0 for none, and its name."""
TOLERANCE = 3.0
"""Pixels by which the center of a labeled cell may differ from that of its row; the files hold whole pixels."""


@dataclass(frozen=True)
class Labels:
    """Labels of the rows of a table.

    Attributes
    ----------
    values : array (n,), object
        A label per row; None where it has none.
    unmatched : list of str
        Keys of the labels that belong to no row.
    blank : int
        Number of lines of the files without a label.
    ungrouped : int
        Number of outlines without a group in a table of Fiji.
    """

    values: NDArray[Any]
    unmatched: list[str]
    blank: int = 0
    ungrouped: int = 0


def labels_of_column(frame: pd.DataFrame, column: str) -> Labels:
    """Take labels from a column of the table itself, such as the groups of ROIs.

    Parameters
    ----------
    frame : DataFrame
    column : str

    Returns
    -------
    Labels
        Rows with an empty cell have none, nor outlines of ImageJ whose group is 0.

    Raises
    ------
    InputError
        If there is no such column, or it is empty.
    """
    require_columns(frame, [column], "`label`: the table")
    ungrouped = _without_group(frame, column)
    known = has_word(frame[column]) & ~ungrouped
    if not known.any():
        raise InputError(f"`label`: the column {column} is empty: label some cells")
    names = frame[column].map(lambda value: key_text(value), na_action="ignore").astype(object)
    return Labels(names.where(known, None).to_numpy(), [], ungrouped=int(ungrouped.sum()))


def _without_group(frame: pd.DataFrame, column: str) -> NDArray[np.bool_]:
    """Return True for the outlines of a table of Fiji that have no group, which is 0 there."""
    if column != GROUP or ROI not in frame:
        return np.zeros(len(frame), bool)
    return (frame[column].map(lambda value: key_text(value), na_action="ignore") == "0").to_numpy(bool)


def read_labels(
    frame: pd.DataFrame,
    paths: Sequence[str | Path],
    label: str | None = None,
    on: Sequence[str] | None = None,
    most_unmatched: float = MOST_UNMATCHED,
) -> Labels:
    """Read labels from files.

    Parameters
    ----------
    frame : DataFrame
        Keys and metadata of the rows, and their centers, if it has them.
    paths : sequence of str or Path
        Tables with key columns and a column of labels, or training sets of CellProfiler Analyst (.txt).
    label : str, optional
        Column of the labels. By default the one called Label or Class.
    on : sequence of str, optional
        Key columns. By default numbers of image and object with plate and well, as far as both have them; or all
        metadata that both have.
    most_unmatched : float
        Share of the labels of a file, from 0 to 1, that may belong to no row.

    Returns
    -------
    Labels

    Raises
    ------
    InputError
        If a file has no labels or no common keys, too many of its labels belong to no row, or two of them differ for
        one row.
    """
    values: NDArray[Any] = np.full(len(frame), None, object)
    origin: NDArray[Any] = np.full(len(frame), None, object)
    unmatched: list[str] = []
    blank = ungrouped = 0
    for each in paths:
        path = as_path(each)
        given, column = _read(path, label)
        keys = _keys(frame, given, column, path) if on is None else list(on)
        require_columns(given, keys, f"`on`: '{path}'")
        require_columns(frame, keys, "`on`: the table")
        without = _without_group(given, column)
        known = has_word(given[column])
        blank += int((~known).sum())
        ungrouped += int(without.sum())
        known &= ~without
        given = given[known].reset_index(drop=True)
        if given.empty:
            raise InputError(f"'{path}': the column {column} is empty: fill in some labels")
        rows, missing = _match(frame, given, keys)
        if len(missing) > most_unmatched * len(given):
            raise InputError(
                f"'{path}': {len(missing)} of {counted(len(given), 'labels belong', 'label belongs')} to no row by "
                f"{', '.join(keys)} (first {missing[0]}): are they of this table, with the same segmentation? Choose "
                "key columns with `on`"
            )
        unmatched += missing
        words = [key_text(word) for word in given[column]]
        for line, here in rows:
            other = [row for row in here if values[row] is not None and values[row] != words[line]]
            if other:
                key = _described(given.iloc[line], keys)
                raise InputError(
                    f"'{path}': the cell of {key} is labeled '{words[line]}', but '{values[other[0]]}' in "
                    f"'{origin[other[0]]}': correct one of them"
                )
            values[here], origin[here] = words[line], str(path)
    if unmatched:
        belong = counted(len(unmatched), "labels belong", "label belongs")
        log.warning("%s to no row, left out: %s", belong, listing(unmatched))
    return Labels(values, unmatched, blank, ungrouped)


def _read(path: Path, label: str | None) -> tuple[pd.DataFrame, str]:
    """Read a file of labels; return it with the name of its column of labels."""
    if path_kind(path) is None:
        raise InputError(f"`labels`: there is no file '{path}'")
    given = read_training_set(path) if is_training_set(path) else read_frame(open_table(path))
    if label is not None:
        require_columns(given, [label], f"`label`: '{path}'")
        return given, label
    found = [name for name in map(str, given) if name.removeprefix(METADATA).lower() in LABEL_COLUMNS]
    if len(found) != 1:
        what = f"has the columns {', '.join(found)}" if found else f"has no column Label, only {listing(given, 10)}"
        raise InputError(f"'{path}' {what}: choose the column of labels with `label`")
    return given, found[0]


def _keys(frame: pd.DataFrame, given: pd.DataFrame, column: str, path: Path) -> list[str]:
    """Return the key columns that the table and a file of labels share."""
    shared = [str(name) for name in given if name in frame and name != column]
    if IMAGE_NUMBER in shared and OBJECT_NUMBER in shared:
        return [name for name in (PLATE, WELL, TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER) if name in shared]
    keys = [name for name in shared if name.startswith(METADATA) or name in (IMAGE_NUMBER, OBJECT_NUMBER)]
    if not keys:
        raise InputError(
            f"'{path}' shares no keys with the table (ImageNumber and ObjectNumber, or Metadata_ columns such as "
            f"Metadata_Well); it has {listing(given, 10)}: name key columns with `on`"
        )
    return keys


def _match(
    frame: pd.DataFrame, given: pd.DataFrame, keys: list[str]
) -> tuple[list[tuple[int, NDArray[np.intp]]], list[str]]:
    """Find the rows of each label, and the keys of labels without a row."""
    given_keys = key_rows(given, keys)
    unique = given_keys.unique()
    which = unique.get_indexer(key_rows(frame, keys))
    order = np.argsort(which, kind="stable")
    starts = np.searchsorted(which[order], np.arange(len(unique) + 1))
    far = _far(frame, given)
    rows, missing = [], []
    for line, number in enumerate(unique.get_indexer(given_keys)):
        here = np.array([row for row in order[starts[number] : starts[number + 1]] if not far(line, row)], np.intp)
        if not len(here):
            missing.append(_described(given.iloc[line], keys))
        else:
            rows.append((line, here))
    return rows, missing


def _far(frame: pd.DataFrame, given: pd.DataFrame) -> Any:
    """Return a function that says if a label and a row, by number, lie at different places of an image."""
    columns = [name for name in map(str, frame) if name.endswith(X)]
    if X not in given or not columns:
        return lambda line, row: False
    x = columns[0]
    centers = frame[[x, f"{x[:-1]}Y"]].to_numpy(np.float64)
    labeled = given[[X, Y]].to_numpy(np.float64)
    return lambda line, row: bool(np.linalg.norm(centers[row] - labeled[line]) > TOLERANCE)


def _described(row: pd.Series, keys: Sequence[str]) -> str:
    return ", ".join(f"{name} {key_text(row[name])}" for name in keys)

"""Read the rows that a classifier takes, and find the wells and images that they are parts of."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..tables.columns import METADATA, OBJECT_NUMBER
from ..tables.plates import row_units
from ..tables.source import TableSource

log = logging.getLogger(__name__)


def is_key(name: str) -> bool:
    """Return True for a column that may be a key, a group or the place of an object."""
    return name.startswith(METADATA) or name.endswith("Number") or "Location_Center_" in name


def rows_of(source: TableSource, names: Sequence[str], rows: NDArray[Any]) -> NDArray[Any]:
    """Read some rows of a table of any size.

    Parameters
    ----------
    source : TableSource
    names : sequence of str
        p columns.
    rows : array (n,), int
        In rising order.

    Returns
    -------
    array (n, p), float64
    """
    parts, start = [], 0
    for chunk in source.chunks(names):
        here = rows[(rows >= start) & (rows < start + len(chunk))] - start
        parts.append(chunk.iloc[here].to_numpy(np.float64))
        start += len(chunk)
    return np.concatenate(parts)


def group_kinds(frame: pd.DataFrame, groups: str | None) -> dict[str, NDArray[Any]]:
    """Find what rows are parts of.

    Parameters
    ----------
    frame : DataFrame
        Keys and metadata of n rows.
    groups : str, optional
        Column of the groups; by default wells and images.

    Returns
    -------
    dict of str to array (n,)
        Groups by their kind, the largest first.

    Raises
    ------
    InputError
        If there is no such column.
    """
    if groups is not None:
        if groups not in frame:
            raise InputError(f"`groups`: the table has no column '{groups}'")
        return {groups: frame.groupby(groups, dropna=False).ngroup().to_numpy()}
    columns = list(map(str, frame))
    kinds = row_units(columns)
    if OBJECT_NUMBER in columns:
        kinds |= row_units([name for name in columns if not name.startswith(METADATA)])
    return {name: frame.groupby(of, dropna=False).ngroup().to_numpy() for name, of in kinds.items()}


def warn_of_groups(unit: str, group_of: NDArray[Any] | None, kinds: dict[str, NDArray[Any]]) -> None:
    """Warn where cells of one well or image are both trained and tested on."""
    if unit == next(iter(kinds), "cells"):
        return
    first = next(iter(kinds))
    log.warning(
        "a class has labels in one of the %s only: the scores are those of %s that were held out, which are better "
        "than those of other %s. Label cells of each class in two or more %s",
        first,
        "other images" if group_of is not None else "single cells of known images",
        first,
        first,
    )

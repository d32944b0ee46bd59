"""Choose the rows that a correction is fitted on, and notice features that dominate its result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted
from ..tables.queries import select_rows, warn_of_other_spellings
from ..tables.wells import is_well_column, well_names

ALL_ROWS = "all"
"""The name of the only group of a global fit, and in place of a query: every row is a control."""
DOMINANT = 0.9
"""Share of the squared length of a row above which one feature dominates it."""
FEWEST = 5
"""Number of features from which none should dominate."""


def control_rows(frame: pd.DataFrame, controls: str, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the control rows that have features.

    Parameters
    ----------
    frame : DataFrame
    controls : str
        Query of the control rows, or ``all``.
    present : array (n,), bool
        Rows that have features.

    Returns
    -------
    array (n,), bool

    Raises
    ------
    InputError
        If there are fewer than two.
    """
    selected = np.ones(len(frame), bool) if controls == ALL_ROWS else select_rows(frame, controls)
    if controls != ALL_ROWS:
        warn_of_other_spellings(frame, controls)
    if not selected.any():
        raise InputError(f'no row is a control by "{controls}": check names and spelling')
    is_control: NDArray[np.bool_] = selected & present
    if is_control.sum() < 2:
        of_all = f"of {counted(selected.sum(), 'control rows have', 'control row has')} features"
        raise InputError(f'by "{controls}", {is_control.sum()} {of_all}: a fit needs two, better more than features')
    return is_control


def group_rows(frame: pd.DataFrame, by: str | None, present: NDArray[np.bool_]) -> dict[str, NDArray[np.intp]]:
    """Find the rows of each group that have features.

    Parameters
    ----------
    frame : DataFrame
    by : str, optional
        Column of the groups; by default all rows form one, called ``all``. Wells are equal however they are written.
    present : array (n,), bool
        Rows that have features.

    Returns
    -------
    dict of str to array (m,), int

    Raises
    ------
    InputError
        If rows have no group.
    """
    rows_present = np.flatnonzero(present)
    if by is None:
        return {ALL_ROWS: rows_present}
    if (without := frame[by].isna().to_numpy()).any():
        raise InputError(
            f"{counted(without.sum(), 'rows have', 'row has')} no '{by}' (the first is row {without.argmax() + 1}): "
            "fill it in"
        )
    return {str(name): np.intersect1d(rows, rows_present) for name, rows in _by_value(frame[by]).items()}


def _by_value(column: pd.Series) -> dict[Any, NDArray[np.intp]]:
    """Return the rows of each value; of wells, whatever their spelling."""
    values = well_names(column) if is_well_column(str(column.name)) else column
    return {name: np.asarray(rows) for name, rows in column.groupby(values, observed=True).indices.items()}


def dominant_features(values: NDArray[Any], names: Sequence[str]) -> dict[str, int]:
    """Count the rows of which one feature makes up nearly all of the length.

    Parameters
    ----------
    values : array (n, p)
    names : sequence of str

    Returns
    -------
    dict of str to int
        Most rows first; empty for fewer than ``FEWEST`` features.
    """
    squares = values[np.isfinite(values).all(1)] ** 2
    if len(names) < FEWEST or not len(squares):
        return {}
    first = squares.argmax(1)
    rows = squares.max(1) > DOMINANT * squares.sum(1)
    counts = np.bincount(first[rows], minlength=len(names))
    return {names[column]: int(counts[column]) for column in np.argsort(-counts, kind="stable") if counts[column]}

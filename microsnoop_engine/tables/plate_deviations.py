"""Compare values with the others of their plate, by medians."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def group_numbers(frame: pd.DataFrame, by: Sequence[str]) -> NDArray[np.int64]:
    """Return the number (n,) of each row's group, the rows with equal values in columns; without any, all are one."""
    if not by:
        return np.zeros(len(frame), np.int64)
    return np.asarray(frame.groupby(list(by), dropna=False, sort=False, observed=True).ngroup(), np.int64)


def robust_deviations(
    values: NDArray[Any], groups: NDArray[np.int64], min_group: int, min_spread: float
) -> NDArray[np.float64]:
    """Return how far positive values lie from the median of their group.

    Parameters
    ----------
    values : array (n,)
    groups : array (n,), int
        See :func:`group_numbers`.
    min_group : int
        Values that a group needs.
    min_spread : float
        Smallest spread of a group, in natural logarithms.

    Returns
    -------
    array (n,), float64
        In units of the median absolute deviation (times 1.4826), both of logarithms; 0 where there is nothing to
        compare with.

    Examples
    --------
    >>> robust_deviations(np.array([1, 1, 1, np.e]), np.zeros(4, int), min_group=4, min_spread=0.5).tolist()
    [0.0, 0.0, 0.0, 2.0]
    """
    numbers = np.asarray(values, np.float64)
    logs = pd.Series(np.log(np.where(numbers > 0, numbers, np.nan)))
    by_group = logs.groupby(groups)
    distance = logs - by_group.transform("median")
    spread = (1.4826 * distance.abs().groupby(groups).transform("median")).clip(lower=min_spread)
    deviations = (distance / spread).where(by_group.transform("count") >= min_group, 0.0)
    return np.asarray(deviations.fillna(0.0), np.float64)


def small_groups(frame: pd.DataFrame, by: Sequence[str], least: int) -> list[str]:
    """Return the groups of fewer than ``least`` rows, as words; ``all`` where rows are not grouped.

    Examples
    --------
    >>> small_groups(pd.DataFrame({"Metadata_Plate": ["P1", "P2", "P2"]}), ["Metadata_Plate"], 2)
    ['P1']
    """
    if not by:
        return [] if len(frame) >= least else ["all"]
    sizes = frame.groupby(list(by), dropna=False, observed=True).size()
    return [" ".join(map(str, name if isinstance(name, tuple) else (name,))) for name in sizes.index[sizes < least]]

"""Prepare classical features for sphering: robust z-scores on controls, and columns without information."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
FLOOR = 0.01
"""Smallest deviation of the controls that is divided by, as a share of the deviation of all rows."""
CONSTANT = 1e-3
"""Deviation of the controls, as a share of that of all rows, up to which a column counts as constant over them."""
ROUNDING = 1e-6
"""The same share, where only a few outlying rows make the deviation of all rows."""
WIDTH = 3.29
"""The middle 90 % of a normal distribution, in standard deviations."""
DUPLICATE = 0.95
"""Correlation above which the later one of two columns is dropped."""
COLUMNS = 1024
"""Number of columns whose correlations are in memory together."""
DUPLICATE_OF = "as "
"""Beginning of the reason for a dropped near-duplicate; the other column follows."""


def robust_z(features: NDArray[Any], controls: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scale features to distances from the controls' median, in units of their median absolute deviation.

    The unit is at least a hundredth of the same deviation of all rows: where controls hardly differ, rounding errors
    would decide how much a feature counts.

    Parameters
    ----------
    features : array (n, p)
    controls : array (n,), bool

    Returns
    -------
    array (n, p), float64
        NaN in columns that do not vary over the controls.

    Raises
    ------
    InputError
        If there is no control.
    """
    features = np.asarray(features, dtype=np.float64)
    if not controls.any():
        raise InputError("there are no control rows: check the query")
    center = _median(features[controls])
    spread = np.fmax(_deviation(features[controls]), FLOOR * _deviation(features))
    spread = np.where(spread > 0, spread, _spread(features[controls]))
    return np.asarray((features - center) / np.where(spread > 0, spread, np.nan))


def constant_over_controls(features: NDArray[Any], controls: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find columns that vary over the rows, but not over the controls, apart from rounding.

    Parameters
    ----------
    features : array (n, p)
    controls : array (n,), bool

    Returns
    -------
    array (p,), bool
    """
    features = np.asarray(features, dtype=np.float64)
    of_controls = _spread(features[controls])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without numbers
        extent = np.nanmax(features, axis=0) - np.nanmin(features, axis=0)
        constant = np.asarray(of_controls <= CONSTANT * extent / WIDTH)  # no column that is constant is missed
        if not constant.any():
            return constant
        low, high = np.nanpercentile(features[:, constant], (5, 95), axis=0)
    few, usual = of_controls[constant], (high - low) / WIDTH
    constant[constant] = (few <= CONSTANT * usual) | (few <= ROUNDING * _spread(features[:, constant]))
    return constant


def _median(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the median (p,) of the numbers that are present."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without numbers
        return np.asarray(np.nanmedian(values, axis=0))


def _deviation(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the median absolute deviation (p,), scaled to that of a normal distribution."""
    return MAD_TO_DEVIATION * _median(np.abs(values - _median(values)))


def _spread(values: NDArray[Any]) -> NDArray[np.float64]:
    """Return the standard deviation (p,) of the numbers that are present."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(np.nanstd(values, axis=0))


def uninformative(features: NDArray[Any], names: Sequence[str]) -> dict[str, str]:
    """Find columns to leave out, with the reason.

    Parameters
    ----------
    features : array (n, p)
    names : sequence of str

    Returns
    -------
    dict of str to str
        ``missing values``, ``constant``, or ``as <column>`` for a column that correlates with an earlier one.

    Examples
    --------
    >>> uninformative(np.array([[1.0, 2, 5], [2, 4, 5], [3, 6, 5]]), ["Area", "Twice", "Flat"])
    {'Flat': 'constant', 'Twice': 'as Area'}
    """
    features = np.asarray(features, dtype=np.float64)
    reasons: dict[str, str] = {}
    missing = ~np.isfinite(features).all(0)
    spread = np.where(missing, 0, np.nan_to_num(features).std(0))
    usable = []
    for column, name in enumerate(names):
        if missing[column]:
            reasons[name] = "missing values"
        elif spread[column] <= 1e-12 * max(np.abs(features[:, column]).max(), 1e-300):
            reasons[name] = "constant"
        else:
            usable.append(column)
    chosen = features[:, usable]
    scaled = (chosen - chosen.mean(0)) / chosen.std(0)
    kept = np.zeros(len(usable), bool)
    for start in range(0, len(usable), COLUMNS):
        block = scaled[:, start : start + COLUMNS]
        earlier = scaled[:, : start + block.shape[1]]
        correlated = np.abs(block.T @ earlier / max(len(scaled), 1)) > DUPLICATE
        for index, row in enumerate(correlated, start):
            twins = np.flatnonzero(row & kept[: len(row)])
            if len(twins):
                reasons[names[usable[index]]] = f"{DUPLICATE_OF}{names[usable[twins[0]]]}"
            else:
                kept[index] = True
    return reasons

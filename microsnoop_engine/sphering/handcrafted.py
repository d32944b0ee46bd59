"""Prepare classical features for sphering: robust z-scores on controls, and columns without information."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

MAD_TO_DEVIATION = 1.4826
"""Standard deviation of a normal distribution over its median absolute deviation."""
DUPLICATE = 0.95
"""Correlation above which the later one of two columns is dropped."""
DUPLICATE_OF = "as "
"""Beginning of the reason for a dropped near-duplicate; the other column follows."""


def robust_z(features: NDArray[Any], controls: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Scale features to distances from the controls' median, in units of their median absolute deviation.

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
    center = np.nanmedian(features[controls], axis=0)
    spread = MAD_TO_DEVIATION * np.nanmedian(np.abs(features[controls] - center), axis=0)
    return np.asarray((features - center) / np.where(spread > 0, spread, np.nan))


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
    correlated = np.abs(scaled.T @ scaled / max(len(scaled), 1)) > DUPLICATE
    kept: list[int] = []
    for index, column in enumerate(usable):
        twins = [other for other in kept if correlated[index, other]]
        if twins:
            reasons[names[column]] = f"{DUPLICATE_OF}{names[usable[twins[0]]]}"
        else:
            kept.append(index)
    return reasons

"""Handcrafted features beside learned ones: robust z-scores on controls, and columns that say nothing, by name."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import InputError

MAD_TO_DEVIATION = 1.4826
"""The median absolute deviation of a normal distribution times this is its standard deviation."""
DUPLICATE = 0.95
"""Correlation above which of two columns the later one is dropped."""


def robust_z(features: np.ndarray, controls: np.ndarray) -> np.ndarray:
    """Distances from the controls' median in units of their median absolute deviation.

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
    return (features - center) / np.where(spread > 0, spread, np.nan)


def uninformative(features: np.ndarray, names: Sequence[str]) -> dict[str, str]:
    """Columns to leave out, with the reason.

    Parameters
    ----------
    features : array (n, p)
    names : sequence of str

    Returns
    -------
    dict of str to str
        ``missing values``, ``constant``, or ``as <column>`` for one that goes along with an earlier column.
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
    alike = np.abs(scaled.T @ scaled / max(len(scaled), 1)) > DUPLICATE
    kept: list[int] = []
    for place, column in enumerate(usable):
        twins = [other for other in kept if alike[place, other]]
        if twins:
            reasons[names[column]] = f"as {names[usable[twins[0]]]}"
        else:
            kept.append(place)
    return reasons

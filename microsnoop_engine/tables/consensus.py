"""Combine replicates to one profile by MODZ: those that agree with the others count more."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

LEAST_WEIGHT = 0.01
"""Weight of a replicate that agrees with no other one, before weights are scaled to 1 in total."""


def modz(values: NDArray[Any]) -> NDArray[np.float64]:
    """Average replicates, weighted by their agreement (MODZ; Subramanian et al. 2017).

    The weight of a row is its mean Spearman correlation with the other rows, where negative ones count as 0, and at
    least 0.01. Two rows agree alike, so that their consensus is their mean.

    Parameters
    ----------
    values : array (n, p)
        Rows without any number take no part.

    Returns
    -------
    array (p,), float64
        Over the rows that have a number; NaN where none has.

    Raises
    ------
    InputError
        If there are fewer than two columns: nothing can be correlated.

    Examples
    --------
    >>> modz(np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 7.0], [9.0, 5.0, 1.0]])).round(2)
    array([1.57, 3.02, 4.96])
    """
    from scipy.stats import rankdata

    values = np.asarray(values, np.float64)
    if values.shape[1] < 2:
        raise InputError("modz needs two features: it weights rows by the correlation of their features")
    values = np.where(np.isfinite(values), values, np.nan)
    values = values[np.isfinite(values).any(1)]
    if not len(values):
        return np.full(values.shape[1], np.nan)
    complete = np.isfinite(values).all(0)
    weights = np.ones(len(values))
    if len(values) > 2 and complete.sum() > 1:
        ranks = rankdata(values[:, complete], axis=1)
        with np.errstate(invalid="ignore"):  # rows that are constant correlate with none
            correlations = np.nan_to_num(np.corrcoef(ranks)).clip(min=0)
        np.fill_diagonal(correlations, 0)
        weights = (correlations.sum(1) / (len(values) - 1)).clip(min=LEAST_WEIGHT)
    shares = np.where(np.isfinite(values), weights[:, None], 0)
    total = shares.sum(0)
    sums = (np.nan_to_num(values) * shares).sum(0)
    return np.asarray(np.where(total > 0, sums / np.where(total > 0, total, 1), np.nan))

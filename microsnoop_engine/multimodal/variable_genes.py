"""Normalize counts of genes, and choose the genes that vary more than others of their expression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

BINS = 20
"""Bins of expression in which dispersions are compared."""


def is_counts(values: NDArray[Any]) -> bool:
    """Return True for whole numbers from 0 that are not all 0."""
    return bool(values.size and values.any() and values.min() >= 0 and (values == np.floor(values)).all())


def normalize_totals(counts: NDArray[Any], total: float | None = None) -> NDArray[np.float64]:
    """Scale the counts of each cell to one total.

    Parameters
    ----------
    counts : array (n, p)
        Each cell has some.
    total : float, optional
        By default the median total of a cell.

    Returns
    -------
    array (n, p), float64

    Examples
    --------
    >>> normalize_totals(np.array([[1, 1], [3, 1]])).tolist()
    [[1.5, 1.5], [2.25, 0.75]]
    """
    counts = np.asarray(counts, np.float64)
    totals = counts.sum(1, keepdims=True)
    return np.asarray(counts / totals * (np.median(totals) if total is None else total))


def variable_genes(normalized: NDArray[np.float64], count: int) -> NDArray[np.intp]:
    """Choose the genes of the highest normalized dispersion (Satija et al. 2015), as ``seurat`` of scanpy does.

    The logarithm of the dispersion (variance by mean) of a gene is standardized among the genes of similar mean: 20
    bins of log(1 + mean).

    Parameters
    ----------
    normalized : array (n, p)
        Counts scaled to one total, without logarithm.
    count : int
        Number of genes to choose.

    Returns
    -------
    array (count,) or (p,), int
        Their columns, in order; all, if there are no more than ``count``.
    """
    if normalized.shape[1] <= count:
        return np.arange(normalized.shape[1])
    means, variances = normalized.mean(0), normalized.var(0, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        dispersions = pd.Series(np.where(variances > 0, np.log(variances / means), np.nan))
    bins = dispersions.groupby(pd.cut(np.log1p(means), BINS, labels=False))
    center, spread = bins.transform("mean"), bins.transform("std")
    # a gene alone in its bin counts as one standard deviation above its like
    alone = spread.isna()
    deviations = ((dispersions - center) / spread).mask(alone & dispersions.notna(), 1.0)
    order = np.argsort(-deviations.fillna(-np.inf).to_numpy(), kind="stable")
    return np.sort(order[:count])

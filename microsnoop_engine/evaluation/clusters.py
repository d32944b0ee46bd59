"""Group rows of features into clusters."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted

SEED = 0


def clusters(features: NDArray[Any], count: int) -> NDArray[np.int32]:
    """Group rows by k-means.

    Parameters
    ----------
    features : array (n, p)
    count : int
        Number of clusters, 2 or more.

    Returns
    -------
    array (n,), int32
        1 is the largest cluster, 0 a row with missing features.

    Raises
    ------
    InputError
        If there are fewer rows with all features than clusters.

    Examples
    --------
    >>> clusters(np.array([[0.0], [0.1], [5.0], [np.nan]]), 2).tolist()
    [1, 1, 2, 0]
    """
    known = np.isfinite(features).all(1) if features.ndim == 2 else np.zeros(0, bool)
    if not isinstance(count, int) or not 2 <= count <= max(known.sum(), 1):
        raise InputError(
            f"{counted(count, 'clusters')} cannot be made of {counted(known.sum(), 'rows')} with all features: "
            "`clusters` must be 2 up to the number of rows"
        )
    from sklearn.cluster import KMeans

    assigned = KMeans(count, n_init=10, random_state=SEED).fit_predict(features[known].astype(np.float64))
    order = np.argsort(-np.bincount(assigned, minlength=count), kind="stable")
    rank = np.empty(count, np.int32)
    rank[order] = np.arange(1, count + 1)
    result = np.zeros(len(features), np.int32)
    result[known] = rank[assigned]
    return result

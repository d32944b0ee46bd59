"""Cluster features and map them to two dimensions for a host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from ..evaluation.clusters import clusters
from .arrays import ArrayTransport


def cluster(exchange: ArrayTransport, inputs: dict[str, Any]) -> dict[str, Any]:
    """Cluster rows by k-means.

    Parameters
    ----------
    exchange : ArrayTransport
    inputs : dict
        ``features`` (n, d) and ``clusters``, their number (default 3).

    Returns
    -------
    dict
        ``cluster`` (n,), int32: 1 is the largest cluster, 0 a row with missing features.

    Raises
    ------
    InputError
        If there are fewer rows than clusters.
    """
    features = exchange.receive("features", inputs["features"])
    assigned = clusters(features, inputs.get("clusters", 3))
    return {"cluster": exchange.sender(inputs["features"])("cluster", assigned)}


def embedding_map(exchange: ArrayTransport, inputs: dict[str, Any]) -> dict[str, Any]:
    """Map rows to two dimensions.

    Parameters
    ----------
    exchange : ArrayTransport
    inputs : dict
        ``features`` (n, d) and ``method``, 'pca' (default) or 'umap'.

    Returns
    -------
    dict
        ``points`` (n, 2), float32, NaN for a row with missing features; ``explained``, the shares of the variance
        along the two axes (of ``pca``).

    Raises
    ------
    InputError
        If fewer than 4 rows have all features.
    MissingExtraError
        If ``umap`` is not installed.
    """
    from ..evaluation.embedding_map import principal_components, umap

    features = exchange.receive("features", inputs["features"])
    method = inputs.get("method", "pca")
    if method not in ("pca", "umap"):
        raise InputError(f"`method` is {method!r:.100}: it must be 'pca' or 'umap'")
    known = np.isfinite(features).all(1) if features.ndim == 2 else np.zeros(0, bool)
    if known.sum() < 4:
        raise InputError(
            f"a map needs at least 4 rows with all features, there are {known.sum()}: measure more objects"
        )
    points = np.full((len(features), 2), np.nan, np.float32)
    share: list[float] = []
    if method == "pca":
        points[known], explained = principal_components(features[known].astype(np.float64))
        share = [float(value) for value in explained]
    else:
        points[known] = umap(features[known])
    return {"points": exchange.sender(inputs["features"])("points", points), "explained": share}

"""Cluster features and map them to two dimensions for a host."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import InputError
from .arrays import ArrayTransport


def cluster(exchange: ArrayTransport, inputs: dict[str, Any]) -> dict[str, Any]:
    """k-means of rows: number 1 is the largest cluster, 0 a row with missing features."""
    from sklearn.cluster import KMeans

    features = exchange.receive("features", inputs["features"])
    count = inputs.get("clusters", 3)
    known = np.isfinite(features).all(1) if features.ndim == 2 else np.zeros(0, bool)
    if not isinstance(count, int) or not 2 <= count <= max(known.sum(), 1):
        raise InputError(
            f"{count} clusters cannot be made of {known.sum()} rows with all features: give a number from 2 up to that"
        )
    found = KMeans(count, n_init=10, random_state=0).fit_predict(features[known].astype(np.float64))
    order = np.argsort(-np.bincount(found, minlength=count), kind="stable")
    rank = np.empty(count, np.int32)
    rank[order] = np.arange(1, count + 1)
    clusters = np.zeros(len(features), np.int32)
    clusters[known] = rank[found]
    return {"cluster": exchange.sender(inputs["features"])("cluster", clusters)}


def embedding_map(exchange: ArrayTransport, inputs: dict[str, Any]) -> dict[str, Any]:
    """Two coordinates per row, by principal components or UMAP; NaN for a row with missing features."""
    from ..evaluation.embedding_map import principal_components, umap

    features = exchange.receive("features", inputs["features"])
    method = inputs.get("method", "pca")
    if method not in ("pca", "umap"):
        raise InputError(f"method is {method!r:.100}: give 'pca' or 'umap'")
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

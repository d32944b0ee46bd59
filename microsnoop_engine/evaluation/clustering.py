"""Find clusters in a graph of neighbors, and compare clusters with labels by the adjusted Rand index (ARI)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted
from .clusters import clusters
from .scores import FEW_UNITS, Estimate

NEIGHBORS = 30
BLOCK = 1 << 22
"""Number of counts that are handled together."""
_Z = 1.959963984540054
"""Half width of a 95 % interval in standard errors."""


def graph_clusters(features: NDArray[Any], neighbors: int = NEIGHBORS, seed: int = 0) -> NDArray[np.int32]:
    """Group rows as PhenoGraph does (Levine et al. 2015): communities of the graph of nearest neighbors.

    Rows are joined with their nearest neighbors. A link weighs as much as two neighborhoods, of a row and its nearest
    neighbors, have in common (Jaccard index). The Louvain algorithm of networkx finds communities, and so their number.

    Parameters
    ----------
    features : array (n, p)
        Without missing numbers; compared by Euclidean distances.
    neighbors : int
        Number of neighbors of each row, from 1; at most n - 1 are used.
    seed : int
        Of the order in which the Louvain algorithm visits rows.

    Returns
    -------
    array (n,), int32
        1 is the largest cluster.

    Raises
    ------
    InputError
        If features are missing (NaN), or there are fewer than two rows.

    Examples
    --------
    >>> graph_clusters(np.array([[0.0], [0.1], [0.2], [5.0], [5.1]]), neighbors=1).tolist()
    [1, 1, 1, 2, 2]
    """
    if features.ndim != 2 or len(features) < 2 or not np.isfinite(features).all():
        raise InputError(
            f"`features` have shape {features.shape}: clusters need two rows or more, without missing numbers"
        )
    if neighbors < 1:
        raise InputError(f"`neighbors` is {neighbors}: choose 1 or more")
    import networkx
    from scipy.sparse import csr_array, identity, triu
    from sklearn.neighbors import NearestNeighbors

    count = len(features)
    k = min(neighbors, count - 1)
    near = csr_array(NearestNeighbors(n_neighbors=k).fit(features).kneighbors_graph()) + csr_array(identity(count))
    common = (near @ near.T).multiply(near.maximum(near.T) > 0)
    common.data /= 2 * (k + 1) - common.data
    links = triu(common, 1).tocoo()
    graph = networkx.Graph()
    graph.add_nodes_from(range(count))
    graph.add_weighted_edges_from(zip(links.row.tolist(), links.col.tolist(), links.data.tolist(), strict=True))
    communities = networkx.community.louvain_communities(graph, seed=seed)
    result = np.zeros(count, np.int32)
    for number, members in enumerate(sorted(communities, key=lambda rows: (-len(rows), min(rows))), 1):
        result[list(members)] = number
    return result


def adjusted_rand(
    labels: NDArray[Any], assigned: NDArray[Any], groups: Mapping[str, NDArray[Any] | None] | None = None
) -> Estimate:
    """Compare clusters with labels by the adjusted Rand index (Hubert and Arabie 1985).

    Parameters
    ----------
    labels, assigned : array (n,)
    groups : mapping of str to array (n,) or None, optional
        Groups by the name of their kind; the interval is over the first kind of which there are five, or else over the
        rows.

    Returns
    -------
    Estimate
        0 is chance, 1 equality. The interval is that of the jackknife: each group is left out once, the clusters stay
        as they are. Without disagreement it has no width.

    Raises
    ------
    InputError
        If the arrays differ in length, or there are fewer than two rows.

    Examples
    --------
    >>> adjusted_rand(np.array(list("aabb")), np.array([1, 1, 2, 2])).value
    1.0
    """
    from scipy.sparse import csr_array, identity

    if len(labels) != len(assigned) or len(labels) < 2:
        raise InputError(
            f"{counted(len(labels), 'labels')}, {counted(len(assigned), 'clusters')}: their numbers must be equal, and "
            "at least 2"
        )
    of_label, of_cluster = (np.unique(column, return_inverse=True)[1] for column in (labels, assigned))
    cells, cell = np.unique(np.column_stack([of_label, of_cluster]), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    sides = [np.eye(side.max() + 1)[side] for side in cells.T]
    counts = np.bincount(cell).astype(np.float64)
    many = ((name, of) for name, of in (groups or {}).items() if of is not None and len(np.unique(of)) >= FEW_UNITS)
    unit, chosen = next(many, ("rows", None))
    if chosen is None:  # the rows of a cell are alike
        parts, weights = csr_array(identity(len(counts))), counts
    else:
        members = np.unique(chosen, return_inverse=True)[1]
        parts = csr_array((np.ones(len(cell)), (members, cell)))
        weights = np.ones(parts.shape[0])
    size = max(BLOCK // len(counts), 1)
    without = np.concatenate(
        [_ari(counts - parts[start : start + size].toarray(), sides) for start in range(0, len(weights), size)]
    )
    value, units = float(_ari(counts, sides)), int(weights.sum())
    deviations = without - np.average(without, weights=weights)
    error = _Z * float(np.sqrt((units - 1) / units * (weights * deviations**2).sum()))
    return Estimate(value, value - error, min(value + error, 1.0), len(labels), unit, units)


def _ari(counts: NDArray[Any], sides: list[NDArray[Any]]) -> NDArray[Any]:
    """Return the index (...) of counts (..., m) of rows per pair of label and cluster; 1 where both are trivial."""
    pairs = [(part * (part - 1) / 2).sum(-1) for part in (counts, counts @ sides[0], counts @ sides[1])]
    total = counts.sum(-1)
    expected = pairs[1] * pairs[2] / np.maximum(total * (total - 1) / 2, 1)
    most = (pairs[1] + pairs[2]) / 2 - expected
    return np.where(most > 0, (pairs[0] - expected) / np.where(most > 0, most, 1), 1.0)


def kmeans_ari(
    features: NDArray[Any], labels: NDArray[Any], groups: Mapping[str, NDArray[Any] | None] | None = None
) -> Estimate:
    """Group rows by k-means into as many clusters as there are labels, and compare these with the labels.

    Parameters
    ----------
    features : array (n, p)
        Without missing numbers.
    labels : array (n,)
    groups : mapping of str to array (n,) or None, optional
        See :func:`adjusted_rand`.

    Returns
    -------
    Estimate
        See :func:`adjusted_rand`.

    Raises
    ------
    InputError
        If there is a single label, or fewer rows than labels.
    """
    return adjusted_rand(labels, clusters(features, len(np.unique(labels))), groups)

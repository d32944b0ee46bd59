"""Harmony: move batches onto each other cluster by cluster (Korsunsky et al. 2019), written from the paper."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_limits

from ..errors import InputError, counted, listing

MOST_CLUSTERS, ROWS_PER_CLUSTER = 100, 30
"""Number of clusters by default: a thirtieth of the rows, at most 100."""
BLOCKS = 20
"""Parts of the rows whose cluster assignments are renewed together."""
STEPS = 20
"""Largest number of clustering steps in a round."""
SETTLED, ROUND_SETTLED = 1e-5, 1e-4
"""Relative changes of the objective below which the clustering, and the rounds, end."""


class Harmony(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Correct batches by soft clusters in which batches are mixed, and a linear model in each cluster.

    Parameters
    ----------
    clusters : int, optional
        By default a thirtieth of the rows, at most 100.
    theta : float
        Penalty of clusters that hold few batches, from 0 (paper: 2).
    sigma : float
        Width of the soft clusters, above 0 (paper: 0.1).
    ridge : float
        Ridge penalty of the batch terms, above 0 (paper: 1).
    rounds : int
        Largest number of rounds of clustering and correction.
    seed : int
        Of the first cluster centers and of the order in which assignments are renewed.

    Attributes
    ----------
    assignments_ : array (n, k)
        Shares of the clusters in each row, 1 in total.
    objective_ : list of float
        After each round.
    converged_ : bool

    Notes
    -----
    Rows are put into an order of their own first, so that the result does not depend on the order of the table.
    There is no ``transform``: rows that come later change the clusters.
    """

    def __init__(
        self,
        clusters: int | None = None,
        theta: float = 2.0,
        sigma: float = 0.1,
        ridge: float = 1.0,
        rounds: int = 10,
        seed: int = 0,
    ) -> None:
        self.clusters = clusters
        self.theta = theta
        self.sigma = sigma
        self.ridge = ridge
        self.rounds = rounds
        self.seed = seed

    def fit_transform(self, X: ArrayLike, batches: ArrayLike) -> NDArray[np.float64]:
        """Correct rows.

        Parameters
        ----------
        X : array (n, p)
            Features or principal components.
        batches : array (n,)
            The batch of each row.

        Returns
        -------
        array (n, p), float64

        Raises
        ------
        InputError
            If values are missing, there is one batch only, one has a single row, or a setting is out of its range.
        """
        values, names = np.asarray(X, np.float64), np.asarray(batches)
        self._check(values, names)
        order = np.lexsort([np.unique(names, return_inverse=True)[1], *values.T[::-1]])
        values, codes = values[order], np.unique(names[order], return_inverse=True)[1]
        members = [np.flatnonzero(codes == code) for code in range(codes.max() + 1)]
        mean = values.mean(0)
        centered, random = values - mean, np.random.default_rng(self.seed)
        count = self.clusters or max(min(round(len(values) / ROWS_PER_CLUSTER), MOST_CLUSTERS), 2)
        corrected = centered
        self.objective_, self.converged_ = [], False
        with threadpool_limits(1):  # on a busy machine threads make these small products many times slower
            shares = self._start(_directions(centered), count)
            for _ in range(self.rounds):
                shares, objective = self._cluster(_directions(corrected), shares, codes, members, random)
                corrected = self._correct(centered, shares, members)
                self.objective_.append(objective)
                if len(self.objective_) > 1 and _settled(self.objective_, ROUND_SETTLED):
                    self.converged_ = True
                    break
        result, self.assignments_ = np.empty_like(values), np.empty_like(shares)
        result[order], self.assignments_[order] = corrected + mean, shares
        return np.asarray(result)

    def _check(self, values: NDArray[np.float64], names: NDArray[np.generic]) -> None:
        if values.ndim != 2 or names.shape != values.shape[:1]:
            raise InputError(f"`X` has shape {values.shape} and `batches` {names.shape}: they must be (n, p) and (n,)")
        bad = np.flatnonzero(~np.isfinite(values).all(1))
        if len(bad):
            raise InputError(f"rows {listing(bad)} hold NaN or infinite numbers: drop them")
        batches, counts = np.unique(names, return_counts=True)
        if len(batches) < 2:
            raise InputError("all rows are of one batch: there is nothing to correct")
        if counts.min() < 2:
            raise InputError(f"batch '{batches[counts.argmin()]}' has 1 row: two are needed at least, better dozens")
        if self.clusters is not None and not 1 < self.clusters <= len(values):
            raise InputError(f"`clusters` is {self.clusters}: it must be from 2 to the {counted(len(values), 'rows')}")
        if self.theta < 0 or self.sigma <= 0 or self.ridge <= 0 or self.rounds < 1:
            raise InputError("`theta` must be from 0, `sigma` and `ridge` above 0, `rounds` from 1")

    def _start(self, directions: NDArray[np.float64], count: int) -> NDArray[np.float64]:
        """Return the first shares (n, k), by k-means."""
        from sklearn.cluster import KMeans

        found = KMeans(min(count, len(np.unique(directions, axis=0))), n_init=10, max_iter=25, random_state=self.seed)
        return _soft(_distances(directions, _directions(found.fit(directions).cluster_centers_)), self.sigma)

    def _cluster(
        self,
        directions: NDArray[np.float64],
        shares: NDArray[np.float64],
        codes: NDArray[np.intp],
        members: list[NDArray[np.intp]],
        random: np.random.Generator,
    ) -> tuple[NDArray[np.float64], float]:
        """Renew the shares (n, k) until the objective settles; also return the objective."""
        parts = np.array([len(rows) for rows in members]) / len(codes)
        shares, objective = shares.copy(), []
        for _ in range(STEPS):
            distances = _distances(directions, _directions(shares.T @ directions))
            plain = _soft(distances, self.sigma)
            observed = np.stack([shares[rows].sum(0) for rows in members])
            expected = np.outer(parts, shares.sum(0))
            for block in np.array_split(random.permutation(len(codes)), BLOCKS):
                observed -= _sums(shares[block], codes[block], len(members))
                expected -= np.outer(parts, shares[block].sum(0))
                mixing = ((expected + 1) / (observed + 1)) ** self.theta
                renewed = plain[block] * mixing[codes[block]]
                shares[block] = renewed / renewed.sum(1, keepdims=True)
                observed += _sums(shares[block], codes[block], len(members))
                expected += np.outer(parts, shares[block].sum(0))
            entropy = self.sigma * (shares * np.log(np.maximum(shares, 1e-300))).sum()
            penalty = self.sigma * self.theta * (observed * np.log((observed + 1) / (expected + 1))).sum()
            objective.append(float((shares * distances).sum() + entropy + penalty))
            if len(objective) > 1 and _settled(objective, SETTLED):
                break
        return shares, objective[-1]

    def _correct(
        self, values: NDArray[np.float64], shares: NDArray[np.float64], members: list[NDArray[np.intp]]
    ) -> NDArray[np.float64]:
        """Subtract from the rows the batch terms of the linear models of their clusters, by their shares."""
        count = shares.shape[1]
        sums = np.stack([shares[rows].T @ values[rows] for rows in members], axis=1)  # (k, b, p)
        weights = np.stack([shares[rows].sum(0) for rows in members], axis=1)  # (k, b)
        batches = weights.shape[1]
        system = np.zeros((count, batches + 1, batches + 1))
        system[:, 0, 0] = weights.sum(1)
        system[:, 0, 1:] = system[:, 1:, 0] = weights
        system[:, np.arange(1, batches + 1), np.arange(1, batches + 1)] = weights + self.ridge
        right = np.concatenate([sums.sum(1, keepdims=True), sums], axis=1)
        terms = np.linalg.solve(system, right)[:, 1:]  # (k, b, p), without the intercept, which stays
        result = values.copy()
        for batch, rows in enumerate(members):
            result[rows] -= shares[rows] @ terms[:, batch]
        return result


def _directions(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale rows to length 1; rows of zeros stay."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return np.asarray(values / np.where(lengths > 0, lengths, 1))


def _distances(directions: NDArray[np.float64], centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the squared distances (n, k) of unit vectors."""
    return np.asarray(2 * (1 - directions @ centers.T))


def _soft(distances: NDArray[np.float64], sigma: float) -> NDArray[np.float64]:
    """Return shares (n, k) that fall off with the distance."""
    shares = np.exp((distances.min(1, keepdims=True) - distances) / sigma)
    return np.asarray(shares / shares.sum(1, keepdims=True))


def _sums(shares: NDArray[np.float64], codes: NDArray[np.intp], batches: int) -> NDArray[np.float64]:
    """Return the sums (b, k) of the shares of each batch."""
    result = np.zeros((batches, shares.shape[1]))
    np.add.at(result, codes, shares)
    return result


def _settled(objective: list[float], change: float) -> bool:
    """Return True if the last step improved the objective by less than this share."""
    before, after = objective[-2:]
    return abs(before - after) < change * abs(before)

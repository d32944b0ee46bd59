"""Distances between rows, a block of rows at a time, and the nearest rows of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, listing

METRICS = ("cosine", "euclidean")
BLOCK_BYTES = 64 << 20
"""Size of the distances that are in memory together."""
LARGE = 20_000
"""Number of rows from which distances are computed in float32."""
NO_LENGTH = 1e-12
"""Length of a row, as a share of the median length, up to which it has no direction."""


def has_direction(features: NDArray[Any]) -> NDArray[np.bool_]:
    """Find the rows that have a direction, and so a cosine to others: all but those of zeros.

    Parameters
    ----------
    features : array (n, p)

    Returns
    -------
    array (n,), bool

    Examples
    --------
    >>> has_direction(np.array([[1.0, 2.0], [0.0, 0.0]]))
    array([ True, False])
    """
    length = np.linalg.norm(np.asarray(features, np.float64), axis=1)
    usual = np.median(length[length > 0]) if (length > 0).any() else 0.0
    return np.asarray(length > NO_LENGTH * usual)


class Distances:
    """Distances between the rows of a table.

    Parameters
    ----------
    features : array (n, p)
    exclude : sequence of arrays (n,)
        Rows that agree in one of them are not compared.
    metric : {'cosine', 'euclidean'}

    Attributes
    ----------
    tolerance : float
        Distances that differ by less are equal.

    Raises
    ------
    InputError
        If the metric is unknown; with the cosine, if a row has no direction.
    """

    def __init__(self, features: NDArray[Any], exclude: Sequence[NDArray[Any]] = (), metric: str = "cosine") -> None:
        if metric not in METRICS:
            raise InputError(f"`metric` is '{metric}': choose one of {', '.join(METRICS)}")
        features = np.asarray(features, dtype=np.float64)
        if metric == "cosine":
            zeros = np.flatnonzero(~has_direction(features))
            if len(zeros):
                raise InputError(f"rows {listing(zeros)} are all zeros and have no direction: drop them")
            features = features / np.linalg.norm(features, axis=1, keepdims=True)
        large = len(features) > LARGE
        self._features = features.astype(np.float32) if large else features
        self._squares = (self._features**2).sum(1)
        self._exclude = exclude
        self.tolerance = (1e-6 if large else 1e-11) * float(self._squares.max(initial=0))

    def blocks(self) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Yield row numbers (b,), and their squared distances (b, n) to all rows; infinity where not compared."""
        count = len(self._features)
        size = max(BLOCK_BYTES // (8 * max(count, 1)), 1)
        for start in range(0, count, size):
            rows = np.arange(start, min(start + size, count))
            distances = self._features[rows] @ self._features.T
            distances *= -2
            distances += self._squares
            distances += self._squares[rows, None]
            distances[np.arange(len(rows)), rows] = np.inf
            for group in self._exclude:
                distances[group[rows, None] == group] = np.inf
            yield rows, distances

    def nearest(self, k: int) -> Iterator[tuple[NDArray[np.intp], NDArray[Any], NDArray[np.intp], NDArray[np.intp]]]:
        """Yield row numbers (b,), their distances (b, n), their k nearest rows (b, k), and the numbers of tied ones.

        A row of the block is tied if the order of its nearest rows, or which rows they are, is not defined. Of rows at
        one distance, the first in the table comes first.

        Raises
        ------
        InputError
            If k is below 1, or a row has fewer than k candidates.
        """
        if k < 1:
            raise InputError(f"k is {k}: it must be 1 or more")
        for rows, distances in self.blocks():
            most = min(k + 1, distances.shape[1])
            found = np.argpartition(distances, most - 1, axis=1)[:, :most]
            values = np.take_along_axis(distances, found, axis=1)
            order = np.argsort(values, axis=1)
            found, values = np.take_along_axis(found, order, axis=1), np.take_along_axis(values, order, axis=1)
            candidates = np.isfinite(values).sum(1)
            if candidates.min(initial=k) < k:
                row = int(candidates.argmin())
                raise InputError(
                    f"k is {k}, but row {rows[row]} has {candidates[row]} candidates outside of its own groups: use a "
                    "smaller k or more rows"
                )
            gaps = np.where(np.isfinite(values[:, 1:]), values[:, 1:], np.inf) - values[:, :-1]
            tied = np.flatnonzero((gaps <= self.tolerance).any(1))
            nearest = found[:, :k].copy()
            for row in tied:
                nearest[row] = self._first(distances[row], np.arange(distances.shape[1]), k)
            yield rows, distances, nearest, tied

    def drawn(self, distances: NDArray[Any], k: int, random: np.random.Generator) -> NDArray[np.intp]:
        """Return the k nearest rows by distances (n,), nearest first, with ties in random order."""
        last = np.partition(distances, k - 1)[k - 1]
        candidates = np.flatnonzero(distances <= last + self.tolerance)
        return self._first(distances, random.permutation(candidates), k)

    def _first(self, distances: NDArray[Any], candidates: NDArray[np.intp], k: int) -> NDArray[np.intp]:
        """Return the k nearest candidates; of equal ones, the first."""
        values = distances[candidates]
        order = np.argsort(values, kind="stable")
        gaps = np.diff(values[order], prepend=values[order[0]])
        level = np.empty(len(values), np.intp)
        level[order] = np.cumsum(np.where(np.isfinite(gaps), gaps, np.inf) > self.tolerance)
        return np.asarray(candidates[np.argsort(level, kind="stable")[:k]], np.intp)


def nearest(
    features: NDArray[Any], k: int, exclude: Sequence[NDArray[Any]] = (), metric: str = "cosine"
) -> NDArray[np.intp]:
    """Find the k nearest other rows of each row, without those that agree with it in an ``exclude`` array.

    Parameters
    ----------
    features : array (n, p)
    k : int
    exclude : sequence of arrays (n,)
    metric : {'cosine', 'euclidean'}

    Returns
    -------
    array (n, k), int
        Row numbers, nearest first; of rows at one distance, the first.

    Raises
    ------
    InputError
        If a row has fewer than k candidates; with the cosine, if a row is all zeros.
    """
    return np.concatenate([found for _, _, found, _ in Distances(features, exclude, metric).nearest(k)])

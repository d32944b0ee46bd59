"""Distances between rows, a block of rows at a time, and the nearest rows of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted, listing

METRICS = ("cosine", "euclidean")
BLOCK_BYTES = 128 << 20
"""Size of the distances that are in memory together."""
TILE = 2048
"""Number of rows whose distances to as many others are computed together in the search of nearest rows."""
LARGE = 20_000
"""Number of rows from which distances are computed in float32."""
NO_LENGTH = 1e-12
"""Length of a row, as a share of the median length, up to which it has no direction."""


def _lengths(features: NDArray[Any]) -> NDArray[np.float64]:
    """Return the lengths (n,) of rows."""
    parts = [features[start : start + TILE] for start in range(0, len(features), TILE)]
    return np.concatenate([np.zeros(0), *(np.linalg.norm(np.asarray(part, np.float64), axis=1) for part in parts)])


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
    length = _lengths(np.asarray(features))
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
        features = np.asarray(features)
        large = len(features) > LARGE
        self._features: NDArray[Any] = features.astype(np.float32 if large else np.float64)
        if metric == "cosine":
            zeros = np.flatnonzero(~has_direction(features))
            if len(zeros):
                raise InputError(f"rows {listing(zeros)} are all zeros and have no direction: drop them")
            self._features /= _lengths(features)[:, None].astype(self._features.dtype)
        self._squares: NDArray[Any] = np.einsum("np,np->n", self._features, self._features)
        self._exclude = exclude
        self.tolerance = (1e-6 if large else 1e-11) * float(self._squares.max(initial=0))

    def blocks(self) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        """Yield row numbers (b,), and their squared distances (b, n) to all rows; infinity where not compared."""
        yield from self._blocks(np.arange(len(self._features)))

    def of(self, rows: NDArray[np.intp]) -> Iterator[tuple[np.intp, NDArray[Any]]]:
        """Yield each of some rows, and its squared distances (n,) to all rows; infinity where not compared."""
        for block, distances in self._blocks(rows):
            yield from zip(block, distances, strict=True)

    def _blocks(self, rows: NDArray[np.intp]) -> Iterator[tuple[NDArray[np.intp], NDArray[Any]]]:
        everything = np.arange(len(self._features))
        size = max(BLOCK_BYTES // (self._features.itemsize * max(len(everything), 1)), 1)
        for start in range(0, len(rows), size):
            block = rows[start : start + size]
            yield block, self._between(block, everything)

    def _between(self, rows: NDArray[np.intp], others: NDArray[np.intp]) -> NDArray[Any]:
        """Return the squared distances (b, c) of rows (b,) to a run of rows (c,)."""
        first, last = others[0], others[-1]
        distances: NDArray[Any] = np.matmul(self._features[rows], self._features[first : last + 1].T)
        distances *= -2
        distances += self._squares[others]
        distances += self._squares[rows, None]
        itself = np.flatnonzero((rows >= first) & (rows <= last))
        distances[itself, rows[itself] - first] = np.inf
        for group in self._exclude:
            if np.isin(group[rows], group[others]).any():
                distances[group[rows, None] == group[others]] = np.inf
        return distances

    def nearest(self, k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find the k nearest rows (n, k) of each row, and the numbers of the tied ones.

        A row is tied if the order of its nearest rows, or which rows they are, is not defined. Of rows at one distance,
        the first in the table comes first.

        Raises
        ------
        InputError
            If k is below 1, or a row has fewer than k candidates.
        """
        found, tied = self.search(k)
        for at, distances in self.of(tied):
            near = self.candidates(distances, k)
            found[at] = near[np.argsort(self.levels(distances[near]), kind="stable")[:k]]
        return found, tied

    def search(self, k: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Find the k nearest rows (n, k) as :meth:`nearest` does, but those of the tied rows in no defined order.

        Each distance is computed once for both of its rows.

        Raises
        ------
        InputError
            As :meth:`nearest`.
        """
        if k < 1:
            raise InputError(f"k is {k}: it must be 1 or more")
        count = len(self._features)
        most = min(k + 1, count)
        values = np.full((count, most), np.inf, self._features.dtype)
        found = np.zeros((count, most), np.intp)
        tiles = [np.arange(start, min(start + TILE, count)) for start in range(0, count, TILE)]
        for number, rows in enumerate(tiles):
            for others in tiles[number:]:
                distances = self._between(rows, others)
                _keep_nearest(values, found, rows, others, distances)
                if others is not rows:
                    _keep_nearest(values, found, others, rows, distances.T)
        candidates = np.isfinite(values).sum(1)
        if candidates.min(initial=k) < k:
            row = int(candidates.argmin())
            raise InputError(
                f"k is {k}, but row {row} has {counted(candidates[row], 'candidates')} outside of its own groups: use "
                "a smaller k or more rows"
            )
        gaps = np.where(np.isfinite(values[:, 1:]), values[:, 1:], np.inf) - values[:, :-1]
        tied = np.flatnonzero((gaps <= self.tolerance).any(1))
        return found[:, :k].copy(), tied

    def candidates(self, distances: NDArray[Any], k: int) -> NDArray[np.intp]:
        """Return the rows that may be among the k nearest by distances (n,), however ties are ordered."""
        last = np.partition(distances, k - 1)[k - 1]
        return np.flatnonzero(distances <= last + self.tolerance)

    def levels(self, distances: NDArray[Any]) -> NDArray[np.intp]:
        """Rank distances (c,) from 0; equal ones have one rank."""
        order = np.argsort(distances, kind="stable")
        level = np.empty(len(distances), np.intp)
        level[order] = np.cumsum(np.diff(distances[order], prepend=distances[order[0]]) > self.tolerance)
        return level


def _keep_nearest(
    values: NDArray[Any],
    found: NDArray[np.intp],
    rows: NDArray[np.intp],
    others: NDArray[np.intp],
    distances: NDArray[Any],
) -> None:
    """Put the distances (b, c) of rows (b,) to others (c,) among the least (n, m) of all rows, found at rows (n, m)."""
    most, worst = values.shape[1], values[rows, -1]
    if np.isinf(worst).any() and most < len(others):  # the first tiles: all distances are among the least so far
        near = np.sort(np.argpartition(distances, most - 1, axis=1)[:, :most], axis=1)
        worst = np.minimum(worst, np.nextafter(np.take_along_axis(distances, near, axis=1).max(1), np.inf))
    row, column = _places(distances < worst[:, None])
    if not len(row):
        return
    counts = np.bincount(row, minlength=len(rows))
    place = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
    added = np.full((len(rows), counts.max()), np.inf, values.dtype)
    added_at = np.zeros(added.shape, np.intp)
    added[row, place], added_at[row, place] = distances[row, column], others[column]
    changed = np.flatnonzero(counts)
    where = rows[changed]
    both, both_at = np.hstack([values[where], added[changed]]), np.hstack([found[where], added_at[changed]])
    order = np.argsort(both, axis=1, kind="stable")[:, :most]
    values[where], found[where] = np.take_along_axis(both, order, 1), np.take_along_axis(both_at, order, 1)


def _places(mask: NDArray[np.bool_]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return rows and columns of the True of a mask (b, c), row by row; faster than ``nonzero`` where they are rare."""
    if mask.flags.c_contiguous:
        row, column = np.divmod(np.flatnonzero(mask), mask.shape[1])
        return row, column
    column, row = np.divmod(np.flatnonzero(mask.T), mask.shape[0])
    order = np.argsort(row, kind="stable")
    return row[order], column[order]


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
    return Distances(features, exclude, metric).nearest(k)[0]

"""Measure the quality of objects: size, shape, neighbors and intensities."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .regions import compact_labels

_ROUNDING = 1e-6


def object_quality(image: NDArray[Any], labels: NDArray[Any], numbers: NDArray[Any]) -> NDArray[np.float32]:
    """Measure the quality of labeled objects.

    Parameters
    ----------
    image : array (c, h, w)
        Of any real dtype.
    labels : array (h, w) or (p, h, w), integer
        0 is background; objects that overlap lie in several planes, each in one of them.
    numbers : array (n,), integer
        The objects, in the order of the result. Others count as neighbors.

    Returns
    -------
    array (n, 4 + 2 * c), float32
        ``Area`` in pixels; ``Solidity``: area by that of the convex hull; ``TouchingNeighbors``: objects that share the
        edge of a pixel with it, or overlap it; ``NearestNeighborDistance`` from centroid to centroid in pixels, NaN for
        an object alone. Of each channel ``MeanIntensity`` in gray values, and ``PercentMaximal``: per cent of the
        object's pixels at the maximum of the plane. NaN for objects that are not in the labels.

    Examples
    --------
    >>> labels = np.zeros((9, 9), int)
    >>> labels[1:4, 1:4], labels[4:6, 1:4], labels[7, 7] = 1, 2, 5
    >>> object_quality(np.ones((1, 9, 9)), labels, np.array([2, 5]))[:, :3].tolist()
    [[6.0, 1.0, 1.0], [1.0, 1.0, 0.0]]
    """
    height, width = labels.shape[-2:]
    maxima = [_maximum(plane) for plane in image]
    planes: list[NDArray[Any]] = []
    present: list[NDArray[Any]] = []
    centers, measured = [], []
    for plane in labels.reshape(-1, height, width):
        found, compact = compact_labels(plane)
        runs = _Runs(compact, len(found))
        columns = [runs.area, runs.area / np.maximum(runs.hull_area(), 1)]
        for pixels, maximum in zip(image, maxima, strict=True):
            values = pixels.ravel()[runs.pixels]
            columns.append(runs.total(values) / runs.area)
            columns.append(100 * runs.total(values == maximum) / runs.area if maximum is not None else 0 * runs.area)
        # numbers over all planes, so that objects of different planes can be neighbors
        before = sum(len(numbers_of_plane) for numbers_of_plane in present)
        planes.append(np.where(compact > 0, compact + before, 0) if before else compact)
        present.append(found)
        centers.append(runs.centers())
        measured.append(np.column_stack(columns))
    found, qualities = np.concatenate(present), np.concatenate(measured)
    neighbors = [_touching(planes, len(found)), _nearest(np.concatenate(centers))]
    table = np.column_stack([qualities[:, :2], *neighbors, qualities[:, 2:]]).astype(np.float32)
    result = np.full((len(numbers), table.shape[1]), np.nan, np.float32)
    order = np.argsort(found, kind="stable")
    rows = np.flatnonzero(np.isin(numbers, found))
    result[rows] = table[order[np.searchsorted(found[order], numbers[rows])]]
    return result


def _maximum(plane: NDArray[Any]) -> Any:
    """Return the highest pixel of a plane, None if all are equal or no numbers."""
    highest, lowest = np.fmax.reduce(plane, axis=None), np.fmin.reduce(plane, axis=None)
    return highest if highest > lowest else None


class _Runs:
    """The pixels of objects 1 to n of a label plane as horizontal runs, which are few.

    Attributes
    ----------
    pixels : array (m,), int64
        Indices of the pixels of all objects in the flat plane.
    area : array (n,), float64
        Pixels of each object.
    """

    def __init__(self, compact: NDArray[np.int32], count: int) -> None:
        self._count, (self._height, width) = count, compact.shape
        self.pixels = np.flatnonzero(compact)
        labels = compact.ravel()[self.pixels]
        begins = np.ones(len(labels), bool)
        begins[1:] = (labels[1:] != labels[:-1]) | (np.diff(self.pixels) != 1) | (self.pixels[1:] % width == 0)
        self._starts = np.flatnonzero(begins)
        self._lengths = np.diff(self._starts, append=len(labels))
        self._objects = labels[self._starts].astype(np.int64) - 1
        self._y, self._x = np.divmod(self.pixels[self._starts], width)
        self.area = np.asarray(np.bincount(self._objects, self._lengths, count), np.float64)

    def total(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Add up the values (m,) of the pixels of each object."""
        sums = np.add.reduceat(values, self._starts, dtype=np.float64) if len(values) else values
        return np.asarray(np.bincount(self._objects, sums, self._count), np.float64)

    def centers(self) -> NDArray[np.float64]:
        """Return y, x (n, 2) of the centroids."""
        middles = self._x + (self._lengths - 1) / 2
        sums = [np.bincount(self._objects, self._lengths * axis, self._count) for axis in (self._y, middles)]
        centers: NDArray[np.float64] = np.stack(sums, axis=1) / self.area[:, None]
        return centers

    def hull_area(self) -> NDArray[np.float64]:
        """Count the pixels (n,) whose centers lie in the convex hull of the middles of the edges of an object's pixels.

        As ``area_convex`` of scikit-image. The hull is found for all objects at once.
        """
        if not self._count:
            return np.empty(0)
        stride = 2 * self._height + 4  # rows count in halves, and objects follow one another
        first = np.full(self._count, self._height)
        np.minimum.at(first, self._objects, self._y)
        last = np.zeros(self._count, np.int64)
        np.maximum.at(last, self._objects, self._y)
        rows = last - first + 1
        objects = np.repeat(np.arange(self._count), rows)
        y = np.arange(rows.sum()) - np.repeat(np.cumsum(rows) - rows - first, rows)
        at = objects * stride + 2 * y
        left, right = (self._edge_of_hull(side, at, stride) / 2 for side in (self._x, -(self._x + self._lengths - 1)))
        width = np.floor(-right + _ROUNDING) - np.ceil(left - _ROUNDING) + 1
        return np.asarray(np.bincount(objects, width, self._count), np.float64)

    def _edge_of_hull(self, ends: NDArray[np.int64], at: NDArray[np.int64], stride: int) -> NDArray[np.float64]:
        """Return twice the left edge of the hulls at rows, from the left ends of runs."""
        rows = self._objects * stride + 2 * self._y
        places = np.concatenate([rows - 1, rows, rows + 1])
        points = np.concatenate([2 * ends, 2 * ends - 1, 2 * ends])
        order = np.argsort(places, kind="stable")
        begins = np.flatnonzero(np.diff(places[order], prepend=-2))
        places, points = places[order][begins], np.minimum.reduceat(points[order], begins)
        return np.interp(at, *_lower_hulls(places, points, (places + 1) // stride))


def _lower_hulls(
    places: NDArray[np.int64], points: NDArray[np.int64], groups: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Keep the corners of the lower convex hulls of groups of points, which are sorted by group and place.

    A point on or above the line between two others of its group is no corner, so that all such points can go at once.
    """
    while True:
        step, rise = np.diff(places), np.diff(points)
        inside = (groups[2:] == groups[:-2]) & (rise[:-1] * step[1:] >= rise[1:] * step[:-1])
        if not inside.any():
            return places, points
        kept = np.ones(len(places), bool)
        kept[1:-1] = ~inside
        places, points, groups = places[kept], points[kept], groups[kept]


def _touching(planes: Sequence[NDArray[Any]], count: int) -> NDArray[np.int64]:
    """Count the objects that share the edge of a pixel with each of the objects 1 to ``count``, or overlap it."""
    pairs = []
    for one, other in combinations_with_replacement(planes, 2):
        sides = [(one[:-1], other[1:]), (one[:, :-1], other[:, 1:])]
        if one is not other:
            sides += [(one, other), (other[:-1], one[1:]), (other[:, :-1], one[:, 1:])]
        for a, b in sides:
            meet = (a != b) & (a > 0) & (b > 0)
            a, b = a[meet].astype(np.int64), b[meet].astype(np.int64)
            pairs.append(np.unique(np.minimum(a, b) * (count + 1) + np.maximum(a, b)))
    first, second = np.divmod(np.unique(np.concatenate(pairs)), count + 1)
    return np.bincount(np.concatenate([first, second]), minlength=count + 1)[1:]


def _nearest(centers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance (n,) from each center (n, 2) to the nearest other one; NaN for one alone."""
    from scipy.spatial import cKDTree

    if len(centers) < 2:
        return np.full(len(centers), np.nan)
    distances: NDArray[np.float64] = cKDTree(centers).query(centers, k=2)[0][:, 1]
    return distances

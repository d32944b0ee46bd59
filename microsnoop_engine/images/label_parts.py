"""Find the connected parts of labels: numbers that are no single objects are refused, stray pixels are dropped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted

LARGE = 0.1
"""Part of a label, in units of its largest one, from which it is more than stray pixels."""
RIM = 0.25
"""Share of the pixels at the edges of objects from which values between objects make an image no label image."""
MASK = "a black-and-white mask, in which no object has a number of its own"
SPLIT = "use a label image, or number the unconnected objects (`label_mask` of profile, Count Masks in ImageJ)"


@dataclass(frozen=True)
class LabelParts:
    """Connected parts of a label plane; pixels of one number that touch, also at a corner, are connected.

    Attributes
    ----------
    parts : array (h, w), integer
        0 is background, 1..n are the parts.
    number : array (n,)
        The label of every part.
    area : array (n,)
        In pixels.
    large : array (n,), bool
        True for parts of at least a tenth of the largest one of their label.
    keep : array (n,), bool
        True for the largest part of every label, and for large ones near it, such as the halves of a cytoplasm.
    scattered : array (k,)
        Labels with a large part that is far from the largest one.
    """

    parts: NDArray[np.integer[Any]]
    number: NDArray[np.integer[Any]]
    area: NDArray[np.integer[Any]]
    large: NDArray[np.bool_]
    keep: NDArray[np.bool_]
    scattered: NDArray[np.integer[Any]]


def find_parts(plane: NDArray[np.integer[Any]]) -> LabelParts:
    """Find the connected parts of every label.

    Parameters
    ----------
    plane : array (h, w)
        0 is background.

    Returns
    -------
    LabelParts

    Examples
    --------
    >>> found = find_parts(np.array([[1, 1, 0, 0, 0, 2], [1, 1, 0, 0, 0, 1]]))
    >>> found.number.tolist(), found.area.tolist(), found.keep.tolist()
    ([1, 2, 1], [4, 1, 1], [True, True, False])
    """
    from skimage.measure import label

    parts = label(plane, background=0, connectivity=2)
    count = int(parts.max(initial=0))
    y, x = np.nonzero(parts)
    of_pixel = parts[y, x] - 1
    number = np.zeros(count, plane.dtype)
    number[of_pixel] = plane[y, x]
    area = np.bincount(of_pixel, minlength=count)
    center = np.stack([np.bincount(of_pixel, axis, count) for axis in (y, x)], 1) / area[:, None]
    order = np.lexsort((-area, number))
    first = np.r_[True, number[order][1:] != number[order][:-1]][:count]
    largest = np.empty(count, np.int64)
    largest[order] = order[first][np.cumsum(first) - 1]
    large = area >= LARGE * area[largest]
    # the sum of the diameters of two discs of these areas
    reach = 2 * (np.sqrt(area / np.pi) + np.sqrt(area[largest] / np.pi))
    near = np.hypot(*(center - center[largest]).T) <= reach
    return LabelParts(parts, number, area, large, large & near, np.unique(number[large & ~near]))


def check_parts(plane: NDArray[np.integer[Any]], found: LabelParts) -> None:
    """Refuse a plane whose numbers are no objects.

    Parameters
    ----------
    plane : array (h, w)
        0 is background.
    found : LabelParts
        Its parts.

    Raises
    ------
    InputError
        For a mask, an image of classes, one whose background has a number, and one with values in between, such as
        those of JPEG, of interpolation and of intensities. An object that is alone may have any number.
    """
    numbers = np.unique(found.number)
    if not numbers.size:
        return
    full = plane.dtype.kind == "u" and numbers[-1] == np.iinfo(plane.dtype).max
    if numbers.size == 1:
        several = int((found.area >= LARGE * found.area.max()).sum())
        if full or several > 1 or _is_inverted(plane):
            pieces = (
                f" ({counted(several, 'unconnected pieces are', 'unconnected piece is')} all {numbers[0]})"
                if several > 1
                else ""
            )
            raise InputError(f"labels are {MASK}{pieces}: {SPLIT}")
        return
    sides = (found.parts[0], found.parts[-1], found.parts[:, 0], found.parts[:, -1])
    surrounding = set.intersection(*(set(side.tolist()) for side in sides)) - {0}
    if surrounding and plane.all():
        number = found.number[surrounding.pop() - 1]
        if numbers.size == 2:
            raise InputError(f"labels are {MASK} (no pixel is 0, and {number} surrounds the others): {SPLIT}")
        raise InputError(f"labels have no background: no pixel is 0, and {number} surrounds the others: set it to 0")
    edges = _edges(plane)
    if edges.sum() >= 8 and _between(plane, found, edges) > RIM:
        raise InputError(
            "labels have in-between values at the edges of objects, as after JPEG or resizing with interpolation (or "
            "these are intensities): save the label image as TIFF or PNG, and resize it by the nearest neighbor"
        )
    if full and numbers.size == numbers[-1] and found.scattered.size:
        raise InputError(
            f"labels have {8 * plane.dtype.itemsize} bits, all numbers up to {numbers[-1]} are used, and "
            f"{found.scattered.size} of them twice (such as {found.scattered[0]}): more objects than numbers, save the "
            f"label image with {16 * plane.dtype.itemsize} bits"
        )
    if 2 * found.scattered.size >= numbers.size:
        raise InputError(
            f"labels are classes, not objects: {found.scattered.size} of {numbers.size} numbers lie in unconnected "
            f"places (such as {found.scattered[0]}): {SPLIT}"
        )


def largest_parts(plane: NDArray[np.integer[Any]], found: LabelParts) -> NDArray[np.integer[Any]]:
    """Drop the stray pixels of labels.

    Parameters
    ----------
    plane : array (h, w)
        0 is background.
    found : LabelParts
        Its parts.

    Returns
    -------
    array (h, w)
        With 0 for parts that are not to keep; the plane itself if there are none.
    """
    if found.keep.all():
        return plane
    return np.where(np.r_[True, found.keep][found.parts], plane, 0).astype(plane.dtype)


def _edges(plane: NDArray[Any]) -> NDArray[np.bool_]:
    """Return the pixels of objects with another value beside them."""
    padded = np.pad(plane, 1, mode="edge")
    inside = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    edges: NDArray[np.bool_] = (inside > 0) & np.any([each != inside for each in beside], axis=0)
    return edges


def _between(plane: NDArray[Any], found: LabelParts, edges: NDArray[np.bool_]) -> float:
    """Return the share of the edges that belongs to thin or small parts beside other objects."""
    padded = np.pad(plane, 1)
    inside = padded[1:-1, 1:-1]
    beside = (padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:])
    touching = np.any([(each != inside) & (each > 0) for each in beside], axis=0)
    has_core = np.bincount(found.parts[(plane > 0) & ~edges], minlength=len(found.number) + 1)[1:] > 0
    thin = np.r_[False, ~(has_core & found.large)][found.parts]
    return float((thin & touching).sum() / edges.sum())


def _touches_all_edges(mask: NDArray[np.bool_]) -> bool:
    return bool(mask[0].any() and mask[-1].any() and mask[:, 0].any() and mask[:, -1].any())


def _is_inverted(plane: NDArray[Any]) -> bool:
    """Return True if the only object surrounds several holes and reaches all edges of the image."""
    from skimage.measure import label

    if not _touches_all_edges(plane > 0):
        return False
    holes = label(plane == 0, connectivity=1)
    inside = set(range(1, holes.max() + 1)) - {*holes[0], *holes[-1], *holes[:, 0], *holes[:, -1]}
    return len(inside) > 1

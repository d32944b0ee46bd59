"""Turn outlines of objects, which are boxes with masks, into label planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def split_masks(boxes: NDArray[np.integer[Any]], masks: NDArray[Any]) -> list[NDArray[np.bool_]]:
    """Split masks that lie one after the other into the mask of every box.

    Parameters
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1 in pixels, half-open; may reach out of the image.
    masks : array (sum of h * w,), integer or bool
        The masks one after the other, row by row; everything but 0 is inside.

    Returns
    -------
    list of array (h, w), bool
        n masks, each of the size of its box.

    Raises
    ------
    InputError
        If a box is empty, or boxes and masks do not go together.

    Examples
    --------
    >>> [mask.tolist() for mask in split_masks(np.array([[0, 0, 1, 2], [5, 5, 6, 6]]), np.array([1, 0, 1]))]
    [[[True, False]], [[True]]]
    """
    boxes = np.asarray(boxes)
    if boxes.ndim != 2 or boxes.shape[1] != 4 or boxes.dtype.kind not in "ui" or not len(boxes):
        raise InputError(f"boxes are {boxes.dtype} of shape {boxes.shape}: give integers (n, 4), n at least 1")
    sizes = boxes[:, 2:].astype(np.int64) - boxes[:, :2]
    areas = sizes.prod(1)
    if (sizes < 1).any():
        raise InputError(f"box {int(np.flatnonzero((sizes < 1).any(1))[0]) + 1} is empty: give y0 < y1 and x0 < x1")
    if masks.ndim != 1 or masks.dtype.kind not in "uib" or masks.size != areas.sum():
        raise InputError(f"masks are {masks.dtype} of shape {masks.shape}, but the boxes cover {areas.sum()} pixels")
    ends = areas.cumsum()
    return [
        masks[end - area : end].reshape(size) != 0 for end, area, size in zip(ends, areas, sizes.tolist(), strict=True)
    ]


def label_planes(
    boxes: NDArray[np.integer[Any]],
    masks: Sequence[NDArray[np.bool_]],
    shape: tuple[int, ...],
    max_planes: int | None = None,
) -> Iterator[NDArray[np.int32]]:
    """Draw outlines into label planes, those that overlap into different ones.

    Parameters
    ----------
    boxes : array (n, 4), integer
        As for :func:`split_masks`.
    masks : sequence of array (h, w), bool
        Each of the size of its box.
    shape : tuple of int
        Height and width of the image; pixels outside of it are cut off.
    max_planes : int, optional
        Limit of the planes in memory at once: then several arrays may follow, each with some of the outlines.

    Yields
    ------
    array (p, h, w), int32
        0 is background; the n-th outline has the number n, from 1. Nothing is yielded if no outline has a pixel in
        the image.
    """
    waiting = []
    for number, ((y0, x0, y1, x1), mask) in enumerate(zip(boxes.tolist(), masks, strict=True), start=1):
        top, left, bottom, right = max(y0, 0), max(x0, 0), min(y1, shape[0]), min(x1, shape[1])
        if top < bottom and left < right:
            inside = mask[top - y0 : bottom - y0, left - x0 : right - x0]
            if inside.any():
                waiting.append((number, (slice(top, bottom), slice(left, right)), inside))
    while waiting:
        planes: list[NDArray[np.int32]] = []
        postponed = []
        for number, window, inside in waiting:
            plane = next((plane for plane in planes if not plane[window][inside].any()), None)
            if plane is None:
                if max_planes is not None and len(planes) >= max_planes:
                    postponed.append((number, window, inside))
                    continue
                plane = np.zeros(shape, np.int32)
                planes.append(plane)
            plane[window][inside] = number
        yield np.stack(planes)
        waiting = postponed

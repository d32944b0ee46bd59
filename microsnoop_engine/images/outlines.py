"""Turn outlines and masks of objects into label planes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import InputError


def split_masks(boxes: np.ndarray, masks: np.ndarray) -> list[np.ndarray]:
    """The mask (h, w), bool, of every box.

    Parameters
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1, half-open; may reach out of the image.
    masks : array (sum of h * w,), integer or bool
        The masks one after the other, row by row; everything but 0 is inside.

    Raises
    ------
    InputError
        If boxes and masks do not go together.
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
    boxes: np.ndarray, masks: Sequence[np.ndarray], shape: tuple[int, int], most: int | None = None
) -> Iterator[np.ndarray]:
    """Label planes (p, h, w), int32, in which outlines that overlap lie in different planes.

    Parameters
    ----------
    boxes, masks
        See :func:`split_masks`.
    shape : tuple of int
        Of the image; what lies outside of it is cut off.
    most : int, optional
        At most so many planes at once: then there may be several arrays, each with some of the outlines.

    Yields
    ------
    array (p, h, w), int32
        The n-th outline has the number n, from 1.
    """
    todo = []
    for number, ((y0, x0, y1, x1), mask) in enumerate(zip(boxes.tolist(), masks, strict=True), start=1):
        top, left, bottom, right = max(y0, 0), max(x0, 0), min(y1, shape[0]), min(x1, shape[1])
        if top < bottom and left < right:
            inside = mask[top - y0 : bottom - y0, left - x0 : right - x0]
            if inside.any():
                todo.append((number, (slice(top, bottom), slice(left, right)), inside))
    while todo:
        planes: list[np.ndarray] = []
        left_over = []
        for number, place, inside in todo:
            plane = next((plane for plane in planes if not plane[place][inside].any()), None)
            if plane is None:
                if most is not None and len(planes) >= most:
                    left_over.append((number, place, inside))
                    continue
                plane = np.zeros(shape, np.int32)
                planes.append(plane)
            plane[place][inside] = number
        yield np.stack(planes)
        todo = left_over

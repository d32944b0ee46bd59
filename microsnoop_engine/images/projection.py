"""Project a stack in depth to one plane, of the whole image or of each object."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

OBJECT_FOCUS = "focus-object"
PROJECTIONS = ("max", "mean", "sum", "focus", OBJECT_FOCUS)


def project(planes: Iterable[NDArray[Any]], method: str, labels: NDArray[Any] | None = None) -> NDArray[Any]:
    """Project planes, of which two are held at a time.

    Parameters
    ----------
    planes : iterable of array (.., h, w)
        From the first depth to the last; at least one, all of one shape.
    method : str
        ``max``, ``mean`` or ``sum`` of each pixel, or ``focus``: the plane whose Laplacian has the greatest variance
        (the first of equal ones); ``focus-object`` is `focus_objects`, or ``focus`` without labels.
    labels : array (h, w), integer, optional
        The objects of ``focus-object``.

    Returns
    -------
    array (.., h, w)
        In the dtype of the planes for ``max``, ``focus`` and ``focus-object``, else float64.

    Examples
    --------
    >>> project([np.array([[1, 5]]), np.array([[3, 2]])], "max")
    array([[3, 5]])
    """
    if method not in PROJECTIONS:
        raise ValueError(f"`project` is '{method}': choose one of {', '.join(PROJECTIONS)}")
    if method == OBJECT_FOCUS and labels is not None:
        return focus_objects(planes, labels)
    result: NDArray[Any] | None = None
    sharpest, count = -1.0, 0
    for plane in planes:
        count += 1
        if method in ("focus", OBJECT_FOCUS):
            from scipy.ndimage import laplace

            sharpness = float(laplace(plane.astype(np.float64)).var())
            if sharpness > sharpest:
                result, sharpest = plane, sharpness
        elif method == "max":
            result = plane if result is None else np.maximum(result, plane)
        else:
            result = plane.astype(np.float64) if result is None else result + plane
    if result is None:
        raise ValueError("a stack has no planes")
    return result / count if method == "mean" else result


def focus_objects(planes: Iterable[NDArray[Any]], labels: NDArray[Any]) -> NDArray[Any]:
    """Take the pixels of each object from the plane in which the object is sharpest.

    Parameters
    ----------
    planes : iterable of array (h, w)
        From the first depth to the last; at least one, all of one shape. Two are held at a time.
    labels : array (h, w), integer
        0 is background.

    Returns
    -------
    array (h, w)
        The pixels of an object are those of the plane whose Laplacian has the greatest variance in the object's
        bounding box (the first of equal ones); the background is that of the plane that is sharpest as a whole.

    Examples
    --------
    >>> blurred, sharp = np.full((4, 8), 5), np.tile([0, 9], (4, 4))
    >>> left, right = np.hstack([sharp[:, :4], blurred[:, 4:]]), np.hstack([blurred[:, :4], sharp[:, 4:]])
    >>> focus_objects([left, right], np.repeat([[1, 1, 1, 1, 2, 2, 2, 2]], 4, 0))[0]
    array([0, 9, 0, 9, 0, 9, 0, 9])
    """
    from scipy.ndimage import find_objects, laplace

    numbers, found = np.unique(labels, return_inverse=True)
    # 0 is the background, also where there is none
    objects = found.reshape(labels.shape) + int(numbers[0] != 0)
    boxes = find_objects(objects)
    best = np.full(len(boxes) + 1, -1.0)
    result: NDArray[Any] | None = None
    for plane in planes:
        edges = laplace(plane.astype(np.float64))
        sharpness = np.array([edges.var(), *(edges[box].var() for box in boxes)])
        chosen = (sharpness > best)[objects]
        result = plane.copy() if result is None else np.where(chosen, plane, result)
        best = np.fmax(best, sharpness)
    if result is None:
        raise ValueError("a stack has no planes")
    return result

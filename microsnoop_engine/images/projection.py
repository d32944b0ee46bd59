"""Project a stack in depth to one plane."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

PROJECTIONS = ("max", "mean", "sum", "focus")


def project(planes: Iterable[NDArray[Any]], method: str) -> NDArray[Any]:
    """Project planes, of which two are held at a time.

    Parameters
    ----------
    planes : iterable of array (.., h, w)
        From the first depth to the last; at least one, all of one shape.
    method : str
        ``max``, ``mean`` or ``sum`` of each pixel, or ``focus``: the plane whose Laplacian has the greatest variance
        (the first of equal ones).

    Returns
    -------
    array (.., h, w)
        In the dtype of the planes for ``max`` and ``focus``, else float64.

    Examples
    --------
    >>> project([np.array([[1, 5]]), np.array([[3, 2]])], "max")
    array([[3, 5]])
    """
    if method not in PROJECTIONS:
        raise ValueError(f"`project` is '{method}': choose one of {', '.join(PROJECTIONS)}")
    result: NDArray[Any] | None = None
    sharpest, count = -1.0, 0
    for plane in planes:
        count += 1
        if method == "focus":
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

"""Turn and mirror a plane as the orientation tag of its file says (EXIF and TIFF, tag 274)."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

ORIENTATION = 274
"""Number of the tag."""


def upright(plane: NDArray[Any], orientation: int) -> NDArray[Any]:
    """Return a plane as every viewer shows it.

    Parameters
    ----------
    plane : array (.., h, w)
        As stored.
    orientation : int
        Value of the tag, 1 to 8; any other is taken as 1, upright.

    Returns
    -------
    array (.., h, w) or (.., w, h)

    Examples
    --------
    >>> upright(np.array([[1, 2], [3, 4]]), 6)
    array([[3, 1],
           [4, 2]])
    """
    if orientation in (5, 6, 7, 8):
        plane = plane.swapaxes(-1, -2)
    if orientation in (2, 3, 6, 7):
        plane = plane[..., ::-1]
    if orientation in (3, 4, 7, 8):
        plane = plane[..., ::-1, :]
    return np.ascontiguousarray(plane)

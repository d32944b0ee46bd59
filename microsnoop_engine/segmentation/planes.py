"""Check the plane that a segmentation network gets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def real_plane(plane: NDArray[Any], program: str) -> NDArray[np.float64]:
    """Return a plane in float64.

    Parameters
    ----------
    plane : array (h, w)
        Intensities of any real dtype, finite.
    program : str
        Name of the program that segments it, for messages.

    Returns
    -------
    array (h, w), float64

    Raises
    ------
    InputError
        If the array is not one plane of real numbers, or has pixels that are NaN or infinite.
    """
    plane = np.asarray(plane)
    if plane.ndim != 2 or plane.size == 0 or plane.dtype.kind not in "buif":
        raise InputError(
            f"{program} segments one plane (h, w) of real numbers, not an array of shape {plane.shape} and dtype "
            f"{plane.dtype}"
        )
    plane = plane.astype(np.float64)
    n_invalid = plane.size - np.count_nonzero(np.isfinite(plane))
    if n_invalid:
        raise InputError(
            f"{n_invalid} of {plane.size} pixels of the plane to segment are NaN or infinite; fill them first"
        )
    return plane

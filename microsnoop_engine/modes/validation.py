"""Check images before they are measured."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError


def check_image(image: ArrayLike) -> NDArray[Any]:
    """Check an image and return it as (c, h, w).

    Parameters
    ----------
    image : array_like (c, h, w) or (h, w)

    Returns
    -------
    array (c, h, w)

    Raises
    ------
    InputError
        If it is not an array of numbers of such a shape.
    """
    array = np.asarray(image)
    array = array[None] if array.ndim == 2 else array
    if array.ndim != 3 or array.dtype.kind not in "uifb" or not array.size:
        raise InputError(
            f"`image` is {array.dtype} of shape {array.shape}: it must hold numbers of shape (channels, height, width)"
        )
    return array

"""Number the objects of a black-and-white mask."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

CLASSES = 16
"""A mask with more values than that is gray, as JPEG and resizing leave it: its halfway value parts it."""


def number_objects(mask: NDArray[Any]) -> NDArray[np.int32]:
    """Label the unconnected objects of a mask, or of an image of classes, with numbers.

    Parameters
    ----------
    mask : array (h, w)
        0 (of a mask without 0: the value that surrounds the others) is background. Pixels of one value that touch, also
        at a corner, are one object.

    Returns
    -------
    array (h, w), int32
        0 is background, 1..n are the objects.

    Raises
    ------
    InputError
        If the mask has no background.

    Examples
    --------
    >>> number_objects(np.array([[0, 255, 0, 255], [0, 0, 0, 255]]))
    array([[0, 1, 0, 2],
           [0, 0, 0, 2]], dtype=int32)
    """
    from skimage.measure import label

    values = np.unique(mask)
    if values.size > CLASSES:
        mask = mask > (float(values[0]) + float(values[-1])) / 2
        values = np.unique(mask)
    background = values[0] if values[0] == 0 else _surrounding(mask, values)
    if background is None:
        raise InputError("the mask has no background: no pixel is 0, and no value surrounds the others")
    values_in_order = np.searchsorted(values, mask) + 1
    values_in_order[mask == background] = 0
    numbers: NDArray[np.int32] = label(values_in_order, background=0, connectivity=2).astype(np.int32)
    return numbers


def _surrounding(mask: NDArray[Any], values: NDArray[Any]) -> Any:
    """Return the value that reaches all four edges of the image; None if there is none."""
    sides = (mask[0], mask[-1], mask[:, 0], mask[:, -1])
    return next((value for value in values if all((side == value).any() for side in sides)), None)

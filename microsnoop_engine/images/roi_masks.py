"""Hold the pixels of outlines, and fill polygons and ovals exactly as ImageJ does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class RoiError(ValueError):
    """A file of outlines that cannot be read, or a kind of outline whose pixels are not known exactly."""


class StackPosition(NamedTuple):
    """The plane of a stack in which an outline lies; numbers from 1, 0 is every one."""

    plane: int = 0
    """Among all planes of the stack."""
    channel: int = 0
    depth: int = 0
    time: int = 0


EVERYWHERE = StackPosition()


@dataclass(frozen=True)
class RoiMask:
    """The pixels of an outline.

    Attributes
    ----------
    name : str
        Blank if it has none.
    box : tuple of int
        y0, x0, y1, x1 in pixels, half-open; may reach out of the image.
    mask : array (y1 - y0, x1 - x0), bool
        True inside.
    group : str
        Group of ImageJ, or class of QuPath; blank if it has none.
    position : StackPosition
    """

    name: str
    box: tuple[int, int, int, int]
    mask: NDArray[np.bool_]
    group: str = ""
    position: StackPosition = EVERYWHERE


def fill(paths: Sequence[NDArray[Any]]) -> tuple[tuple[int, int, int, int], NDArray[np.bool_]]:
    """Fill closed paths by the even-odd rule, as ImageJ's ``PolygonFiller`` does.

    A pixel is inside if its center is: each row of centers is crossed by the edges, and the pixels from an odd crossing
    to the next one are filled.

    Parameters
    ----------
    paths : sequence of array (n, 2)
        x, y of the corners, in pixels; whole numbers are the upper left corners of pixels.

    Returns
    -------
    box : tuple of int
        y0, x0, y1, x1, half-open, around all corners.
    mask : array (y1 - y0, x1 - x0), bool
        True inside.
    """
    corners = np.concatenate(paths).astype(np.float64)
    x0, y0 = np.floor(corners.min(0)).astype(int).tolist()
    x1, y1 = (np.floor(corners.max(0)).astype(int) + 1).tolist()
    crossings = np.zeros((y1 - y0, x1 - x0 + 1), np.int64)
    for path in paths:
        points = path.astype(np.float64)
        for (xa, ya), (xb, yb) in zip(points, np.roll(points, -1, axis=0), strict=True):
            if ya > yb:
                xa, ya, xb, yb = xb, yb, xa, ya
            rows = np.arange(int(np.floor(ya + 0.5)), int(np.floor(yb + 0.5)))
            if rows.size:
                x = xa + (rows + 0.5 - ya) * (xb - xa) / (yb - ya)
                # ImageJ rounds half up, after adding this
                columns = np.floor(x + 1e-8 + 0.5).astype(int).clip(x0, x1)
                np.add.at(crossings, (rows - y0, columns - x0), 1)
    return (y0, x0, y1, x1), (crossings.cumsum(1)[:, :-1] % 2).astype(bool)


def oval(height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels of an oval in a box, as ImageJ's ``OvalRoi`` does.

    Parameters
    ----------
    height, width : int
        Of the box, in pixels.

    Returns
    -------
    array (height, width), bool
        True where the center of a pixel lies in the ellipse.

    Examples
    --------
    >>> oval(3, 4).astype(int)
    array([[0, 1, 1, 0],
           [1, 1, 1, 1],
           [0, 1, 1, 0]])
    """
    y, x = (np.arange(length) + 0.5 - length / 2 for length in (height, width))
    inside: NDArray[np.bool_] = (x / (width / 2)) ** 2 + ((y / (height / 2)) ** 2)[:, None] <= 1
    return inside

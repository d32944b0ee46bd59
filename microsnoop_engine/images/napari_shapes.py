"""Read the outlines of a napari Shapes layer that was saved as CSV."""

from __future__ import annotations

import csv
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .roi_masks import RoiError, RoiMask, StackPosition, fill

AREAS = ("polygon", "rectangle", "ellipse")
_CORNERS_OF_ELLIPSE = 256


def read_napari_shapes(path: Path) -> list[RoiMask]:
    """Read the shapes of a file, in its order.

    Parameters
    ----------
    path : Path
        With the columns index, shape-type, vertex-index, axis-0, axis-1: y and x in pixels, where whole numbers are the
        centers of pixels.

    Returns
    -------
    list of RoiMask
        Their names are the index of the file.

    Raises
    ------
    RoiError
        If the file is no such CSV, lies in a stack, or holds a shape that has no area.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or not {"index", "shape-type", "vertex-index", "axis-0", "axis-1"} <= rows[0].keys():
        raise RoiError(f"'{path}' has no columns index, shape-type, vertex-index, axis-0, axis-1, as Shapes of napari")
    axes = sorted((name for name in rows[0] if name.startswith("axis-")), key=lambda name: int(name[5:]))
    rois = []
    for index, group in groupby(rows, key=lambda row: row["index"]):
        vertices = list(group)
        kind = vertices[0]["shape-type"]
        if kind not in AREAS:
            raise RoiError(f"shape {index} of '{path.name}' is a {kind}, which has no area to measure: remove it")
        try:
            points = np.array([[float(row[axis]) for axis in axes] for row in vertices])
        except (TypeError, ValueError) as error:
            raise RoiError(f"shape {index} of '{path.name}' has a corner without numbers ({error})") from None
        if len(axes) > 3 or (len(axes) == 3 and np.ptp(points[:, 0])):
            raise RoiError(f"shape {index} of '{path.name}' lies in {len(axes)} dimensions: save shapes of one plane")
        plane = round(points[0, 0]) + 1 if len(axes) == 3 else 0
        corners = points[:, :-3:-1] + 0.5
        path_of_shape = _ellipse(corners) if kind == "ellipse" else corners
        rois.append(RoiMask(index, *fill([path_of_shape]), "", StackPosition(plane)))
    return rois


def _ellipse(
    corners: np.ndarray[tuple[int, int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """Return corners along the ellipse in a box of four corners, which may be rotated."""
    angle = np.linspace(0, 2 * np.pi, _CORNERS_OF_ELLIPSE, endpoint=False)[:, None]
    center = corners.mean(0)
    first, second = ((corners[n] - corners[0]) / 2 for n in (1, 3))
    points: NDArray[np.float64] = center + first * np.cos(angle) + second * np.sin(angle)
    return points

"""Find out in which planes of a stack outlines lie."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..storage.paths import open_header
from .image_set import PlaneSource, Position
from .ome_zarr_image import read_image
from .projection import PROJECTIONS
from .roi_masks import RoiMask, StackPosition


@dataclass(frozen=True)
class StackPlane:
    """One plane of an image file.

    Attributes
    ----------
    position : StackPosition
        Numbers from 1; channel, depth and time are 0 if the file does not name its axes.
    count : int
        Planes in the file.
    """

    position: StackPosition
    count: int


def locate(source: PlaneSource) -> StackPlane:
    """Return the place of a plane in its file.

    Parameters
    ----------
    source : PlaneSource

    Returns
    -------
    StackPlane
    """
    is_zarr = source.level is not None
    axes: tuple[tuple[str, int], ...] = ()
    if source.level is not None:
        axes = _zarr_axes(source.path, source.level)
    elif source.path.suffix.lower() in (".tif", ".tiff"):
        axes = _stack_axes(source.path)
    count = int(np.prod([length for _, length in axes], dtype=np.int64))
    index = source.index or 0
    if count == 1 or not all(axis in "CZT" for axis, _ in axes):
        return StackPlane(StackPosition(index + 1), max(count, index + 1))
    lengths = dict(axes)
    position = Position() if is_zarr and source.position is None else source.position
    if position is not None and position.plane in PROJECTIONS:
        # a projection holds the outlines of all depths
        channel = index if is_zarr else position.channel or 0
        return StackPlane(StackPosition(0, channel + 1, 0, (position.time or 0) + 1), count)
    if position is not None:
        depth = lengths.get("Z", 1) // 2 if position.plane == "middle" else int(position.plane or 0)
        channel, time = index if is_zarr else position.channel or 0, position.time or 0
    else:
        place = dict(zip(lengths, np.unravel_index(index, tuple(lengths.values())), strict=True))
        channel, depth, time = (int(place.get(axis, 0)) for axis in "CZT")
    # ImageJ counts the planes of a stack with the channel first, then the depth, then the time
    number = channel + lengths.get("C", 1) * (depth + lengths.get("Z", 1) * time)
    return StackPlane(StackPosition(number + 1, channel + 1, depth + 1, time + 1), count)


def lies_in(roi: RoiMask, plane: StackPlane) -> bool:
    """Return True if an outline lies in a plane, or in every one.

    Parameters
    ----------
    roi : RoiMask
    plane : StackPlane

    Returns
    -------
    bool
    """
    number, *axes = roi.position
    if any(axes) and any(plane.position[1:]):
        return all(0 in (mine, its) or mine == its for mine, its in zip(axes, plane.position[1:], strict=True))
    if not number and max(axes) > 1:
        # without names of axes, only one of the numbers can be that of the plane
        number = max(axes) if sorted(axes)[1] <= 1 else -1
    return number == 0 or plane.position.plane in (0, number)


@lru_cache(maxsize=256)
def _stack_axes(path: Path) -> tuple[tuple[str, int], ...]:
    """Return the axes of a TIFF file beside those of a plane, with their lengths above 1."""
    import tifffile

    with open_header(path) as file, tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        return tuple(
            (axis, length)
            for axis, length in zip(series.axes, series.shape, strict=True)
            if axis not in "YXS" and length > 1
        )


@lru_cache(maxsize=256)
def _zarr_axes(path: Path, level: int) -> tuple[tuple[str, int], ...]:
    """Return the axes of a level of an OME-Zarr image beside those of a plane, with their lengths above 1."""
    image = read_image(path)
    described = image.describe(image.open(level).shape)
    lengths = (("C", len(described.channels)), ("Z", described.depth), ("T", described.times))
    return tuple((axis, length) for axis, length in lengths if length > 1)

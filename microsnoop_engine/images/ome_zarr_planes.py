"""Read the planes of OME-Zarr images, and their label images on the same grid of pixels."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, counted
from .file_image import FileImage
from .image_set import PlaneSource, Position
from .ome_zarr_blocks import plane_shape, read_planes
from .ome_zarr_image import Level, OmeImage, read_image
from .projection import PROJECTIONS, project
from .stacks import check_number, depths_chosen, refuse_stack

if TYPE_CHECKING:
    from .zarr_arrays import ZarrArray

log = logging.getLogger(__name__)

LABELS = "labels"
"""Group of the label images in that of their image."""


def read_zarr_plane(source: PlaneSource, name: str, objects: NDArray[Any] | None = None) -> NDArray[Any]:
    """Read the plane of a channel of an image, or a label image.

    Parameters
    ----------
    source : PlaneSource
        With the group as path, and a level; without an index if it is a label image, whose level is that of its image.
    name : str
        The channel, which must be that of the image's metadata, or the object set.
    objects : array (h, w), integer, optional
        Those of the projection ``focus-object``.

    Returns
    -------
    array (h, w)
        In the array's dtype, unscaled (float64 for a projection by mean or sum). A label image has the pixels of its
        image.

    Raises
    ------
    ImageError
        If metadata are missing or damaged, chunks are damaged or look like an incomplete copy, the channels are others,
        the image is a stack of which no plane is chosen, or a label image does not lie on its image.
    """
    level, position = source.level or 0, source.position or Position()
    if source.index is None:
        return _read_labels(source.path, level, position)
    image = read_image(source.path)
    array = image.open(level)
    described = image.describe(array.shape)
    if described.channels[source.index : source.index + 1] != (name,):
        raise ImageError(
            f"its channels are {', '.join(described.channels)}, where channel {source.index + 1} should be {name}",
            image.group,
        )
    _check_position(image, level, described, position)
    depths = depths_chosen(described, position, image.group)
    planes = read_planes(image, level, array, source.index, position.time or 0, depths, f"channel {name}")
    return project(planes, str(position.plane), objects) if position.plane in PROJECTIONS else next(planes)


def _check_position(image: OmeImage, level: int, described: FileImage, position: Position) -> None:
    """Check that an image has the planes of a position, whose depth is one of the finest level."""
    refuse_stack(described, position, image.group)
    check_number("time", position.time or 0, described.times, image.group)
    if level and isinstance(position.plane, int):
        finest = image.describe(image.open(0).shape).depth
        if finest != described.depth:
            raise ImageError(
                f"level {level} has {counted(described.depth, 'planes')} in depth, but level 0 has {finest}: choose "
                "`level` 0, `plane` middle, or `project`",
                image.group,
            )


def _read_labels(group: Path, level: int, position: Position) -> NDArray[Any]:
    """Read a label image on the pixels of a level of its image, at the plane and time of its image."""
    labels = read_image(group)
    image = read_image(next(folder for folder in group.parents if folder.name == LABELS).parent)
    target = image.level(level)
    if labels.unit != image.unit and not math.isnan(labels.unit + image.unit):
        labels = _rescaled(labels, labels.unit / image.unit)
    of_image = image.open(level)
    described = image.describe(of_image.shape)
    _check_position(image, level, described, position)
    shape = plane_shape(image, of_image)
    number, array = _nearest_level(labels, target.scale, level, shape)

    def read(number: int, array: ZarrArray) -> NDArray[Any]:
        depth, time = _place_of_labels(labels, array, described, position)
        return next(read_planes(labels, number, array, None, time, [depth], "labels"))

    plane = read(number, array)
    if number:
        finest = read(0, labels.open(0))
        blended = np.setdiff1d(plane, finest).size
        if blended:
            log.warning(
                "'%s' holds %s that are no objects of level %s, as writers blend them: that level is taken",
                array.path,
                counted(blended, "numbers"),
                labels.levels[0].path,
            )
            number, plane = 0, finest
    return _placed(plane, labels.levels[number], target, shape, group)


def _place_of_labels(labels: OmeImage, array: ZarrArray, image: FileImage, position: Position) -> tuple[int, int]:
    """Return the depth and time of a label image that belong to a position in its image.

    A label image of one plane, or one time, goes with all of its image.
    """
    own = labels.describe(array.shape)
    if len(own.channels) > 1:
        raise ImageError(f"has {counted(len(own.channels), 'channels')} where one was expected", labels.group)
    if own.depth > 1 and position.plane in PROJECTIONS:
        raise ImageError(
            f"labels are a stack of {counted(own.depth, 'planes')} in depth, but the image is projected to one: "
            "choose `plane`, find nuclei with `segment`, or write labels of one plane",
            labels.group,
        )
    for what, count, of_image in (("planes in depth", own.depth, image.depth), ("time points", own.times, image.times)):
        if count not in (1, of_image):
            raise ImageError(f"labels have {count} {what}, but the image has {of_image}", array.path)
    if own.times < image.times:
        log.warning("'%s' has labels of one time: they are taken for time %s", labels.group, position.time)
    depth = depths_chosen(image, position, labels.group)[0] if own.depth > 1 else 0
    return depth, (position.time or 0) if own.times > 1 else 0


def _placed(plane: NDArray[Any], own: Level, target: Level, shape: tuple[int, int], group: Path) -> NDArray[Any]:
    """Return a label image (h, w) on the pixels of a level of its image, of another shape."""
    if plane.shape == shape and not (_agree(own.scale, target.scale) and any(own.origin)):
        return plane
    rows, columns = (
        _nearest_pixels(shape[n], target.scale[n], target.origin[n], plane.shape[n], own.scale[n], own.origin[n])
        for n in range(2)
    )
    if rows is None or columns is None:
        sizes = f"labels are {plane.shape[1]} x {plane.shape[0]}, but the image is {shape[1]} x {shape[0]} pixels"
        places = f"scales are {own.scale} and {target.scale}, translations {own.origin} and {target.origin}"
        raise ImageError(f"{sizes}, and their metadata do not bring them together ({places})", group)
    placed: NDArray[Any] = plane[np.ix_(np.maximum(rows, 0), np.maximum(columns, 0))]
    placed[rows < 0] = 0
    placed[:, columns < 0] = 0
    return placed


def _rescaled(image: OmeImage, factor: float) -> OmeImage:
    """Return an image whose scales and origins are in another unit."""
    levels = [
        replace(
            level,
            scale=(level.scale[0] * factor, level.scale[1] * factor),
            origin=(level.origin[0] * factor, level.origin[1] * factor),
        )
        for level in image.levels
    ]
    return replace(image, levels=tuple(levels))


def _agree(one: Sequence[float], other: Sequence[float]) -> bool:
    """Return True if pixels have the same size, but for what writers round in a pyramid."""
    return all(abs(a / b - 1) < 0.02 for a, b in zip(one, other, strict=True))


def _nearest_level(
    labels: OmeImage, scale: Sequence[float], level: int, shape: tuple[int, int]
) -> tuple[int, ZarrArray]:
    """Return the level of a label image that has these pixels, and its array; else the one of the nearest scale."""
    numbers = range(len(labels.levels))
    if any(math.isnan(each.scale[0]) for each in labels.levels) or math.isnan(scale[0]):
        order = sorted(numbers, key=lambda n: abs(n - level))
    else:
        order = sorted(numbers, key=lambda n: abs(round(math.log(labels.levels[n].scale[0] / scale[0]), 2)))
    arrays = {}
    for number in order:
        arrays[number] = labels.open(number)
        if plane_shape(labels, arrays[number]) == shape:
            return number, arrays[number]
    return order[0], arrays[order[0]]


def _nearest_pixels(
    size: int, scale: float, origin: float, own_size: int, own_scale: float, own_origin: float
) -> NDArray[np.intp] | None:
    """Return the pixel of a label image nearest to every pixel of its image, along one axis.

    Parameters
    ----------
    size, own_size : int
        Number of pixels of the image and of the label image.
    scale, own_scale : float
        Size of their pixels.
    origin, own_origin : float
        Place of the center of their first pixel. If they are the same, or the label image has none, the first pixels
        have the same edge, as the levels of most writers do.

    Returns
    -------
    array (size,) or None
        -1 beside the label image. None if their extents differ though they begin at the same place, if the label image
        lies beside the image, or if the sizes of pixels are unknown.
    """
    if math.isnan(scale) or math.isnan(own_scale):
        return None
    pixel = max(scale, own_scale)
    from_edge = not own_origin or abs(own_origin - origin) < 1e-6 * pixel
    if from_edge:
        position = (np.arange(size) + 0.5) * scale / own_scale - 0.5
    else:
        position = (np.arange(size) * scale + origin - own_origin) / own_scale
    same_place = from_edge or abs(own_origin - origin) < pixel
    if same_place and abs(size * scale - own_size * own_scale) > 1.5 * pixel:
        return None
    nearest = np.ceil(position - 0.5 - 1e-6).astype(np.intp)
    if same_place:
        # the levels of a pyramid end within a pixel of each other
        nearest = nearest.clip(0, own_size - 1)
    nearest[(nearest < 0) | (nearest >= own_size)] = -1
    return nearest if (nearest >= 0).any() else None

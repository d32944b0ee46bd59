"""Read the planes of OME-Zarr images, and their label images on the same grid of pixels."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, MicrosnoopError
from .image_set import PlaneSource
from .ome_zarr_image import Level, OmeImage, read_image

if TYPE_CHECKING:
    from .zarr_arrays import ZarrArray

log = logging.getLogger(__name__)

LABELS = "labels"
"""Group of the label images in that of their image."""
_BLUR = 3
"""Pixels of a level by which the filter of a writer may blur an edge."""


def read_zarr_plane(source: PlaneSource, name: str) -> NDArray[Any]:
    """Read the plane of a channel of an image, or a label image.

    Parameters
    ----------
    source : PlaneSource
        With the group as path, and a level; without an index if it is a label image, whose level is that of its image.
    name : str
        The channel, which must be that of the image's metadata, or the object set.

    Returns
    -------
    array (h, w)
        In the array's dtype, unscaled. A label image has the pixels of its image.

    Raises
    ------
    ImageError
        If metadata are missing or damaged, chunks are damaged or look like an incomplete copy, the channels are others,
        the image is a stack, or a label image does not lie on its image.
    """
    level = source.level or 0
    if source.index is None:
        return _read_labels(source.path, level)
    image = read_image(source.path)
    array = image.open(level)
    names = image.channels(array.shape)
    if names[source.index : source.index + 1] != [name]:
        raise ImageError(
            f"its channels are {', '.join(names)}, where channel {source.index + 1} should be {name}", image.group
        )
    return _read_plane(image, level, array, source.index, f"channel {name}")


def _read_labels(group: Path, level: int) -> NDArray[Any]:
    """Read a label image on the pixels of a level of its image."""
    labels = read_image(group)
    image = read_image(next(folder for folder in group.parents if folder.name == LABELS).parent)
    target = image.level(level)
    if labels.unit != image.unit and not math.isnan(labels.unit + image.unit):
        labels = _rescaled(labels, labels.unit / image.unit)
    shape = _plane_shape(image, image.open(level))
    number, array = _nearest_level(labels, target.scale, level, shape)
    names = labels.channels(array.shape)
    if len(names) > 1:
        raise ImageError(f"has {len(names)} channels where one was expected", group)
    plane = _read_plane(labels, number, array, None, "labels")
    if number:
        finest = _read_plane(labels, 0, labels.open(0), None, "labels")
        blended = np.setdiff1d(plane, finest).size
        if blended:
            log.warning(
                "'%s' holds %d numbers that are no objects of level %s, as writers blend them: that level is taken",
                array.path,
                blended,
                labels.levels[0].path,
            )
            number, plane = 0, finest
    return _placed(plane, labels.levels[number], target, shape, group)


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


def _plane_shape(image: OmeImage, array: ZarrArray) -> tuple[int, int]:
    """Return height and width of an array."""
    image.channels(array.shape)
    return array.shape[image.axes.index("y")], array.shape[image.axes.index("x")]


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
        if _plane_shape(labels, arrays[number]) == shape:
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


def _read_plane(image: OmeImage, level: int, array: ZarrArray, index: int | None, name: str) -> NDArray[Any]:
    """Read a plane (h, w) of a level; missing chunks are black, unless they look like an incomplete copy."""
    selection = _selection(image, index)
    plane, missing = array.read(selection)
    y, x = image.axes.index("y"), image.axes.index("x")
    if missing:
        boxes = {key: _box((array.chunks[y], array.chunks[x]), (place[y], place[x])) for place, key in missing.items()}
        for key, problem in _lost_chunks(image, level, array, index, boxes):
            raise ImageError(
                f"{len(missing)} of the chunks of {name} are missing, such as '{key}', and {problem}: copy the image "
                "again, or, if it is black there, write it with its empty chunks",
                array.path,
            )
        if index is not None and len(image.levels) == 1:
            log.info("'%s': %d of the chunks of %s are left out, and taken as black", array.path, len(missing), name)
    return np.asarray(plane if y < x else plane.T)


Box = tuple[slice, slice]


def _box(chunk: tuple[int, int], place: tuple[int, ...]) -> Box:
    rows, columns = (slice(n * length, (n + 1) * length) for n, length in zip(place, chunk, strict=True))
    return rows, columns


def _selection(image: OmeImage, index: int | None) -> tuple[int | slice, ...]:
    chosen: dict[str, int | slice] = {"c": index or 0, "y": slice(None), "x": slice(None)}
    return tuple(chosen.get(axis, 0) for axis in image.axes)


def _lost_chunks(
    image: OmeImage, level: int, array: ZarrArray, index: int | None, boxes: Mapping[str, Box]
) -> Iterator[tuple[str, str]]:
    """Find the missing chunks of a plane that are not black, with what shows it.

    Writers leave out chunks of zeros, so the other levels of the image decide: they must be black there too.
    """
    shape = _plane_shape(image, array)
    chunks = [array.chunks[image.axes.index(axis)] for axis in "yx"]
    whole = len(boxes) == math.prod(-(-length // chunk) for length, chunk in zip(shape, chunks, strict=True))
    # an empty label image is one without objects; a camera gives no image of zeros
    if index is not None and whole and array.is_empty():
        yield next(iter(boxes)), "there is no other"
    coarser = level + 1 < len(image.levels)
    if not coarser and not level:
        return
    number = level + 1 if coarser else level - 1
    try:
        other = image.open(number)
        plane, _ = other.read(_selection(image, index))
    except MicrosnoopError as error:
        yield next(iter(boxes)), f"level {image.levels[number].path} cannot be read ({error})"
        return
    lit = plane != other.fill_value
    if image.axes.index("y") > image.axes.index("x"):
        lit = lit.T
    for key, box in boxes.items():
        rows, columns = (
            slice(
                math.ceil(side.start * lit.shape[n] / shape[n]) + _BLUR * (side.start > 0),
                max(0, int(min(side.stop, shape[n]) * lit.shape[n] / shape[n]) - _BLUR * (side.stop < shape[n])),
            )
            for n, side in enumerate(box)
        )
        part = lit[rows, columns]
        # a finer level may hold what a coarser one skips
        if part.size and part.mean() > (0 if coarser else 0.5):
            yield key, f"level {image.levels[number].path} is not black there"

"""Read planes of an array of an OME-Zarr image, block by block, and find chunks that were lost."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, MicrosnoopError
from .ome_zarr_image import OmeImage

if TYPE_CHECKING:
    from .zarr_arrays import ZarrArray

log = logging.getLogger(__name__)

_BLUR = 3
"""Pixels of a level by which the filter of a writer may blur an edge."""
_BLOCK_BYTES = 64 << 20
"""Planes that are read at once hold no more, unless it is a single one."""

Box = tuple[slice, slice, slice]
"""Depths, rows and columns."""


def plane_shape(image: OmeImage, array: ZarrArray) -> tuple[int, int]:
    """Return height and width of an array of an image.

    Raises
    ------
    ImageError
        If the array does not go with the axes of the image.
    """
    image.describe(array.shape)
    return array.shape[image.axes.index("y")], array.shape[image.axes.index("x")]


def read_planes(
    image: OmeImage, level: int, array: ZarrArray, index: int | None, time: int, depths: Sequence[int], name: str
) -> Iterator[NDArray[Any]]:
    """Read planes of a level; missing chunks are black, unless they look like an incomplete copy.

    As many planes are read at once as lie in a chunk, within 64 MiB.

    Parameters
    ----------
    image : OmeImage
    level : int
    array : ZarrArray
        Of that level.
    index : int or None
        Channel; None for a label image.
    time : int
    depths : sequence of int
        Without gaps.
    name : str
        Of the channel, for the error.

    Yields
    ------
    array (h, w)

    Raises
    ------
    ImageError
        If chunks are damaged or look like an incomplete copy.
    """
    in_chunk = array.decoded[image.axes.index("z")] if "z" in image.axes else 1
    fitting = _BLOCK_BYTES // (math.prod(plane_shape(image, array)) * array.itemsize)
    step = max(1, min(in_chunk, fitting))
    start, end, black = depths[0], depths[-1] + 1, 0
    while start < end:
        # blocks begin where chunks do, unless a chunk is larger
        stop = min(end, (start // step + 1) * step)
        block, missing = _read_block(image, array, index, time, slice(start, stop))
        if missing:
            boxes = {key: _box(image, array, place) for place, key in missing.items()}
            for key, problem in _lost_chunks(image, level, array, index, time, slice(start, stop), boxes):
                raise ImageError(
                    f"{len(missing)} of the chunks of {name} are missing, such as '{key}', and {problem}: copy the "
                    "image again, or, if it is black there, write it with its empty chunks",
                    array.path,
                )
            black += len(missing)
        if black and stop == end and index is not None and len(image.levels) == 1:
            log.info("'%s': %d of the chunks of %s are left out, and taken as black", array.path, black, name)
        yield from block
        start = stop


def _read_block(
    image: OmeImage, array: ZarrArray, index: int | None, time: int, depths: slice
) -> tuple[NDArray[Any], dict[tuple[int, ...], str]]:
    """Read planes (depth, h, w) of an array, and the chunks that are missing."""
    chosen: dict[str, int | slice] = {"c": index or 0, "t": time, "z": depths, "y": slice(None), "x": slice(None)}
    part, missing = array.read(tuple(chosen.get(axis, 0) for axis in image.axes))
    axes = [axis for axis in image.axes if axis in "zyx"]
    if "z" not in axes:
        axes, part = ["z", *axes], part[None]
    return np.asarray(part.transpose([axes.index(axis) for axis in "zyx"])), missing


def _box(image: OmeImage, array: ZarrArray, place: tuple[int, ...]) -> Box:
    """Return the part of an array that a chunk holds."""
    chunks = {
        axis: slice(n * size, (n + 1) * size) for axis, n, size in zip(image.axes, place, array.chunks, strict=True)
    }
    return chunks.get("z", slice(0, 1)), chunks["y"], chunks["x"]


def _lost_chunks(
    image: OmeImage,
    level: int,
    array: ZarrArray,
    index: int | None,
    time: int,
    depths: slice,
    boxes: Mapping[str, Box],
) -> Iterator[tuple[str, str]]:
    """Find the missing chunks of planes that are not black, with what shows it.

    Writers leave out chunks of zeros, so the other levels of the image decide: they must be black there too.
    """
    shape = (image.describe(array.shape).depth, *plane_shape(image, array))
    # an empty label image is one without objects; a camera gives no image of zeros
    if index is not None and len(boxes) == _count_chunks(image, array, depths) and array.is_empty():
        yield next(iter(boxes)), "there is no other"
    coarser = level + 1 < len(image.levels)
    if not coarser and not level:
        return
    number = level + 1 if coarser else level - 1
    try:
        other = image.open(number)
        own_depth = image.describe(other.shape).depth
        first = depths.start * own_depth // shape[0]
        block, _ = _read_block(image, other, index, time, slice(first, -(-depths.stop * own_depth // shape[0])))
    except MicrosnoopError as error:
        yield next(iter(boxes)), f"level {image.levels[number].path} cannot be read ({error})"
        return
    lit = block != other.fill_value
    lengths = (own_depth, *lit.shape[1:])
    for key, (planes, rows, columns) in boxes.items():
        clipped = slice(max(planes.start, depths.start), min(planes.stop, depths.stop))
        within, *inside = (
            _inside(side, of, to) for side, of, to in zip((clipped, rows, columns), shape, lengths, strict=True)
        )
        part = lit[within.start - first : max(0, within.stop - first), inside[0], inside[1]]
        # a finer level may hold what a coarser one skips
        if part.size and part.mean() > (0 if coarser else 0.5):
            yield key, f"level {image.levels[number].path} is not black there"


def _count_chunks(image: OmeImage, array: ZarrArray, depths: slice) -> int:
    """Return the number of chunks that hold planes."""
    sizes = dict(zip(image.axes, array.chunks, strict=True))
    deep = sizes.get("z", 1)
    height, width = plane_shape(image, array)
    in_plane = math.ceil(height / sizes["y"]) * math.ceil(width / sizes["x"])
    return in_plane * len(range(depths.start // deep, (depths.stop - 1) // deep + 1))


def _inside(side: slice, length: int, other: int) -> slice:
    """Return the part of a side that no blur reaches, in the pixels of another level."""
    blur = 0 if length == other else _BLUR
    return slice(
        math.ceil(side.start * other / length) + blur * (side.start > 0),
        max(0, int(min(side.stop, length) * other / length) - blur * (side.stop < length)),
    )

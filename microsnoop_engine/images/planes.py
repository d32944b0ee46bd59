"""Read the planes of an image set."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, MissingExtraError, StorageError, UnreachableError, counted, first_line
from ..storage.paths import MISSING, as_path, is_remote
from . import formats
from .illumination import correct_illumination
from .image_set import ImageSet, PlaneSource, Position
from .npz_arrays import read_row
from .projection import project
from .unicode_names import in_other_capitals


def read_channels(image_set: ImageSet, names: Sequence[str], labels: NDArray[Any] | None = None) -> NDArray[Any]:
    """Read channels of an image set.

    Parameters
    ----------
    image_set : ImageSet
    names : sequence of str
        The channels to read.
    labels : array (h, w), integer, optional
        The objects of the projection ``focus-object``.

    Returns
    -------
    array (c, h, w)
        In the order of ``names``; in the files' dtype, unscaled (in a common one where the files differ).

    Raises
    ------
    ImageError
        If a channel is missing, unreadable, not a plane of finite numbers, or of another size than the first.
    MissingExtraError
        If the package that reads the format is not installed.
    UnreachableError
        If the store of the files does not answer or accepts no credentials.
    """
    planes: list[NDArray[Any]] = []
    for name in names:
        if name not in image_set.channels:
            raise ImageError(f"channel '{name}' is missing; there are {', '.join(image_set.channels)}", channel=name)
        source = image_set.channels[name]
        plane = read_plane(source, name, labels=labels)
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            count = int(plane.size - np.isfinite(plane).sum())
            raise ImageError(f"{count} of {plane.size} pixels are NaN or infinite: fill them first", source.path, name)
        if planes and plane.shape != planes[0].shape:
            raise ImageError(
                f"is {plane_size(plane)}, but channel '{names[0]}' is {plane_size(planes[0])}: all channels of an "
                "image set must have the same size",
                source.path,
                name,
            )
        planes.append(plane)
    return np.stack(planes)


def read_plane(
    source: PlaneSource, name: str, intensities: bool = True, labels: NDArray[Any] | None = None
) -> NDArray[Any]:
    """Read one plane.

    Parameters
    ----------
    source : PlaneSource
    name : str
        Channel or object set, for the error.
    intensities : bool
        Invert a file that shows its smallest value as white. False for labels.
    labels : array (h, w), integer, optional
        The objects of the projection ``focus-object``.

    Returns
    -------
    array (h, w)
        Integers, floats or booleans, unscaled; divided by its illumination function, if it has one.

    Raises
    ------
    ImageError
        If the file is missing, unreadable, or holds no such plane.
    MissingExtraError
        If the package that reads the format is not installed.
    UnreachableError
        If the store of the file does not answer or accepts no credentials.
    """
    path = as_path(source.path)
    for file in map(as_path, source.depths or (source.path,)):
        if source.level is None and not is_remote(file) and not file.is_file():
            other = in_other_capitals(file)
            raise ImageError(f"{MISSING}, but '{other}': capitals count" if other else MISSING, file, name)
    try:
        array = _read(source, path, name, intensities, labels)
    except ImageError as error:
        raise ImageError(str(error), error.path or path, name) from None
    except (MissingExtraError, UnreachableError):
        raise
    except StorageError as error:
        raise ImageError(error.reason, path, name) from None
    # the library of a format may raise anything on a damaged file
    except Exception as error:
        reason = first_line(error)[:200]
        raise ImageError(f"cannot be read ({reason}): is it damaged or incomplete?", path, name) from error
    if array.ndim == 3 and source.row is not None:
        index = source.index or 0
        if index >= len(array):
            raise ImageError(f"has planes 0 to {len(array) - 1}: there is no plane {index}", path, name)
        if source.index is None and len(array) > 1:
            raise ImageError(
                f"has {counted(len(array), 'planes')} where one was expected: choose one by its index", path, name
            )
        array = array[index]
    if array.ndim != 2 or array.dtype.kind not in "uifb" or not array.size:
        raise ImageError(f"holds {array.dtype} of shape {array.shape}, not a plane of numbers", path, name)
    return array if source.illumination is None else correct_illumination(array, source.illumination, name)


def _read(source: PlaneSource, path: Path, name: str, intensities: bool, labels: NDArray[Any] | None) -> NDArray[Any]:
    """Read the plane from its file."""
    if source.level is not None:
        from .ome_zarr_planes import read_zarr_plane

        return read_zarr_plane(source, name, labels)
    if source.row is not None:
        return read_row(path, source.array, source.row)
    if source.depths and source.position is not None:
        return project(_depths(source, source.position, intensities), str(source.position.plane), labels)
    return formats.read_plane(path, source.index, source.position, intensities, labels)


def _depths(source: PlaneSource, position: Position, intensities: bool) -> Iterator[NDArray[Any]]:
    """Read a stack in depth of which each plane is a file."""
    first: NDArray[Any] | None = None
    for path in map(as_path, source.depths):
        try:
            plane = formats.read_plane(path, source.index, replace(position, plane=None), intensities)
        except ImageError as error:
            raise ImageError(str(error), error.path or path) from None
        first = plane if first is None else first
        if plane.shape != first.shape:
            raise ImageError(f"is {plane_size(plane)}, but the first plane in depth is {plane_size(first)}", path)
        yield plane


def plane_size(plane: NDArray[Any]) -> str:
    """Return width x height of a plane (h, w), for messages.

    Examples
    --------
    >>> plane_size(np.zeros((480, 640)))
    '640 x 480'
    """
    return f"{plane.shape[-1]} x {plane.shape[-2]}"

"""Read an image file by the reader of its suffix."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, counted
from . import bioio_files, czi_files, lif_files, nd2_files, picture_files, tiff_files
from .file_image import FileImage, ImageFile, PlaneNumber
from .image_set import Position
from .projection import PROJECTIONS, project
from .stacks import check_number, depths_chosen, refuse_stack


class Format(Protocol):
    """The module of one family of image files."""

    SUFFIXES: tuple[str, ...]
    """In small letters, with the dot."""

    def open_file(self, path: Path, pixels: bool) -> ImageFile:
        """See :func:`open_file`."""


FORMATS: tuple[Format, ...] = (tiff_files, picture_files, czi_files, lif_files, nd2_files, bioio_files)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.SUFFIXES)
"""Of all image files that can be read."""
_MAKERS = {
    ".flex": " of PerkinElmer Opera",
    ".c01": " of Cellomics",
    ".mrxs": " of 3DHISTECH",
    ".bif": " of Ventana",
    ".dm3": " of Gatan",
    ".dm4": " of Gatan",
    **dict.fromkeys((".jp2", ".jxl", ".jxr", ".pgm", ".ppm", ".mrc", ".nrrd", ".mha", ".dcm"), ""),
}
UNREAD = {
    suffix: f"a {suffix} file{maker}, which is not read: convert it to OME-TIFF, for example by bfconvert of "
    "Bio-Formats"
    for suffix, maker in _MAKERS.items()
}
"""What files are that hold images and cannot be read, by their suffix."""


def open_file(path: Path, pixels: bool = True) -> ImageFile:
    """Open an image file, to see which images it holds and to read their planes.

    Parameters
    ----------
    path : Path
        A file with one of `SUFFIXES`, on a disk or (but for CZI and the formats of BioIO) in a store.
    pixels : bool
        False if no plane will be read: of a file in a store, only the header is fetched.

    Returns
    -------
    ImageFile
        A context, which closes the file.

    Raises
    ------
    ImageError
        If the file is incomplete, an animation, or has axes besides channel, depth, time and position.
    MissingExtraError
        If the package that reads the format is not installed.
    StorageError
        If a file of a store cannot be read.
    Exception
        Any that the library of the format raises on a damaged file.
    """
    # a file of unknown suffix is left to BioIO, which knows many more
    suffix = path.suffix.lower()
    return next((each for each in FORMATS if suffix in each.SUFFIXES), bioio_files).open_file(path, pixels)


def read_plane(
    path: Path,
    frame: int | None = None,
    position: Position | None = None,
    intensities: bool = True,
    labels: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Read one plane of an image file.

    Parameters
    ----------
    path : Path
        As for :func:`open_file`, which raises the same errors.
    frame : int, optional
        Number of the plane among all planes of the image, in the order of the file, from 0; without the channel, plane
        and time of ``position``.
    position : Position, optional
        Where the file holds several planes: which one, or how planes in depth are projected.
    intensities : bool
        Invert a file that shows its smallest value as white. False for labels, of which the numbers of a palette are
        read, not its colors.
    labels : array (h, w), integer, optional
        The objects of the projection ``focus-object``.

    Returns
    -------
    array (h, w)
        In the file's dtype, unscaled (float64 for a projection by mean or sum), upright.

    Raises
    ------
    ImageError
        If there is no such plane, or several of which none is chosen.
    """
    position = position or Position()
    with open_file(path) as file:
        position = _color_or_channel(file, frame, _in_own_series(file, position))
        series, numbers = _planes_chosen(file, frame, position, path)
        image = file.images[series]
        color = None if image.palette and not intensities else _color(image, position.color, path)
        planes = (file.read(series, number, intensities) for number in numbers)
        chosen = (plane if color is None else plane[color] for plane in planes)
        return project(chosen, str(position.plane), labels) if position.plane in PROJECTIONS else next(chosen)


def read_planes(path: Path) -> NDArray[Any]:
    """Read all channels, colors or pages without a meaning of a file that is no stack.

    Parameters
    ----------
    path : Path
        As for :func:`open_file`, which raises the same errors.

    Returns
    -------
    array (h, w) or (planes or colors, h, w)
        In the file's dtype, unscaled; without an alpha channel.

    Raises
    ------
    ImageError
        If the file holds several images, or is a stack.
    """
    with open_file(path) as file:
        series = _only_series(file, None, path)
        image = file.images[series]
        if image.labeled:
            refuse_stack(image, Position(), path)
        planes = [file.read(series, number, True) for number in image.planes()]
    return planes[0] if len(planes) == 1 else np.concatenate(planes) if image.colors else np.stack(planes)


def _planes_chosen(file: ImageFile, frame: int | None, position: Position, path: Path) -> tuple[int, list[PlaneNumber]]:
    """Return the image and the planes, of which there are several for a projection."""
    if file.own and position.channel is None and position.plane is None and position.time is None:
        own = [each for each in file.own if position.series in (None, each[0])]
        if frame is None and len(own) > 1:
            raise ImageError(
                f"holds {counted(len(own), 'planes')} of a set of files where one was expected: choose one by a column "
                "Frame_<channel> of a LoadData CSV",
                path,
            )
        check_number("plane", frame or 0, len(own), path)
        series, number = own[frame or 0]
        return series, [number]
    if file.own and position.channel is None:
        position = _place_in_set(file, position)
    series = _only_series(file, 0 if frame is not None and position.series is None else position.series, path)
    image = file.images[series]
    if frame is not None:
        planes = image.planes()
        check_number("plane", frame, len(planes), path)
        return series, [planes[frame]]
    refuse_stack(image, position, path)
    if position.channel is None and len(image.channels) > 1:
        raise ImageError(
            f"has {counted(len(image.channels), 'channels')} ({', '.join(image.channels)}) where one was expected: "
            "write one plane, or choose one by a column Frame_<channel> of a LoadData CSV",
            path,
        )
    channel, time = position.channel or 0, position.time or 0
    check_number("channel", channel, len(image.channels), path)
    check_number("time", time, image.times, path)
    return series, [PlaneNumber(channel, plane, time) for plane in depths_chosen(image, position, path)]


def _in_own_series(file: ImageFile, position: Position) -> Position:
    """Take the only image of which a file of a set holds planes itself."""
    series = {series for series, _ in file.own}
    return replace(position, series=series.pop()) if position.series is None and len(series) == 1 else position


def _place_in_set(file: ImageFile, position: Position) -> Position:
    """Fill in the channel and time that all planes of a file of a set share."""
    own = [number for series, number in file.own if position.series in (None, series)]
    channels, times = {number.channel for number in own}, {number.time for number in own}
    return replace(
        position,
        channel=channels.pop() if len(channels) == 1 else None,
        time=times.pop() if position.time is None and len(times) == 1 else position.time,
    )


def _only_series(file: ImageFile, series: int | None, path: Path) -> int:
    if series is None and len(file.images) > 1:
        raise ImageError(
            f"holds {counted(len(file.images), 'images')} where one was expected: choose one by a column "
            "Series_<channel> of a LoadData CSV, from 0",
            path,
        )
    check_number("series", series or 0, len(file.images), path)
    return series or 0


def _color_or_channel(file: ImageFile, frame: int | None, position: Position) -> Position:
    """Take the number of Channel_ in a LoadData CSV as that of a channel, where the image has no colors."""
    series = position.series or 0
    if position.color is None or position.channel is not None or frame is not None or series >= len(file.images):
        return position
    image = file.images[series]
    if image.colors or len(image.channels) < 2:
        return position
    return replace(position, channel=position.color, color=None)


def _color(image: FileImage, color: int | None, path: Path) -> int | None:
    if not image.colors:
        if color:
            raise ImageError(f"is no color picture: there is no color {color}", path)
        return None
    if color is None:
        raise ImageError(
            f"is a color picture ({', '.join(image.colors)}) where one plane was expected: save it as gray, or choose "
            "a color by a column Channel_<channel> of a LoadData CSV (0, 1 or 2)",
            path,
        )
    check_number("color", color, len(image.colors), path)
    return color

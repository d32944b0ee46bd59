"""Find the planes of a stack that a position chooses; refuse a stack of which none is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..errors import ImageError, counted
from .file_image import FileImage
from .image_set import Position
from .projection import PROJECTIONS


def refuse_stack(image: FileImage, position: Position, path: Path) -> None:
    """Check that a position chooses from every axis of a stack.

    Parameters
    ----------
    image : FileImage
    position : Position
    path : Path
        Of the image, for the error.

    Raises
    ------
    ImageError
        If the image has several pages, depths or time points of which none is chosen.
    """
    if not image.labeled and position.plane is None:
        raise ImageError(
            f"holds {counted(image.depth, 'pages')}, and no metadata say what they are: choose `pages` (channels, "
            "depth, time or images), or write it as OME-TIFF",
            path,
        )
    if image.depth > 1 and position.plane is None:
        raise ImageError(
            f"is a stack of {counted(image.depth, 'planes')} in depth: choose `project` (max, mean, sum or focus) or "
            "`plane` (a number from 0, middle or all)",
            path,
        )
    if image.times > 1 and position.time is None:
        raise ImageError(
            f"is a series of {counted(image.times, 'time points')}: choose `time` (a number from 0, or all)",
            path,
        )


def depths_chosen(image: FileImage, position: Position, path: Path) -> Sequence[int]:
    """Return the numbers of the planes in depth, of which there are several for a projection.

    Raises
    ------
    ImageError
        If there is no such plane.
    """
    if position.plane in PROJECTIONS:
        return range(image.depth)
    plane = image.depth // 2 if position.plane == "middle" else int(position.plane or 0)
    check_number("plane", plane, image.depth, path)
    return [plane]


def check_number(what: str, number: int, count: int, path: Path) -> None:
    """Check that there is a plane, channel and the like of a number from 0.

    Raises
    ------
    ImageError
        If there is none.
    """
    if number >= count:
        held = f"{what}s 0 to {count - 1}" if what != "series" else f"series 0 to {count - 1}"
        raise ImageError(f"has {held}: there is no {what} {number}", path)

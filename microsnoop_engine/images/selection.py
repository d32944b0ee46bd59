"""Choose planes of files that hold several images, depths or time points, and make image sets of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ..errors import InputError, UnreachableError
from ..storage.paths import path_kind
from .file_image import FileImage
from .formats import open_file
from .image_set import ImageSet, Metadata, PlaneSource, Position
from .projection import PROJECTIONS

log = logging.getLogger(__name__)

PAGES = ("channels", "depth", "time", "images")


@dataclass(frozen=True)
class PlaneSelection:
    """The planes to measure of a file that holds a stack.

    Parameters
    ----------
    project : str, optional
        Project all depths to one plane: ``max``, ``mean``, ``sum``; ``focus``, the sharpest plane of each
        channel; or ``focus-object``, the sharpest plane of each object and channel.
    plane : int or str, optional
        A depth, from 0; ``middle``; or ``all``, an image set for each.
    time : int or str, optional
        A time point, from 0; or ``all``, an image set for each.
    pages : str, optional
        What the pages of a TIFF file are that does not say it: ``channels``, ``depth``, ``time`` or ``images``.

    Raises
    ------
    InputError
        If a value is none of these, or both ``project`` and ``plane`` are set.
    """

    project: str | None = None
    plane: int | str | None = None
    time: int | str | None = None
    pages: str | None = None

    def __post_init__(self) -> None:
        if self.project is not None and self.project not in PROJECTIONS:
            raise InputError(f"`project` is '{self.project}': choose {', '.join(PROJECTIONS)}")
        if self.pages is not None and self.pages not in PAGES:
            raise InputError(f"`pages` is '{self.pages}': choose {', '.join(PAGES)}")
        for name, value, words in (("plane", self.plane, ("middle", "all")), ("time", self.time, ("all",))):
            if value is not None and value not in words and (isinstance(value, str) or value < 0):
                raise InputError(f"`{name}` is '{value}': use a number from 0, or {', '.join(words)}")
        if self.project is not None and self.plane is not None:
            raise InputError("use either `project` or `plane`")

    @property
    def depth(self) -> int | str | None:
        """The projection or plane."""
        return self.project if self.project is not None else self.plane

    def position(self) -> Position | None:
        """Return the choice for a single plane whose file is not looked into; None if there is none.

        Raises
        ------
        InputError
            If the choice is one that needs the headers of files.
        """
        if "all" in (self.plane, self.time) or self.pages is not None:
            name = "pages" if self.pages is not None else "plane" if self.plane == "all" else "time"
            value = getattr(self, name)
            raise InputError(
                f"`{name}` = '{value}' goes with a folder without `pattern` or with a single file: a file named by a "
                "LoadData CSV or a pattern is one plane"
            )
        if self.depth is None and self.time is None:
            return None
        assert not isinstance(self.time, str)
        return Position(plane=self.depth, time=self.time)


def choose_planes(image_sets: list[ImageSet], selection: PlaneSelection) -> list[ImageSet]:
    """Apply a selection to image sets of which each channel is a file.

    Parameters
    ----------
    image_sets : list of ImageSet
    selection : PlaneSelection

    Returns
    -------
    list of ImageSet
        A channel whose frame is given is left as it is.

    Raises
    ------
    InputError
        If the selection needs the headers of files.
    """
    position = selection.position()
    if position is None:
        return image_sets

    def chosen(source: PlaneSource) -> PlaneSource:
        if source.index is not None:
            return source
        before = source.position or Position()
        return replace(source, position=replace(before, plane=position.plane, time=position.time))

    return [
        replace(each, channels={name: chosen(source) for name, source in each.channels.items()}) for each in image_sets
    ]


def image_sets_of_file(
    path: Path, metadata: Metadata, selection: PlaneSelection | None = None
) -> tuple[list[ImageSet], str]:
    """Make image sets of all images of a file.

    Parameters
    ----------
    path : Path
        A file with one of `formats.SUFFIXES`.
    metadata : mapping
        Added to the metadata ``File``, the name of the file.
    selection : PlaneSelection, optional
        Of stacks in depth and time.

    Returns
    -------
    image_sets : list of ImageSet
        All with number 1. Channels as the file's header names them; one channel, ``Image``, if a plane has no name or
        the file cannot be read, which is reported when its pixels are. Metadata ``Series`` and, if it has a name,
        ``SeriesName`` of a file that holds several images; ``Well`` if the file says it; ``Plane`` and ``Time`` where
        all are taken.
    set_identity : str
        The same for all files that hold the images together; empty if this file holds them alone.

    Raises
    ------
    UnreachableError
        If a store does not answer or accepts no credentials.
    """
    metadata = {"File": path.name, **metadata}
    try:
        with open_file(path, pixels=False) as file:
            images, homes, set_identity = list(file.images), list(file.homes), file.set_identity
    except UnreachableError:
        raise
    # whatever is wrong with the file, the reader of its pixels meets it again and reports it with the file's name
    except Exception:
        log.debug("the header of '%s' cannot be read", path, exc_info=True)
        images, homes, set_identity = [], [], ""
    if not images:
        return [ImageSet(1, {"Image": PlaneSource(path)}, {}, metadata)], set_identity
    several = len(images) > 1
    image_sets = []
    for series, image in enumerate(images):
        names: Metadata = {"Series": series, **({"SeriesName": image.name} if image.name else {})} if several else {}
        names = {**names, **({"Well": image.well} if image.well else {})}
        home = path.with_name(homes[series]) if homes and homes[series] else path
        # a file that was renamed is found by its UUID
        home = home if path_kind(home) == "file" else path
        for position, numbers, channels in positions(image, selection or PlaneSelection()):
            position = replace(position, series=series if several else None)
            places = _channels(image, position, channels, bool(set_identity))
            sources = {name: PlaneSource(home, position=place) for name, place in places}
            image_sets.append(ImageSet(1, sources, {}, {**metadata, "File": home.name, **names, **numbers}))
    return image_sets, set_identity


def positions(image: FileImage, selection: PlaneSelection) -> Iterator[tuple[Position, Metadata, bool]]:
    """Yield what a selection takes of an image, one position for each image set.

    Parameters
    ----------
    image : FileImage
    selection : PlaneSelection

    Yields
    ------
    position : Position
        Of its plane, depth and time; None for an axis of length 1, and for one of which nothing is chosen.
    numbers : mapping
        Metadata ``Plane``, ``Time`` or ``Page`` where all are taken.
    pages : bool
        Whether its pages are channels.
    """
    depth: int | str | None = selection.depth
    if not image.labeled and selection.pages == "channels":
        yield Position(), {}, True
        return
    if not image.labeled and selection.pages in ("time", "images"):
        depth, name = selection.time, "Time"
        if selection.pages == "images":
            depth, name = "all", "Page"
        yield from ((replace(Position(), plane=n), numbers, False) for n, numbers in _steps(depth, image.depth, name))
        return
    for plane, plane_number in _steps(depth, image.depth, "Plane"):
        for time, time_number in _steps(selection.time, image.times, "Time"):
            assert not isinstance(time, str)
            yield Position(plane=plane, time=time), {**plane_number, **time_number}, False


def _steps(choice: int | str | None, count: int, name: str) -> list[tuple[int | str | None, Metadata]]:
    """Return the numbers to take of an axis; None for the only one, or where it has to be chosen."""
    if choice == "all":
        return [(n if count > 1 else None, {name: n}) for n in range(count)]
    return [(choice if count > 1 else None, {})]


def with_all_numbers(image_sets: list[ImageSet]) -> list[ImageSet]:
    """Add the number 0 for the only image, plane or time of a file, if other files have several: no gaps.

    Parameters
    ----------
    image_sets : list of ImageSet

    Returns
    -------
    list of ImageSet
    """
    defaults: dict[str, str | int] = {"Series": 0, "SeriesName": "", "Page": 0, "Plane": 0, "Time": 0}
    used = {name: value for name, value in defaults.items() if any(name in each.metadata for each in image_sets)}
    return [replace(each, metadata={**used, **each.metadata}) for each in image_sets]


def _channels(image: FileImage, position: Position, pages: bool, in_set: bool) -> list[tuple[str, Position]]:
    """Return the channels of an image with their places.

    In a set of files, a place without a channel would be that of the planes in the file itself.
    """
    if pages:
        return [(f"C{n + 1}", replace(position, plane=n)) for n in range(image.depth)]
    single = len(image.channels) == 1
    channels = [(name, None if single and not in_set else n) for n, name in enumerate(image.channels)]
    if image.colors:
        return [
            (color if single else f"{name}_{color}", replace(position, channel=channel, color=n))
            for name, channel in channels
            for n, color in enumerate(image.colors)
        ]
    return [("Image" if single else name, replace(position, channel=channel)) for name, channel in channels]

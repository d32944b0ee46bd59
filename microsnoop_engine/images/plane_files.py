"""Choose from planes and time points that lie in files of their own, as most instruments write them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from ..errors import InputError, counted
from .image_set import ImageSet, Position
from .selection import PlaneSelection, choose_planes

log = logging.getLogger(__name__)

PLANE, TIME = "Plane", "Time"
"""Metadata that number them."""


def choose_plane_files(image_sets: list[ImageSet], selection: PlaneSelection) -> list[ImageSet]:
    """Apply a selection to image sets of a plate, each of one depth and time point.

    Parameters
    ----------
    image_sets : list of ImageSet
        With metadata ``Plane`` and ``Time`` if there are several.
    selection : PlaneSelection
        ``plane`` and ``time`` count from 0 in the order of these numbers. What the metadata do not number is chosen
        from each file.

    Returns
    -------
    list of ImageSet
        Numbered from 1. Projected ones have the files of all depths as `PlaneSource.depths`, and no ``Plane``.

    Raises
    ------
    InputError
        If a field has no plane or time of that number, or the selection needs the headers of files.
    """
    if selection.time is not None and _is_numbered(image_sets, TIME):
        if selection.time != "all":
            image_sets = [_chosen(group, selection.time, TIME) for group in _groups(image_sets, TIME)]
        selection = replace(selection, time=None)
    if selection.depth is not None and _is_numbered(image_sets, PLANE):
        groups = _groups(image_sets, PLANE)
        if selection.project is not None:
            image_sets = [_projected(group, selection.project) for group in groups]
            most = counted(max(map(len, groups)), "files")
            log.info("%s projected from up to %s of a channel", counted(len(groups), "image sets"), most)
            _warn_of_lost_planes(image_sets)
        elif selection.plane is not None and selection.plane != "all":
            image_sets = [_chosen(group, selection.plane, PLANE) for group in groups]
        selection = replace(selection, project=None, plane=None)
    image_sets = [replace(each, number=number) for number, each in enumerate(image_sets, start=1)]
    return choose_planes(image_sets, selection)


def _is_numbered(image_sets: Sequence[ImageSet], name: str) -> bool:
    return len({each.metadata.get(name) for each in image_sets}) > 1


def _groups(image_sets: Sequence[ImageSet], name: str) -> list[list[ImageSet]]:
    """Return image sets whose metadata differ in one number alone, in its order."""
    groups: dict[tuple[tuple[str, object], ...], list[ImageSet]] = {}
    for each in image_sets:
        groups.setdefault(tuple((key, value) for key, value in each.metadata.items() if key != name), []).append(each)
    return [sorted(group, key=lambda each: _natural(each.metadata.get(name))) for group in groups.values()]


def _natural(value: object) -> tuple[float, str]:
    try:
        return float(str(value)), ""
    except ValueError:
        return float("inf"), str(value)


def _chosen(group: Sequence[ImageSet], number: int | str, name: str) -> ImageSet:
    index = len(group) // 2 if number == "middle" else int(number)
    if index >= len(group):
        values = ", ".join(f"{key} {value}" for key, value in group[0].metadata.items() if key != name)
        raise InputError(f"`{name.lower()}` is {index}, but {values} has {name.lower()}s 0 to {len(group) - 1}")
    return group[index]


def _projected(group: Sequence[ImageSet], method: str) -> ImageSet:
    """Project each channel over the planes that it has."""
    channels = {}
    for name in dict.fromkeys(name for each in group for name in each.channels):
        sources = [each.channels[name] for each in group if name in each.channels]
        depths = tuple(source.path for source in sources)
        channels[name] = replace(sources[0], position=Position(plane=method), depths=depths)
    metadata = {key: value for key, value in group[0].metadata.items() if key != PLANE}
    return replace(group[0], channels=channels, metadata=metadata)


def _warn_of_lost_planes(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning for image sets that have fewer planes of a channel than others."""
    most: dict[str, int] = {}
    for each in image_sets:
        for name, source in each.channels.items():
            most[name] = max(most.get(name, 0), len(source.depths))
    fewer = [
        (each, name, len(source.depths))
        for each in image_sets
        for name, source in each.channels.items()
        if len(source.depths) < most[name]
    ]
    if fewer:
        each, name, count = fewer[0]
        log.warning(
            "%d of %d image sets have fewer planes in depth than others, such as %d instead of %d of %s in %s",
            len({lost.number for lost, *_ in fewer}),
            len(image_sets),
            count,
            most[name],
            name,
            ", ".join(f"{key} {value}" for key, value in each.metadata.items()),
        )

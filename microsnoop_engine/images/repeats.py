"""Find files, rows and pixels that stand twice in an input."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..errors import MicrosnoopError, counted
from .acquisitions.wells import parse_well
from .image_set import ImageSet
from .planes import read_plane
from .quality import QUALITIES, quality_column

log = logging.getLogger(__name__)

_EXAMPLES = 3
_COMPARED = 20
"""Pairs of planes that are read again."""


def warn_of_repeats(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning for planes that are read twice, image sets with the same metadata, and wells in two spellings.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    """
    planes: dict[tuple[Any, ...], list[tuple[str, ImageSet]]] = {}
    records: dict[tuple[Any, ...], list[ImageSet]] = {}
    for image_set in image_sets:
        for channel, source in image_set.channels.items():
            planes.setdefault(tuple(map(str, source.key())), []).append((channel, image_set))
        if image_set.metadata:
            records.setdefault(tuple(image_set.metadata.items()), []).append(image_set)
    _warn_of_spellings(image_sets)
    repeated = {key[0]: uses for key, uses in planes.items() if len(uses) > 1}
    if repeated:
        examples = "; ".join(f"'{path}' as {_uses(uses)}" for path, uses in list(repeated.items())[:_EXAMPLES])
        log.warning("the same plane is measured twice in %d cases: %s", len(repeated), examples)
    same = [group for group in records.values() if len(group) > 1]
    if same:
        example = ", ".join(f"{name} {value}" for name, value in same[0][0].metadata.items())
        numbers = ", ".join(str(image_set.number) for image_set in same[0][:_EXAMPLES])
        log.warning(
            "image sets have the same metadata in %d cases, such as %s (image sets %s): are rows doubled, or is a "
            "column such as Site missing?",
            len(same),
            example,
            numbers,
        )


def _warn_of_spellings(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning for wells of a plate that are written in several ways, such as A1 and A01."""
    spellings: dict[tuple[Any, str], dict[str, None]] = {}
    for image_set in image_sets:
        well = str(image_set.metadata.get("Well", ""))
        if name := parse_well(well):
            spellings.setdefault((image_set.metadata.get("Plate"), name), {})[well] = None
    several = [list(group) for group in spellings.values() if len(group) > 1]
    if several:
        log.warning(
            "%s written in several ways, such as %s: files of each are not put together, write it in one way",
            counted(len(several), "wells are", "well is"),
            " and ".join(several[0]),
        )


def warn_of_copies(
    image_sets: Sequence[ImageSet], channels: Sequence[str], qualities: Mapping[int, Mapping[str, float | None]]
) -> None:
    """Log a warning for planes of different places that hold the same pixels, unless they are blank.

    Planes of equal quality are candidates; the first ones are read again and compared.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    channels : sequence of str
        Those that were measured.
    qualities : mapping of int to mapping
        Of the image sets that were measured, by their number: values of `plane_quality` by `quality_column`; None for
        NaN.
    """
    alike: dict[tuple[float, ...], list[tuple[str, ImageSet]]] = {}
    for image_set in image_sets:
        values = qualities.get(image_set.number, {})
        for channel in image_set.channels.keys() & set(channels):
            numbers = [values.get(quality_column(name, channel)) for name in QUALITIES]
            known = tuple(number for number in numbers if number is not None)
            # a blank plane has no slope
            if len(known) == len(numbers):
                alike.setdefault(known, []).append((channel, image_set))
    groups = [sorted(group, key=lambda plane: (plane[1].number, plane[0])) for group in alike.values()]
    pairs = [(first, other) for first, *others in groups for other in others if _key(first) != _key(other)]
    copies = [pair for pair in pairs[:_COMPARED] if _same_pixels(*pair)]
    if copies:
        examples = "; ".join(f"{_place(first)} and {_place(other)}" for first, other in copies[:_EXAMPLES])
        log.warning(
            "the same pixels are measured twice in %s%d cases: %s: is one file a copy of the other?",
            "more than " if len(pairs) > _COMPARED else "",
            len(copies),
            examples,
        )


def _key(plane: tuple[str, ImageSet]) -> list[str | int | None]:
    channel, image_set = plane
    return image_set.channels[channel].key()


def _same_pixels(*planes: tuple[str, ImageSet]) -> bool:
    try:
        first, second = (read_plane(image_set.channels[channel], channel) for channel, image_set in planes)
    except MicrosnoopError:
        return False
    return np.array_equal(first, second)


def _place(plane: tuple[str, ImageSet]) -> str:
    channel, image_set = plane
    path = image_set.channels[channel].path
    return f"{channel} of image set {image_set.number} ('{'/'.join(path.parts[-2:])}')"


def _uses(uses: Sequence[tuple[str, ImageSet]]) -> str:
    """Return the channels and image sets in which a plane is used."""
    return " and ".join(
        f"{channel} of " + (" ".join(map(str, image_set.metadata.values())) or f"image set {image_set.number}")
        for channel, image_set in uses[:_EXAMPLES]
    )

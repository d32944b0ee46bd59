"""Find files and rows that stand twice in an input."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from .acquisitions.wells import parse_well
from .image_set import ImageSet

log = logging.getLogger(__name__)

_EXAMPLES = 3


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
            "%d wells are written in several ways, such as %s: files of each are not put together, write it in one way",
            len(several),
            " and ".join(several[0]),
        )


def _uses(uses: Sequence[tuple[str, ImageSet]]) -> str:
    """Return the channels and image sets in which a plane is used."""
    return " and ".join(
        f"{channel} of " + (" ".join(map(str, image_set.metadata.values())) or f"image set {image_set.number}")
        for channel, image_set in uses[:_EXAMPLES]
    )

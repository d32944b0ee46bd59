"""Restore what a list of files of an Opera Phenix or Operetta has lost of their names.

pe2loaddata 0.2.0 writes such lists. It keeps two digits of a field, names rows below Z by the characters that follow it
("[" for AA), and has no column for planes and times.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from .acquisitions.phenix import NamedPlace, place_in_name
from .acquisitions.wells import ROWS
from .image_set import ImageSet, Metadata

log = logging.getLogger(__name__)

_LETTERS = 26
"""Rows that have a single letter."""


def with_places_of_names(image_sets: Sequence[ImageSet], path: Path) -> list[ImageSet]:
    """Take wells, sites, planes and times from the names of the files, where a list has lost them.

    Wells and sites change only if the whole column follows from the names by the rules of pe2loaddata. Planes and times
    are added only if they differ and no column has them.

    Parameters
    ----------
    image_sets : sequence of ImageSet
        Of one list, their metadata as they were typed.
    path : Path
        Of the list, for messages.

    Returns
    -------
    list of ImageSet
        Unchanged if a file has another kind of name, or an image set has files of several places.
    """
    places = [place for image_set in image_sets if (place := _place(image_set))]
    if len(places) < len(image_sets):
        return list(image_sets)
    metadata = [dict(image_set.metadata) for image_set in image_sets]
    cut = {
        "Well": [(_letter_after_z(place.well), place.well) for place in places],
        "Site": [(_two_digits(place.site), place.site) for place in places],
    }
    for name, pairs in cut.items():
        lost = [number for number, (written, whole) in enumerate(pairs) if written != whole]
        if lost and _column(metadata, name) == [written for written, _ in pairs]:
            for number in lost:
                metadata[number][name] = pairs[number][1]
            log.warning(
                "'%s': Metadata_%s of %d image sets is cut, such as '%s' instead of %s for the file '%s': the names of "
                "the files are taken",
                *(path, name, len(lost), *pairs[lost[0]], next(iter(image_sets[lost[0]].channels.values())).path.name),
            )
    for name, values in {"Plane": [place.plane for place in places], "Time": [place.time for place in places]}.items():
        known = name in metadata[0] or any(_column(metadata, other) == values for other in metadata[0])
        if len(set(values)) > 1 and not known:
            log.info("'%s': Metadata_%s is added, from the names of the files", path, name)
            for row, value in zip(metadata, values, strict=True):
                row[name] = value
    return [replace(image_set, metadata=row) for image_set, row in zip(image_sets, metadata, strict=True)]


def _place(image_set: ImageSet) -> NamedPlace | None:
    """Return the place that the names of all files of an image set state."""
    places = {place_in_name(source.path.name) for source in image_set.channels.values()}
    return places.pop() if len(places) == 1 else None


def _column(metadata: Sequence[Metadata], name: str) -> list[str]:
    return [str(row.get(name, "")) for row in metadata]


def _letter_after_z(well: str) -> str:
    """Return the name that a well has if every row is a character that follows "A".

    Examples
    --------
    >>> _letter_after_z("AA03"), _letter_after_z("P24")
    ('[03', 'P24')
    """
    row, column = well[:-2], well[-2:]
    number = ROWS.index(row)
    return well if number < _LETTERS else f"{chr(ord('A') + number)}{column}"


def _two_digits(site: str) -> str:
    """Return the first two digits of the number of a field.

    Examples
    --------
    >>> _two_digits("100"), _two_digits("9")
    ('10', '9')
    """
    return site[:2]

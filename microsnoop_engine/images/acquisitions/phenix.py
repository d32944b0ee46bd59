"""Read PerkinElmer (Revvity) Opera Phenix and Operetta: an index file, or names such as r01c01f01p01-ch1sk1fk1fl1.tiff.

Row, column, field, plane, channel and time point of a name are counted from 1. ``Index.idx.xml`` (or ``Index.xml``)
lists every image, with the names of the channels and the size of the pixels; from Harmony 6 on these stand once per
channel.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from ...errors import InputError
from ..left_out import LeftOut
from .layout import UNLISTED, children, elements, folder_name
from .planes import AcquiredPlane, Acquisition, numbered_names
from .wells import well_name

TITLE = "PerkinElmer Opera Phenix, Operetta (Harmony)"

_NAME = re.compile(
    r"r(?P<row>\d{2,})c(?P<column>\d{2,})f(?P<site>\d{2,})p(?P<plane>\d{2,})(?:rc\d+)?"
    r"-ch(?P<channel>\d+)sk(?P<time>\d+)fk\d+fl\d+\.tiff?",
    re.IGNORECASE,
)
_INDEX = ("index.idx.xml", "index.xml")


@dataclass(frozen=True)
class NamedPlace:
    """What the name of a file says beside the channel.

    Attributes
    ----------
    well : str
    site, plane, time : str
        Numbers.
    """

    well: str
    site: str
    plane: str
    time: str


def place_in_name(name: str) -> NamedPlace | None:
    """Read the name of a file; None if it is of another kind, or no plate has such a well.

    Examples
    --------
    >>> place_in_name("r27c03f100p01-ch1sk2fk1fl1.tiff")
    NamedPlace(well='AA03', site='100', plane='1', time='2')
    """
    match = _NAME.fullmatch(name)
    try:
        return _place(match) if match else None
    except ValueError:
        return None


def _place(match: re.Match[str]) -> NamedPlace:
    site, plane, time = (str(int(match[part])) for part in ("site", "plane", "time"))
    return NamedPlace(well_name(int(match["row"]), match["column"]), site, plane, time)


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return _NAME.fullmatch(path.name) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return path.name.lower() in _INDEX


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    acquisition = Acquisition()
    indexed = set()
    for path in sorted(filter(is_index, others), key=lambda path: (path.parent, _INDEX.index(path.name.lower()))):
        if path.parent not in indexed:
            planes = _indexed_planes(folder, path)
            acquisition.planes += planes
            if planes:
                indexed.add(path.parent)
    # an index may lie above its images
    named = {plane.path.as_posix().lower() for plane in acquisition.planes}
    for path in images:
        match = _NAME.fullmatch(path.name)
        if not match or path.as_posix().lower() in named:
            continue
        if indexed.isdisjoint(path.parents):
            acquisition.planes.append(_named_plane(folder, path, match))
        else:
            acquisition.left_out.append(LeftOut(path, UNLISTED, unexpected=True))
    return acquisition


def _named_plane(folder: Path, path: PurePath, match: re.Match[str]) -> AcquiredPlane:
    try:
        place = _place(match)
    except ValueError as error:
        raise InputError(f"'{path}': {error}") from None
    plate, channel = _plate_of_folder(folder, path.parent), f"ch{int(match['channel'])}"
    return AcquiredPlane(path, path.parent, plate, place.well, place.site, channel, place.plane, place.time)


def _plate_of_folder(folder: Path, measurement: PurePath) -> str:
    """Return the plate of ``PLATE__2020-11-05T19_51_35-Measurement 1/Images``."""
    name = folder_name(folder, measurement)
    if name.lower() == "images":
        name = (
            measurement.parent.name
            if len(measurement.parts) > 1
            else folder.joinpath(measurement).resolve().parent.name
        )
    return name.split("__")[0]


def _indexed_planes(folder: Path, index: PurePath) -> list[AcquiredPlane]:
    """Read the planes of an index file."""
    path = folder.joinpath(*index.parts)
    plate = ""
    channels: dict[str, dict[str, str]] = {}
    rows: list[dict[str, str]] = []
    for name, element in elements(path):
        if name == "Plate":
            values = children(element)
            plate = values.get("Name") or values.get("PlateID", "")
        elif name == "Entry" and "ChannelID" in element.attrib:
            channels.setdefault(element.attrib["ChannelID"], {}).update(children(element))
        elif name == "Image" and len(element):
            rows.append(children(element))
            element.clear()
    for row in rows:
        known = channels.setdefault(row.get("ChannelID", ""), {})
        for name in ("ChannelName", "ImageResolutionX"):
            if row.get(name):
                known[name] = row[name]
    used = dict.fromkeys(row.get("ChannelID", "") for row in rows)
    names = numbered_names({f"ch{number}": channels[number].get("ChannelName", "") for number in used})
    plate = plate or _plate_of_folder(folder, index.parent)
    return [_indexed_plane(row, index, path, plate, channels, names) for row in rows if row.get("URL")]


def _indexed_plane(
    row: dict[str, str],
    index: PurePath,
    path: Path,
    plate: str,
    channels: dict[str, dict[str, Any]],
    names: dict[str, str],
) -> AcquiredPlane:
    file = index.parent.joinpath(*PurePath(row["URL"].replace("\\", "/")).parts)
    match = _NAME.fullmatch(file.name)
    try:
        meters = row.get("ImageResolutionX") or channels[row["ChannelID"]].get("ImageResolutionX")
        return AcquiredPlane(
            file,
            index.parent,
            plate,
            _well(row["Row"], row["Col"], file),
            row["FieldID"],
            names[f"ch{row['ChannelID']}"],
            row.get("PlaneID"),
            str(int(match["time"])) if match else row.get("TimepointID"),
            pixel_size=float(meters) * 1e6 if meters else None,
        )
    except (KeyError, ValueError) as error:
        raise InputError(f"'{path}': the image '{row['URL']}' has no usable {error}") from None


def _well(row: str, column: str, path: PurePath) -> str:
    try:
        return well_name(int(row), column)
    except ValueError as error:
        raise InputError(f"'{path}': {error}") from None

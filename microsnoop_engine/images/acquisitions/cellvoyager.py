"""Read Yokogawa CellVoyager CV7000 and CV8000: MeasurementData.mlf, or names such as P_A01_T0001F001L01A01Z01C01.tif.

The .mlf file lists every image. The .mrf file has the name of the plate, the size of the pixels and the name of the
.mes file, which names the channels. Time, field, time line, plane and channel of a name are counted from 1.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePath

from ...errors import InputError
from ..left_out import LeftOut
from .layout import UNLISTED, attributes, elements, folder_name
from .planes import AcquiredPlane, Acquisition, numbered_names
from .wells import parse_well, well_name

log = logging.getLogger(__name__)

TITLE = "Yokogawa CellVoyager CV7000, CV8000"
CORRECTION = "a correction image of the instrument (shading or dark field)"
FAILED = "an image that the instrument could not take (ERR in its index)"

_NAME = re.compile(
    r"(?:(?P<plate>.+)_)?(?P<well>[A-Z]{1,2}\d{2})_T(?P<time>\d+)F(?P<site>\d+)L(?P<line>\d+)A\d+Z(?P<plane>\d+)"
    r"C(?P<channel>\d+)\.(?:tiff?|png)",
    re.IGNORECASE,
)
_CORRECTION = re.compile(r"(?:SC_.*|DC_.*|.*_shading.*)\.tiff?", re.IGNORECASE)


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    match = _NAME.fullmatch(path.name)
    return match is not None and parse_well(match["well"]) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return path.suffix.lower() == ".mlf"


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    acquisition = Acquisition()
    indexed = set()
    for path in filter(is_index, others):
        indexed.add(path.parent)
        _read_index(folder, path, [other for other in others if other.parent == path.parent], acquisition)
    # an index may lie above its images
    named = {plane.path.as_posix().lower() for plane in acquisition.planes}
    for path in images:
        match = _NAME.fullmatch(path.name)
        if _CORRECTION.fullmatch(path.name):
            acquisition.left_out.append(LeftOut(path, CORRECTION))
        elif not match or not fits(path) or path.as_posix().lower() in named:
            continue
        elif not indexed.isdisjoint(path.parents):
            acquisition.left_out.append(LeftOut(path, UNLISTED, unexpected=True))
        else:
            acquisition.planes.append(
                AcquiredPlane(
                    path,
                    path.parent,
                    match["plate"] or folder_name(folder, path.parent),
                    parse_well(match["well"]) or "",
                    str(int(match["site"])),
                    f"C{int(match['channel']):02d}",
                    str(int(match["plane"])),
                    str(int(match["time"])),
                    {"Timeline": str(int(match["line"]))},
                )
            )
    return acquisition


@dataclass
class _Detail:
    """The .mrf and .mes files of a measurement."""

    plate: str = ""
    names: dict[str, str] = field(default_factory=dict)
    pixel_sizes: dict[str, float] = field(default_factory=dict)


def _read_index(folder: Path, index: PurePath, others: Sequence[PurePath], acquisition: Acquisition) -> None:
    """Add the planes of an index file."""
    path = folder.joinpath(*index.parts)
    detail = _read_detail(folder, others)
    plate = detail.plate or folder_name(folder, index.parent)
    for name, element in elements(path):
        if name != "MeasurementRecord":
            continue
        values, file = attributes(element), (element.text or "").strip()
        if values.get("Type") != "IMG" or not file:
            acquisition.left_out.append(LeftOut(index, FAILED))
            continue
        try:
            number = values["Ch"]
            plane = AcquiredPlane(
                index.parent.joinpath(*PurePath(file.replace("\\", "/")).parts),
                index.parent,
                plate,
                well_name(int(values["Row"]), values["Column"]),
                values["FieldIndex"],
                detail.names.get(number, f"C{int(number):02d}"),
                values.get("ZIndex"),
                values.get("TimePoint"),
                {"Timeline": values.get("TimelineIndex", "1")},
                detail.pixel_sizes.get(number),
            )
        except (KeyError, ValueError) as error:
            raise InputError(f"'{path}': the image '{file}' has no usable {error}") from None
        acquisition.planes.append(plane)


def _read_detail(folder: Path, others: Sequence[PurePath]) -> _Detail:
    """Read plate, channels and pixel sizes, as far as the files are there."""
    detail = _Detail()
    setting = ""
    for path in _with_suffix(folder, others, ".mrf"):
        for name, element in elements(path):
            values = attributes(element)
            if name == "MeasurementSamplePlate":
                detail.plate = values.get("Name", "")
            elif name == "MeasurementChannel" and values.get("HorizontalPixelDimension"):
                detail.pixel_sizes[values["Ch"]] = float(values["HorizontalPixelDimension"])
            elif name == "MeasurementDetail":
                setting = values.get("MeasurementSettingFileName", "")
    for path in _with_suffix(folder, others, ".mes"):
        if setting in ("", path.name):
            detail.names = _channel_names(path)
    return detail


def _channel_names(path: Path) -> dict[str, str]:
    """Read the names of the channels by number: the fluorophore, or what the user called the target."""
    try:
        records = [attributes(element) for name, element in elements(path) if name == "Channel"]
    except InputError as error:
        log.warning("%s; channels are named by their numbers", error)
        return {}
    channels = {values["Ch"]: values for values in records if "Ch" in values}
    names = numbered_names(
        {
            f"C{int(number):02d}": values.get("Fluorophore") or values.get("Target", "")
            for number, values in channels.items()
        }
    )
    return dict(zip(channels, names.values(), strict=True))


def _with_suffix(folder: Path, paths: Sequence[PurePath], suffix: str) -> Iterator[Path]:
    return (folder.joinpath(*path.parts) for path in paths if path.suffix.lower() == suffix)

"""Read Molecular Devices ImageXpress (MetaXpress): names such as Plate_A01_s1_w1<GUID>.tif, and .HTD files.

Site and wavelength are counted from 1 and left out of the names where there is one. Stacks and time series lie in
folders ``TimePoint_1/ZStep_1``; ``ZStep_0`` is the projection that the software made. The .HTD file names the
wavelengths. Files with ``_thumb`` in their names are thumbnails.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from ...storage.paths import read_bytes
from ..left_out import LeftOut
from .layout import folder_name
from .planes import AcquiredPlane, Acquisition, numbered_names
from .wells import parse_well

TITLE = "Molecular Devices ImageXpress (MetaXpress)"
THUMBNAIL = "a thumbnail of the instrument"
PROJECTION = "the instrument's projection of planes that are measured"

_GUID = r"[0-9A-F]{8}(?:-[0-9A-F]{4}){3}-[0-9A-F]{12}"
_NAME = re.compile(
    rf"(?:(?P<plate>.+?)_)?(?P<well>[A-Z]{{1,2}}\d{{2}})(?:_s(?P<site>\d+))?(?:_w(?P<wave>\d+?))?(?:_t(?P<time>\d+))?"
    rf"(?P<thumb>_thumb)?(?P<guid>{_GUID})?\.tiff?",
    re.IGNORECASE,
)
_STEP = re.compile(r"(TimePoint|ZStep)_(\d+)", re.IGNORECASE)
_WAVE = re.compile(r'"WaveName(\d+)"\s*,\s*"(.*)"\s*')


def is_thumbnail(path: PurePath) -> bool:
    """Return True for a thumbnail, which lies beside its image and has its name.

    Examples
    --------
    >>> is_thumbnail(PurePath("P_A01_s1_w1_thumbD5F8F51A-3E85-4358-AE51-A465AF87386F.tif"))
    True
    """
    match = _NAME.fullmatch(path.name)
    return match is not None and match["thumb"] is not None


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    match = _match(path)
    return match is not None and (match["guid"] is not None or match["wave"] is not None)


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return path.suffix.lower() == ".htd"


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    waves = {path: _wave_names(folder.joinpath(*path.parts)) for path in others if is_index(path)}
    acquisition = Acquisition()
    for path in images:
        match = _match(path)
        if match:
            acquisition.planes.append(_plane(folder, path, match, waves))
    return _without_projections(acquisition)


def _match(path: PurePath) -> re.Match[str] | None:
    match = _NAME.fullmatch(path.name)
    return match if match and parse_well(match["well"]) and not match["thumb"] else None


def _plane(folder: Path, path: PurePath, match: re.Match[str], waves: dict[PurePath, dict[str, str]]) -> AcquiredPlane:
    steps = {}
    measurement = path.parent
    while step := _STEP.fullmatch(measurement.name):
        steps[step[1].lower()] = str(int(step[2]))
        measurement = measurement.parent
    plate = match["plate"] or folder_name(folder, measurement)
    wave = str(int(match["wave"] or 1))
    return AcquiredPlane(
        path,
        measurement,
        plate,
        parse_well(match["well"]) or "",
        str(int(match["site"] or 1)),
        _names_for(path, plate, waves).get(wave, f"w{wave}"),
        steps.get("zstep"),
        steps.get("timepoint") or match["time"],
    )


def _names_for(path: PurePath, plate: str, waves: dict[PurePath, dict[str, str]]) -> dict[str, str]:
    """Return the names of the .HTD of a plate: the nearest one above the image, or in the folders of its steps."""
    for folder in path.parents:
        near = [index for index in waves if index.parent == folder]
        named = [index for index in near if index.stem == plate] or near
        if len(named) == 1:
            return waves[named[0]]
        if not _STEP.fullmatch(folder.name):
            below = [index for index in waves if folder in index.parents and index.stem == plate]
            return waves[below[0]] if below else {}
    return {}


def _wave_names(path: Path) -> dict[str, str]:
    """Read the names of the wavelengths of a .HTD file, by number."""
    names = dict(_WAVE.findall(read_bytes(path).decode("latin-1")))
    numbered = numbered_names({f"w{number}": name.strip() for number, name in names.items()})
    return {number.removeprefix("w"): name for number, name in numbered.items()}


def _without_projections(acquisition: Acquisition) -> Acquisition:
    """Leave out projections (ZStep_0) of channels whose planes are there; alone, they are measured."""

    def field(plane: AcquiredPlane) -> tuple[object, ...]:
        return (*(value for name, value in plane.place() if name != "Plane"), plane.channel)

    stacks = {field(plane) for plane in acquisition.planes if plane.plane not in (None, "0")}
    planes = []
    for plane in acquisition.planes:
        if plane.plane in (None, "0") and field(plane) in stacks:
            acquisition.left_out.append(LeftOut(plane.path, PROJECTION))
        else:
            planes.append(plane)
    return Acquisition(planes, acquisition.left_out)

"""Read Sartorius IncuCyte: exported names such as Name_A1_1_2023y05m16d_11h24m.tif, and the files of its archive.

Exported names have well, site and time but no channel. The archive has a folder for every scan and plate and names
such as ``A1-1-C1.tif`` (``2305/16/1124/1248/A1-1-C1.tif``: year, month, day, hour, minute, plate).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from ...errors import InputError
from .layout import folder_name
from .planes import AcquiredPlane, Acquisition
from .wells import parse_well

TITLE = "Sartorius IncuCyte"

_EXPORTED = re.compile(
    r"(?P<plate>.+)_(?P<well>[A-Z]{1,2}\d{1,2})_(?P<site>\d+)_(?P<time>(?:\d+y\d+m)?\d+d_?\d+h\d+m(?:\d+s)?)\.(?:tiff?|png|jpe?g)",
    re.IGNORECASE,
)
_ARCHIVED = re.compile(r"(?P<well>[A-Z]{1,2}\d{1,2})-(?P<site>\d+)-(?P<channel>C\d+|Ph)\.tiff?", re.IGNORECASE)
_SCAN = re.compile(r"(?P<month>\d{4})/(?P<day>\d{2})/(?P<minute>\d{4})/(?P<plate>\d+)")


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    match = _EXPORTED.fullmatch(path.name) or _ARCHIVED.fullmatch(path.name)
    return match is not None and parse_well(match["well"]) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`: there is none."""
    return False


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    acquisition = Acquisition()
    exported: dict[tuple[str, ...], PurePath] = {}
    for path in filter(fits, images):
        match = _EXPORTED.fullmatch(path.name)
        if match is None:
            acquisition.planes.append(_archived_plane(folder, path))
            continue
        well, site = parse_well(match["well"]) or "", str(int(match["site"]))
        other = exported.setdefault((match["plate"], well, site, match["time"]), path)
        if other is not path:
            raise InputError(
                f"names of IncuCyte have no channel, and these are one field:\n  '{other}'\n  '{path}'\n"
                "Use `pattern`, for example '{Channel}/{Plate}_{Well}_{Site}_{Time}.tif'"
            )
        acquisition.planes.append(
            AcquiredPlane(path, path.parent, match["plate"], well, site, channel, time=match["time"])
        )
    return acquisition


def _archived_plane(folder: Path, path: PurePath) -> AcquiredPlane:
    match = _ARCHIVED.fullmatch(path.name)
    assert match is not None
    measurement, plate, time = path.parent, folder_name(folder, path.parent), None
    scan = _SCAN.fullmatch("/".join(path.parent.parts[-4:]))
    if scan:
        # all scans of a plate are one acquisition
        measurement, plate = PurePath(*path.parent.parts[:-4]), scan["plate"]
        time = f"20{scan['month'][:2]}y{scan['month'][2:]}m{scan['day']}d_{scan['minute'][:2]}h{scan['minute'][2:]}m"
    well, site = parse_well(match["well"]) or "", str(int(match["site"]))
    return AcquiredPlane(path, measurement, plate, well, site, match["channel"], time=time)

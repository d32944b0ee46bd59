"""Read GE (Cytiva) IN Cell Analyzer: names such as A - 01(fld 1 wv UV - DAPI).tif.

Field, plane and time are counted from 1; ``wv`` has the filters of excitation and emission, and is left out of the
names where there is one wavelength.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from ...storage.paths import read_bytes
from .layout import folder_name
from .planes import AcquiredPlane, Acquisition
from .wells import parse_well

TITLE = "GE/Cytiva IN Cell Analyzer"

_NAME = re.compile(
    r"(?P<row>[A-Z]{1,2}) - (?P<column>\d{1,2})\(fld (?P<site>\d+)(?: wv (?P<channel>(?:[^()]|\([^()]*\))+?))?"
    r"(?: wix \d+)?(?: z (?P<plane>\d+))?(?: time (?P<time>\d+)(?: - [\d.]+ ?m?s)?)?\)\.tiff?",
    re.IGNORECASE,
)
_PIXEL_SIZE = re.compile(rb'pixel_width="([\d.]+)"')


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    match = _NAME.fullmatch(path.name)
    return match is not None and parse_well(match["row"] + match["column"]) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`: the .xdce file lists settings, not what is measured."""
    return False


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    sizes = {
        path.parent: _pixel_size(folder.joinpath(*path.parts)) for path in others if path.suffix.lower() == ".xdce"
    }
    acquisition = Acquisition()
    for path in images:
        match = _NAME.fullmatch(path.name)
        well = match and parse_well(match["row"] + match["column"])
        if match and well:
            acquisition.planes.append(
                AcquiredPlane(
                    path,
                    path.parent,
                    folder_name(folder, path.parent),
                    well,
                    str(int(match["site"])),
                    match["channel"] or channel,
                    match["plane"] and str(int(match["plane"])),
                    match["time"] and str(int(match["time"])),
                    pixel_size=sizes.get(path.parent),
                )
            )
    return acquisition


def _pixel_size(path: Path) -> float | None:
    found = _PIXEL_SIZE.search(read_bytes(path))
    return float(found[1]) if found else None

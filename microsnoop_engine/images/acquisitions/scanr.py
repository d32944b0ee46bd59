"""Read Olympus (Evident) scan^R: names such as A1--W00001--P00001--Z00000--T00000--DAPI.tif.

Wells and positions are counted from 1, planes and times from 0. Names that do not begin with the well keep its number:
``W00001``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from .layout import folder_name
from .planes import AcquiredPlane, Acquisition
from .wells import parse_well

TITLE = "Olympus scan^R"

_NAME = re.compile(
    r"(?P<well>.*?)--(?P<number>W\d+)--P(?P<site>\d+)--Z(?P<plane>\d+)--T(?P<time>\d+)--(?P<channel>.+)\.tiff?",
    re.IGNORECASE,
)


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return _NAME.fullmatch(path.name) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`: the experiment descriptor is not needed."""
    return False


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    acquisition = Acquisition()
    for path in images:
        match = _NAME.fullmatch(path.name)
        if match:
            acquisition.planes.append(
                AcquiredPlane(
                    path,
                    path.parent,
                    _plate(folder, path.parent),
                    parse_well(match["well"]) or match["number"],
                    str(int(match["site"])),
                    match["channel"],
                    str(int(match["plane"])),
                    str(int(match["time"])),
                )
            )
    return acquisition


def _plate(folder: Path, data: PurePath) -> str:
    """Return the name of the measurement's folder, which has the images in a folder ``data``."""
    name = folder_name(folder, data)
    if name.lower() != "data":
        return name
    return data.parent.name if len(data.parts) > 1 else folder.joinpath(data).resolve().parent.name

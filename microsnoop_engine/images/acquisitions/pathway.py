"""Read BD Pathway: a folder for every well, ``Well A01/Hoechst - n000000.tif``, beside ``Experiment.exp``.

The number counts the times of a well, or its depths where the file ``.xyz`` switches them on: files do not say which
is which if there are both.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from configparser import ConfigParser, Error
from pathlib import Path, PurePath

from ...errors import InputError, counted
from ...storage.paths import read_bytes
from .layout import folder_name
from .planes import AcquiredPlane, Acquisition
from .wells import parse_well

log = logging.getLogger(__name__)

TITLE = "BD Pathway"

_NAME = re.compile(r"(?P<channel>.+) - n(?P<number>\d{6})\.tiff?", re.IGNORECASE)
_WELL = re.compile(r"Well (?P<well>\w+)", re.IGNORECASE)
_INDEX = "experiment.exp"


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return _NAME.fullmatch(path.name) is not None and _well(path) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return path.name.lower() == _INDEX


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    acquisition = Acquisition()
    plates: dict[PurePath, list[tuple[PurePath, str, int]]] = {}
    for path in filter(fits, images):
        match = _NAME.fullmatch(path.name)
        assert match is not None
        plates.setdefault(path.parent.parent, []).append((path, match["channel"], int(match["number"])))
    for plate, files in plates.items():
        _report_montage(folder, plate, others)
        count = max(number for _, _, number in files) + 1
        depth = _depth(folder, plate, others)
        if 1 < depth < count:
            raise InputError(
                f"'{folder / plate}': names such as '{files[0][0].name}' count {counted(count, 'images')} of {depth} "
                f"depths and some times in one number: use `pattern` 'Well {{Well}}/{{Channel}} - n{{Number}}.tif'"
            )
        for path, dye, number in files:
            numbered = str(number) if count > 1 else None
            place = (numbered, None) if depth > 1 else (None, numbered)
            acquisition.planes.append(
                AcquiredPlane(path, plate, folder_name(folder, plate), _well(path) or "", "1", dye, *place)
            )
    return acquisition


def _well(path: PurePath) -> str | None:
    match = _WELL.fullmatch(path.parent.name)
    return parse_well(match["well"]) if match else None


def _report_montage(folder: Path, plate: PurePath, others: Sequence[PurePath]) -> None:
    """Log that the images of a plate are montages of fields."""
    for path in others:
        if path.parent == plate and is_index(path):
            image = _section(folder, path, "image")
            if image.get("montaged") == "1":
                tiles = f"{image.get('tilesx', '?')} x {image.get('tilesy', '?')}"
                log.warning("'%s': every image is a montage of %s fields, measured as one", folder / plate, tiles)


def _depth(folder: Path, plate: PurePath, others: Sequence[PurePath]) -> int:
    """Return the number of depths of a plate."""
    for path in others:
        if path.parent == plate and path.suffix.lower() == ".xyz":
            axis = _section(folder, path, "z1axis")
            if axis.get("z1axisenabled") == axis.get("z1axismode") == "1":
                try:
                    return int(float(axis["z1axisvalue"])) + 1
                except (KeyError, ValueError) as error:
                    raise InputError(f"'{folder / path}' is damaged: no number in Z1AxisValue ({error!r})") from None
    return 1


def _section(folder: Path, path: PurePath, name: str) -> Mapping[str, str]:
    """Return the values of a section of an INI file by their names in small letters; none if it is not there."""
    parser = ConfigParser(interpolation=None, strict=False, allow_no_value=True)
    file = folder.joinpath(*path.parts)
    try:
        parser.read_string(read_bytes(file).decode("latin-1"))
    except Error as error:
        raise InputError(f"'{file}' is damaged ({error}): copy it from the instrument again") from None
    section = next((section for section in parser.sections() if section.lower() == name), None)
    return {key: (value or "").strip() for key, value in parser.items(section)} if section else {}

"""Read Leica MATRIX screener: image--L0000--S00--U00--V00--J08--E00--O00--X00--Y00--T0000--Z00--C00.ome.tif.

All numbers count from 0. U is the column of a well, V its row, X and Y the field in the well, S the slide, L the loop
and J the job. Names of older versions lack some of the letters.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePath

from ...errors import InputError
from .layout import folder_name
from .planes import AcquiredPlane, Acquisition
from .wells import well_name

TITLE = "Leica MATRIX screener"

_NAME = re.compile(r"image((?:--[A-Z]\d+)+)\.(?:ome\.)?tiff?", re.IGNORECASE)
_FURTHER = {"S": "Slide", "L": "Loop", "J": "Job", "E": "E", "O": "O"}
_FOLDER = re.compile(r"(?:slide|chamber|field)--.*", re.IGNORECASE)


def fits(path: PurePath) -> bool:
    """See :class:`.layout.Layout`."""
    return _numbers(path) is not None


def is_index(path: PurePath) -> bool:
    """See :class:`.layout.Layout`: the settings of the microscope are not needed."""
    return False


def read(folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
    """See :class:`.layout.Layout`."""
    acquisition = Acquisition()
    for path in images:
        numbers = _numbers(path)
        if numbers is None:
            continue
        try:
            well = well_name(numbers["V"] + 1, numbers["U"] + 1)
        except ValueError as error:
            raise InputError(f"'{path}': {error}") from None
        experiment = path.parent
        while _FOLDER.fullmatch(experiment.name):
            experiment = experiment.parent
        acquisition.planes.append(
            AcquiredPlane(
                path,
                experiment,
                folder_name(folder, experiment),
                well,
                f"X{numbers['X']:02d}Y{numbers['Y']:02d}",
                f"C{numbers['C']:02d}",
                str(numbers["Z"]) if "Z" in numbers else None,
                str(numbers["T"]) if "T" in numbers else None,
                {name: str(numbers[letter]) for letter, name in _FURTHER.items() if letter in numbers},
            )
        )
    return acquisition


def _numbers(path: PurePath) -> dict[str, int] | None:
    """Return the numbers of a name by their letters; None if it is no name of this layout."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    numbers = {part[0].upper(): int(part[1:]) for part in match[1].split("--")[1:]}
    return numbers if set("UVXYC") <= set(numbers) else None

"""Correct uneven illumination by the functions of CellProfiler's CorrectIlluminationCalculate."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, InputError, counted, first_line
from ..storage.paths import files_in, path_kind, read_bytes
from .formats import SUFFIXES, read_plane
from .image_set import ImageSet

ILLUMINATION = re.compile(r"(?:^|.*[_\-. ])illum(?:ination)?[_\-]?(?:orig)?(?P<channel>.+)$", re.IGNORECASE)
"""Names of illumination functions: ``IllumDNA``, ``Plate1_IllumDNA``, ``IllumOrigDNA``."""


def correct_illumination(plane: NDArray[Any], function: Path, channel: str) -> NDArray[Any]:
    """Divide a plane by an illumination function, as CorrectIlluminationApply of CellProfiler does by default.

    As there, results above the largest value of the plane's integer type become that value.

    Parameters
    ----------
    plane : array (h, w)
    function : Path
        A .npy file or an image of the same size.
    channel : str
        For the error.

    Returns
    -------
    array (h, w) of float64

    Raises
    ------
    ImageError
        If the function cannot be read, is of another size, or is not positive everywhere.
    """
    try:
        values = np.asarray(
            np.load(io.BytesIO(read_bytes(function)), allow_pickle=False)
            if function.suffix.lower() == ".npy"
            else read_plane(function, intensities=False)
        )
    except (ImageError, InputError):
        raise
    except Exception as error:  # noqa: BLE001 readers fail in many ways
        raise ImageError(f"the illumination function cannot be read ({first_line(error)})", function, channel) from None
    if values.shape != plane.shape:
        sizes = " x ".join(map(str, values.shape[::-1])), " x ".join(map(str, plane.shape[::-1]))
        raise ImageError(f"the illumination function is {sizes[0]}, but the image is {sizes[1]}", function, channel)
    if not (np.isfinite(values).all() and (values > 0).all()):
        raise ImageError("the illumination function is not positive everywhere: calculate it again", function, channel)
    corrected = plane / values.astype(np.float64)
    return np.minimum(corrected, np.iinfo(plane.dtype).max) if plane.dtype.kind in "ui" else corrected


def channel_of_function(name: str, channels: Sequence[str]) -> str | None:
    """Return the channel that an illumination function corrects; None if the name is none of a function.

    Examples
    --------
    >>> channel_of_function("IllumDNA", ["OrigDNA", "OrigER"]), channel_of_function("Plate1_IllumER", ["DNA", "ER"])
    ('OrigDNA', 'ER')
    """
    match = ILLUMINATION.match(name)
    if match is None:
        return None
    wanted = match["channel"].lower()
    return next((channel for channel in channels if re.sub("^orig", "", channel.lower()) == wanted), None)


def is_function(name: str) -> bool:
    """Return True if a channel, column or file has the name of an illumination function.

    Examples
    --------
    >>> is_function("IllumDNA"), is_function("Plate1_IllumDNA"), is_function("DNA"), is_function("illuminated")
    (True, True, False, False)
    """
    return bool(re.search(r"(?:^|[_\-. ])[Ii]llum(?:ination)?(?:[_\-]|[A-Z0-9])", name))


def add_illumination(image_sets: Sequence[ImageSet], folder: Path) -> list[ImageSet]:
    """Give every channel the illumination function of its name in a folder.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    folder : Path
        Of .npy files or images called ``IllumDNA``, ``PLATE_IllumDNA`` or ``DNA``; of several plates, in folders of the
        plates' names or with these names in the files' names.

    Returns
    -------
    list of ImageSet

    Raises
    ------
    InputError
        If the folder does not exist, or a channel has no function or several.
    """
    if path_kind(folder) != "folder":
        raise InputError(f"`illumination`: there is no folder '{folder}'")
    channels = list(dict.fromkeys(name for each in image_sets for name in each.channels))
    functions: dict[str, list[Path]] = {}
    for path in files_in(folder):
        if path.suffix.lower() in (".npy", *SUFFIXES):
            stem = re.sub(r"\.ome$", "", path.stem)
            channel = channel_of_function(stem, channels) or next((c for c in channels if c == stem), None)
            if channel:
                functions.setdefault(channel, []).append(folder.joinpath(*path.parts))
    result = []
    for each in image_sets:
        plate = str(each.metadata.get("Plate", ""))
        sources = {
            name: replace(source, illumination=_function_of(functions.get(name, []), plate, name, folder))
            for name, source in each.channels.items()
        }
        result.append(replace(each, channels=sources))
    return result


def _function_of(candidates: Sequence[Path], plate: str, channel: str, folder: Path) -> Path:
    if len(candidates) > 1 and plate:
        of_plate = rf"(?<![^\W_]){re.escape(plate)}(?![^\W_])"
        candidates = [path for path in candidates if re.search(of_plate, str(path)[len(str(folder)) :])]
    if len(candidates) != 1:
        found = counted(len(candidates), "illumination functions") if candidates else "no illumination function"
        where = f" of plate {plate}" if plate else ""
        raise InputError(
            f"`illumination`: there is {found} of channel '{channel}'{where} in '{folder}': call the file "
            f"Illum{channel}.npy, in a folder of the plate's name if there are several plates"
        )
    return candidates[0]

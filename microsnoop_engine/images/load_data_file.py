"""Write image sets as a LoadData CSV of CellProfiler."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import InputError
from ..storage.atomic import write_atomic
from .image_set import ImageSet, PlaneSource, Position

_NUMBERS = ("Series", "Frame", "Channel")
"""Columns of the place of a plane in its file."""


def write_load_data(path: Path, image_sets: Sequence[ImageSet]) -> dict[str, str]:
    """Write a LoadData CSV that CellProfiler and microsnoop read.

    Parameters
    ----------
    path : Path
        CSV to write; an existing one is replaced.
    image_sets : sequence of ImageSet
        Of image files on a disk.

    Returns
    -------
    dict of str to str
        The names of channels and object sets in the CSV, by their own names: CellProfiler wants words of letters and
        digits.

    Raises
    ------
    InputError
        If an image is not a file of a disk, as in OME-Zarr and .npz.
    StorageError, OSError
        If the CSV cannot be written.
    """
    channels = list(dict.fromkeys(name for image_set in image_sets for name in image_set.channels))
    objects = list(dict.fromkeys(name for image_set in image_sets for name in image_set.labels))
    metadata = list(dict.fromkeys(name for image_set in image_sets for name in image_set.metadata))
    words = _words([*channels, *objects])
    numbered = [
        (part, name)
        for name in channels
        for part in _NUMBERS
        if any(_number(image_set.channels.get(name), part) for image_set in image_sets)
    ]
    header = [f"{kind}_{words[name]}" for name in channels for kind in ("FileName", "PathName")]
    header += [f"{part}_{words[name]}" for part, name in numbered]
    header += [f"Objects{kind}_{words[name]}" for name in objects for kind in ("FileName", "PathName")]
    header += [f"Metadata_{name}" for name in metadata]
    rows = []
    for image_set in image_sets:
        sources = [image_set.channels.get(name) for name in channels]
        row = [cell for source in sources for cell in _file(source)]
        row += [_number(image_set.channels.get(name), part) for part, name in numbered]
        row += [cell for name in objects for cell in _file(image_set.labels.get(name))]
        row += [str(image_set.metadata.get(name, "")) for name in metadata]
        rows.append(row)
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_atomic(path, text.getvalue().encode())
    return words


def _words(names: Sequence[str]) -> dict[str, str]:
    """Turn names into words of letters, digits and underscores, that differ as the names do."""
    words: dict[str, str] = {}
    for name in dict.fromkeys(names):
        word = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") or "Channel"
        word = word if word[0].isalpha() else f"C{word}"
        number = 2
        unique = word
        while unique in words.values():
            unique, number = f"{word}_{number}", number + 1
        words[name] = unique
    return words


def _file(source: PlaneSource | None) -> list[str]:
    """Return the name of a file and its folder."""
    if source is None:
        return ["", ""]
    if source.row is not None or source.level is not None:
        raise InputError(f"'{source.path}' is no image file: a LoadData CSV lists image files alone")
    return [source.path.name, str(source.path.parent.absolute())]


def _number(source: PlaneSource | None, part: str) -> str:
    """Return the number of a plane in its file as CellProfiler counts; a blank where there is none."""
    if source is None:
        return ""
    position = source.position or Position()
    if position.plane is not None or position.time is not None:
        raise InputError(f"'{source.path}' is a stack: a LoadData CSV holds no depth and time")
    channel = position.channel if position.color is None else position.color
    number = {"Series": position.series, "Frame": source.index, "Channel": channel}[part]
    return "" if number is None else str(number)

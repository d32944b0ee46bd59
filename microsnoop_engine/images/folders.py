"""Find image sets in a folder of image files."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path, PurePath

from ..errors import InputError
from ..storage.paths import STORE_READERS, files_in, is_remote
from .formats import SUFFIXES
from .illumination import is_function
from .image_set import ImageSet, PlaneSource, typed_metadata
from .selection import PlaneSelection, choose_planes, image_sets_of_file

log = logging.getLogger(__name__)


def from_folder(folder: Path, pattern: str | None = None, selection: PlaneSelection | None = None) -> list[ImageSet]:
    """Find the image sets of a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        On a disk or in a store. Hidden files and folders are passed over.
    pattern : str, optional
        The form of a file's path in the folder, as for :func:`pattern_expression`: files that differ in ``{Channel}``
        alone are one image set. Without it, every image of every file is an image set; files of one image (multi-file
        OME-TIFF, NDTiff) are taken together.
    selection : PlaneSelection, optional
        Of stacks in depth and time.

    Returns
    -------
    list of ImageSet
        Numbered from 1, in the order of their metadata, or of the files.

    Raises
    ------
    InputError
        If the folder holds no images, or the pattern is wrong or fits none of them.
    UnreachableError
        If a store does not answer or accepts no credentials.
    """
    files = [path for path in files_in(folder) if not any(part.startswith(".") for part in path.parts)]
    images = [path for path in files if path.suffix.lower() in SUFFIXES]
    functions = [path for path in images if is_function(path.stem)]
    if functions:
        log.warning(
            "%d illumination functions, such as '%s', are no images and are left out: apply them by `illumination`",
            len(functions),
            functions[0],
        )
        images = [path for path in images if path not in functions]
    if not images:
        hint = ": name one of its .npz files" if any(path.suffix.lower() == ".npz" for path in files) else ""
        raise InputError(f"folder '{folder}' holds no images ({', '.join(SUFFIXES)}){hint}")
    if pattern is None:
        return _each_file(folder, images, selection)
    image_sets = _by_pattern(folder, images, pattern)
    return choose_planes(image_sets, selection) if selection else image_sets


def _each_file(folder: Path, images: list[PurePath], selection: PlaneSelection | None) -> list[ImageSet]:
    """Take every image of every file as an image set; its folder is metadata."""

    def read(path: PurePath) -> tuple[list[ImageSet], str]:
        metadata = {"Folder": path.parent.as_posix()} if len(path.parts) > 1 else {}
        return image_sets_of_file(folder.joinpath(*path.parts), metadata, selection)

    with ThreadPoolExecutor(STORE_READERS if is_remote(folder) else 1) as pool:
        found = list(pool.map(read, images))
    image_sets: list[ImageSet] = []
    taken: set[str] = set()
    for sets, set_identity in found:
        if not set_identity or set_identity not in taken:
            image_sets += sets
            taken.add(set_identity)
    return [replace(each, number=number) for number, each in enumerate(_with_all_numbers(image_sets), start=1)]


def _with_all_numbers(image_sets: list[ImageSet]) -> list[ImageSet]:
    """Number the only image, plane or time of a file 0, if other files have several: a column holds no gaps."""
    defaults: dict[str, str | int] = {"Series": 0, "SeriesName": "", "Page": 0, "Plane": 0, "Time": 0}
    used = {name: value for name, value in defaults.items() if any(name in each.metadata for each in image_sets)}
    return [replace(each, metadata={**used, **each.metadata}) for each in image_sets]


def _by_pattern(folder: Path, images: list[PurePath], pattern: str) -> list[ImageSet]:
    """Group the files that fit the pattern by everything in their path but the channel."""
    expression = pattern_expression(pattern)
    groups: dict[tuple[str, ...], dict[str, PlaneSource]] = {}
    for path in images:
        match = expression.fullmatch(path.as_posix())
        if match is None:
            continue
        values = match.groupdict()
        channel = values.pop("Channel")
        # the values and the pattern make up the path, so no other file has the same ones
        groups.setdefault(tuple(values.values()), {})[channel] = PlaneSource(folder.joinpath(*path.parts))
    if not groups:
        example = images[0].as_posix()
        raise InputError(f"no file of '{folder}' fits the `pattern` '{pattern}'; one of its files: '{example}'")
    names = [name for name in expression.groupindex if name != "Channel"]
    return typed_metadata(
        [
            ImageSet(number, channels, {}, dict(zip(names, values, strict=True)))
            for number, (values, channels) in enumerate(sorted(groups.items()), start=1)
        ]
    )


def pattern_expression(pattern: str) -> re.Pattern[str]:
    """Turn a pattern of file paths into a regular expression.

    Parameters
    ----------
    pattern : str
        A path relative to the folder, in which every ``{Name}`` stands for one or more characters but a slash. One of
        the names is ``{Channel}``. Backslashes are slashes.

    Returns
    -------
    re.Pattern
        With a group for every name.

    Raises
    ------
    InputError
        If ``{Channel}`` is missing, or a name is no word or occurs twice.

    Examples
    --------
    >>> expression = pattern_expression("{Plate}/{Well}_s{Site}_{Channel}.tif")
    >>> expression.fullmatch("P1/A01_s2_DNA.tif").groupdict()
    {'Plate': 'P1', 'Well': 'A01', 'Site': '2', 'Channel': 'DNA'}
    """
    parts = re.split(r"\{([^{}]*)\}", pattern.replace("\\", "/"))
    names = parts[1::2]
    if "Channel" not in names:
        raise InputError(f"`pattern` '{pattern}' has no {{Channel}}: put it where file names hold the channel")
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*", name) or names.count(name) > 1:
            raise InputError(f"`pattern` '{pattern}': '{{{name}}}' must be a word of letters that occurs once")
    expression = "".join(f"(?P<{part}>[^/]+?)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    return re.compile(expression)

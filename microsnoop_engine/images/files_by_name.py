"""Find the files of a folder that have the names of image sets: label images and outlines."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path, PurePath

from ..errors import InputError, counted
from ..storage.paths import files_in
from .image_set import ImageSet
from .unicode_names import composed

log = logging.getLogger(__name__)

_EXAMPLES = 3


class FilesByName:
    """The files of a folder and its subfolders, by their names.

    Parameters
    ----------
    folder : Path
        On a disk or in a store.
    suffixes : sequence of str
        Of the files that count, in small letters; the first is taken of files that differ in their suffix alone.
    """

    def __init__(self, folder: Path, suffixes: Sequence[str]) -> None:
        self.folder = folder
        self._suffixes = suffixes
        self._by_stem: dict[str, list[Path]] = {}
        self._by_small_stem: dict[str, list[Path]] = {}
        self._names = files_in(folder)
        for name in self._names:
            if name.suffix.lower() in suffixes:
                path = folder.joinpath(*name.parts)
                self._by_stem.setdefault(stem_of(name), []).append(path)
                self._by_small_stem.setdefault(stem_of(name).lower(), []).append(path)

    def find(self, image_set: ImageSet, names: Sequence[str]) -> set[Path]:
        """Return the files with one of these names but the images themselves; capitals count if they tell files apart.

        Parameters
        ----------
        image_set : ImageSet
        names : sequence of str
            Without suffix.
        """
        images = {source.path.resolve() for source in image_set.channels.values()}
        exact = (path for name in names for path in self._by_stem.get(name, []))
        matches = {path for path in exact if path.resolve() not in images}
        if not matches:
            alike = (path for name in names for path in self._by_small_stem.get(name.lower(), []))
            matches = {path for path in alike if path.resolve() not in images}
        return matches

    def nearest(self, image_set: ImageSet, matches: set[Path]) -> set[Path]:
        """Return the files in folders named like those of the images: plates may have files of the same names."""
        sources = image_set.channels.values()
        equal = {path: max(_equal_folders(path, source.path) for source in sources) for path in matches}
        return {path for path in matches if equal[path] == max(equal.values())}

    def one_format(self, matches: set[Path]) -> set[Path]:
        """Return the first of files that differ in their suffix alone, which hold the same; all others as they are."""
        if len({(path.parent, stem_of(path)) for path in matches}) > 1:
            return matches
        first, *others = sorted(matches, key=lambda path: self._suffixes.index(path.suffix.lower()))
        log.info("'%s' is taken, not %s", first, ", ".join(f"'{path.name}'" for path in others))
        return {first}

    def report_missing(self, missing: Sequence[ImageSet], count: int, what: str, ending: str, parameter: str) -> None:
        """Log that image sets have no file of their name, or raise if none of them has one.

        Parameters
        ----------
        missing : sequence of ImageSet
        count : int
            Of all image sets.
        what, ending, parameter : str
            The kind of file, an ending of its name, and the parameter that names the folder, for the message.

        Raises
        ------
        InputError
        """
        if not missing:
            return
        held = ", ".join(f"'{name}'" for name in self._names[:_EXAMPLES]) or "none"
        example = next(iter(missing[0].channels.values())).path
        of_all = (
            "no image set has a"
            if len(missing) == count
            else f"{len(missing)} of {counted(count, 'image sets have', 'image set has')} no"
        )
        message = (
            f"`{parameter}`: {of_all} {what} in '{self.folder}', such as '{example.name}': the file needs its name, "
            f"with or without an ending such as {ending}; files there: {held}"
        )
        if len(missing) == count:
            raise InputError(message)
        log.warning("%s", message)


def stems_of(image_set: ImageSet) -> list[str]:
    """Return the names that a file of an image set may begin with: those of its images, with and without suffix."""
    paths = [source.path for source in image_set.channels.values()]
    # programs take .ome or the whole suffix for a part of the name: A01.ome_cp_masks.tif, A01.tif.zip
    names = [name for path in paths for name in (stem_of(path), composed(path.stem), composed(path.name))]
    return list(dict.fromkeys(names))


def stem_of(path: PurePath) -> str:
    """Return the name of a file without its suffix, to which ``.ome`` belongs."""
    stem = path.stem
    return composed(stem[:-4] if stem.lower().endswith(".ome") else stem)


def _equal_folders(first: PurePath, second: PurePath) -> int:
    """Count the folders around two files that have the same names, from the innermost one."""
    pairs = zip(first.parent.parts[::-1], second.parent.parts[::-1], strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

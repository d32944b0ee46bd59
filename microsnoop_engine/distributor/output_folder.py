"""Check the results folder of a run: no file that the run reads, or that is of somebody else, is ever replaced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from ..errors import InputError
from ..images.image_set import ImageSet
from ..images.image_set_file import CONTACT_SHEET, IMAGE_SETS, LABEL_FOLDER
from ..images.left_out import LEFT_OUT_LIST
from ..storage.paths import is_remote, path_kind
from ..tables.file_names import TABLE
from .results import CSV_TABLE, IMAGE_LIST, MANIFEST

LISTS = (IMAGE_LIST, LEFT_OUT_LIST, IMAGE_SETS)


def check_results_folder(
    folder: Path,
    paths: Iterable[Path],
    image_sets: Sequence[ImageSet] = (),
    csv: bool = False,
    save_labels: bool = False,
) -> None:
    """Check that a run may write its files into a folder.

    Parameters
    ----------
    folder : Path
        Results folder.
    paths : iterable of Path
        The input, and files and folders of labels, outlines and illumination functions.
    image_sets : sequence of ImageSet
        Their files are read, too.
    csv, save_labels : bool
        The run also writes the table as CSV, or label images.

    Raises
    ------
    InputError
        If one of the files that would be written is one that is read, also through links, or exists in a folder that
        holds no run.
    """
    names = [*LISTS, MANIFEST, TABLE, *([CSV_TABLE] if csv else [])]
    names += [LABEL_FOLDER, CONTACT_SHEET] if save_labels else []
    existing = [folder / name for name in names if path_kind(folder / name)]
    if not existing:
        return
    sources = [source for each in image_sets for source in (*each.channels.values(), *each.labels.values())]
    files = [path for source in sources for path in source.files]

    @cache
    def resolved(folder: Path) -> Path:
        return folder.resolve()

    def place_of(path: Path) -> Path:
        if is_remote(path):
            return path
        return path.resolve() if path.is_symlink() else resolved(path.parent) / path.name

    written = {str(place_of(target)): target for target in existing}
    # hard links are one file
    identities = {_identity(target): target for target in existing}
    for path in dict.fromkeys([*paths, *files]):
        place = place_of(path)
        within = next((name for name in map(str, (place, *place.parents)) if name in written), "")
        target = written.get(within) or identities.get(_identity(path))
        if target is not None:
            raise InputError(
                f"`out`: the run reads '{path}', which it would replace by its own '{target}'\nChoose another folder"
            )
    foreign = [path for path in existing if path.name != TABLE]
    if foreign and not path_kind(folder / MANIFEST):
        raise InputError(
            f"`out`: '{foreign[0]}' exists, but '{folder}' holds no run: choose another folder, so that nothing is lost"
        )


def _identity(path: Path) -> tuple[int, int] | str:
    """Return the number of a file on its disk; the address of one in a store or that is missing."""
    try:
        status = None if is_remote(path) else path.stat()
    except OSError:  # a missing file is reported when it is read
        status = None
    return str(path) if status is None else (status.st_dev, status.st_ino)

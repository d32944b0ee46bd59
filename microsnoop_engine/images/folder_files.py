"""List the files of a user's folder as the user sees them: links are followed, what the system put there is not."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

from ..storage.paths import files_in, is_remote
from .left_out import LeftOut

SYSTEM_FOLDERS = frozenset(
    (
        "$recycle.bin",
        "#recycle",
        "#snapshot",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "__macosx",
        "lost+found",
        "recycler",
        "system volume information",
    )
)
"""Folders of disks and servers, in small letters."""
ZARR = "OME-Zarr, which is measured by its own path"
"""Why a folder of Zarr is no folder of files."""
SYSTEM_FILES = frozenset(("thumbs.db", "desktop.ini"))


def list_files(folder: Path) -> tuple[list[PurePath], list[LeftOut]]:
    """List all files in a folder and its subfolders but hidden ones and those in system folders.

    Links to files and folders are followed; a folder that is met a second time is left out.

    Parameters
    ----------
    folder : Path
        On a disk or in a store.

    Returns
    -------
    files : list of PurePath
        Relative to the folder, sorted.
    left_out : list of LeftOut
        System folders and folders of Zarr (one entry for all files in one), broken and repeated links, folders that may
        not be read. Hidden files are not in it.

    Raises
    ------
    StorageError
        If the bucket does not exist or the store refuses the request.
    """
    if is_remote(folder):
        return _split_system_files(folder, files_in(folder))
    files: list[PurePath] = []
    left_out: list[LeftOut] = []
    visited: dict[str, Path] = {}
    for path, reason, count in _walk(folder, visited):
        if reason:
            left_out.append(LeftOut(path, reason, count))
        else:
            files.append(path.relative_to(folder))
    return sorted(files), left_out


def _walk(folder: Path, visited: dict[str, Path]) -> Iterator[tuple[Path, str, int]]:
    """Yield files with an empty reason, and what is left out with its reason and number of files."""
    real = os.path.realpath(folder)
    if real in visited:
        yield folder, f"a link to a folder that is read already, '{visited[real]}'", _count(folder)
        return
    visited[real] = folder
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: (entry.is_symlink(), entry.name))
    except OSError as error:
        yield folder, f"a folder that cannot be read ({error.strerror})", 0
        return
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith(".") or entry.name.lower() in SYSTEM_FILES:
            continue
        if entry.name.lower() in SYSTEM_FOLDERS and entry.is_dir():
            yield path, "in a folder of the system", _count(path)
        elif entry.is_dir() and entry.name.lower().endswith(".zarr"):
            yield path, ZARR, 1
        elif entry.is_dir():
            yield from _walk(path, visited)
        elif entry.is_file():
            yield path, "", 1
        elif entry.is_symlink():
            yield path, "a link to nothing", 1


def _count(folder: Path) -> int:
    """Count the files in a folder, as far as it can be read."""
    return sum(len(names) for _, _, names in os.walk(folder))


def _split_system_files(folder: Path, paths: list[PurePath]) -> tuple[list[PurePath], list[LeftOut]]:
    """Leave out the hidden files of a store, and those in system folders."""
    files: list[PurePath] = []
    system: dict[PurePath, int] = {}
    for path in paths:
        depth = next((n for n, part in enumerate(path.parts[:-1]) if part.lower() in SYSTEM_FOLDERS), None)
        if depth is not None:
            top = PurePath(*path.parts[: depth + 1])
            system[top] = system.get(top, 0) + 1
        elif not any(part.startswith(".") for part in path.parts) and path.name.lower() not in SYSTEM_FILES:
            files.append(path)
    return files, [LeftOut(folder.joinpath(*top.parts), "in a folder of the system", n) for top, n in system.items()]

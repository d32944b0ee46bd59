"""Recognize archives, in which plates are stored and sent: their images are not read."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePath

from ..storage.paths import is_remote
from .formats import SUFFIXES

ARCHIVE = "an archive: unpack it to measure the images in it"
_ENDINGS = (".7z", ".rar", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")


def is_archive(path: Path) -> bool:
    """Return True for a file that may hold images in a packed form.

    Parameters
    ----------
    path : Path
        A .zip file on a disk is looked into: those of ROIs hold none. Those in a store are not.
    """
    name = path.name.lower()
    if name.endswith(_ENDINGS):
        return True
    if not name.endswith(".zip") or is_remote(path):
        return False
    try:
        with zipfile.ZipFile(path) as file:
            return any(PurePath(each).suffix.lower() in SUFFIXES for each in file.namelist())
    except zipfile.BadZipFile:  # one that is cut off has no list of its files
        return True
    except OSError:
        return False

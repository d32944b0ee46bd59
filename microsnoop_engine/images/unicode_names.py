"""Compare file names whose accented letters are written in one character or in two, or whose capitals differ.

Both forms look the same. Macs write the decomposed one to disks, most other systems and spreadsheets the composed one.
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

from ..storage.paths import is_remote


def composed(text: str) -> str:
    r"""Return text in the composed form (NFC) of Unicode.

    Examples
    --------
    >>> len("o\u0308"), len(composed("o\u0308"))
    (2, 1)
    """
    return unicodedata.normalize("NFC", text)


def existing_form(path: Path) -> Path:
    """Return a path in the form that its names have on the disk.

    Parameters
    ----------
    path : Path

    Returns
    -------
    Path
        The path itself if it exists, is in a store, or nothing on the disk has such names.
    """
    if is_remote(path) or str(path).isascii() or path.exists():
        return path
    found = Path(path.anchor)
    for part in path.parts[len(found.parts) :]:
        step = found / part
        if not part.isascii() and not step.exists():
            try:
                names = [entry.name for entry in found.iterdir()]
            except OSError:
                return path
            step = next((found / name for name in names if composed(name) == composed(part)), step)
        found = step
    return found if found.exists() else path


def in_other_capitals(path: Path) -> str:
    """Return the name of a file beside a missing one that differs in capitals alone; empty if there is none.

    Windows and Macs find such a file, Linux does not.
    """
    try:
        names = [entry.name for entry in path.parent.iterdir()]
    except OSError:
        return ""
    wanted = composed(path.name).lower()
    return next((name for name in names if name != path.name and composed(name).lower() == wanted), "")

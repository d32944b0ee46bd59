"""Count and list the files of an input that are not measured, each with the reason."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from ..errors import counted
from ..storage.atomic import write_atomic
from ..storage.paths import remove

log = logging.getLogger(__name__)

LEFT_OUT_LIST = "skipped.csv"
"""Name of the list in a results folder."""


@dataclass(frozen=True)
class LeftOut:
    """A file, or a folder with all its files, that is not measured.

    Attributes
    ----------
    path : PurePath
    reason : str
        For the user; equal for files of one kind.
    files : int
        Number of files.
    unexpected : bool
        An image that the pattern or layout does not explain; too many of them are an error.
    """

    path: PurePath
    reason: str
    files: int = 1
    unexpected: bool = False


def summarize_left_out(left_out: Sequence[LeftOut]) -> list[str]:
    """Return one line for each reason: the number of files, and one of them.

    Examples
    --------
    >>> thumbnails = [LeftOut(Path(f"A0{n}_thumb.tif"), "a thumbnail of the instrument") for n in (1, 2)]
    >>> summarize_left_out([*thumbnails, LeftOut(Path("notes.txt"), "not an image")])
    ["2 files: a thumbnail of the instrument ('A01_thumb.tif', ...)", "1 file: not an image ('notes.txt')"]
    """
    by_reason: dict[str, list[LeftOut]] = {}
    for each in left_out:
        by_reason.setdefault(each.reason, []).append(each)
    lines = []
    for reason, group in by_reason.items():
        count = sum(each.files for each in group)
        more = ", ..." if len(group) > 1 else ""
        lines.append(f"{counted(count, 'files')}: {reason} ('{group[0].path}'{more})")
    return lines


def log_left_out(left_out: Sequence[LeftOut]) -> None:
    """Log one line for each reason, as a warning for what is unexpected."""
    for unexpected, level in ((True, logging.WARNING), (False, logging.INFO)):
        for line in summarize_left_out([each for each in left_out if each.unexpected == unexpected]):
            log.log(level, "left out %s", line)


def write_left_out(folder: Path, left_out: Sequence[LeftOut]) -> None:
    """Write ``skipped.csv`` to a results folder: columns File, Files and Reason; no file if nothing is left out.

    Parameters
    ----------
    folder : Path
        Results folder.
    left_out : sequence of LeftOut

    Raises
    ------
    StorageError, OSError
        If the file cannot be written.
    """
    if not left_out:
        remove(folder / LEFT_OUT_LIST)
        return
    text = io.StringIO(newline="")
    rows = [[each.path, each.files, each.reason] for each in left_out]
    csv.writer(text).writerows([["File", "Files", "Reason"], *rows])
    write_atomic(folder / LEFT_OUT_LIST, text.getvalue().encode())

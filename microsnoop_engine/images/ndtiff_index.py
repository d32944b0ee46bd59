"""Read the names of channels and positions in the index of an NDTiff folder of Micro-Manager."""

from __future__ import annotations

import logging
from functools import lru_cache
from pathlib import Path

from ..storage.paths import is_remote

INDEX = "NDTiff.index"


class _WithoutOrderOfAxes(logging.Filter):
    """Drop a message of tifffile for each plane whose axes are listed in another order, which says nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        return f"{INDEX} axes_dict.keys" not in record.getMessage()


logging.getLogger("tifffile").addFilter(_WithoutOrderOfAxes())


def names_in_index(folder: Path, axis: str) -> list[str]:
    """Return the names along an axis, in the order in which tifffile numbers them.

    Parameters
    ----------
    folder : Path
        Of the file.
    axis : str
        ``channel`` or ``position``.

    Returns
    -------
    list of str
        As they were first acquired; empty if the index numbers them, or is not there or not on a disk.
    """
    if is_remote(folder) or not (folder / INDEX).is_file():
        return []
    status = (folder / INDEX).stat()
    return _names(folder / INDEX, axis, (status.st_size, status.st_mtime_ns))


@lru_cache(maxsize=16)
def _names(index: Path, axis: str, stamp: tuple[int, int]) -> list[str]:
    """Return the names in an index, which is read again after a change (`stamp`): a file is opened for each plane."""
    from tifffile import tifffile

    values = dict.fromkeys(axes.get(axis) for axes, *_ in tifffile.read_ndtiff_index(index))
    return [str(value) for value in values] if all(isinstance(value, str) for value in values) else []

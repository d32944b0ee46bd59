"""Read an image file by the reader of its suffix."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from . import bioio_files, picture_files, tiff_files


class Format(Protocol):
    """The module of one family of image files."""

    SUFFIXES: tuple[str, ...]
    """In small letters, with the dot."""

    def read_array(self, path: Path, stack: bool) -> NDArray[Any]:
        """See :func:`read_array`."""

    def channel_names(self, path: Path) -> list[str]:
        """See :func:`channel_names`."""


FORMATS: tuple[Format, ...] = (tiff_files, picture_files, bioio_files)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.SUFFIXES)
"""Of all image files that can be read."""


def read_array(path: Path, stack: bool = False) -> NDArray[Any]:
    """Read the planes of an image file.

    Parameters
    ----------
    path : Path
        A file with one of `SUFFIXES`, on a disk or (but for the formats of BioIO) in a store.
    stack : bool
        Take the steps in depth or time of a TIFF stack as planes, instead of refusing the stack.

    Returns
    -------
    array (h, w) or (planes or colors, h, w)
        In the file's dtype, unscaled; without an alpha channel.

    Raises
    ------
    ImageError
        If the file is incomplete, an animation or a stack.
    MissingExtraError
        If the package that reads the format is not installed.
    StorageError
        If a file of a store cannot be read.
    Exception
        Any that the library of the format raises on a damaged file.
    """
    return _format_of(path).read_array(path, stack)


def channel_names(path: Path) -> list[str]:
    """Read the names of the channels of a file.

    Parameters
    ----------
    path : Path
        As for :func:`read_array`, which raises the same errors.

    Returns
    -------
    list of str
        The names in the file's metadata, else ``C1``, ``C2``, ..; of a color picture, the colors. Empty if the file has
        one plane or is a stack in depth or time.
    """
    return _format_of(path).channel_names(path)


def _format_of(path: Path) -> Format:
    # a file of unknown suffix is left to BioIO, which knows many more
    return next((each for each in FORMATS if path.suffix.lower() in each.SUFFIXES), bioio_files)

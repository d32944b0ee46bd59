"""Define what the reader of a layout provides, and read the XML files of instruments."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import Protocol
from xml.etree import ElementTree

from ...errors import InputError
from ...storage.paths import read_bytes
from .planes import Acquisition


class Layout(Protocol):
    """The module of one layout of files."""

    TITLE: str
    """Of the instrument and its software, for users."""

    def fits(self, path: PurePath) -> bool:
        """Return True if an image file has a name of this layout."""

    def is_index(self, path: PurePath) -> bool:
        """Return True if a file is an index of this layout, which names the images."""

    def read(self, folder: Path, images: Sequence[PurePath], others: Sequence[PurePath], channel: str) -> Acquisition:
        """Find the planes of a folder.

        Parameters
        ----------
        folder : Path
            Of the input.
        images, others : sequence of PurePath
            Its files, image files and the rest, relative to the folder.
        channel : str
            Name of the channel where file names have none.

        Raises
        ------
        InputError
            If an index file is damaged, or two planes cannot be told apart.
        StorageError, OSError
            If an index file cannot be read.
        """


UNLISTED = "an image that the index of the instrument does not list"


def folder_name(folder: Path, inside: PurePath) -> str:
    """Return the name of a folder inside the input, or of the input itself."""
    return inside.name or folder.resolve().name


def elements(path: Path) -> Iterator[tuple[str, ElementTree.Element]]:
    """Yield the elements of an XML file, inner ones first, with their names without namespace.

    Parameters
    ----------
    path : Path

    Raises
    ------
    InputError
        If the file is no XML.
    StorageError, OSError
        If it cannot be read.
    """
    try:
        for _, element in ElementTree.iterparse(io.BytesIO(read_bytes(path))):
            yield local_name(element.tag), element
    except ElementTree.ParseError as error:
        raise InputError(f"'{path}' is damaged ({error}): copy it from the instrument again") from None


def local_name(name: str) -> str:
    """Return a name of XML without its namespace.

    Examples
    --------
    >>> local_name("{http://www.perkinelmer.com/PEHH/HarmonyV5}URL")
    'URL'
    """
    return name.rpartition("}")[2]


def attributes(element: ElementTree.Element) -> dict[str, str]:
    """Return the attributes of an element by their names without namespace."""
    return {local_name(name): value for name, value in element.attrib.items()}


def children(element: ElementTree.Element) -> dict[str, str]:
    """Return the texts of the direct children of an element by their names without namespace."""
    return {local_name(child.tag): (child.text or "").strip() for child in element}

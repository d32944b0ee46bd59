"""Find the layout of a folder among those that are known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from ...errors import InputError
from . import cellvoyager, imagexpress, incell, incucyte, matrix, pathway, phenix, scanr
from .layout import Layout

LAYOUTS: dict[str, Layout] = {
    "phenix": phenix,
    "imagexpress": imagexpress,
    "cellvoyager": cellvoyager,
    "incell": incell,
    "incucyte": incucyte,
    "scanr": scanr,
    "matrix": matrix,
    "pathway": pathway,
}
"""By the names that users choose them with."""
AUTO, FILES = "auto", "files"
LAYOUT_CHOICES = (AUTO, FILES, *LAYOUTS)
"""What `layout` may be: find the layout of an instrument, take every file as an image set, or one layout by name."""


def recognize_layout(images: Sequence[PurePath], others: Sequence[PurePath]) -> str | None:
    """Return the name of the layout of a folder.

    Parameters
    ----------
    images, others : sequence of PurePath
        Its files, image files and the rest.

    Returns
    -------
    str or None
        The layout that has an index file in the folder, or that most names of images fit; None if there is none.

    Raises
    ------
    InputError
        If the folder has index files of several layouts.
    """
    indexed = {name: index for name, layout in LAYOUTS.items() for index in others if layout.is_index(index)}
    if len(indexed) > 1:
        listed = "\n".join(f"  '{index}' is of {LAYOUTS[name].TITLE}" for name, index in indexed.items())
        choices = " or ".join(f"'{name}'" for name in indexed)
        raise InputError(
            "the folder has index files of several instruments: measure the folder of each by itself, or choose "
            f"`layout` {choices}:\n{listed}"
        )
    if indexed:
        return next(iter(indexed))
    for name, layout in LAYOUTS.items():
        if sum(map(layout.fits, images)) * 2 > len(images):
            return name
    return None

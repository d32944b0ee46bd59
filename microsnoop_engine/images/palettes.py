"""Find out what the numbers of a picture with a palette are: labels, intensities, or colors."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .label_parts import find_parts

BLACK, WHITE = (0, 0, 0), (255, 255, 255)
VOID, VOID_COLOR = 255, (224, 224, 192)
"""Number and color of the borders between objects in label images of PASCAL VOC."""
_GRAY = "save the label image itself in gray, of 16 or 32 bit (ImageJ: Image > Lookup Tables > Grays first)"


def shows_intensities(colors: NDArray[Any]) -> bool:
    """Return True for a palette that gets brighter (or redder, ..) with the number, as a lookup table of ImageJ does.

    Parameters
    ----------
    colors : array (n, 3)
        Red, green and blue of the palette; black ones at its end are not used.

    Examples
    --------
    >>> shows_intensities(np.array([[0, 0, 0], [0, 9, 0], [0, 20, 0]])), shows_intensities(np.array([[9] * 3, [0] * 3]))
    (True, False)
    """
    used = colors[: np.flatnonzero(colors.any(1)).max(initial=0) + 1].astype(np.int64)
    return bool((np.diff(used, axis=0) >= 0).all() and (len(used) > 1 or not used.any()))


def shows_inverted(colors: NDArray[Any]) -> bool:
    """Return True for a palette of grays that get darker with the number.

    Examples
    --------
    >>> shows_inverted(np.array([[9] * 3, [4] * 3, [0] * 3])), shows_inverted(np.array([[9, 0, 0], [4, 9, 0]]))
    (True, False)
    """
    steps = np.diff(colors.astype(np.int64), axis=0)
    gray = (colors == colors[:, :1]).all()
    return bool(gray and (steps <= 0).all() and steps.any())


def check_palette(numbers: NDArray[np.uint8], colors: NDArray[Any]) -> None:
    """Refuse a picture whose numbers are colors, not labels.

    Parameters
    ----------
    numbers : array (h, w)
        The place of every pixel's color in the palette.
    colors : array (n, 3)
        Red, green and blue of the palette.

    Raises
    ------
    InputError
        If 0 is not shown as background (black; white where most of the image's edge has it), if a number is that of
        borders, or if objects that lie apart share a number, as after a reduction of colors.

    Examples
    --------
    >>> check_palette(np.array([[0, 0, 2]], np.uint8), np.array([[0, 0, 0], [255, 0, 0], [0, 255, 0]]))
    """
    first = tuple(int(each) for each in colors[0])
    edge = np.concatenate([numbers[0], numbers[-1], numbers[:, 0], numbers[:, -1]])
    if first not in (BLACK, WHITE) or (first == WHITE and np.bincount(edge).argmax() != 0):
        shown = f"its number 0 is the color {first}" if first not in (BLACK, WHITE) else "its number 0 is white"
        raise InputError(f"is a picture with a palette, and {shown}, which is not its background: {_GRAY}")
    if len(colors) > VOID and tuple(colors[VOID]) == VOID_COLOR and (numbers == VOID).any():
        raise InputError(f"marks borders by the number {VOID}, as PASCAL VOC does: set it to 0, the background")
    scattered = find_parts(numbers).scattered
    # a black-and-white mask is refused by its own name
    if scattered.size and numbers.max() > 1 and np.unique(numbers).size > 2:
        raise InputError(
            f"is a picture with a palette in which objects that lie apart share a color (such as {scattered[0]}), as "
            f"after a reduction of colors: {_GRAY}"
        )

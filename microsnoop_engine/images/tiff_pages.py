"""Read single pages of a TIFF file: complete, without alpha, upright, and as they are shown."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .file_image import COLORS
from .orientation import ORIENTATION, upright
from .palettes import shows_intensities, shows_inverted

_WHITE_IS_ZERO, _RGB, _PALETTE, _MASK, _CMYK, _YCBCR, _LAB = 0, 2, 3, 4, 5, 6, 8
_COLORED = (_RGB, _YCBCR)
_SEPARATE = 2
"""Planar configuration: samples one after the other."""
_ALPHA = (1, 2)
"""Kinds of extra samples: alpha, premultiplied or not; 0 is unspecified."""
_UNREADABLE = {_CMYK: "CMYK", _LAB: "CIE L*a*b*", 9: "CIE L*a*b*", 10: "CIE L*a*b*"}
_THUMBNAIL, _TRANSPARENCY = 1, 4
"""Bits of the tag NewSubfileType."""


def color_names(page: Any, path: Path) -> tuple[str, ...]:
    """Return the names of the samples of a page, without alpha; empty if a pixel has one sample.

    Parameters
    ----------
    page : tifffile.TiffPage
    path : Path
        For the error.

    Returns
    -------
    tuple of str
        Red, Green, Blue of a color page, with ``C4`` if the fourth is no alpha; ``C1``, ``C2``, .. of other samples.

    Raises
    ------
    ImageError
        If the colors are neither RGB nor gray.
    """
    count = page.samplesperpixel
    if page.photometric in _UNREADABLE and count > 1:
        raise ImageError(f"has {_UNREADABLE[page.photometric]} colors: save it as gray or RGB", path)
    if page.photometric in _COLORED and count > 1:
        if count > 4:
            raise ImageError(f"has {count} samples per pixel of which three are colors: write them as channels", path)
        # libraries call four planes one after the other colors with alpha, which is stored pixel by pixel
        further = count > 3 and (page.planarconfig == _SEPARATE or not any(_is_alpha(page)))
        return (*COLORS[:count], "C4") if further else COLORS[:count]
    count -= sum(_is_alpha(page))
    return tuple(f"C{n + 1}" for n in range(count)) if count > 1 else ()


def _is_alpha(page: Any) -> list[bool]:
    """Return for each extra sample whether it is said to be alpha."""
    extra = page.extrasamples
    return [int(kind) in _ALPHA for kind in (extra if isinstance(extra, tuple | list) else (extra,))]


def palette_of(page: Any) -> NDArray[np.uint8] | None:
    """Return the palette of a page, as 8 bits (n, 3); None if it has none."""
    colors = page.colormap if page.photometric == _PALETTE and page.samplesperpixel == 1 else None
    return None if colors is None else np.asarray(colors >> 8, np.uint8).T


def has_palette_of_colors(page: Any) -> bool:
    """Return True for a picture of few colors; other palettes, such as lookup tables of ImageJ, show intensities."""
    colors = palette_of(page)
    return colors is not None and not (page.parent.is_imagej or shows_intensities(colors) or shows_inverted(colors))


def is_left_out(page: Any) -> bool:
    """Return True for a thumbnail, a lower resolution or a mask of transparency."""
    return bool(int(page.subfiletype) & (_THUMBNAIL | _TRANSPARENCY)) or page.photometric == _MASK


def check_complete(page: Any, size: int, path: Path) -> None:
    """Check that the data of a page lie in its file: tifffile reads missing bytes as zeros.

    Raises
    ------
    ImageError
    """
    end = max((o + n for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)), default=0)
    if end > size:
        raise ImageError(f"is incomplete: {size} bytes of at least {end}", path)


def check_chain(tiff: Any, path: Path) -> None:
    """Check that a file holds all pages it refers to: tifffile passes over those behind a damaged or missing one.

    Raises
    ------
    ImageError
    """
    if tiff.is_ndpi or tiff.is_lsm or tiff.is_micromanager or tiff.is_ndtiff:
        return
    count = len(tiff.pages)
    file = tiff.filehandle
    file.seek(tiff.pages.next_page_offset)
    data = file.read(tiff.tiff.offsetsize)
    if len(data) < tiff.tiff.offsetsize or int.from_bytes(data, "little" if tiff.byteorder == "<" else "big"):
        raise ImageError(f"is incomplete: what follows its page {count} cannot be found in {file.size} bytes", path)


def as_shown(array: NDArray[Any], axes: str, page: Any, intensities: bool) -> NDArray[Any]:
    """Return the array of a page as a plane.

    Parameters
    ----------
    array : array
    axes : str
        Its axes: Y, X and perhaps S, samples.
    page : tifffile.TiffPage
        Its tags are used.
    intensities : bool
        Invert a page whose smallest value is shown as white.

    Returns
    -------
    array (h, w) or (samples, h, w)
        With all samples, also alpha; the numbers of a palette.
    """
    array = np.moveaxis(array, [axes.index("Y"), axes.index("X")], [-2, -1])
    tag = page.tags.get(ORIENTATION)
    array = upright(array, int(tag.value) if tag is not None else 1)
    colors = palette_of(page)
    inverted = page.photometric == _WHITE_IS_ZERO or (colors is not None and shows_inverted(colors))
    if inverted and intensities:
        array = _inverted(array, page.bitspersample)
    return array


def _inverted(array: NDArray[Any], bits: int) -> NDArray[Any]:
    if array.dtype.kind == "f":
        finite = array[np.isfinite(array)]
        inverted = finite.max() + finite.min() - array if finite.size else array
    elif array.dtype.kind == "u":
        inverted = np.array(2**bits - 1, array.dtype) - array
    else:
        inverted = ~array
    return np.asarray(inverted, array.dtype)

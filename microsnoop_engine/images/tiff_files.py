"""Read TIFF files: plain, ImageJ, OME, of microscopes and of slide scanners."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, InputError
from ..storage.paths import open_header, open_whole
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber, distinct_names
from .ndtiff_index import INDEX, names_in_index
from .ome_tiff import OmeTiff
from .palettes import check_palette
from .tiff_pages import (
    as_shown,
    check_chain,
    check_complete,
    color_names,
    has_palette_of_colors,
    is_left_out,
    palette_of,
)
from .tiff_pixel_size import tiff_pixel_size
from .transparency import without_alpha

SUFFIXES: tuple[str, ...] = (
    ".tif",
    ".tiff",
    ".btf",
    ".tf2",
    ".tf8",
    ".lsm",
    ".stk",
    ".svs",
    ".scn",
    ".ndpi",
    ".qptiff",
)
_POSITIONS = "RM"
_UNKNOWN = "IQ"
_LOWEST = -32768
"""Number of 16 bits."""
_THUMBNAILS = ("thumbnail", "label", "macro", "map", "overview")
"""Names of the pictures that slide scanners add."""


def open_file(path: Path, pixels: bool) -> ImageFile:
    """Open a TIFF file. See `formats.open_file`."""
    import tifffile

    file = open_whole(path) if pixels else open_header(path)
    try:
        tiff = tifffile.TiffFile(file)
        check_chain(tiff, path)
        return OmeTiff(path, tiff) if tiff.is_ome and tiff.ome_metadata else PagedTiff(path, tiff)
    except BaseException:
        if not isinstance(file, Path):
            file.close()
        raise


@dataclass(frozen=True)
class _Series:
    """An image of a file: a series of tifffile, or one position of it."""

    image: FileImage
    pages: Any
    leading: str
    """Axes before those of a page, slowest first."""
    lengths: tuple[int, ...]
    fixed: dict[str, int]
    inner: str
    """Axes of a page."""
    first_page: int = 0


class PagedTiff(ImageFile):
    """An open TIFF file without OME-XML. See `file_image.ImageFile`.

    Parameters
    ----------
    path : Path
    tiff : tifffile.TiffFile

    Raises
    ------
    ImageError
        If it has axes that are neither channels, depth, time nor positions.
    """

    def __init__(self, path: Path, tiff: Any) -> None:
        self._path, self._tiff = path, tiff
        self._series = [each for series in _full_series(tiff) for each in self._images_of(series)]
        self.images = [each.image for each in self._series]
        # ImageJ saves signed numbers of 16 bits so
        calibration = tiff.imagej_metadata or {}
        self._signed = [calibration.get(name) for name in ("cf", "c0", "c1")] == [
            0,
            _LOWEST,
            1,
        ] and tiff.pages.first.dtype == np.uint16
        if tiff.is_ndtiff:
            self.set_identity = str(path.parent / INDEX)

    def close(self) -> None:
        """See `file_image.ImageFile`."""
        self._tiff.close()

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        each = self._series[image]
        at = {**each.fixed, "C": number.channel, "T": number.time, "Z": number.plane}
        at |= dict.fromkeys(_UNKNOWN, number.plane)
        index = 0
        for axis, length in zip(each.leading, each.lengths, strict=True):
            index = index * length + at[axis]
        page, array = self._page(each.pages, index)
        inner = each.inner
        # a page that is a volume itself
        for axis in [axis for axis in inner if axis not in "YXS"]:
            array = np.take(array, at[axis], inner.index(axis))
            inner = inner.replace(axis, "")
        if self._signed:
            array = (array ^ np.uint16(-_LOWEST)).view(np.int16)
        plane: NDArray[Any] = as_shown(array, inner, page, intensities)
        colors = each.image.colors
        palette = palette_of(page) if each.image.palette else None
        if palette is not None:
            plane = self._by_palette(plane, palette, intensities)
        elif "S" in inner and colors:
            plane = without_alpha(plane, len(colors), self._path)
        elif "S" in inner:
            samples = without_alpha(plane, len(color_names(page, self._path)) or 1, self._path)
            plane = samples[0 if "C" in each.leading else number.channel]
        return plane

    def _by_palette(self, numbers: NDArray[Any], palette: NDArray[np.uint8], intensities: bool) -> NDArray[Any]:
        """Return the colors (3, h, w) of a picture of few colors, or its numbers if they may be labels."""
        if intensities:
            return np.moveaxis(palette[numbers], -1, 0)
        try:
            check_palette(numbers, palette)
        except InputError as error:
            raise ImageError(str(error), self._path) from None
        return numbers

    def _page(self, series: Any, index: int) -> tuple[Any, NDArray[Any]]:
        """Return the keyframe and the array of a page of a series, whose pages may lie in one piece."""
        size = self._tiff.filehandle.size
        keyframe = series.keyframe
        if len(series.pages) <= index and series.dataoffset is not None:
            nbytes = math.prod(keyframe.shape) * keyframe.dtype.itemsize
            offset = series.dataoffset + index * nbytes
            if offset + nbytes > size:
                raise ImageError(f"is incomplete: {size} bytes of at least {offset + nbytes}", self._path)
            data = self._tiff.filehandle.read_array(
                self._tiff.byteorder + keyframe.dtype.char, math.prod(keyframe.shape), offset
            )
            return keyframe, data.reshape(keyframe.shape)
        page = series.pages[index] if index < len(series.pages) else None
        if page is None:
            raise ImageError(f"lacks page {index} of {len(series.pages)}: it was not acquired, or is lost", self._path)
        if page.parent.filehandle.name == self._tiff.filehandle.name:
            check_complete(page, size, self._path)
        array: NDArray[Any] = page.asarray()
        return keyframe, array

    def _images_of(self, series: Any) -> list[_Series]:
        """Split a series of tifffile into images of channels, depth and time."""
        keyframe = series.keyframe
        leading, lengths, inner = _split_axes(series)
        found = dict(zip(leading, lengths, strict=True))
        unknown = [axis for axis in leading if axis in _UNKNOWN]
        if len(set(leading)) < len(leading) or len(unknown) > 1 or (unknown and {"Z", "C", "T"} & found.keys()):
            pages = " x ".join(map(str, lengths)) + " pages"
            raise ImageError(
                f"holds {pages}, and no metadata say what they are: write it as OME-TIFF with its axes",
                self._path,
            )
        for axis in [*leading, *inner]:
            if axis not in "CZTSYX" + _POSITIONS + _UNKNOWN:
                from tifffile import TIFF

                raise ImageError(
                    f"has an axis '{axis}' ({TIFF.AXES_NAMES.get(axis, 'unknown')}), which is neither channel, depth, "
                    "time nor position: write each step as its own image",
                    self._path,
                )
        for axis in inner:
            if axis not in "YXS":
                found[axis] = keyframe.shape[inner.index(axis)]
        colors = color_names(keyframe, self._path)
        channels = self._channels(found.get("C", 1))
        if colors and colors[0] != "Red" and "S" in inner and "C" not in found:
            channels, colors = colors, ()
        few_colors = has_palette_of_colors(keyframe)
        if few_colors:
            colors = COLORS
        width, height = tiff_pixel_size(self._tiff, keyframe)
        image = FileImage(
            channels,
            colors if "S" in inner or few_colors else (),
            found.get("Z", math.prod(found[axis] for axis in unknown)),
            found.get("T", 1),
            not unknown,
            "".join(axis for axis in reversed(leading) if axis in "CZT")
            + "".join(axis for axis in "CZT" if axis not in leading),
            width,
            height,
            series.name if len(self._tiff.series) > 1 else "",
            palette=few_colors,
        )
        positions = [axis for axis in leading if axis in _POSITIONS]
        every = list(product(*(range(found[axis]) for axis in positions)))
        names = names_in_index(self._path.parent, "position") if self._tiff.is_ndtiff and positions else []
        images = [replace(image, name=name) for name in names] if len(names) == len(every) else [image] * len(every)
        return [
            _Series(each, series, leading, lengths, dict(zip(positions, numbers, strict=True)), inner)
            for each, numbers in zip(images, every, strict=True)
        ]

    def _channels(self, count: int) -> tuple[str, ...]:
        names: list[str] = []
        if self._tiff.imagej_metadata:
            labels = self._tiff.imagej_metadata.get("Labels", [])
            names = [re.sub(r"^(c:\d+/\d+ )?(z:\d+/\d+ )?(t:\d+/\d+ )?- ", "", str(label)) for label in labels]
            # the planes of a channel in a stack share its name
            first = names[:count]
            if len(set(first)) == count and names == first * (len(names) // count):
                names = first
        elif self._tiff.is_ndtiff:
            names = names_in_index(self._path.parent, "channel")
        elif self._tiff.is_lsm:
            colors = (self._tiff.lsm_metadata or {}).get("ChannelColors", {})
            names = [str(name) for name in colors.get("ColorNames", [])]
        elif self._tiff.is_qpi:
            found = [re.search(r"<Name>([^<]+)</Name>", page.description) for page in self._tiff.series[0].pages]
            names = [match[1] if match else "" for match in found]
        return distinct_names(names if len(names) == count else [""] * count)


def _full_series(tiff: Any) -> list[Any]:
    """Return the series of a file without thumbnails and lower resolutions; equal single pages as one series."""
    every = [series for series in tiff.series if series.keyframe is not None]
    kept = [
        series
        for series in every
        if not is_left_out(series.keyframe) and not series.name.strip().lower().startswith(_THUMBNAILS)
    ] or every[:1]
    first = kept[0]
    single = all(len(series.pages) == 1 and series.keyframe.axes in ("YX", "YXS", "SYX") for series in kept)
    alike = all((series.shape, series.dtype) == (first.shape, first.dtype) for series in kept)
    if len(kept) > 1 and single and alike and first.kind.lower() in ("generic", "uniform", "shaped"):
        return [_SinglePages([series.pages[0] for series in kept], first)]
    return kept


class _SinglePages:
    """Pages that were written one at a time, as a series of unknown axis."""

    dataoffset = None
    name = ""

    def __init__(self, pages: list[Any], first: Any) -> None:
        self.pages, self.keyframe, self.dtype = pages, first.keyframe, first.dtype
        self.axes, self.shape = "I" + first.keyframe.axes, (len(pages), *first.keyframe.shape)


def _split_axes(series: Any) -> tuple[str, tuple[int, ...], str]:
    """Return the axes of a series that number its pages, their lengths, and the axes of a page; without length 1."""
    axes = "".join(axis for axis, length in zip(series.axes, series.shape, strict=True) if length > 1 or axis in "YX")
    shape = tuple(length for axis, length in zip(series.axes, series.shape, strict=True) if length > 1 or axis in "YX")
    keyframe = series.keyframe
    inner = keyframe.axes
    kept = "".join(axis for axis, length in zip(inner, keyframe.shape, strict=True) if length > 1 or axis in "YX")
    count = len(axes) - len(kept)
    return axes[:count], shape[:count], inner

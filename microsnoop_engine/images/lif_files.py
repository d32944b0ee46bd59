"""Read LIF files of Leica: each image and each tile of a scan is an image; liffile finds the blocks of pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..storage.paths import is_remote
from . import bioio_files
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber, distinct_names

SUFFIXES: tuple[str, ...] = (".lif",)
_AXES = {1: "X", 2: "Y", 3: "Z", 4: "T", 10: "tile"}
_OTHER_AXES = {
    5: "emission wavelength",
    6: "rotation",
    7: "slices in X and time",
    8: "slices in time",
    9: "excitation wavelength",
    11: "loop",
}
"""Names of axes by their number."""
_MICROMETERS = 1e6
"""Of a meter, the unit of lengths."""


def open_file(path: Path, pixels: bool) -> ImageFile:
    """Open a LIF file. See `formats.open_file`."""
    try:
        import liffile
    except ImportError:
        return bioio_files.open_file(path, pixels)
    if is_remote(path):
        raise ImageError("is a LIF file, which is read from a disk only: copy it, or write it as OME-TIFF", path)
    with liffile.LifFile(path) as file:
        blocks = {name: (block.offset, block.size) for name, block in file.memory_blocks.items()}
        return _Lif(path, file.xml_element, blocks)


@dataclass(frozen=True)
class _Sample:
    """A channel, or one color of it."""

    offset: int
    """Bytes before its first value, in the block of the image."""
    dtype: np.dtype[Any]
    color: int
    """1, 2 and 3 are red, green and blue; 0 is none of them."""


@dataclass(frozen=True)
class _Stored:
    """How an image lies in the file."""

    block: str
    """Name of its block of bytes."""
    lengths: dict[str, int]
    """Number of elements of each axis."""
    steps: dict[str, int]
    """Bytes from one element of an axis to the next."""
    samples: Sequence[_Sample]
    tile: int = 0
    refusal: str = ""
    """Why it cannot be read; empty if it can."""


class _Lif(ImageFile):
    """A LIF file. See `file_image.ImageFile`.

    A file holds all images of a project: one that cannot be read raises its error when it is read.
    """

    def __init__(self, path: Path, xml: Element, blocks: dict[str, tuple[int, int]]) -> None:
        self._path, self._blocks = path, blocks
        found = [each for name, element in _elements(xml) for each in _images_of(name, element)]
        self.images = [image for image, _ in found]
        self._stored = [stored for _, stored in found]

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        stored, colors = self._stored[image], self.images[image].colors
        if stored.refusal:
            raise ImageError(f"its image '{self.images[image].name}' {stored.refusal}", self._path)
        at = {"Z": number.plane, "T": number.time, "tile": stored.tile}
        start = sum(stored.steps[axis] * n for axis, n in at.items() if axis in stored.steps)
        count = len(colors) or 1
        samples = stored.samples[count * number.channel : count * (number.channel + 1)]
        planes = [self._plane(stored, start + sample.offset, sample.dtype) for sample in samples]
        return np.stack(planes) if colors else planes[0]

    def _plane(self, stored: _Stored, start: int, dtype: np.dtype[Any]) -> NDArray[Any]:
        shape, strides = ([axes["Y"], axes["X"]] for axes in (stored.lengths, stored.steps))
        length = dtype.itemsize + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        offset, size = self._blocks.get(stored.block, (0, 0))
        with self._path.open("rb") as file:
            file.seek(offset + start)
            data = file.read(min(length, max(size - start, 0)))
        if len(data) < length:
            raise ImageError("is incomplete: it ends before the last pixels of this image", self._path)
        return np.ndarray(shape, dtype, data, 0, strides).copy()


def _elements(parent: Element, folders: tuple[str, ...] = ()) -> Iterator[tuple[str, Element]]:
    """Yield the images of a tree and their names, with their folders but the outermost, the project."""
    for element in (*parent.findall("./Element"), *parent.findall("./Children/Element")):
        path = (*folders, element.get("Name", ""))
        kinds = ("./Data/Image", "./Data/SingleMoleculeDetection[@IsImage='true']")
        if any(element.find(kind) is not None for kind in kinds):
            yield "/".join(path[1:] or path), element
        yield from _elements(element, path)


def _images_of(name: str, element: Element) -> list[tuple[FileImage, _Stored]]:
    """Describe an image; tiles of a scan, which nobody has stitched, are images of their own."""
    memory = element.find("./Memory")
    block = memory.get("MemoryBlockID", "") if memory is not None else ""
    image = element.find("./Data/Image/ImageDescription")
    axes = {} if image is None else {int(each.get("DimID", 0)): each for each in image.iter("DimensionDescription")}
    lengths = {axis: int(axes[n].get("NumberOfElements", 1)) for n, axis in _AXES.items() if n in axes}
    steps = {axis: int(axes[n].get("BytesInc", 0)) for n, axis in _AXES.items() if n in axes}
    samples, names, colors = _channels(element)
    stored = _Stored(block, lengths, steps, samples, refusal=_refusal(axes, lengths, samples))
    if stored.refusal:
        return [(FileImage(distinct_names(names or [""]), name=name), stored)]
    described = FileImage(
        distinct_names(names),
        colors,
        lengths.get("Z", 1),
        lengths.get("T", 1),
        pixel_size=_pixel_size(axes[1]),
        pixel_height=_pixel_size(axes[2]),
    )
    tiles = lengths.get("tile", 1)
    return [
        (replace(described, name=f"{name} tile {n + 1}" if tiles > 1 else name), replace(stored, tile=n))
        for n in range(tiles)
    ]


def _refusal(axes: dict[int, Element], lengths: dict[str, int], samples: Sequence[_Sample]) -> str:
    """Return why an image cannot be read; empty if it can."""
    if not axes or not samples:
        return "holds no intensities, but perhaps lifetimes (FLIM): export its intensities as OME-TIFF"
    for number, each in axes.items():
        length = int(each.get("NumberOfElements", 1))
        if number not in _AXES and length > 1:
            axis = _OTHER_AXES.get(number, f"number {number}")
            return (
                f"has an axis '{axis}' of length {length}, which is neither channel, depth nor time: write each step "
                "as its own image"
            )
    if min(lengths.get("X", 1), lengths.get("Y", 1)) < 2:
        scanned = " and ".join(axis for axis, length in lengths.items() if length > 1)
        return f"is a scan in {scanned}: only planes in X and Y are measured"
    return ""


def _channels(element: Element) -> tuple[list[_Sample], list[str], tuple[str, ...]]:
    """Return the samples of an image in the order of channels and colors, the names of the channels, and the colors."""
    described = sorted(element.iterfind("./Data/Image/ImageDescription/Channels/ChannelDescription"), key=_offset)
    samples = [_sample(each) for each in described]
    triples = [sorted(samples[n : n + 3], key=lambda sample: sample.color) for n in range(0, len(samples), 3)]
    if triples and all([sample.color for sample in triple] == [1, 2, 3] for triple in triples):
        return [sample for triple in triples for sample in triple], [""] * len(triples), COLORS
    return samples, _names(element, described), ()


def _offset(channel: Element) -> int:
    return int(channel.get("BytesInc", 0))


def _sample(channel: Element) -> _Sample:
    bits = int(channel.get("Resolution", 8))
    size = next(size for size in (1, 2, 4, 8) if bits <= 8 * size)
    kind = "f" if channel.get("DataType") == "1" else "u"
    return _Sample(_offset(channel), np.dtype(f"<{kind}{size}"), int(channel.get("ChannelTag", 0)))


def _names(element: Element, channels: Sequence[Element]) -> list[str]:
    """Name channels by the color in which they are shown, and by contrast method and filter cube, if these are told."""
    tables = [channel.get("LUTName", "") for channel in channels]
    filters = list(element.iter("WideFieldChannelInfo"))
    shown = [each.get("LUT", "") for each in filters]
    parts = ("LUT", "ContrastingMethodName", "FluoCubeName")
    names = ["--".join(each.get(part, "") for part in parts) for each in filters]
    if shown == tables:
        return names
    # only a color that one channel and one filter have tells which filter it is
    by_table = {table: name for table, name in zip(shown, names, strict=True) if shown.count(table) == 1}
    return [by_table.get(table, table) if tables.count(table) == 1 else table for table in tables]


def _pixel_size(axis: Element) -> float | None:
    """Return the distance of two pixels in micrometers."""
    count, length = int(axis.get("NumberOfElements", 1)), abs(float(axis.get("Length", 0)))
    size = _MICROMETERS * length / (count - 1) if count > 1 and axis.get("Unit") == "m" else 0.0
    return size if size > 0 else None

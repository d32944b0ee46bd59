"""Read PNG, JPEG and other pictures of one plane or of colors."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, InputError, counted
from ..storage.paths import open_header, open_whole, read_bytes
from . import tiff_files
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber
from .orientation import ORIENTATION, upright
from .palettes import check_palette
from .transparency import without_alpha

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES: tuple[str, ...] = (".png", ".apng", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
_PNG = b"\x89PNG\r\n\x1a\n"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
"""Beginnings of TIFF and BigTIFF, in both byte orders."""
_FIRST_CHUNK = 16
"""Where the content of the first chunk of a PNG file begins."""
_GRAY_TYPES = (0, 4)
"""Color types of PNG: gray, and gray with alpha."""
_PALETTE_TYPE = 3
_CONVERTED = {
    "LA": "L",
    "La": "L",
    "P": "RGB",
    "PA": "RGB",
    "RGBA": "RGB",
    "RGBa": "RGB",
    "RGBX": "RGB",
    "YCbCr": "RGB",
}
_GRAY_MODES = ("1", "L", "I", "F")


def open_file(path: Path, pixels: bool) -> ImageFile:
    """Open a picture. See `formats.open_file`."""
    with open_header(path) as file:
        start = file.read(len(_PNG))
    # Pillow reads colors of 16 bits in a TIFF that is called .png as 8 bits
    if start.startswith(_TIFF):
        return tiff_files.open_file(path, pixels)
    return _Png(path) if start == _PNG else _Picture(path, pixels)


class _Png(ImageFile):
    """A PNG file, read with all its bits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._data = read_bytes(path)
        header = self._data[_FIRST_CHUNK : _FIRST_CHUNK + 13]
        if len(header) < 13:
            raise ImageError(f"is incomplete: {len(self._data)} bytes", path)
        color_type = struct.unpack(">IIBBBBB", header)[3]
        self._gray = color_type in _GRAY_TYPES
        self._orientation = 1
        for kind, start, length in self._chunks():
            if kind == b"acTL":
                _refuse_animation(struct.unpack_from(">I", self._data, start)[0], path)
            if kind == b"eXIf":
                from PIL import Image

                exif = Image.Exif()
                exif.load(self._data[start : start + length])
                self._orientation = int(exif.get(ORIENTATION, 1))
        self.images = (FileImage(colors=() if self._gray else COLORS, palette=color_type == _PALETTE_TYPE),)

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        import imagecodecs
        from PIL import Image

        if not any(kind == b"IEND" for kind, *_ in self._chunks()):
            raise ImageError(f"is incomplete: its {len(self._data)} bytes lack the end of the picture", self._path)
        if self.images[0].palette and not intensities:
            return upright(_numbers(Image.open(io.BytesIO(self._data)), self._path), self._orientation)
        array = imagecodecs.png_decode(self._data)
        samples = np.moveaxis(array.reshape(*array.shape[:2], -1), -1, 0)
        kept = without_alpha(samples, 1 if self._gray else 3, self._path)
        return upright(kept[0] if self._gray else kept, self._orientation)

    def _chunks(self) -> list[tuple[bytes, int, int]]:
        """Return kind, start and length of all chunks that are complete."""
        chunks, start = [], len(_PNG)
        while start + 12 <= len(self._data):
            length, kind = struct.unpack_from(">I4s", self._data, start)
            if start + 12 + length > len(self._data):
                break
            chunks.append((kind, start + 8, length))
            start += 12 + length
        return chunks


class _Picture(ImageFile):
    """A picture that Pillow reads."""

    def __init__(self, path: Path, pixels: bool) -> None:
        from PIL import Image

        self._path = path
        self._picture = Image.open(open_whole(path) if pixels else open_header(path))
        # a picture of a phone may hold a preview as its second frame
        if self._picture.format != "MPO":
            _refuse_animation(getattr(self._picture, "n_frames", 1), path)
        mode = self._picture.mode
        self._mode = _CONVERTED.get(mode, mode)
        gray = self._mode in _GRAY_MODES or self._mode.startswith("I;16")
        if not gray and self._mode != "RGB":
            raise ImageError(f"has {mode} colors: save it as gray or RGB", path)
        # writers of GIF renumber the palette
        palette = mode == "P" and self._picture.format != "GIF"
        self.images = (FileImage(colors=() if gray else COLORS, palette=palette),)

    def close(self) -> None:
        """See `file_image.ImageFile`."""
        self._picture.close()

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        orientation = int(self._picture.getexif().get(ORIENTATION, 1))
        if self.images[0].palette and not intensities:
            return upright(_numbers(self._picture, self._path), orientation)
        array = np.asarray(self._picture.convert(self._mode) if self._mode != self._picture.mode else self._picture)
        return upright(np.moveaxis(array, -1, 0) if array.ndim == 3 else array, orientation)


def _numbers(picture: Image.Image, path: Path) -> NDArray[np.uint8]:
    """Return the numbers (h, w) that a palette shows in colors."""
    numbers = np.asarray(picture)
    try:
        check_palette(numbers, np.reshape(picture.getpalette() or [0, 0, 0], (-1, 3)))
    except InputError as error:
        raise ImageError(str(error), path) from None
    return numbers


def _refuse_animation(frames: int, path: Path) -> None:
    if frames > 1:
        raise ImageError(
            f"is an animation of {counted(frames, 'frames')}: save each frame as an image of its own", path
        )

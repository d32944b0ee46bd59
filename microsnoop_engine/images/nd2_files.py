"""Read ND2 files of Nikon by nd2: each position is an image."""

from __future__ import annotations

import math
import re
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..storage.paths import is_remote
from . import bioio_files
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber, distinct_names

SUFFIXES: tuple[str, ...] = (".nd2",)
_AXES = "PTZCYXS"
_SIGNATURE = b"ND2 CHUNK MAP SIGNATURE 0000001!"
_FRAME = re.compile(rb"ImageDataSeq\|(\d+)!(.{16})", re.DOTALL)


def open_file(path: Path, pixels: bool) -> ImageFile:
    """Open an ND2 file. See `formats.open_file`."""
    try:
        import nd2
    except ImportError:
        return bioio_files.open_file(path, pixels)
    if is_remote(path):
        raise ImageError(".nd2 files are read from a disk only: copy it, or write it as OME-TIFF", path)
    return _Nd2(path, nd2.ND2File(path))


class _Nd2(ImageFile):
    """An open ND2 file. See `file_image.ImageFile`."""

    def __init__(self, path: Path, file: Any) -> None:
        self._path, self._file = path, file
        try:
            self._describe()
        except BaseException:
            file.close()
            raise

    def _describe(self) -> None:
        file = self._file
        lengths = dict(file.sizes)
        for axis, length in lengths.items():
            if axis not in _AXES:
                raise ImageError(
                    f"has an axis '{axis}' of length {length}, which is neither channel, depth nor time: write each "
                    "step as its own image",
                    self._path,
                )
        loops = [dict(loop) for loop in file.loop_indices]
        self._frames = {tuple(loop.get(axis, 0) for axis in "PTZ"): n for n, loop in enumerate(loops)}
        if len(self._frames) != math.prod(lengths.get(axis, 1) for axis in "PTZ"):
            raise ImageError(
                "repeats a loop over positions, depth or time: write each repetition as a file", self._path
            )
        channels = file.metadata.channels or []
        names = [str(each.channel.name or "") for each in channels]
        count = lengths.get("C", 1)
        calibrated = channels[0].volume.axesCalibrated[:2] if channels else (False, False)
        width, height = (
            float(size) if known and size > 0 else None
            for known, size in zip(calibrated, file.voxel_size()[:2], strict=True)
        )
        self._shape = tuple(lengths.get(axis, 1) for axis in "CYXS")
        image = FileImage(
            distinct_names(names if len(names) == count else [""] * count),
            COLORS if lengths.get("S", 1) == 3 else (),
            lengths.get("Z", 1),
            lengths.get("T", 1),
            pixel_size=width,
            pixel_height=height,
        )
        points = [point for loop in file.experiment if loop.type == "XYPosLoop" for point in loop.parameters.points]
        several = lengths.get("P", 1) > 1
        self.images = [replace(image, name=str(point.name or "")) for point in points] if several else [image]

    def close(self) -> None:
        """See `file_image.ImageFile`."""
        self._file.close()

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        frame = self._frames[image, number.time, number.plane]
        # the file stays mapped to memory otherwise
        samples: NDArray[Any] = np.array(self._file.read_frame(frame).reshape(self._shape)[number.channel])
        # nd2 gives zeros for a frame that a stopped acquisition lacks; a cropped or processed frame may hold zeros, too
        if not samples.any() and not self._file.is_legacy and frame not in _frames_in(self._path):
            raise ImageError(
                f"lacks depth {number.plane}, time {number.time} of position {image}: it was not acquired, or is lost",
                self._path,
            )
        return np.moveaxis(samples, -1, 0) if self.images[image].colors else samples[..., 0]


def _frames_in(path: Path) -> set[int]:
    """Return the numbers of the frames that a file holds, by the list of its parts at its end."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(size - len(_SIGNATURE) - 8)
        signature, start = struct.unpack("<32sQ", file.read(len(_SIGNATURE) + 8))
        if signature != _SIGNATURE:
            return set()
        file.seek(start)
        _, name_length, length = struct.unpack("<IIQ", file.read(16))
        file.seek(name_length, 1)
        parts = file.read(length)
    places = ((int(number), *struct.unpack("<QQ", place)) for number, place in _FRAME.findall(parts))
    return {number for number, offset, length in places if offset + length <= size}

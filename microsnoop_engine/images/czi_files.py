"""Read CZI files of Zeiss by pylibCZIrw: each scene is an image, each channel keeps its type."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, MissingExtraError
from ..storage.paths import is_remote
from .acquisitions.wells import parse_well
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber, distinct_names

SUFFIXES: tuple[str, ...] = (".czi",)
_AXES = "CZTXY"
_LARGEST_FIRST_NUMBER = 1000
"""Of a part of a larger experiment, in channel, depth or time."""


def open_file(path: Path, pixels: bool) -> ImageFile:
    """Open a CZI file. See `formats.open_file`."""
    try:
        from pylibCZIrw.czi import CziReader
    except ImportError:
        raise MissingExtraError("bioio-czi", "czi", f"reading '{path.name}'") from None
    if is_remote(path):
        raise ImageError("is a CZI file, which is read from a disk only: copy it, or write it as OME-TIFF", path)
    return _Czi(path, CziReader(str(path)))


class _Czi(ImageFile):
    """An open CZI file. See `file_image.ImageFile`."""

    def __init__(self, path: Path, reader: Any) -> None:
        self._path, self._reader = path, reader
        box = reader.total_bounding_box
        for axis, (start, end) in box.items():
            if axis not in _AXES and end - start > 1:
                raise ImageError(
                    f"has an axis '{axis}' of length {end - start}, which is neither channel, depth nor time: write "
                    "each step as its own image",
                    path,
                )
        self._scenes = sorted(reader.scenes_bounding_rectangle) or [None]
        self._first = self._first_numbers([axis for axis in "CZT" if axis in box])
        lengths = {axis: box[axis][1] - box[axis][0] if axis in box else 1 for axis in "CZT"}
        kinds = [
            str(reader.get_channel_pixel_type(self._first.get("C", 0) + channel)) for channel in range(lengths["C"])
        ]
        if unread := [kind for kind in kinds if kind.endswith("Float")]:
            raise ImageError(f"holds pixels of type {unread[0]}, which are not read: export it as OME-TIFF", path)
        colored = [kind.lower().startswith("bgr") for kind in kinds]
        if any(colored) and not all(colored):
            raise ImageError(f"mixes color and gray channels ({', '.join(kinds)}): export it as OME-TIFF", path)
        names, scenes, (width, height) = _metadata(reader.metadata)
        image = FileImage(
            distinct_names([names[n] if n < len(names) else "" for n in range(lengths["C"])]),
            COLORS if all(colored) else (),
            lengths["Z"],
            lengths["T"],
            pixel_size=width,
            pixel_height=height,
        )
        self.images = [
            replace(image, name=name, well=well)
            for name, well in (scenes.get(0 if scene is None else scene, ("", "")) for scene in self._scenes)
        ]

    def close(self) -> None:
        """See `file_image.ImageFile`."""
        self._reader.close()

    def _first_numbers(self, axes: list[str]) -> dict[str, int]:
        """Find the first number of each axis, which the reader does not tell, by reading single pixels."""
        box = self._reader.total_bounding_box
        roi = (box["X"][0], box["Y"][0], 1, 1)
        for start in range(_LARGEST_FIRST_NUMBER):
            # only one of the axes starts elsewhere as a rule
            for moved in [(), *((axis,) for axis in axes), tuple(axes)] if start else [()]:
                first = {axis: start if axis in moved else 0 for axis in axes}
                try:
                    self._reader.read(plane=first, roi=roi, pixel_type="Gray8")
                except RuntimeError as error:
                    # there is a plane, of a type that is refused
                    if "not implemented" in str(error):
                        return first
                    if "out-of-range" not in str(error):
                        raise
                else:
                    return first
        raise ImageError("numbers its planes in a way that cannot be read: export it as OME-TIFF", self._path)

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        place = {"C": number.channel, "Z": number.plane, "T": number.time}
        place = {axis: self._first[axis] + n for axis, n in place.items() if axis in self._first}
        kind = self._reader.get_channel_pixel_type(place.get("C", 0))
        array = self._reader.read(plane=place, scene=self._scenes[image], pixel_type=kind)
        if array.min() == array.max():
            # a plane that was never taken comes as background
            again = self._reader.read(
                plane=place, scene=self._scenes[image], pixel_type=kind, background_pixel=(1.0, 1.0, 1.0)
            )
            if (again != array).all():
                raise ImageError(
                    f"lacks channel {number.channel} of depth {number.plane}, time {number.time}: it was not acquired",
                    self._path,
                )
        # the reader gives blue, green, red
        return np.moveaxis(array[..., 2::-1], -1, 0) if array.shape[-1] > 1 else array[..., 0]


def _metadata(metadata: Any) -> tuple[list[str], dict[int, tuple[str, str]], list[float | None]]:
    """Return the names of channels, names and wells of scenes, and width and height of a pixel in micrometers."""
    root = (metadata or {}).get("ImageDocument", {}).get("Metadata", {})
    image = (root.get("Information") or {}).get("Image") or {}
    dimensions = image.get("Dimensions") or {}
    channels = _entries((dimensions.get("Channels") or {}).get("Channel"))
    scenes = _entries(((dimensions.get("S") or {}).get("Scenes") or {}).get("Scene"))
    distances = _entries(((root.get("Scaling") or {}).get("Items") or {}).get("Distance"))
    meters = {each.get("@Id"): float(each.get("Value") or 0) for each in distances}
    return (
        [str(channel.get("@Name") or "") for channel in channels],
        {int(scene.get("@Index", n)): (str(scene.get("@Name") or ""), _well(scene)) for n, scene in enumerate(scenes)},
        [1e6 * meters[axis] if meters.get(axis, 0) > 0 else None for axis in "XY"],
    )


def _well(scene: dict[str, Any]) -> str:
    """Return the well of a scene, which ZEN keeps as the name of its place in the carrier; empty if it is none."""
    shape = scene.get("Shape") or {}
    names = (scene.get("ArrayName"), shape.get("@Name") if isinstance(shape, dict) else None)
    return next((well for name in names if (well := parse_well(str(name or "")))), "")


def _entries(value: Any) -> list[dict[str, Any]]:
    """Return the entries of an XML element, of which a single one is no list."""
    return value if isinstance(value, list) else [value] if value else []

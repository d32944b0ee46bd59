"""Read files of microscope makers by BioIO and its plugins, which are installed apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, MissingExtraError
from ..storage.paths import is_remote
from .file_image import COLORS, FileImage, ImageFile, PlaneNumber, distinct_names


@dataclass(frozen=True)
class _Plugin:
    module: str
    package: str
    extra: str


_BIOFORMATS = _Plugin("bioio_bioformats", "bioio-bioformats", "bioformats")
_PLUGINS = {
    ".nd2": _Plugin("bioio_nd2", "bioio-nd2", "nd2"),
    ".lif": _Plugin("bioio_lif", "bioio-lif", "lif"),
}
SUFFIXES: tuple[str, ...] = (".dv", ".r3d", ".ims", ".oir", ".vsi", ".zvi", ".oib", ".oif", ".lof")


def open_file(path: Path, pixels: bool) -> ImageFile:
    """Open a file by the plugin of its format. See `formats.open_file`."""
    plugin = _PLUGINS.get(path.suffix.lower(), _BIOFORMATS)
    if not find_spec("bioio") or not (find_spec(plugin.module) or find_spec(_BIOFORMATS.module)):
        raise MissingExtraError(plugin.package, plugin.extra, f"reading '{path.name}'")
    if is_remote(path):
        raise ImageError("is read from a disk only: copy it there, or write it as OME-TIFF", path)
    from bioio import BioImage

    return _BioFile(path, BioImage(path))


class _BioFile(ImageFile):
    """An open file of BioIO. See `file_image.ImageFile`."""

    def __init__(self, path: Path, image: Any) -> None:
        self._path, self._image = path, image
        self._scenes: Sequence[str] = image.scenes
        self.images = [self._describe(number) for number in range(len(self._scenes))]

    def _describe(self, scene: int) -> FileImage:
        image = self._image
        image.set_scene(scene)
        lengths = dict(zip(image.dims.order, image.dims.shape, strict=True))
        for axis, length in lengths.items():
            if axis not in "CZTYXS" and length > 1:
                raise ImageError(
                    f"has an axis '{axis}' of length {length}, which is neither channel, depth nor time: write each "
                    "step as its own image",
                    self._path,
                )
        names = [str(name) for name in image.channel_names or []]
        count = lengths.get("C", 1)
        samples = lengths.get("S", 1)
        if samples not in (1, 3, 4):
            raise ImageError(f"has {samples} samples per pixel: write them as channels", self._path)
        sizes = image.physical_pixel_sizes
        # some plugins write 0 or 1 for an unknown size
        width, height = (float(size) if size and size != 1 else None for size in (sizes.X, sizes.Y))
        return FileImage(
            distinct_names(names if len(names) == count else [""] * count),
            COLORS if samples > 1 else (),
            lengths.get("Z", 1),
            lengths.get("T", 1),
            pixel_size=width,
            pixel_height=height,
            name=str(self._scenes[scene]) if len(self._scenes) > 1 else "",
        )

    def read(self, image: int, number: PlaneNumber, intensities: bool) -> NDArray[Any]:
        """See `file_image.ImageFile`."""
        self._image.set_scene(image)
        axes = "YXS" if self.images[image].colors else "YX"
        lazy = self._image.get_image_dask_data(axes, C=number.channel, Z=number.plane, T=number.time)
        array: NDArray[Any] = np.asarray(lazy.compute())
        # readers give zeros for a plane that a stopped acquisition lacks; no camera does
        if intensities and not array.any():
            raise ImageError(
                f"channel {number.channel} of depth {number.plane}, time {number.time} holds zeros alone: it was not "
                "acquired, or is lost",
                self._path,
            )
        return np.moveaxis(array[..., :3], -1, 0) if array.ndim == 3 else array

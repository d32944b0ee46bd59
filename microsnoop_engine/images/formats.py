"""Read image files of each format into arrays."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ..errors import ImageError, MissingExtraError
from ..storage.paths import is_remote, open_header, open_whole

TIFF = (".tif", ".tiff")
STILL = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
BIOIO = (".czi", ".nd2", ".lif", ".dv", ".r3d", ".ims", ".oir", ".vsi")
SUFFIXES = (*TIFF, *STILL, *BIOIO)


def read_array(path: Path, stack: bool = False) -> np.ndarray:
    """The planes of an image file: (h, w), or (planes or colors, h, w); those of a stack in depth or time if asked."""
    suffix = path.suffix.lower()
    if suffix in TIFF:
        return _tiff(path, stack)
    if suffix in STILL:
        return _still(path)
    return _bioio(path)[0]


def channel_names(path: Path) -> list[str]:
    """Names of the channels of a file: those that it states, else ``C1``, ``C2``, ..; none for one plane or a stack."""
    suffix = path.suffix.lower()
    if suffix in TIFF:
        return _tiff_channel_names(path)
    if suffix in BIOIO:
        return _bioio(path)[1]
    array = read_array(path)
    return [] if array.ndim == 2 else ["Red", "Green", "Blue"][: len(array)]


def _still(path: Path) -> np.ndarray:
    import imageio.v3 as imageio

    array = imageio.imread(open_whole(path), plugin="pillow")
    if array.ndim == 4:
        if len(array) > 1:
            raise ImageError(f"is an animation of {len(array)} frames: give single images", path)
        array = array[0]
    if array.ndim == 2:
        return array
    return array[..., 0] if array.shape[-1] == 2 else np.moveaxis(array[..., :3], -1, 0)


def _tiff(path: Path, stack: bool) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(open_whole(path)) as tiff:
        series = tiff.series[0]
        ends = [a + n for page in series.pages for a, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
        end, size = max(ends, default=0), tiff.filehandle.size
        if end > size:
            raise ImageError(f"is incomplete: {size} bytes of at least {end}", path)
        array, axes = series.asarray(), series.axes
    kept = [axis for axis, length in zip(axes, array.shape, strict=True) if length > 1 or axis in "YX"]
    array = array.reshape([array.shape[axes.index(axis)] for axis in kept])
    others = [axis for axis in kept if axis not in "YX"]
    if len(others) > 1 or (others and others[0] in "ZT" and not stack):
        raise ImageError(
            f"is a stack with axes {''.join(kept)}: write one plane per time point and depth, or project it first", path
        )
    return np.moveaxis(array, kept.index(others[0]), 0) if others else array


def _tiff_channel_names(path: Path) -> list[str]:
    import tifffile

    with open_header(path) as file, tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        count = {axis: n for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YX" and n > 1}
        if not count or count.keys() & set("ZT"):
            return []
        if "S" in count:
            return ["Red", "Green", "Blue", "Alpha"][: count["S"]]
        names: list[str] = []
        if tiff.ome_metadata:
            pixels = tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"]
            pixels = pixels[0] if isinstance(pixels, list) else pixels
            channels = pixels["Pixels"].get("Channel", [])
            channels = channels if isinstance(channels, list) else [channels]
            names = [str(channel.get("Name", "")) for channel in channels]
        elif tiff.imagej_metadata:
            names = [str(label) for label in tiff.imagej_metadata.get("Labels", [])]
    number = next(iter(count.values()))
    usable = len(names) == number and all(names) and len(set(names)) == number
    return names if usable else [f"C{n + 1}" for n in range(number)]


def _bioio(path: Path) -> tuple[np.ndarray, list[str]]:
    try:
        from bioio import BioImage
    except ImportError:
        raise MissingExtraError("bioio", "bioio", f"reading '{path.name}'") from None
    if is_remote(path):
        raise ImageError(f"{path.suffix} files are read from a disk only: copy it, or write it as OME-TIFF", path)
    image = BioImage(path)
    if image.dims.T > 1 or image.dims.Z > 1:
        raise ImageError("is a stack in depth or time: write one plane each, or project it first", path)
    return image.get_image_data("CYX"), [str(name) for name in image.channel_names]

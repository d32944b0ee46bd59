"""Pixels and labels from files: one plane, or the channels of an image set, with errors that name file and channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .errors import ImageError, MissingExtraError, StorageError, UnreachableError
from .npz import read_row
from .storage.paths import MISSING, as_path, beginning, is_remote, whole

TIFF = (".tif", ".tiff")
STILL = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp")
BIOIO = (".czi", ".nd2", ".lif", ".dv", ".r3d", ".ims", ".oir", ".vsi")
SUFFIXES = (*TIFF, *STILL, *BIOIO)


@dataclass(frozen=True)
class Source:
    """Where one plane is.

    Attributes
    ----------
    path : Path
        An image file, a .npz file, or the group of an OME-Zarr image.
    index : int, optional
        Plane of a multi-plane file (its channel, page, depth or time point), from 0.
    row : int, optional
        Row of the array of a .npz file.
    array : str
        Name of the array of a .npz file.
    level : int, optional
        Resolution level of an OME-Zarr image, from 0, the finest.
    """

    path: Path
    index: int | None = None
    row: int | None = None
    array: str = "images"
    level: int | None = None

    def key(self) -> list[str | int | None]:
        """What tells the plane from every other one, for a run that goes on to know its inputs again."""
        found = [str(self.path.resolve()), self.index, self.row]
        return found if self.level is None else [*found, self.level]


@dataclass(frozen=True)
class ImageSet:
    """The channels of one field (or of one cell), with its label images and metadata.

    Attributes
    ----------
    number : int
        ImageNumber, from 1.
    channels : dict of str to Source
    labels : dict of str to Source
        Label images by the name of their object set.
    metadata : dict of str to str, int or float
        Without the ``Metadata_`` prefix.
    """

    number: int
    channels: dict[str, Source]
    labels: dict[str, Source] = field(default_factory=dict)
    metadata: dict[str, str | int | float] = field(default_factory=dict)


def read_channels(image_set: ImageSet, names: Sequence[str]) -> np.ndarray:
    """The channels of an image set, in the order of ``names``.

    Returns
    -------
    array (c, h, w)

    Raises
    ------
    ImageError
        If a channel is missing, unreadable, not a plane of finite numbers, or of another size than the first.
    """
    planes = []
    for name in names:
        if name not in image_set.channels:
            raise ImageError(f"channel '{name}' is missing; there are {', '.join(image_set.channels)}", channel=name)
        source = image_set.channels[name]
        plane = read_plane(source, name)
        if plane.dtype.kind == "f" and not np.isfinite(plane).all():
            count = int(plane.size - np.isfinite(plane).sum())
            raise ImageError(f"{count} of {plane.size} pixels are NaN or infinite", source.path, name)
        if planes and plane.shape != planes[0].shape:
            raise ImageError(
                f"is {_size(plane)}, but channel '{names[0]}' is {_size(planes[0])}: all channels of an image set must "
                "have the same size",
                source.path,
                name,
            )
        planes.append(plane)
    return np.stack(planes)


def read_labels(source: Source, objects: str, shape: tuple[int, int]) -> np.ndarray:
    """A label image of ``shape`` (h, w): 0 is background. Of an ImageJ ROI file, planes (p, h, w) of its outlines.

    Raises
    ------
    ImageError
        If it is unreadable, of another size, or does not hold whole numbers from 0.
    """
    if source.path.suffix.lower() in (".zip", ".roi"):
        from .rois import read_roi_labels

        return read_roi_labels(source.path, shape)
    plane = read_plane(source, objects)
    if plane.shape != tuple(shape):
        raise ImageError(f"is {_size(plane)}, but the image is {shape[1]} x {shape[0]}", source.path, objects)
    if plane.dtype.kind == "f":
        if not (np.isfinite(plane).all() and (plane == np.rint(plane)).all()):
            raise ImageError("does not hold whole numbers: give a label image, not intensities", source.path, objects)
        plane = plane.astype(np.int64)
    if plane.dtype == bool or (plane.dtype == np.uint8 and plane.any() and np.isin(plane, (0, 255)).all()):
        raise ImageError(
            "is a black-and-white mask: give a label image, in which every object has its own number",
            source.path,
            objects,
        )
    if plane.dtype.kind == "i" and plane.min(initial=0) < 0:
        raise ImageError("holds negative numbers: 0 must be the background", source.path, objects)
    return plane


def read_plane(source: Source, name: str) -> np.ndarray:
    """One plane (h, w) of integers, floats or booleans.

    Parameters
    ----------
    source : Source
    name : str
        Channel or object set, for the error.

    Raises
    ------
    ImageError
    """
    path = as_path(source.path)
    if source.level is None and not is_remote(path) and not path.is_file():
        raise ImageError(MISSING, path, name)
    try:
        if source.level is not None:
            from .ome_zarr import read_zarr_plane

            array = read_zarr_plane(source, name)
        elif source.row is not None:
            array = read_row(path, source.array, source.row)
        else:
            array = read_array(path, stack=source.index is not None)
    except ImageError as error:
        raise ImageError(str(error), error.path or path, name) from None
    except (MissingExtraError, UnreachableError):
        raise
    except StorageError as error:
        raise ImageError(error.reason, path, name) from None
    except Exception as error:
        raise ImageError(f"cannot be read ({_reason(error)}): is it damaged or incomplete?", path, name) from error
    if array.ndim == 2 and source.level is None:
        array = array[None]
    if array.ndim == 3:
        index = source.index or 0
        if index >= len(array):
            raise ImageError(f"has planes 0 to {len(array) - 1}: there is no plane {index}", path, name)
        if source.index is None and len(array) > 1:
            raise ImageError(
                f"has {len(array)} planes or colours where one was expected: write one plane, or say which in a column "
                "Frame_.. of a LoadData CSV",
                path,
                name,
            )
        array = array[index]
    if array.ndim != 2 or array.dtype.kind not in "uifb" or not array.size:
        raise ImageError(f"holds {array.dtype} of shape {array.shape}, not a plane of numbers", path, name)
    return array


def read_array(path: Path, stack: bool = False) -> np.ndarray:
    """The planes of an image file: (h, w), or (planes or colours, h, w); those of a stack in depth or time if asked."""
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

    array = imageio.imread(whole(path), plugin="pillow")
    if array.ndim == 4:
        if len(array) > 1:
            raise ImageError(f"is an animation of {len(array)} frames: give single images", path)
        array = array[0]
    if array.ndim == 2:
        return array
    return array[..., 0] if array.shape[-1] == 2 else np.moveaxis(array[..., :3], -1, 0)


def _tiff(path: Path, stack: bool) -> np.ndarray:
    import tifffile

    with tifffile.TiffFile(whole(path)) as tiff:
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

    with beginning(path) as file, tifffile.TiffFile(file) as tiff:
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


def _size(plane: np.ndarray) -> str:
    return f"{plane.shape[-1]} x {plane.shape[-2]}"


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__

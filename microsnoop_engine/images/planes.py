"""Read the planes of an image set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import ImageError, MissingExtraError, StorageError, UnreachableError
from ..storage.paths import MISSING, as_path, is_remote
from .formats import read_array
from .image_set import ImageSet, PlaneSource
from .npz import read_row


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
                f"is {plane_size(plane)}, but channel '{names[0]}' is {plane_size(planes[0])}: all channels of an "
                "image set must have the same size",
                source.path,
                name,
            )
        planes.append(plane)
    return np.stack(planes)


def read_plane(source: PlaneSource, name: str) -> np.ndarray:
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
                f"has {len(array)} planes or colors where one was expected: write one plane, or say which in a column "
                "Frame_.. of a LoadData CSV",
                path,
                name,
            )
        array = array[index]
    if array.ndim != 2 or array.dtype.kind not in "uifb" or not array.size:
        raise ImageError(f"holds {array.dtype} of shape {array.shape}, not a plane of numbers", path, name)
    return array


def plane_size(plane: np.ndarray) -> str:
    return f"{plane.shape[-1]} x {plane.shape[-2]}"


def _reason(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return text[0][:200] if text else type(error).__name__

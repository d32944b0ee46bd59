"""Rows of an array in a .npz file, without the whole array in memory."""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import numpy as np

from ..errors import ImageError, InputError
from ..storage.paths import is_remote
from .image_set import ImageSet, PlaneSource

_LOCK = Lock()


def read_row(path: Path, name: str, row: int) -> np.ndarray:
    """One row of the array ``name``.

    Raises
    ------
    ValueError, KeyError, OSError
        If there is no such array or row, or the file is damaged.
    """
    with _LOCK:
        return _unpack(path, name, path.stat().st_mtime_ns)[row]


def read_shape(path: Path, name: str) -> tuple[int, ...]:
    """The shape of the array ``name``, from its header."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        return read_header(member)[0]


class _Rows:
    """The array unpacked into a temporary file, which goes with the process, however that ends."""

    def __init__(self, path: Path, name: str):
        self._file = tempfile.TemporaryFile(prefix="microsnoop-")  # noqa: SIM115
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            self.shape, fortran, self._dtype = read_header(member)
            if fortran or self._dtype.hasobject:
                raise ValueError(f"array '{name}' must hold plain numbers in C order")
            shutil.copyfileobj(member, self._file, 1 << 20)

    def __getitem__(self, row: int) -> np.ndarray:
        count = math.prod(self.shape[1:])
        self._file.seek(row * count * self._dtype.itemsize)
        return np.frombuffer(self._file.read(count * self._dtype.itemsize), self._dtype).reshape(self.shape[1:])


@lru_cache(maxsize=4)
def _unpack(path: Path, name: str, changed: int) -> _Rows:
    return _Rows(path, name)


def read_header(member: BinaryIO) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether in Fortran order, and dtype of the .npy data that begins here.

    Raises
    ------
    ValueError
        If it is no .npy data of format 1.0 or 2.0.
    """
    version = np.lib.format.read_magic(member)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format {version} is not supported")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(member)


def from_npz(path: Path) -> list[ImageSet]:
    """Image sets of a .npz file: ``images`` (n, c, h, w) or (n, h, w), optionally ``channels`` (c,) with their names.

    An integer array ``masks`` (n, h, w) holds the labels of the object set ``Nuclei``; any other array of length n is
    metadata.
    """
    if is_remote(path):
        raise InputError(f"'{path}': .npz files are read from a disk only: copy it")
    try:
        with np.load(path, allow_pickle=False) as data:
            names = data.files
            shape, masks = (read_shape(path, name) if name in names else None for name in ("images", "masks"))
            others = {name: data[name] for name in names if name not in ("images", "masks")}
    except (ValueError, OSError) as error:
        raise ImageError(f"'{path}' is not a .npz file of plain arrays: {error}", path) from None
    except Exception as error:
        raise ImageError(f"'{path}' is damaged: {error}", path) from None
    if shape is None or len(shape) not in (3, 4):
        raise InputError(f"'{path}' needs an array 'images' (n, channels, height, width); it holds {', '.join(names)}")
    count, channels = shape[0], shape[1] if len(shape) == 4 else 1
    if 0 in shape:
        raise InputError(f"'{path}' holds no images: 'images' has shape {shape}")
    if masks is not None and (masks[0] != count or masks[-2:] != shape[-2:]):
        raise InputError(f"'{path}': 'masks' has shape {masks}, which does not go with 'images' {shape}")
    stated = others.pop("channels", None)
    labels = [str(name) for name in stated] if stated is not None else [f"C{n + 1}" for n in range(channels)]
    if len(labels) != channels or len(set(labels)) != channels:
        raise InputError(f"'{path}': 'channels' names {len(labels)} channels, 'images' has {channels}")
    metadata = {name: value for name, value in others.items() if value.shape == (count,)}
    return [
        ImageSet(
            row + 1,
            {name: PlaneSource(path, index if len(shape) == 4 else None, row) for index, name in enumerate(labels)},
            {"Nuclei": PlaneSource(path, None, row, "masks")} if masks else {},
            {name: value[row].item() for name, value in metadata.items()},
        )
        for row in range(count)
    ]

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

"""Read rows of an array in a .npz file without the whole array in memory."""

from __future__ import annotations

import math
import shutil
import tempfile
import zipfile
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_LOCK = Lock()


def read_row(path: Path, name: str, row: int) -> NDArray[Any]:
    """Read one row of an array.

    Parameters
    ----------
    path : Path
        A .npz file on a disk. If it changes, it is read again.
    name : str
        The array (n, ..).
    row : int
        From 0.

    Returns
    -------
    array (..)
        Read-only, in the array's dtype.

    Raises
    ------
    ValueError, KeyError, OSError, zipfile.BadZipFile
        If there is no such array or row, or the file is damaged.
    """
    with _LOCK:
        return _unpack(path, name, path.stat().st_mtime_ns)[row]


def read_shape(path: Path, name: str) -> tuple[int, ...]:
    """Read the shape of an array from its header; raises as :func:`read_row` does."""
    with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
        return read_header(member)[0]


def read_header(member: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of .npy data, and leave the file where the numbers begin.

    Parameters
    ----------
    member : binary file
        Open where the .npy data begin.

    Returns
    -------
    shape : tuple of int
    fortran_order : bool
    dtype : numpy.dtype

    Raises
    ------
    ValueError
        If it is no .npy data of format 1.0 or 2.0.
    """
    version = np.lib.format.read_magic(member)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"format {version} is not supported")
    header: tuple[tuple[int, ...], bool, np.dtype[Any]]
    if version == (1, 0):
        header = np.lib.format.read_array_header_1_0(member)
    else:
        header = np.lib.format.read_array_header_2_0(member)
    return header


class _UnpackedArray:
    """An array unpacked into a temporary file, which the system deletes when the process ends, however it ends."""

    def __init__(self, path: Path, name: str) -> None:
        self._file = tempfile.TemporaryFile(prefix="microsnoop-")  # noqa: SIM115
        with zipfile.ZipFile(path) as archive, archive.open(f"{name}.npy") as member:
            self._shape, fortran_order, self._dtype = read_header(member)
            if fortran_order or self._dtype.hasobject:
                raise ValueError(f"array '{name}' must hold plain numbers in C order")
            shutil.copyfileobj(member, self._file, 1 << 20)

    def __getitem__(self, row: int) -> NDArray[Any]:
        count = math.prod(self._shape[1:])
        self._file.seek(row * count * self._dtype.itemsize)
        content = self._file.read(count * self._dtype.itemsize)
        return np.frombuffer(content, self._dtype).reshape(self._shape[1:])


@lru_cache(maxsize=4)
def _unpack(path: Path, name: str, modified_ns: int) -> _UnpackedArray:
    return _UnpackedArray(path, name)

"""Read parts of Zarr arrays, on a disk or in an object store, and report the chunks that are missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import zarr
from numpy.typing import NDArray
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from ..storage.paths import is_remote, store_errors


class _RecordingStore(WrapperStore[Any]):
    """A store that records the keys that are read from it but missing."""

    def __init__(self, store: Any) -> None:
        super().__init__(store)
        self.missing: list[str] = []

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        content = await self._store.get(key, prototype, byte_range)
        if content is None:
            self.missing.append(key)
        return content


class ZarrArray:
    """An array of which parts are read.

    Parameters
    ----------
    path : Path
        The array in its group, on a disk or in a store.

    Attributes
    ----------
    path : Path
    shape : tuple of int
    chunks : tuple of int
        Shape of what is stored under one key: a shard if there are shards.
    decoded : tuple of int
        Shape of what is decoded at once: a chunk of a shard.
    itemsize : int
        Bytes of a number.
    fill_value : number
        Value of the chunks that are not stored.

    Raises
    ------
    FileNotFoundError, StorageError
        If there is no such array.
    Exception
        Any that Zarr raises on damaged metadata.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        store: Any
        if is_remote(path) and path.protocol == "zip":
            from fsspec.implementations.asyn_wrapper import AsyncFileSystemWrapper

            store = FsspecStore(AsyncFileSystemWrapper(path.fs, asynchronous=True), read_only=True, path=path.path)
        elif is_remote(path):
            store = FsspecStore.from_url(str(path), dict(path.storage_options), read_only=True)
        else:
            store = LocalStore(path, read_only=True)
        self._store = _RecordingStore(store)
        with store_errors(path):
            self._array: Any = zarr.open_array(self._store, mode="r")
        self.shape: tuple[int, ...] = self._array.shape
        self.chunks: tuple[int, ...] = self._array.shards or self._array.chunks
        self.decoded: tuple[int, ...] = self._array.chunks
        self.itemsize: int = self._array.dtype.itemsize
        self.fill_value: Any = self._array.fill_value or 0

    def read(self, selection: tuple[int | slice, ...]) -> tuple[NDArray[Any], dict[tuple[int, ...], str]]:
        """Read a part of the array.

        Zarr takes a missing chunk as one that holds the fill value throughout.

        Parameters
        ----------
        selection : tuple of int or slice
            One for every axis.

        Returns
        -------
        part : array
        missing : dict of tuple of int to str
            The chunks of this part that are missing: the key of each by its place along every axis.

        Raises
        ------
        StorageError
            If a store refuses a chunk.
        Exception
            Any that Zarr raises on damaged chunks.
        """
        self._store.missing.clear()
        with store_errors(self.path):
            part = self._array[selection]
        places = {tuple(map(int, re.findall(r"\d+", key)[-len(self.shape) :])): key for key in self._store.missing}
        return part, places

    def is_empty(self) -> bool:
        """Return True if no chunk of the array is stored.

        Raises
        ------
        StorageError
            If a store refuses to list its files.
        """
        with store_errors(self.path):
            return bool(self._array.nchunks_initialized == 0)

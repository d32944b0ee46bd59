"""Read parts of Zarr arrays, on a disk or in an object store, and report the chunks that are missing."""

from __future__ import annotations

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
    shape : tuple of int

    Raises
    ------
    FileNotFoundError, StorageError
        If there is no such array.
    Exception
        Any that Zarr raises on damaged metadata.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        store: Any
        if is_remote(path):
            store = FsspecStore.from_url(str(path), dict(path.storage_options), read_only=True)
        else:
            store = LocalStore(path, read_only=True)
        self._store = _RecordingStore(store)
        with store_errors(path):
            self._array: Any = zarr.open_array(self._store, mode="r")
        self.shape: tuple[int, ...] = self._array.shape

    def read(self, selection: tuple[int | slice, ...]) -> tuple[NDArray[Any], list[str]]:
        """Read a part of the array.

        Zarr takes a missing chunk as one that holds the fill value throughout.

        Parameters
        ----------
        selection : tuple of int or slice
            One for every axis.

        Returns
        -------
        part : array
        missing : list of str
            The keys of the chunks of this part that are missing.

        Raises
        ------
        StorageError
            If a store refuses a chunk.
        Exception
            Any that Zarr raises on damaged chunks.
        """
        self._store.missing.clear()
        with store_errors(self._path):
            return self._array[selection], list(self._store.missing)

"""Arrays of Zarr groups on a disk or in an object store, which say which of their chunks are missing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import zarr
from zarr.storage import FsspecStore, LocalStore, WrapperStore

from ..storage.paths import is_remote, store_errors


class _Noting(WrapperStore):
    """A store that notes the keys that it is asked for and does not have."""

    def __init__(self, store: Any):
        super().__init__(store)
        self.missing: list[str] = []

    async def get(self, key: str, prototype: Any, byte_range: Any = None) -> Any:
        found = await self._store.get(key, prototype, byte_range)
        if found is None:
            self.missing.append(key)
        return found


class ZarrArray:
    """An array of which parts are read.

    Parameters
    ----------
    path : Path
    """

    def __init__(self, path: Path):
        self._path = path
        if is_remote(path):
            store = FsspecStore.from_url(str(path), dict(path.storage_options), read_only=True)
        else:
            store = LocalStore(path, read_only=True)
        self._store = _Noting(store)
        with store_errors(path):
            self._array = zarr.open_array(self._store, mode="r")
        self.shape: tuple[int, ...] = self._array.shape

    def read(self, place: tuple[int | slice, ...]) -> tuple[Any, list[str]]:
        """A part of the array, from the chunks that hold it, and the names of those that are missing.

        Zarr takes a missing chunk as one that holds the fill value throughout.
        """
        self._store.missing.clear()
        with store_errors(self._path):
            return self._array[place], list(self._store.missing)

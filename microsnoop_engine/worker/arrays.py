"""Arrays between host and worker: ``.npy`` files in a private folder, or Appose shared memory."""

from __future__ import annotations

import itertools
import math
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..images.npz_arrays import read_header

NUMBERS = "uifb"


class ArrayTransport:
    """The worker's private folder and shared memory: takes arrays in and gives arrays out.

    Parameters
    ----------
    memory : int
        Larger arrays are refused, in bytes.
    """

    def __init__(self, memory: int):
        self.folder = Path(tempfile.mkdtemp(prefix="microsnoop-worker-"))
        self._memory = memory
        self._numbers = itertools.count()
        self._results: list[Any] = []
        self._mapped: list[Any] = []

    def close(self) -> None:
        """Remove the folder, and the shared memory of results."""
        # renamed first, so that a result being written meanwhile cannot stay behind
        doomed = self.folder.with_name(self.folder.name + "-ended")
        try:
            self.folder.rename(doomed)
        except OSError:
            doomed = self.folder
        shutil.rmtree(doomed, ignore_errors=True)
        for memory in self._results:
            with suppress(Exception):
                # Appose had it forgotten by the tracker, which unlinking tells to forget it
                resource_tracker.register(memory._name, "shared_memory")
                memory.unlink()

    def receive(self, name: str, value: Any) -> np.ndarray:
        """The array behind an input; a copy, so that the host may do with its own what it likes.

        Raises
        ------
        InputError
            If there is no such array, or it is larger than announced or allowed; named after the input.
        """
        if isinstance(value, dict) and isinstance(value.get("npy"), str):
            return self._take_file(name, Path(value["npy"]))
        if isinstance(value, dict) and value.get("appose_type") == "ndarray":
            return self._take_shared(name, value)
        raise InputError(f'{name} is not an array: give {{"npy": PATH}} or an Appose shared-memory array')

    def _take_file(self, name: str, path: Path) -> np.ndarray:
        try:
            with path.open("rb") as file:
                shape, _, dtype = read_header(file)
                self._check(name, shape, dtype, path.stat().st_size - file.tell())
            return np.load(path, allow_pickle=False)
        except InputError:
            raise
        except (OSError, ValueError) as error:
            raise InputError(f"{name}: '{path}' cannot be read as a .npy file: {error}") from None

    def _take_shared(self, name: str, value: dict[str, Any]) -> np.ndarray:
        from appose import NDArray

        shared_memory = _appose_shared_memory()
        try:
            dtype, shape = np.dtype(value["dtype"]), tuple(int(length) for length in value["shape"])
            memory_name, size = str(value["shm"]["name"]), int(value["shm"]["rsize"])
            self._check(name, shape, dtype, size)
            memory = shared_memory(name=memory_name, rsize=size)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{name} is not an Appose array: {type(error).__name__} {error}") from None
        except OSError as error:
            raise InputError(f"{name}: there is no shared memory '{value['shm']['name']}' ({error})") from None
        try:
            if memory.size < size:
                raise InputError(f"{name} announces {size} bytes, but its shared memory holds {memory.size}")
            return NDArray(dtype.name, list(shape), memory).ndarray().copy()
        finally:
            memory.close()

    def _check(self, name: str, shape: tuple[int, ...], dtype: np.dtype, size: int) -> None:
        if dtype.kind not in NUMBERS or any(length < 0 for length in shape):
            raise InputError(f"{name} is {dtype} of shape {shape}: give an array of numbers")
        announced = math.prod(shape) * dtype.itemsize
        if announced > self._memory:
            raise InputError(
                f"{name} announces {announced / 2**30:.1f} GB (shape {shape}, {dtype}), more than the "
                f"{self._memory / 2**30:.1f} GB that the worker may take: send a smaller image, or raise --memory"
            )
        if announced > size:
            raise InputError(f"{name} announces {announced} bytes (shape {shape}, {dtype}), but there are only {size}")

    def sender(self, like: Any) -> Callable[[str, np.ndarray], Any]:
        """The function that hands out the results of a task in the form of its input."""
        # the host has attached the results of earlier tasks; to keep them mapped here would keep them in memory
        while self._mapped:
            self._mapped.pop().close()
        shared = isinstance(like, dict) and like.get("appose_type") == "ndarray"
        return self._give_shared if shared else self._give_file

    def _give_file(self, name: str, array: np.ndarray) -> dict[str, str]:
        path = self.folder / f"{name}-{next(self._numbers)}.npy"
        np.save(path, array, allow_pickle=False)
        return {"npy": str(path)}

    def _give_shared(self, name: str, array: np.ndarray) -> Any:
        from appose import NDArray

        shared_memory = _appose_shared_memory()
        memory = shared_memory(create=True, rsize=max(array.nbytes, 1))
        self._results.append(memory)
        self._mapped.append(memory)
        result = NDArray(array.dtype.name, list(array.shape), memory)
        result.ndarray()[...] = array
        return result


def _appose_shared_memory() -> type:
    """Appose's class, told that this process is a worker, which leaves the clearing up to the host."""
    from appose import SharedMemory
    from appose.util import message

    message._worker_mode = True
    return SharedMemory

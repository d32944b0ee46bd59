"""Pass arrays between host and worker: as ``.npy`` files in a private folder, or in Appose shared memory."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..images.npz_arrays import read_header
from .leftovers import PrivateFolder, appose_shared_memory

NUMBERS = "uifb"
"""Kinds of NumPy types that an array may have."""


class ArrayTransport:
    """Receive the arrays of a host and send it others, through a private folder and shared memory.

    Parameters
    ----------
    memory : int
        Bytes of the largest array that is accepted.

    Attributes
    ----------
    folder : Path
        The private folder, which :meth:`close` removes.
    """

    def __init__(self, memory: int) -> None:
        self._private = PrivateFolder()
        self.folder = self._private.path
        self._memory = memory
        self._numbers = itertools.count()
        self._results: list[Any] = []
        self._sent: list[tuple[int, Any]] = []

    def close(self) -> None:
        """Remove the folder, and the shared memory of results."""
        for memory in [*self._results, *(memory for _, memory in self._sent)]:
            self._private.unlink_memory(memory)
        self._private.remove()

    def mark_sent(self, requests: int) -> None:
        """Note that the results of a task have been sent.

        Parameters
        ----------
        requests : int
            Number of requests that have come until now.
        """
        self._sent += [(requests, memory) for memory in self._results]
        self._results = []

    def release(self, requests: int) -> None:
        """Free the shared memory of results that the host must have attached: it has sent two requests since.

        Parameters
        ----------
        requests : int
            Number of requests that have come until now.
        """
        for sent, memory in self._sent:
            if requests - sent >= 2:
                memory.close()
                self._private.unlink_memory(memory)
        self._sent = [(sent, memory) for sent, memory in self._sent if requests - sent < 2]

    def receive(self, name: str, value: Any) -> NDArray[Any]:
        """Copy the array behind an input, which the host may then change or remove.

        Parameters
        ----------
        name : str
            The input; errors name it.
        value : object
            ``{"npy": PATH}``, or an Appose shared-memory array as parsed from JSON.

        Returns
        -------
        array

        Raises
        ------
        InputError
            If there is no such array, it holds no numbers, or it is larger than announced or allowed.
        """
        if isinstance(value, dict) and isinstance(value.get("npy"), str):
            return self._receive_file(name, Path(value["npy"]))
        if isinstance(value, dict) and value.get("appose_type") == "ndarray":
            return self._receive_shared(name, value)
        raise InputError(f'`{name}` is not an array: send {{"npy": PATH}} or an Appose shared-memory array')

    def _receive_file(self, name: str, path: Path) -> NDArray[Any]:
        try:
            with path.open("rb") as file:
                shape, _, dtype = read_header(file)
                self._check(name, shape, dtype, path.stat().st_size - file.tell())
            array: NDArray[Any] = np.load(path, allow_pickle=False)
            return array
        except InputError:
            raise
        except (OSError, ValueError) as error:
            raise InputError(f"`{name}`: '{path}' cannot be read as a .npy file: {error}") from None

    def _receive_shared(self, name: str, value: dict[str, Any]) -> NDArray[Any]:
        from appose import NDArray as SharedArray

        shared_memory = appose_shared_memory()
        try:
            dtype, shape = np.dtype(value["dtype"]), tuple(int(length) for length in value["shape"])
            memory_name, size = str(value["shm"]["name"]), int(value["shm"]["rsize"])
            self._check(name, shape, dtype, size)
            memory = shared_memory(name=memory_name, rsize=size)
        except (KeyError, TypeError, ValueError) as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"`{name}` is not an Appose array: {type(error).__name__} {error}") from None
        except OSError as error:
            raise InputError(f"`{name}`: there is no shared memory '{value['shm']['name']}' ({error})") from None
        try:
            if memory.size < size:
                raise InputError(f"`{name}` announces {size} bytes, but its shared memory holds {memory.size}")
            array: NDArray[Any] = SharedArray(dtype.name, list(shape), memory).ndarray().copy()
            return array
        finally:
            memory.close()

    def _check(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], size: int) -> None:
        """Refuse an array of ``shape`` that is no array of numbers, or larger than allowed or than its ``size``."""
        if dtype.kind not in NUMBERS or any(length < 0 for length in shape):
            raise InputError(f"`{name}` is {dtype} of shape {shape}: it must be an array of numbers")
        announced = math.prod(shape) * dtype.itemsize
        if announced > self._memory:
            raise InputError(
                f"`{name}` announces {announced / 2**30:.1f} GB (shape {shape}, {dtype}), more than the "
                f"{self._memory / 2**30:.1f} GB that the worker accepts: send a smaller image, or raise `memory`"
            )
        if announced > size:
            raise InputError(
                f"`{name}` announces {announced} bytes (shape {shape}, {dtype}), but there are only {size}"
            )

    def sender(self, like: Any) -> Callable[[str, NDArray[Any]], Any]:
        """Return the function that sends the results of a task.

        Parameters
        ----------
        like : object
            An input of the task, as :meth:`receive` takes it: results are sent in its form.

        Returns
        -------
        callable
            Takes a name and an array; returns the output that stands for it.
        """
        shared = isinstance(like, dict) and like.get("appose_type") == "ndarray"
        return self._send_shared if shared else self._send_file

    def _send_file(self, name: str, array: NDArray[Any]) -> dict[str, str]:
        path = self.folder / f"{name}-{next(self._numbers)}.npy"
        np.save(path, array, allow_pickle=False)
        return {"npy": str(path)}

    def _send_shared(self, name: str, array: NDArray[Any]) -> Any:
        from appose import NDArray as SharedArray

        memory = self._private.create_memory(max(array.nbytes, 1))
        self._results.append(memory)
        result = SharedArray(array.dtype.name, list(array.shape), memory)
        result.ndarray()[...] = array
        return result

"""Choose a device, share it between processes and retry after it runs out of memory."""

from __future__ import annotations

import logging
import os
import platform
import re
import sys
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from filelock import BaseFileLock, FileLock

from ..errors import DeviceError, counted, first_line

log = logging.getLogger(__name__)


def halving(
    compute: Callable[[Any], Any], crops: Any, join: Callable[[list[Any]], Any] = np.concatenate
) -> tuple[Any, int]:
    """Apply a function to crops, in smaller and smaller parts where memory runs out.

    Parameters
    ----------
    compute : callable
        Function of a part of the crops.
    crops : array, Tensor or list
        Anything with a length that can be sliced.
    join : callable, optional
        Function that joins the list of the parts' results; by default along the first axis of arrays.

    Returns
    -------
    result
        The joined results.
    size : int
        Number of crops that fit into memory at once; the number of crops if memory did not run out.

    Raises
    ------
    DeviceError
        If memory runs out with a single crop.

    Examples
    --------
    >>> halving(lambda crops: crops * 2, np.arange(3))
    (array([0, 2, 4]), 3)
    """
    results, start, size = [], 0, len(crops)
    while start < len(crops):
        part = crops[start : start + size]
        try:
            results.append(compute(part))
            start += size
            continue
        except Exception as error:  # libraries report that memory ran out in errors of many kinds
            if not out_of_memory(error):
                raise
            reason = first_line(error)
        # outside of the handler, where the error's traceback no longer holds the failed attempt's memory
        if len(part) == 1:
            raise DeviceError(
                f"the device's memory is too small for a single crop ({reason}): close other programs that use it"
            )
        size = len(part) // 2
        log.warning("out of memory with %s at once: continuing with %d", counted(len(part), "crops"), size)
    return join(results), size


_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "bad allocation")


def out_of_memory(error: Exception) -> bool:
    """Return whether an error means that memory ran out, whatever library raised it.

    Examples
    --------
    >>> out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")), out_of_memory(KeyError("memory"))
    (True, False)
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)
    )


def device_lock(device: str) -> BaseFileLock | AbstractContextManager[None]:
    """Return a lock that one process at a time holds while it computes on a GPU.

    So several processes on one GPU share its memory in turn.

    Parameters
    ----------
    device : str
        As of an :class:`.Embedder`, such as ``cuda:1``.

    Returns
    -------
    context manager
        A lock on a file in the temporary folder, one per user and physical GPU; for the CPU a context that does
        nothing.
    """
    if device == "cpu":
        return nullcontext()
    owner = os.getuid() if hasattr(os, "getuid") else "user"
    kind, _, index = device.partition(":")
    if kind == "cuda":
        index = index or "0"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        if int(index) < len(visible) and visible[int(index)]:
            index = re.sub(r"\W", "", visible[int(index)])
    return FileLock(Path(tempfile.gettempdir()) / f"microsnoop-{kind}{index}-{owner}.lock")


def best_device() -> str:
    """Return ``cuda`` or ``mps`` if PyTorch can use such a device, else ``cpu``.

    PyTorch is imported only where such a device may exist, as its import takes seconds.
    """
    apple = sys.platform == "darwin" and platform.machine() == "arm64"
    driver_files = (
        Path("/dev/nvidiactl"),
        Path("/dev/dxg"),
        Path(os.environ.get("SYSTEMROOT", "/none"), "System32/nvcuda.dll"),
    )
    if not apple and not any(path.exists() for path in driver_files):
        return "cpu"
    try:
        import torch
    except ModuleNotFoundError:
        log.info("there is a graphics card, which needs PyTorch: pip install 'microsnoop[torch]'")
        return "cpu"
    if apple:
        return "mps" if torch.backends.mps.is_available() else "cpu"
    return "cuda" if torch.cuda.is_available() else "cpu"

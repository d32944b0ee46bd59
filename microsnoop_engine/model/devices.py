"""Choose a device, share it between processes and retry after it runs out of memory."""

from __future__ import annotations

import logging
import os
import platform
import re
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DeviceError, first_line

if TYPE_CHECKING:
    pass


log = logging.getLogger(__name__)


def halving(embed: Callable[[Any], Any], crops: Any, join: Callable[[list], Any] = np.concatenate) -> tuple[Any, int]:
    """``embed(crops)``, in halves (quarters, ..) where memory runs out; also the largest part that fitted.

    Raises
    ------
    DeviceError
        If not even one crop fits.
    """
    parts, start, size = [], 0, len(crops)
    while start < len(crops):
        part = crops[start : start + size]
        try:
            parts.append(embed(part))
            start += size
            continue
        except Exception as error:
            if not out_of_memory(error):
                raise
            reason = first_line(error)
        # outside of the handler, where the error's traceback no longer holds the failed attempt's memory
        if len(part) == 1:
            raise DeviceError(f"not even one crop fits into the device's memory: close other programs ({reason})")
        size = len(part) // 2
        log.warning("out of memory with %d crops at once: going on with %d", len(part), size)
    return join(parts), size


_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "bad allocation")


def out_of_memory(error: Exception) -> bool:
    """Whether an error says that memory ran out, whatever library it comes from."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)
    )


def device_lock(device: str):
    """A lock between processes, held while a GPU works, so that several workers share its memory in turn."""
    if device == "cpu":
        return nullcontext()
    import tempfile

    from filelock import FileLock

    owner = os.getuid() if hasattr(os, "getuid") else "user"
    kind, _, index = device.partition(":")
    if kind == "cuda":
        index = index or "0"
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        if int(index) < len(visible) and visible[int(index)]:
            index = re.sub(r"\W", "", visible[int(index)])
    return FileLock(Path(tempfile.gettempdir()) / f"microsnoop-{kind}{index}-{owner}.lock")


def best_device() -> str:
    """CUDA or MPS where PyTorch can use it; PyTorch is not even imported where no such device is to be expected."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        import torch

        return "mps" if torch.backends.mps.is_available() else "cpu"
    nvidia = (
        Path("/dev/nvidiactl"),
        Path("/dev/dxg"),
        Path(os.environ.get("SYSTEMROOT", "/none"), "System32/nvcuda.dll"),
    )
    if any(path.exists() for path in nvidia):
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cpu"

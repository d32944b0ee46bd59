"""Keep freed memory in the process, so that training steps do not wait for the operating system."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Constants of glibc's malloc.h."""
_LARGE = 2**31 - 1
"""Largest threshold in bytes."""


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, as it needs the same amounts again in the next step.

    By default glibc returns every large block to the operating system, which fills it with zeros when it is next
    needed; training on a CPU would spend 40 % of its time on that. Without glibc nothing is done.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)

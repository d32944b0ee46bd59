"""Keep freed memory in the process, so that training steps do not wait for the system."""

from __future__ import annotations

import ctypes
import platform

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""As in glibc's malloc.h."""
_LARGE = 2**31 - 1


def keep_freed_memory() -> None:
    """Let this process keep the memory that it frees, where it asks for the same amounts again and again.

    Of its own accord glibc gives every large block back to the system, which must fill it with zeros when it is next
    asked for: a training on a CPU spends 40 % of its time on that. Does nothing where there is no glibc.
    """
    if platform.libc_ver()[0] == "glibc":
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
        mallopt(_M_TRIM_THRESHOLD, _LARGE)

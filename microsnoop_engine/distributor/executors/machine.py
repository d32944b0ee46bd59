"""Look up the cores and memory of this machine, and hold back or redirect its signals."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


def usable_cores() -> list[int]:
    """List the numbers of the cores that this process may use."""
    import psutil

    return psutil.Process().cpu_affinity() if can_pin() else list(range(os.cpu_count() or 1))


def can_pin() -> bool:
    """Return True if a process can be bound to cores, which macOS lacks."""
    import psutil

    return hasattr(psutil.Process, "cpu_affinity")


def default_memory() -> int:
    """Return the bytes for images and rows by default: a quarter of the free memory, at most 4 GB."""
    import psutil

    return min(psutil.virtual_memory().available // 4, 4 << 30)


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Block Ctrl-C in this block, and for good in processes that are started in it."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_on_sigterm() -> Callable[[], object]:
    """Let SIGTERM raise SystemExit in this process, so that its workers are stopped first.

    Returns
    -------
    callable
        Undoes it.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return lambda: None

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    return lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)

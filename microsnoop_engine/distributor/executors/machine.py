"""What engines ask of this machine: its cores, its memory, and to be told when they are to end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


def usable_cores() -> list[int]:
    """The cores that this process may use."""
    import psutil

    return psutil.Process().cpu_affinity() if can_pin() else list(range(os.cpu_count() or 1))


def can_pin() -> bool:
    """Whether a process can keep to some cores."""
    import psutil

    return hasattr(psutil.Process, "cpu_affinity")  # not on macOS


@contextmanager
def without_interrupts() -> Iterator[None]:
    """Signals of Ctrl-C wait, here and for good in a process that is started meanwhile."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def exit_on_sigterm() -> Callable[[], object]:
    """Let SIGTERM end this process as an error would, workers first; returns what undoes it."""
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        return lambda: None

    def leave(number: int, frame: Any) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    return lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)

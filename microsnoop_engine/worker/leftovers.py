"""Keep a worker's private folder, and remove what workers that were killed have left: folders and shared memory."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path
from typing import Any

from filelock import BaseFileLock, FileLock, Timeout

PREFIX = "microsnoop-worker-"
LOCK = ".lock"
MEMORY = "memory-"
"""Begins the names of empty files that name the blocks of shared memory of a worker."""


class PrivateFolder:
    """A folder that is locked while its worker lives.

    Attributes
    ----------
    path : Path
    """

    def __init__(self) -> None:
        while True:
            self.path = Path(tempfile.mkdtemp(prefix=PREFIX))
            self._lock: BaseFileLock = FileLock(self.path / LOCK)
            # a worker that starts at the same time may have taken it for a leftover before it was locked
            with suppress(OSError):
                self._lock.acquire()
                if self.path.exists():
                    return

    def remove(self) -> None:
        """Remove the folder."""
        # Renamed first: a result that is being written meanwhile would be left in a folder of the old name.
        doomed = self.path.with_name(self.path.name + "-ended")
        try:
            self.path.rename(doomed)
        except OSError:
            doomed = self.path
        with suppress(OSError):
            self._lock.release()
        shutil.rmtree(doomed, ignore_errors=True)

    def create_memory(self, size: int) -> Any:
        """Create shared memory of ``size`` bytes, and note its name before."""
        name = f"psm_{secrets.token_hex(4)}"  # as Python names them
        (self.path / f"{MEMORY}{name}").touch()
        memory: Any = appose_shared_memory()(name=name, create=True, rsize=size)
        return memory

    def unlink_memory(self, memory: Any) -> None:
        """Remove shared memory; its pages go when the host, too, has closed it."""
        _unlink(memory)
        (self.path / f"{MEMORY}{memory.name}").unlink(missing_ok=True)


def sweep() -> None:
    """Remove folders and shared memory of workers of this user that were killed."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with suppress(OSError, Timeout):
            if folder.is_symlink() or not (folder / LOCK).is_file() or not _own(folder):
                continue
            with FileLock(folder / LOCK).acquire(timeout=0):
                for note in folder.glob(f"{MEMORY}*"):
                    with suppress(FileNotFoundError):
                        _unlink(appose_shared_memory()(name=note.name.removeprefix(MEMORY)))
                shutil.rmtree(folder, ignore_errors=True)
            # Windows keeps a lock file that is open
            shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path) -> bool:
    """Return whether a folder is of this user; on Windows the folder of temporary files is."""
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()


def _unlink(memory: Any) -> None:
    with suppress(Exception):
        # Unlinking unregisters the memory, which Appose has unregistered already: Python would complain.
        resource_tracker.register(memory._name, "shared_memory")
        memory.unlink()


def appose_shared_memory() -> Any:
    """Return Appose's class of shared memory, set up for a worker: the host removes what it has created."""
    from appose import SharedMemory
    from appose.util import message

    message._worker_mode = True
    return SharedMemory

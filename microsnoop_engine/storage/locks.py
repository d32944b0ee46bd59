"""Keep a second run out of an output folder: by a lock on a disk, by an owner file in a store."""

from __future__ import annotations

import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import ResumeError
from .atomic import write_atomic
from .paths import is_remote, read_if_there, remove

LOCK = ".lock"
OWNER = ".writer.json"
"""File in a store with the run, host, process and start time of the last run that opened the folder."""


@dataclass(frozen=True)
class FolderLock:
    """The right to write to a folder.

    Attributes
    ----------
    suffix : str
        Part of the names of this run's files in a store, where another run may write at the same time; else blank.
    check : callable
        Raises ResumeError if another run has taken the folder over.
    """

    suffix: str = ""
    check: Callable[[], None] = lambda: None


@contextmanager
def folder_lock(folder: Path) -> Iterator[FolderLock]:
    """Keep other runs out of a folder while the block runs.

    A disk has a lock, which ends with the process: a second run is refused. An object store has none: a newer run
    takes ownership, and the older one notices before its next part and stops.

    Parameters
    ----------
    folder : Path
        An existing folder, or an address in a store.

    Yields
    ------
    FolderLock

    Raises
    ------
    ResumeError
        If another process has the lock.
    StorageError
        If the store refuses the owner file.
    """
    if is_remote(folder):
        with _ownership(folder) as lock:
            yield lock
        return
    from filelock import FileLock, Timeout

    try:
        file_lock = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout:
        raise ResumeError(
            f"another run is writing to '{folder}': wait for it, or choose another `out` folder"
        ) from None
    with file_lock:
        yield FolderLock()


@contextmanager
def _ownership(folder: Path) -> Iterator[FolderLock]:
    """Own a folder of a store until another run takes it over."""
    run = uuid.uuid4().hex
    this_run = {"run": run, "host": socket.gethostname(), "process": os.getpid(), "since": time.ctime()}
    path = folder / OWNER

    def other_owner() -> dict[str, Any] | None:
        """Return the owner file of another run, {} if there is no owner file, None if this run is the owner."""
        owner: dict[str, Any] = json.loads(read_if_there(path) or "{}")
        return None if owner.get("run") == run else owner

    def check() -> None:
        if (owner := other_owner()) is not None:
            place = f"on {owner['host']} (process {owner['process']}, since {owner['since']})" if owner else "meanwhile"
            raise ResumeError(
                f"another run {place} has taken over '{folder}', so this one stops: let only one run write to a folder"
            )

    write_atomic(path, json.dumps(this_run).encode())
    yield FolderLock(f"-{run[:8]}", check)
    if other_owner() is None:
        remove(path)

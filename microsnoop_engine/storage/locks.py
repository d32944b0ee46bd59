"""One run at a time in an output folder: a lock on a disk, a mark with the name of the last comer in a store."""

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

from ..errors import ResumeError
from .atomic import write_atomic
from .paths import is_remote, read_if_there, remove

LOCK = ".lock"
MARK = ".writer.json"


@dataclass(frozen=True)
class FolderLock:
    """The right to write to a folder.

    Attributes
    ----------
    suffix : str
        Goes into the names of this run's files, where another run might write at the same time.
    check : callable
        Raises ResumeError if another run took over.
    """

    suffix: str = ""
    check: Callable[[], None] = lambda: None


@contextmanager
def folder_lock(folder: Path) -> Iterator[FolderLock]:
    """Keep other runs out of a folder while the block runs.

    A disk has a lock, which goes with the process: a second run is refused. A store has none: a run leaves its mark
    there, so a second one takes over, and the first one, which looks for its mark before it enters a part, stops.

    Raises
    ------
    ResumeError
        If another process has the lock.
    """
    if is_remote(folder):
        with _marked(folder) as found:
            yield found
        return
    from filelock import FileLock, Timeout

    try:
        lock = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout:
        raise ResumeError(f"another run is writing to '{folder}': wait for it, or give another --out folder") from None
    with lock:
        yield FolderLock()


@contextmanager
def _marked(folder: Path) -> Iterator[FolderLock]:
    mine = {"run": uuid.uuid4().hex, "host": socket.gethostname(), "process": os.getpid(), "since": time.ctime()}
    path = folder / MARK

    def other() -> dict | None:
        """The mark of another run; an empty one where ours is gone."""
        found = json.loads(read_if_there(path) or "{}")
        return None if found.get("run") == mine["run"] else found

    def check() -> None:
        if (found := other()) is not None:
            who = f"on {found['host']} (process {found['process']}, since {found['since']})" if found else "meanwhile"
            raise ResumeError(
                f"another run {who} has taken over '{folder}', so this one stops: let only one run write to a folder"
            )

    write_atomic(path, json.dumps(mine).encode())
    yield FolderLock(f"-{mine['run'][:8]}", check)
    if other() is None:
        remove(path)

"""Write files so that no reader ever sees half of one, on a disk and in an object store."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2s
from pathlib import Path

from ..errors import StorageError
from .paths import is_remote, upload

_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_LONGEST_NAME = 255
"""Bytes of the name of a file on the usual disks."""


@contextmanager
def full_disk_errors(path: Path) -> Iterator[None]:
    """Explain it when the disk has no space, or the user no quota, for a file that the block writes.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    StorageError
        In that case; other errors pass unchanged.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        reason = "the disk is full, or your quota is used up: free some space, and run the same command again"
        raise StorageError(path, reason) from None


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Write a file in one step: the caller fills a temporary one, which then replaces it.

    Parameters
    ----------
    path : Path
        The file, new or existing, on a disk or in a store. A link stays: the file that it points to is replaced.

    Yields
    ------
    Path
        A temporary file on the disk. It replaces ``path`` if the block ends without an error, and is deleted else.

    Raises
    ------
    StorageError
        If the store refuses the file, or the disk is full.

    Examples
    --------
    >>> folder = tempfile.TemporaryDirectory()
    >>> table = Path(folder.name, "table.csv")
    >>> with atomic_path(table) as temporary:
    ...     _ = temporary.write_text("a,b")
    ...     table.exists()
    False
    >>> table.read_text()
    'a,b'
    >>> folder.cleanup()
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory(prefix="microsnoop-") as folder:
            yield Path(folder, path.name)
            upload(Path(folder, path.name), path)
        return
    target = Path(os.path.realpath(path)) if path.is_symlink() else path
    temporary = target.with_name(_temporary_name(target.name))
    try:
        with full_disk_errors(path):
            yield temporary
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _temporary_name(name: str) -> str:
    """Return a hidden name for a file of this name, no longer than disks allow."""
    temporary = f".{name}.{os.getpid()}.tmp"
    if len(os.fsencode(temporary)) > _LONGEST_NAME:
        temporary = f".{blake2s(name.encode(), digest_size=16).hexdigest()}.{os.getpid()}.tmp"
    return temporary


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file in one step.

    Parameters
    ----------
    path : Path
        The file, new or existing, on a disk or in a store.
    data : bytes
        The content of the file.

    Raises
    ------
    StorageError
        If the store refuses the file.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


class AppendFile:
    """A file to which lines are added, each of them on the disk before the next step.

    A disk appends; an object store cannot, so the whole file is uploaded with every line.

    Parameters
    ----------
    path : Path
        The file; its former content is replaced.
    data : bytes
        The content to begin with.

    Raises
    ------
    StorageError
        If the store refuses the file.
    """

    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data if is_remote(path) else b""
        write_atomic(path, data)

    def append(self, line: bytes) -> None:
        """Add a line.

        Parameters
        ----------
        line : bytes
            Ends in a line feed.

        Raises
        ------
        StorageError
            If the store refuses the file.
        """
        if is_remote(self._path):
            self._data += line
            write_atomic(self._path, self._data)
            return
        with full_disk_errors(self._path), self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

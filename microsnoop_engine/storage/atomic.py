"""Write files so that no reader ever sees half of one, on a disk and in an object store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .paths import is_remote, upload


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
        If the store refuses the file.

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
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


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
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

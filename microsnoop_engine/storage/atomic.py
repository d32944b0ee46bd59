"""Writing files so that no reader ever sees half of one, on a disk and in an object store."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .paths import is_remote, upload


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path on the disk that takes the place of ``path`` when the block ends without an error.

    Examples
    --------
    >>> with writing(Path("table.csv")) as temporary:
    ...     temporary.write_text("a,b")
    """
    if is_remote(path):
        with tempfile.TemporaryDirectory(prefix="microsnoop-") as folder:
            yield Path(folder, path.name)
            upload(Path(folder, path.name), path)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` to ``path`` in one step."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(data)


class AppendFile:
    """A file that grows by a line at a time, each of them safe before the next step.

    A disk appends; an object store cannot, and gets the whole file anew with every line.

    Parameters
    ----------
    path : Path
    data : bytes
        What it begins with; what it held before is replaced.
    """

    def __init__(self, path: Path, data: bytes):
        self._path = path
        self._data = data if is_remote(path) else b""
        write_atomic(path, data)

    def append(self, line: bytes) -> None:
        """Add a line, which ends in a line feed."""
        if is_remote(self._path):
            self._data += line
            write_atomic(self._path, self._data)
            return
        with self._path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

"""Read, list and copy files on a disk and in object stores by one kind of path.

A path is a :class:`pathlib.Path`, or a ``UPath`` of the package universal-pathlib for an address such as
``s3://bucket/folder``. Both have the same methods, so annotations say Path; only this package of the engine needs to
tell them apart (:func:`is_remote`). An object store has no folders, no rename, no append and no lock; an object that is
written appears whole or not at all.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePath, PurePosixPath
from typing import TYPE_CHECKING, Any, BinaryIO, TypeGuard, TypeVar, cast
from urllib.parse import urlparse
from urllib.request import url2pathname

from ..errors import InputError, MicrosnoopError, MissingExtraError, StorageError, UnreachableError, first_line

if TYPE_CHECKING:

    class RemotePath(Path):
        """A UPath to the type checker: the methods of Path, which it has, and these attributes."""

        fs: Any
        path: str
        protocol: str
        storage_options: dict[str, Any]


ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
"""Beginning of the address of a store; a drive of Windows (``C:\\``) is none."""
MISSING = "there is no such file"
STORE_READERS = 16
"""Small files (headers, metadata) of a store to read at once: each waits for the network, none for the processor."""

_BUCKETS = ("s3", "s3a", "gs", "gcs")
"""Stores whose ``mkdir`` would make a bucket, and whose listings are not to be cached."""
_HEADER_BLOCK = 64 << 10
"""Bytes of a remote file to fetch at once for its header."""
_NO_BUCKET = "bucket does not exist"
_STORE_PACKAGES = frozenset(
    ("adlfs", "aiobotocore", "aiohttp", "asyncio", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs")
)
"""Packages whose exceptions are failures of a store, as those of the operating system are."""

Content = TypeVar("Content")


def as_path(location: str | Path) -> Path:
    """Return the path of a file or folder, or of an address of any store that fsspec knows.

    Parameters
    ----------
    location : str or Path
        ``folder/file``, ``file:///folder/file``, ``s3://bucket/key``, ``gs://bucket/key``, ``https://..``; a path is
        returned as it is.

    Returns
    -------
    Path
        A UPath, which has the methods of Path, for an address in a store.

    Raises
    ------
    MissingExtraError
        If a package that the address needs is not installed.
    InputError
        If no store has such addresses.

    Examples
    --------
    >>> as_path("file:///data/plate1").as_posix()
    '/data/plate1'
    """
    if not isinstance(location, str):
        return location
    match = ADDRESS.match(location)
    if match is None:
        return Path(location)
    protocol = match[1].lower()
    if protocol == "file":
        return Path(url2pathname(urlparse(location).path))
    try:
        from fsspec import get_filesystem_class
        from upath import UPath
    except ImportError:
        raise MissingExtraError("universal-pathlib", "cloud", f"'{location}'") from None
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        raise MissingExtraError(error.name or first_line(error), "cloud", f"'{location}'") from None
    except ValueError:
        raise InputError(f"'{location}': {protocol}: is no known store; use s3://, gs://, https:// or a path") from None
    # files that other processes write meanwhile must be seen
    options: dict[str, Any] = {"use_listings_cache": False} if protocol in _BUCKETS else {}
    return cast(Path, UPath(location, **options))


def quiet_stores() -> None:
    """Silence the loggers of the stores' packages in this process: their exceptions are reported once, by us."""
    for package in ("aiobotocore", "botocore", "gcsfs", "s3fs"):
        logging.getLogger(package).setLevel(logging.CRITICAL)


def is_remote(path: Path) -> TypeGuard[RemotePath]:
    """Return True for an address in a store, False for a path on a disk."""
    return not isinstance(path, Path)


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Turn a failure of a store in the block into an error that explains it; errors of a disk pass unchanged.

    Parameters
    ----------
    path : Path
        The address that the block reads or writes.

    Raises
    ------
    StorageError
        If there is no such file or bucket, or access is denied.
    UnreachableError
        If the store does not answer, or there are no credentials.
    """
    try:
        yield
    except Exception as error:
        store_failed = isinstance(error, OSError) or type(error).__module__.split(".")[0] in _STORE_PACKAGES
        if not is_remote(path) or not store_failed or isinstance(error, MicrosnoopError):
            raise
        message = first_line(error)
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            bucket = path.parts[0].strip("/") if _NO_BUCKET in message else ""
            raise StorageError(path, f"there is no bucket '{bucket}'" if bucket else MISSING) from None
        if isinstance(error, PermissionError) or re.search("forbidden|denied", message, re.IGNORECASE):
            raise StorageError(path, f"access is denied ({message}): check the credentials and the rights") from None
        if "credential" in message.lower():
            raise UnreachableError(
                path,
                f"there are no credentials ({message}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "AWS_PROFILE or GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_S3_ANON=true for a public bucket",
            ) from None
        raise UnreachableError(
            path, f"the store does not answer ({message}): check the network and the address"
        ) from None


def path_kind(path: Path) -> str | None:
    """Return ``"file"`` or ``"folder"``, or None if the path does not exist.

    Raises
    ------
    StorageError
        If the bucket does not exist or the store refuses the request.
    """
    if not is_remote(path):
        return "folder" if path.is_dir() else "file" if path.exists() else None
    with store_errors(path):
        entry: dict[str, Any] | None = _unless_missing(lambda: path.fs.info(path.path))
    if entry is None:
        return None
    return "folder" if entry["type"] == "directory" else "file"


def _unless_missing(read: Callable[[], Content]) -> Content | None:
    """Return the result of ``read``, or None if it finds no file; a missing bucket stays an error."""
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError) as error:
        if _NO_BUCKET in str(error):
            raise
        return None


def files_in(folder: Path) -> list[PurePath]:
    """List all files in a folder and its subfolders.

    Parameters
    ----------
    folder : Path
        A folder of a disk, or an address in a store; an empty list results if it does not exist.

    Returns
    -------
    list of PurePath
        Paths relative to the folder, sorted. ``folder.joinpath(*path.parts)`` is the file.

    Raises
    ------
    StorageError
        If the bucket does not exist or the store refuses the request.
    """
    if not is_remote(folder):
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    root = folder.path.rstrip("/") + "/"
    with store_errors(folder):
        names: list[str] = folder.fs.find(folder.path)
    # an object whose name ends in a slash marks a folder
    return sorted(PurePosixPath(name[len(root) :]) for name in names if name.startswith(root) and name[-1] != "/")


def folders_in(folder: Path) -> list[str]:
    """List the names of the folders directly in a folder, sorted; none if it does not exist.

    Raises
    ------
    StorageError
        If the bucket does not exist or the store refuses the request.
    """
    if not is_remote(folder):
        return sorted(path.name for path in folder.glob("*") if path.is_dir())
    if path_kind(folder) is None:
        return []
    with store_errors(folder):
        entries: list[dict[str, Any]] = folder.fs.ls(folder.path, detail=True)
    return sorted(PurePosixPath(entry["name"]).name for entry in entries if entry["type"] == "directory")


def read_bytes(path: Path) -> bytes:
    """Read a whole file.

    Raises
    ------
    StorageError
        If a file of a store is missing or cannot be read.
    OSError
        The same of a disk.
    """
    with store_errors(path):
        return _read(path)


def read_if_there(path: Path) -> bytes | None:
    """Read a whole file; None if there is no such file.

    Raises
    ------
    StorageError
        If a store refuses the request.
    OSError
        If a disk does.
    """
    with store_errors(path):
        return _unless_missing(lambda: _read(path))


def _read(path: Path) -> bytes:
    if not is_remote(path):
        return path.read_bytes()
    content: bytes = path.fs.cat_file(path.path)
    return content


def open_whole(path: Path) -> Path | BinaryIO:
    """Return a file for a reader that needs all of it: its path on a disk, its bytes in memory from a store.

    Raises
    ------
    StorageError
        If a file of a store is missing or cannot be read.
    """
    return io.BytesIO(read_bytes(path)) if is_remote(path) else path


def open_header(path: Path) -> BinaryIO:
    """Open a file to read some of its bytes, such as a header, without fetching the rest from a store.

    Raises
    ------
    StorageError
        If a file of a store is missing or cannot be read.
    OSError
        The same of a disk.
    """
    if not is_remote(path):
        return path.open("rb")
    with store_errors(path):
        file: BinaryIO = path.fs.open(path.path, "rb", block_size=_HEADER_BLOCK)
    return file


def make_folder(path: Path) -> None:
    """Make a folder and those above it, unless they exist or the store has no folders.

    Raises
    ------
    StorageError
        If a store refuses the request.
    OSError
        If a disk does.
    """
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)
    elif path.protocol not in _BUCKETS:
        with store_errors(path):
            path.fs.makedirs(path.path, exist_ok=True)


def upload(file: Path, target: Path) -> None:
    """Copy a file of the disk to a store.

    Parameters
    ----------
    file : Path
        On the disk.
    target : Path
        Its address in the store; an existing object is replaced.

    Raises
    ------
    StorageError
        If the store refuses the file.
    """
    address = cast("RemotePath", target)
    with store_errors(target):
        address.fs.put_file(str(file), address.path)


def copy(source: Path, target: Path) -> None:
    """Copy a file on a disk, or within one store; an existing target is replaced.

    Raises
    ------
    StorageError
        If a store refuses the request.
    OSError
        If a disk does.
    """
    if not is_remote(source):
        shutil.copy2(source, target)
        return
    with store_errors(source):
        source.fs.cp_file(source.path, cast("RemotePath", target).path)


def remove(path: Path) -> None:
    """Delete a file, if it exists.

    Raises
    ------
    StorageError
        If a store refuses the request.
    OSError
        If a disk does.
    """
    if not is_remote(path):
        path.unlink(missing_ok=True)
    elif path_kind(path):
        with store_errors(path):
            path.fs.rm_file(path.path)


def for_arrow(path: Path) -> tuple[str, Any]:
    """Return a path as PyArrow takes it.

    Returns
    -------
    name : str
        The path in its file system.
    filesystem : fsspec.AbstractFileSystem or None
        None for the disk.
    """
    return (path.path, path.fs) if is_remote(path) else (str(path), None)


def stream_for_arrow(path: Path) -> Any:
    """Open a file for PyArrow to read from its beginning, decompressed if its suffix names a compression.

    Returns
    -------
    str or pyarrow.NativeFile
        The path itself on a disk, which PyArrow opens.

    Raises
    ------
    StorageError
        If a file of a store is missing or cannot be read.
    """
    if not is_remote(path):
        return str(path)
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    with store_errors(path):
        return PyFileSystem(FSSpecHandler(path.fs)).open_input_stream(path.path)

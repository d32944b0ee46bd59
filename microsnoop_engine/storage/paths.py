"""Files on a disk and in object stores by one kind of path: what a store lacks is made up for here.

A path is a :class:`pathlib.Path`, or a ``UPath`` of the package universal-pathlib for an address such as
``s3://bucket/folder``. An object store has no folders, no rename, no append and no lock; an object that is written
appears whole or not at all.
"""

from __future__ import annotations

import io
import logging
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO
from urllib.parse import urlparse
from urllib.request import url2pathname

from ..errors import InputError, MicrosnoopError, MissingExtraError, StorageError, UnreachableError, first_line

ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BUCKETS = ("s3", "s3a", "gs", "gcs")
"""Stores whose ``mkdir`` would make a bucket, and which have options of their own below."""
_HEADER_BLOCK = 64 << 10


def as_path(place: str | Path) -> Path:
    """The path of a file or folder, or of an address of any store that fsspec knows.

    Parameters
    ----------
    place : str or Path
        ``folder/file``, ``file:///folder/file``, ``s3://bucket/key``, ``gs://bucket/key``, ``https://..``; a path is
        returned as it is.

    Raises
    ------
    MissingExtraError
        If a package that the address needs is not installed.
    InputError
        If nothing is known of such addresses.
    """
    if not isinstance(place, str):
        return place
    match = ADDRESS.match(place)
    if match is None:
        return Path(place)
    protocol = match[1].lower()
    if protocol == "file":
        return Path(url2pathname(urlparse(place).path))
    try:
        from fsspec import get_filesystem_class
        from upath import UPath
    except ImportError:
        raise MissingExtraError("universal-pathlib", "cloud", f"'{place}'") from None
    try:
        get_filesystem_class(protocol)
    except ImportError as error:
        raise MissingExtraError(error.name or first_line(error), "cloud", f"'{place}'") from None
    except ValueError:
        raise InputError(f"'{place}': nothing is known of {protocol}: addresses; give s3://, gs:// or a path") from None
    # what other processes write meanwhile must be seen
    options = {"use_listings_cache": False} if protocol in _BUCKETS else {}
    return UPath(place, **options)


def quiet_stores() -> None:
    """Let the packages of stores log nothing in this process: what they raise is said once, by us."""
    for package in ("aiobotocore", "botocore", "gcsfs", "s3fs"):
        logging.getLogger(package).setLevel(logging.CRITICAL)


def is_remote(path: Path) -> bool:
    """Whether a path is an address in a store."""
    return not isinstance(path, Path)


MISSING = "there is no such file"
_NO_BUCKET = "bucket does not exist"
_OF_STORES = {"adlfs", "aiobotocore", "aiohttp", "asyncio", "azure", "botocore", "fsspec", "gcsfs", "google", "s3fs"}
"""Packages whose errors are those of a store, as errors of the operating system are."""


@contextmanager
def store_errors(path: Path) -> Iterator[None]:
    """Says what is wrong where a store fails in the block; errors of a disk stay as they are.

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
        of_a_store = isinstance(error, OSError) or type(error).__module__.split(".")[0] in _OF_STORES
        if not is_remote(path) or not of_a_store or isinstance(error, MicrosnoopError):
            raise
        said = first_line(error)
        if isinstance(error, (FileNotFoundError, NotADirectoryError)):
            bucket = path.parts[0].strip("/") if _NO_BUCKET in said else ""
            raise StorageError(path, f"there is no bucket '{bucket}'" if bucket else MISSING) from None
        if isinstance(error, PermissionError) or re.search("forbidden|denied", said, re.IGNORECASE):
            raise StorageError(path, f"access is denied ({said}): check the credentials and the rights") from None
        if "credential" in said.lower():
            raise UnreachableError(
                path,
                f"there are no credentials ({said}): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "AWS_PROFILE or GOOGLE_APPLICATION_CREDENTIALS, or FSSPEC_S3_ANON=true for a public bucket",
            ) from None
        raise UnreachableError(path, f"the store does not answer ({said}): check the network and the address") from None


def path_kind(path: Path) -> str | None:
    """``file``, ``folder``, or None where there is nothing."""
    if not is_remote(path):
        return "folder" if path.is_dir() else "file" if path.exists() else None
    with store_errors(path):
        entry = _or_none(lambda: path.fs.info(path.path))
    return entry and ("folder" if entry["type"] == "directory" else "file")


def _or_none(read: Callable[[], Any]) -> Any:
    """What is read, None if there is no such file; a missing bucket stays an error."""
    try:
        return read()
    except (FileNotFoundError, NotADirectoryError) as error:
        if _NO_BUCKET in str(error):
            raise
        return None


def files_in(folder: Path) -> list[Path]:
    """All files in a folder and its folders, in order, relative to it."""
    if not is_remote(folder):
        return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    root = folder.path.rstrip("/") + "/"
    with store_errors(folder):
        found = folder.fs.find(folder.path)
    # an object whose name ends in a slash stands for a folder
    return sorted(PurePosixPath(name[len(root) :]) for name in found if name.startswith(root) and name[-1] != "/")


def folders_in(folder: Path) -> list[str]:
    """Names of the folders directly in a folder, in order."""
    if not is_remote(folder):
        return sorted(path.name for path in folder.glob("*") if path.is_dir())
    if path_kind(folder) is None:
        return []
    with store_errors(folder):
        found = folder.fs.ls(folder.path, detail=True)
    return sorted(PurePosixPath(entry["name"]).name for entry in found if entry["type"] == "directory")


def read_bytes(path: Path) -> bytes:
    """What a file holds."""
    with store_errors(path):
        return path.fs.cat_file(path.path) if is_remote(path) else path.read_bytes()


def read_if_there(path: Path) -> bytes | None:
    """What a file holds, None if there is none."""
    with store_errors(path):
        return _or_none(lambda: path.fs.cat_file(path.path) if is_remote(path) else path.read_bytes())


def open_whole(path: Path) -> Path | BinaryIO:
    """A file to be read as a whole: its path on a disk, its bytes in memory from a store."""
    return io.BytesIO(read_bytes(path)) if is_remote(path) else path


def open_header(path: Path) -> BinaryIO:
    """A file opened to read some of its bytes, such as a header."""
    if not is_remote(path):
        return path.open("rb")
    with store_errors(path):
        return path.fs.open(path.path, "rb", block_size=_HEADER_BLOCK)


def make_folder(path: Path) -> None:
    """A folder with those above it, where there are folders."""
    if not is_remote(path):
        path.mkdir(parents=True, exist_ok=True)
    elif path.protocol not in _BUCKETS:
        with store_errors(path):
            path.fs.makedirs(path.path, exist_ok=True)


def upload(file: Path, path: Path) -> None:
    """Copy a file of the disk to a store."""
    with store_errors(path):
        path.fs.put_file(str(file), path.path)


def copy(source: Path, target: Path) -> None:
    """Copy a file on a disk, or within a store."""
    if not is_remote(source):
        shutil.copy2(source, target)
        return
    with store_errors(source):
        source.fs.cp_file(source.path, target.path)


def remove(path: Path) -> None:
    """Delete a file, if it is there."""
    if not is_remote(path):
        path.unlink(missing_ok=True)
    elif path_kind(path):
        with store_errors(path):
            path.fs.rm_file(path.path)


def for_arrow(path: Path) -> tuple[str, Any]:
    """A path as Arrow takes it: a name, and the file system that it counts in (None for the disk)."""
    return (path.path, path.fs) if is_remote(path) else (str(path), None)


def stream_for_arrow(path: Path) -> Any:
    """A file as Arrow reads it from its beginning, decompressed where its name says so."""
    if not is_remote(path):
        return str(path)
    from pyarrow.fs import FSSpecHandler, PyFileSystem

    with store_errors(path):
        return PyFileSystem(FSSpecHandler(path.fs)).open_input_stream(path.path)

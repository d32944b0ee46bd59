"""Define the errors that microsnoop raises on purpose: one family, each also the standard error a caller expects.

A message says what is wrong, where (file, row, channel or setting) and what to do, in at most three lines.
It writes the name of a parameter in backticks, as Python spells it: "`labels` goes with `mode` cells".
The command line shows each as its own option, with dashes; no module below it knows an option.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from pathlib import Path


class MicrosnoopError(Exception):
    """Base of every error that microsnoop raises on purpose."""


class InputError(MicrosnoopError, ValueError):
    """A value, table, array or setting that cannot be used."""


class ImageError(MicrosnoopError, OSError):
    """An image or label file that is missing, damaged or of the wrong kind.

    Parameters
    ----------
    message : str
        The problem and the remedy, without the path and the channel.
    path : str or Path
        The file.
    channel : str
        The channel, or the object set, that the file provides.
    """

    def __init__(self, message: str, path: str | Path = "", channel: str = "") -> None:
        super().__init__(message)
        self.path = str(path)
        self.channel = channel


class StorageError(InputError):
    """A file or bucket of an object store that cannot be read or written, or a file for which a disk has no space.

    Parameters
    ----------
    path : str or Path
        The address.
    reason : str
        The problem and the remedy.
    """

    def __init__(self, path: str | Path, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"'{self.path}': {self.reason}"


class UnreachableError(StorageError):
    """A store that does not answer or accepts no credentials: nothing in it can be read or written."""


class WeightsError(MicrosnoopError, ValueError):
    """Weights that are missing, damaged or of another network."""


class DeviceError(MicrosnoopError, RuntimeError):
    """A device or backend that is missing or failed."""


class MissingExtraError(MicrosnoopError, ImportError):
    """An optional package that is not installed.

    Parameters
    ----------
    package : str
        The package to install.
    extra : str
        The extra of microsnoop that installs it.
    purpose : str
        The task that needs it; begins the message.

    Examples
    --------
    >>> print(MissingExtraError("zarr>=3", "zarr", "reading 'plate.zarr'"))
    reading 'plate.zarr' needs the package 'zarr>=3': pip install "microsnoop[zarr]"
    """

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(package, extra, purpose)

    def __str__(self) -> str:
        package, extra, purpose = self.args
        return f"{purpose} needs the package '{package}': pip install \"microsnoop[{extra}]\""


def torch_needed(purpose: str) -> MissingExtraError:
    """Return the error of a task that needs PyTorch, which is not installed."""
    return MissingExtraError("torch", "torch", purpose)


class ResumeError(MicrosnoopError, ValueError):
    """An output folder that holds the results of another run."""


class Cancelled(MicrosnoopError):
    """The host asked to stop."""


def first_line(error: BaseException) -> str:
    r"""Return the first line of an error's message; the name of its type if it has none.

    Parameters
    ----------
    error : BaseException

    Returns
    -------
    str

    Examples
    --------
    >>> first_line(KeyError()), first_line(ValueError("bad\nand long"))
    ('KeyError', 'bad')
    """
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


def listing(values: Iterable[object], most: int = 5) -> str:
    """Join the first values with commas, for a message.

    Examples
    --------
    >>> listing("abc"), listing(range(9), most=2)
    ('a, b, c', '0, 1, ...')
    """
    words = [str(value) for value in values]
    return ", ".join([*words[:most], *(["..."] if len(words) > most else [])])


def counted(number: int, things: str, thing: str = "") -> str:
    """Write a number of things, for a message.

    Parameters
    ----------
    number : int
    things : str
        The words after the number, in the plural.
    thing : str
        The words after 1; by default `things` without its last letter.

    Returns
    -------
    str

    Examples
    --------
    >>> counted(1200, "wells"), counted(1, "treatments"), counted(1, "rows have", "row has")
    ('1,200 wells', '1 treatment', '1 row has')
    """
    return f"{number:,} {(thing or things.removesuffix('s')) if number == 1 else things}"


def require_columns(columns: Iterable[Hashable], names: Iterable[Hashable], table: str) -> None:
    """Refuse a table that lacks columns.

    Parameters
    ----------
    columns : iterable of str
        The columns of the table.
    names : iterable of str
        Those that are needed.
    table : str
        The table, as the message names it.

    Raises
    ------
    InputError
        If one is missing.
    """
    columns = dict.fromkeys(columns)
    if missing := [name for name in names if name not in columns]:
        raise InputError(f"{table} has no column {listing(missing)}; it has {listing(columns, 10)}")

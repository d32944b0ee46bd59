"""The errors of the package: one family, each member also the standard error a caller would expect."""

from __future__ import annotations

from collections.abc import Hashable, Iterable


class MicrosnoopError(Exception):
    """Base of every error that microsnoop raises on purpose.

    The message says what is wrong, where (file, row, channel, setting) and what to do.
    """


class InputError(MicrosnoopError, ValueError):
    """A value, table, array or setting that cannot be used."""


class ImageError(MicrosnoopError, OSError):
    """An image or label file that is missing, damaged or of the wrong kind.

    Parameters
    ----------
    message : str
        What is wrong and what to do.
    path : str
        The file.
    channel : str
        The channel (or object set) that the file was to provide.
    """

    def __init__(self, message: str, path: str = "", channel: str = ""):
        super().__init__(message)
        self.path = str(path)
        self.channel = channel


class StorageError(InputError):
    """A file or bucket of an object store that is missing, or may not be read or written.

    Parameters
    ----------
    path : Path
        The address.
    reason : str
        What is wrong and what to do.
    """

    def __init__(self, path: object, reason: str):
        super().__init__(str(path), reason)
        self.path = str(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"'{self.path}': {self.reason}"


class UnreachableError(StorageError):
    """A store that does not answer or takes no credentials: nothing in it can be read or written."""


class WeightsError(MicrosnoopError, ValueError):
    """Weights that are missing, damaged or of another network."""


class DeviceError(MicrosnoopError, RuntimeError):
    """A device or backend that is not there or failed."""


class MissingExtraError(MicrosnoopError, ImportError):
    """An optional package that is not installed; the message names the command that installs it."""

    def __init__(self, package: str, extra: str, purpose: str):
        super().__init__(package, extra, purpose)

    def __str__(self) -> str:
        package, extra, purpose = self.args
        return f"{purpose} needs the package '{package}': pip install \"microsnoop[{extra}]\""


class ResumeError(MicrosnoopError, ValueError):
    """An output folder that holds the results of another run."""


class Cancelled(MicrosnoopError):
    """The host asked to stop."""


def first_line(error: BaseException) -> str:
    """The first line that an error says; its kind where it says nothing.

    Examples
    --------
    >>> first_line(KeyError()), first_line(ValueError("bad\\nand long"))
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
    columns = list(columns)
    if missing := [name for name in names if name not in columns]:
        raise InputError(f"{table} has no column {listing(missing)}; it has {listing(columns, 10)}")

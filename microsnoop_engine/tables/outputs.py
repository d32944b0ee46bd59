"""Check where a table is to be written: nothing that a command reads is ever replaced."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import cast

from ..errors import InputError, first_line
from ..storage.paths import as_path, is_remote, path_kind
from .file_names import TABLE

FORMATS = (".parquet", ".csv", ".csv.gz", ".sqlite", ".h5ad")
"""Endings of the files that can be written."""
_OF_A_RUN = ("images.csv", "skipped.csv")
"""Lists that ``microsnoop profile`` writes beside its table."""


def check_output(path: Path, formats: Sequence[str] = FORMATS, inputs: Iterable[object] = ()) -> str:
    """Check that a file can be written, and make its folder.

    Parameters
    ----------
    path : Path
    formats : sequence of str
        Endings that its name may have.
    inputs : iterable
        What the command reads; anything but a path is skipped.

    Returns
    -------
    str
        The ending.

    Raises
    ------
    InputError
        If it has none of them, is a folder, is one of the inputs, or nothing can be written there.
    """
    ending = next((ending for ending in formats if path.name.lower().endswith(ending)), None)
    if ending is None:
        raise InputError(f"'{path}': choose a name that ends in {', '.join(formats)}")
    refuse_inputs(path, inputs)
    if path_kind(path) == "folder":
        raise InputError(f"'{path}' is a folder: choose another name for the file")
    if is_remote(path):
        return ending
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path.resolve().parent):
            pass
    except OSError as error:
        reason = error.strerror or first_line(error)
        raise InputError(f"'{path}' cannot be written ({reason}): choose another folder") from None
    return ending


def refuse_inputs(out: str | Path, inputs: Iterable[object], name: str = "out") -> None:
    """Refuse to write a file that a command reads, also through links.

    Parameters
    ----------
    out : str or Path
    inputs : iterable
        Files and folders that the command reads; anything but a path is skipped.
    name : str
        The parameter, for the error.

    Raises
    ------
    InputError
        If ``out`` is one of them, or lies among the files of one.
    """
    out = as_path(out)
    for value in inputs:
        if not isinstance(value, str | Path) and not hasattr(value, "__fspath__"):
            continue
        path = as_path(value) if isinstance(value, str) else cast(Path, value)
        if _replaces(out, path):
            raise InputError(f"`{name}` '{out}' is the input '{path}', which would be lost: choose another name")


def _replaces(out: Path, path: Path) -> bool:
    """Return True if writing ``out`` would change what ``path`` holds."""
    if is_remote(out) or is_remote(path):
        return str(out) == str(path)
    if out.exists() and path.exists() and out.samefile(path):
        return True
    real, source = out.resolve(), path.resolve()
    if real == source:
        return True
    if not source.is_dir() or source not in real.parents:
        return False
    if (source / TABLE).exists():  # a folder of a run may well hold the tables that were made of its own
        return source / TABLE in (real, *real.parents) or real.name in _OF_A_RUN
    return real.exists() or real.suffix == ".parquet"

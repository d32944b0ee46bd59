"""Which columns of a table are features: ours, CellProfiler's, or those a pattern names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError
from .columns import parse_feature
from .source import TableSource

CHOICES = ("microsnoop", "classical", "all")

_KEYS = r"ImageNumber|ObjectNumber|TableNumber|(.+_)?Number_Object_Number"
_PLACES = r"(.+_)?(Location|Parent|Children)_.+|(.+_)?AreaShape_(Center|BoundingBox)\w*"
_IMAGES = r"Image_.+|FileName_.+|PathName_.+|URL_.+|MD5Digest_.+|Series_.+|Frame_.+|Height_.+|Width_.+|Scaling_.+"
_RUNS = r"Group_.+|Count_.+|ExecutionTime_.+|ModuleError_.+|ProcessingStatus|Threshold_.+|Channel_.+"
_ROW_NUMBERS = r"(Unnamed: \d+)?"  # of a table that pandas wrote with its index
_NOT_FEATURES = re.compile(rf"^(Metadata_.*|{_KEYS}|{_PLACES}|{_IMAGES}|{_RUNS}|{_ROW_NUMBERS})$")


def is_microsnoop(column: str) -> bool:
    """Whether a column is one of 256 of a channel, as ``Nuclei_Microsnoop_E017_DNA``."""
    return parse_feature(column) is not None


def is_classical(column: str) -> bool:
    """Whether a column may be any other feature: no metadata, key, place or measurement of a whole image."""
    return not is_microsnoop(column) and not _NOT_FEATURES.match(column)


def select_features(source: TableSource, which: str = "all") -> list[str]:
    """The feature columns of a table.

    Parameters
    ----------
    source : Source
    which : str
        ``microsnoop``, ``classical``, ``all``, or a regular expression that whole column names match.

    Returns
    -------
    list of str
        Columns of numbers, in the order of the table.

    Raises
    ------
    InputError
        If there is none, or a column of numbers holds words too.
    """
    tests = {
        "microsnoop": is_microsnoop,
        "classical": is_classical,
        "all": lambda column: is_microsnoop(column) or is_classical(column),
    }
    try:
        test = tests.get(which) or re.compile(which).fullmatch
    except re.error as error:
        raise InputError(f"--features '{which}' is no regular expression: {error}") from None
    names = [name for name in source.columns if test(name)]
    first = next(source.chunks(names), None) if names else pd.DataFrame()
    if first is None:
        raise InputError(f"'{source.path}' has no rows")
    found = [name for name in names if pd.api.types.is_numeric_dtype(first[name])]
    for name in names:
        if name not in found:
            _check_words(source.path, first[name])
    if not found:
        kind = which if which in CHOICES else f"'{which}'"
        some = ", ".join(source.columns[:5]) + (", .." if len(source.columns) > 5 else "")
        raise InputError(
            f"'{source.path}' has no features ({kind}) among its columns {some}: choose some of numbers with --features"
        )
    return found


def _check_words(path: Path, column: pd.Series) -> None:
    """Refuse a column of our own with words, and any other that mostly holds numbers."""
    values = column.dropna()
    words = pd.to_numeric(values, errors="coerce").isna()
    if words.any() and (is_microsnoop(column.name) or words.mean() <= 0.5):
        raise InputError(
            f"'{path}', column {column.name}: '{values[words].iloc[0]}' in data row {values.index[words][0] + 1} is no "
            "number: correct it, or leave the column out with --features"
        )


def channels_of(columns: Sequence[str]) -> dict[str, list[str]]:
    """Microsnoop columns by object set and channel, ``Nuclei DNA``."""
    found: dict[str, list[str]] = {}
    for column in columns:
        name = parse_feature(column)
        if name is not None:
            found.setdefault(f"{name.objects} {name.channel}", []).append(column)
    return found

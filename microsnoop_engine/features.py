"""Which columns of a table are features: ours, CellProfiler's, or those a pattern names."""

from __future__ import annotations

import re
from collections.abc import Sequence

import pandas as pd

from .columns import parse_feature
from .errors import InputError
from .tables import Source

CHOICES = ("microsnoop", "classical", "all")

_KEYS = r"ImageNumber|ObjectNumber|TableNumber|(.+_)?Number_Object_Number"
_PLACES = r"(.+_)?(Location|Parent|Children)_.+|(.+_)?AreaShape_(Center|BoundingBox)\w*"
_IMAGES = r"Image_.+|FileName_.+|PathName_.+|URL_.+|MD5Digest_.+|Series_.+|Frame_.+|Height_.+|Width_.+|Scaling_.+"
_RUNS = r"Group_.+|Count_.+|ExecutionTime_.+|ModuleError_.+|ProcessingStatus|Threshold_.+|Channel_.+"
_NOT_FEATURES = re.compile(rf"^(Metadata_.*|{_KEYS}|{_PLACES}|{_IMAGES}|{_RUNS})$")


def is_microsnoop(column: str) -> bool:
    """Whether a column is one of 256 of a channel, as ``Nuclei_Microsnoop_E017_DNA``."""
    return parse_feature(column) is not None


def is_classical(column: str) -> bool:
    """Whether a column may be any other feature: no metadata, key, place or measurement of a whole image."""
    return not is_microsnoop(column) and not _NOT_FEATURES.match(column)


def select_features(source: Source, which: str = "all") -> list[str]:
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
        If there is none.
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
    first = next(source.chunks(names), pd.DataFrame()) if names else pd.DataFrame()
    found = [name for name in first.columns if pd.api.types.is_numeric_dtype(first[name])]
    if not found:
        kind = which if which in CHOICES else f"'{which}'"
        raise InputError(f"'{source.path}' has no features ({kind}) among its {len(source.columns)} columns")
    return found


def channels_of(columns: Sequence[str]) -> dict[str, list[str]]:
    """Microsnoop columns by object set and channel, ``Nuclei DNA``."""
    found: dict[str, list[str]] = {}
    for column in columns:
        name = parse_feature(column)
        if name is not None:
            found.setdefault(f"{name.objects} {name.channel}", []).append(column)
    return found

"""Choose the feature columns of a table: learned ones, CellProfiler's, or those that a pattern matches."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError, listing
from .columns import parse_feature
from .source import TableSource

CHOICES = ("microsnoop", "classical", "all")

_KEYS = r"ImageNumber|ObjectNumber|TableNumber|(.+_)?Number_Object_Number"
_POSITIONS = r"(.+_)?(Location|Parent|Children)_.+|(.+_)?AreaShape_(Center|BoundingBox)\w*"
_IMAGES = r"Image_.+|FileName_.+|PathName_.+|URL_.+|MD5Digest_.+|Series_.+|Frame_.+|Height_.+|Width_.+|Scaling_.+"
_RUNS = r"Group_.+|Count_.+|ExecutionTime_.+|ModuleError_.+|ProcessingStatus|Threshold_.+|Channel_.+"
_ROW_NUMBERS = r"(Unnamed: \d+)?"  # of a table that pandas wrote with its index
_NOT_FEATURES = re.compile(rf"^(Metadata_.*|{_KEYS}|{_POSITIONS}|{_IMAGES}|{_RUNS}|{_ROW_NUMBERS})$")


def is_microsnoop(column: str) -> bool:
    """Return True for a number of an embedding, such as ``Nuclei_Microsnoop_E017_DNA``."""
    return parse_feature(column) is not None


def is_classical(column: str) -> bool:
    """Return True for any other feature: no metadata, key, position or measurement of a whole image.

    Examples
    --------
    >>> [is_classical(name) for name in ("Nuclei_AreaShape_Area", "Nuclei_Location_Center_X", "Metadata_Well")]
    [True, False, False]
    """
    return not is_microsnoop(column) and not _NOT_FEATURES.match(column)


def select_features(source: TableSource, features: str | Sequence[str] = "all") -> list[str]:
    """Find the feature columns of a table.

    Parameters
    ----------
    source : TableSource
    features : str or sequence of str
        ``microsnoop``, ``classical``, ``all``, a regular expression that whole column names match, or names of columns.

    Returns
    -------
    list of str
        Columns of numbers, in the order of the table.

    Raises
    ------
    InputError
        If there is none, or a column of numbers holds words too.
    """
    names = _matching(source.columns, features) if isinstance(features, str) else list(features)
    first = next(source.chunks(names), None) if names else pd.DataFrame()
    if first is None:
        raise InputError(f"'{source.path}' has no rows")
    numeric = [name for name in names if pd.api.types.is_numeric_dtype(first[name])]
    for name in names:
        if name not in numeric:
            _refuse_words(source.path, name, first[name])
    if not numeric:
        kind = features if features in CHOICES else f"'{features}'"
        raise InputError(
            f"'{source.path}' has no features ({kind}) among its columns {listing(source.columns)}: choose numeric "
            "columns with `features`"
        )
    return numeric


def _matching(columns: Sequence[str], features: str) -> list[str]:
    """Return the columns of a kind, or those that match a regular expression."""
    if features in CHOICES:
        learned, classical = features != "classical", features != "microsnoop"
        return [name for name in columns if (is_microsnoop(name) and learned) or (is_classical(name) and classical)]
    try:
        pattern = re.compile(features)
    except re.error as error:
        raise InputError(f"`features`: '{features}' is no regular expression: {error}") from None
    return [name for name in columns if pattern.fullmatch(name)]


def _refuse_words(path: Path, name: str, column: pd.Series) -> None:
    """Refuse words in a learned feature, and in any other column that mostly holds numbers."""
    values = column.dropna()
    words = pd.to_numeric(values, errors="coerce").isna()
    if words.any() and (is_microsnoop(name) or words.mean() <= 0.5):
        word, row = values[words].iloc[0], values.index[words][0] + 1
        raise InputError(
            f"'{path}', column {name}: '{word}' in data row {row} is no number: correct it, or leave the column out "
            "with `features`"
        )

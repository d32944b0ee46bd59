"""Choose the feature columns of a table: those that the file declares, learned ones, CellProfiler's, or a pattern's.

A column is no feature because it holds numbers: flags, indices and doses do, too.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, counted, listing
from .columns import IMAGE_NUMBER, OBJECT_NUMBER, TABLE_NUMBER, is_quality, parse_feature
from .provenance import Computed, Handcrafted, Provenance
from .source import TableSource

log = logging.getLogger(__name__)

CHOICES = ("microsnoop", "classical", "all")

_KEYS = r".*(Image|Object|Table)_?Number.*|(.+_)?TrackObjects_Label(_.*)?"  # also the numbers of neighbors
_POSITIONS = r"(.+_)?(Location|Parent|Children)_.+|(.+_)?AreaShape_(Center|BoundingBoxM(in|ax)imum)_\w+"
_IMAGES = r"Image_.+|FileName_.+|PathName_.+|URL_.+|MD5Digest_.+|Series_.+|Frame_.+|Height_.+|Width_.+|Scaling_.+"
_RUNS = r"Group_.+|Count_.+|ExecutionTime_.+|ModuleError_.+|ProcessingStatus|Threshold_.+|Channel_.+"
_ROW_NUMBERS = r"(Unnamed: \d+)?"  # of a table that pandas wrote with its index
_OF_IMAGES = re.compile(r"^(Image_.*_?Microsnoop_E\d{3,}_.+|(Image_)?(Mean|Median|StDev)_.+)$")
_CATEGORIES = (
    r"AreaShape|Areashape|Texture|Intensity|RadialDistribution|Granularity|Correlation|Neighbors|ObjectSkeleton|Colocalization|"
    r"AreaOccupied|ImageQuality|Math|Zernike|Overlap|Classify|Distance|Phase|CPmeasure"
)
_MEASUREMENT = re.compile(rf"^((?P<objects>.+?)_)??({_CATEGORIES})_.+$")
_OBJECTS = re.compile(
    r"^(?P<objects>.+?)_(Number_Object_Number|Location_.+|Parent_.+|Children_.+|Microsnoop_E\d{3,}_.+)$"
)
_COMPARTMENTS = ("Nuclei", "Nucleus", "Cells", "Cell", "Cytoplasm")
_DESCRIPTIONS = re.compile(
    rf"^({'|'.join(_COMPARTMENTS)})_(Counts?|Number|ID|Index|Label|Line|Type|Plate|Well|Site|Batch|Dose)$",
    re.IGNORECASE,
)
# IN Carta's measurements end in the wavelength that they were made on; borders and centers are positions
_IN_CARTA = re.compile(r"^.+(?<! Max left border)(?<! Max top border)(?<! cg X)(?<! cg Y) wv\d+$")
_COMPONENT = re.compile(r"^(PC|MUSE)\d+$")
_NOT_FEATURES = re.compile(rf"^(Metadata_.*|{_KEYS}|{_POSITIONS}|{_IMAGES}|{_RUNS}|{_ROW_NUMBERS})$")


def _never_features(column: str) -> bool:
    return is_quality(column) or _NOT_FEATURES.match(column) is not None


def is_microsnoop(column: str) -> bool:
    """Return True for a number of an embedding, such as ``Nuclei_Microsnoop_E017_DNA``."""
    return parse_feature(column) is not None


def is_classical(column: str, objects: Iterable[str] = _COMPARTMENTS) -> bool:
    """Return True for a measurement of objects by the names of CellProfiler, or a principal component of ``sphere``.

    Parameters
    ----------
    column : str
    objects : iterable of str
        Object sets: what begins with one of them is a feature, unless it is a key, position or measurement of an image.

    Returns
    -------
    bool

    Examples
    --------
    >>> [is_classical(name) for name in ("Nuclei_AreaShape_Area", "Nuclei_Location_Center_X", "Cell_Count", "dose")]
    [True, False, False, False]
    """
    if is_microsnoop(column) or _never_features(column) or _DESCRIPTIONS.match(column):
        return False
    named = any(pattern.match(column) for pattern in (_MEASUREMENT, _COMPONENT, _IN_CARTA))
    return named or any(column.startswith(f"{name}_") for name in objects)


def provenance_of(features: Iterable[str], provenance: Provenance) -> Provenance:
    """Return what a provenance says of some features.

    Parameters
    ----------
    features : iterable of str
        Names of columns. A principal component may be of both kinds.
    provenance : Provenance

    Returns
    -------
    Provenance
        Without the weights where none is a learned feature, without the programs where none is a handcrafted one.
    """
    names = list(features)
    components = any(_COMPONENT.match(name) for name in names)
    kinds = {
        Computed: components or any(map(is_microsnoop, names)),
        Handcrafted: components or any(map(is_classical, names)),
    }
    return tuple(entry for entry in provenance if kinds[type(entry)])


def select_features(source: TableSource, features: str | Sequence[str] = "all") -> list[str]:
    """Find the feature columns of a table.

    Parameters
    ----------
    source : TableSource
    features : str or sequence of str
        ``microsnoop``, ``classical``, ``all``, a regular expression that whole column names match, or names of columns.
        ``all`` are the features that the file declares (X of AnnData), or else those that are named like ours or like
        CellProfiler's. Truth values are never features; columns of the image count for objects only by a regular
        expression or name.

    Returns
    -------
    list of str
        Columns of numbers, in the order of the table. A warning names other columns of numbers that are left out.

    Raises
    ------
    InputError
        If there is none, or a column of numbers holds words too.
    """
    names = _matching(source, features) if isinstance(features, str) else list(features)
    looked = source.columns if features == "all" and source.features is None else names
    first = next(source.chunks(looked), None) if looked else pd.DataFrame()
    if first is None:
        raise InputError(f"'{source.path}' has no rows")
    holds_numbers = dict(zip(first.columns, map(_holds_numbers, first.dtypes), strict=True))
    numeric = [name for name in names if holds_numbers[name]]
    for name in names:
        if not holds_numbers[name]:
            _refuse_words(source.path, name, first[name])
    if features == "all" and source.features is None:
        chosen = set(names)
        names_of_others = [name for name in source.columns if name not in chosen and not _never_features(name)]
        others = [name for name in names_of_others if holds_numbers[name]]
        if numeric and others:
            log.warning(
                "'%s': %s not named as features and left out (%s): choose with `features`",
                source.path,
                counted(len(others), "columns of numbers are", "column of numbers is"),
                listing(others),
            )
    if isinstance(features, str) and features in CHOICES:
        numeric = _without_image_constants(source, numeric)
    words = [name for name in names if not pd.api.types.is_numeric_dtype(first[name]) and first[name].notna().any()]
    if words and isinstance(features, str):
        log.warning(
            "'%s': %s named as features but without numbers, left out: %s (such as '%.40s')",
            source.path,
            counted(len(words), "columns"),
            listing(words),
            first[words[0]].dropna().iloc[0],
        )
    if not numeric:
        kind = features if features in CHOICES else f"'{features}'"
        raise InputError(
            f"'{source.path}' has no features ({kind}) among its columns {listing(source.columns)}: choose numeric "
            "columns with `features`"
        )
    return numeric


def _holds_numbers(kind: Any) -> bool:
    return pd.api.types.is_numeric_dtype(kind) and not pd.api.types.is_bool_dtype(kind)


def _without_image_constants(source: TableSource, names: list[str]) -> list[str]:
    """Leave out the features of objects that are constant within every image: they are properties of the image.

    The first chunk decides; a column of it that varies within one image is a feature.
    """
    keys = [name for name in (TABLE_NUMBER, IMAGE_NUMBER) if name in source.columns]
    if IMAGE_NUMBER not in keys or OBJECT_NUMBER not in source.columns:
        return names
    first = next(source.chunks([*keys, *names]), None)
    if first is None:
        return names
    several = first.groupby(keys, sort=False)[keys[0]].transform("size") > 1
    groups = first[several].groupby(keys, sort=False)[names]
    if groups.ngroups < 2:
        return names
    judged = ((groups.count() > 1).sum() > 1) & ~(groups.max() > groups.min()).any()
    constant = [name for name in judged.index[judged] if first[name].nunique() > 1]
    if constant:
        log.warning(
            "'%s': %s equal in all objects of an image and left out (%s): choose with `features`",
            source.path,
            counted(len(constant), "features are", "feature is"),
            listing(constant),
        )
    left_out = set(constant)
    return [name for name in names if name not in left_out]


def _matching(source: TableSource, features: str) -> list[str]:
    """Return the columns of a kind, or those that match a regular expression."""
    columns = source.columns
    if features in CHOICES:
        if source.features is not None:
            return [n for n in source.features if features == "all" or is_microsnoop(n) == (features == "microsnoop")]
        learned, classical = features != "classical", features != "microsnoop"
        objects = {*_COMPARTMENTS, *(match["objects"] for name in columns if (match := _OBJECTS.match(name)))} - {
            "Image"
        }
        of_objects = OBJECT_NUMBER in columns
        return [
            name
            for name in columns
            if ((learned and is_microsnoop(name)) or (classical and is_classical(name, objects)))
            and not (of_objects and _OF_IMAGES.match(name))
        ]
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

"""Find the columns that tell plates, batches, experiments and acquisitions apart, by their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted
from .columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER, PLATE, TABLE_NUMBER, WELL

_PREFIX = re.compile(rf"^(Image_)?{METADATA}")
_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_OWN = r"(id|name|number|no|nr|barcode|code|label)?"
_SEPARATES = re.compile(
    rf"^((?!tem)\w*plate|plates|\w*barcode|batch|batches|date|\w*experiment|exp|acquisition|run|measurement|session|source){_OWN}$"
)
_ELSE = re.compile(
    r"^(map|layout|rows?|col|columns?|wells?|position|x|y|z|t|time|timestamp|datetime|index|type|format|size|count|"
    r"template|control|quality)$"
)
_REPLICATES = re.compile(
    r"^(replicate|replicates|rep|donor|week|day|passage|timepoint|time|cycle|round)(id|name|number)?$"
)
_CLOCK = re.compile(r"\d{1,2}:\d{2}")


def plate_columns(columns: Iterable[str]) -> list[str]:
    """Find the columns that tell plates, batches, experiments and acquisitions apart.

    Parameters
    ----------
    columns : iterable of str
        Names of the columns of a table.

    Returns
    -------
    list of str
        Those whose names say so, ``Metadata_Plate`` first, the others in the order of the table.

    Examples
    --------
    >>> plate_columns(["Metadata_Well", "Metadata_Assay_Plate_Barcode", "Metadata_Plate_Map_Name", "Metadata_BatchID"])
    ['Metadata_Assay_Plate_Barcode', 'Metadata_BatchID']
    """
    found = [name for name in columns if _separates(name)]
    return sorted(found, key=lambda name: name != PLATE)


def row_units(columns: Sequence[str]) -> dict[str, list[str]]:
    """Find what rows are parts of, and therefore not independent: objects and images of wells, or objects of images.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns of a table.

    Returns
    -------
    dict of str to list of str
        ``wells`` or ``images`` with the columns that tell them apart; empty for tables of wells or treatments.

    Examples
    --------
    >>> row_units(["Metadata_Plate", "Metadata_Well", "ImageNumber", "ObjectNumber"])
    {'wells': ['Metadata_Plate', 'Metadata_Well']}
    >>> row_units(["Metadata_Plate", "Metadata_Well"])
    {}
    """
    if WELL in columns and (IMAGE_NUMBER in columns or OBJECT_NUMBER in columns):
        return {"wells": [*plate_columns(columns), WELL]}
    if IMAGE_NUMBER in columns and OBJECT_NUMBER in columns:
        return {"images": [name for name in (TABLE_NUMBER, IMAGE_NUMBER) if name in columns]}
    return {}


def refuse_parts_of_wells(frame: pd.DataFrame) -> None:
    """Refuse objects and images of one well as replicates of each other.

    Parameters
    ----------
    frame : DataFrame

    Raises
    ------
    InputError
        If rows are objects, or several rows are images of one well.
    """
    if OBJECT_NUMBER in frame:
        raise InputError("its rows are objects, which are no replicates: aggregate them to wells first")
    for columns in row_units(list(map(str, frame))).values():
        if count := int(frame.duplicated(columns).sum()):
            further = counted(count, "rows are further images", "row is a further image")
            raise InputError(
                f"{further} of a well ({', '.join(columns)}), which are no replicates: aggregate them to wells first"
            )


def refuse_doubled_wells(frame: pd.DataFrame, names: NDArray[Any]) -> None:
    """Refuse a well that stands in a table twice, as its own replicate.

    Parameters
    ----------
    frame : DataFrame
        Rows of one well are told apart by weeks, times, donors (see :func:`replicate_columns`).
    names : array (n,) of str
        Treatments; '' for rows that take no part.

    Raises
    ------
    InputError
        If two rows of a treatment are the same well of the same plate.
    """
    columns = list(map(str, frame))
    plates = plate_columns(columns)
    if WELL not in columns or not plates:
        return
    apart = list(dict.fromkeys([*plates, WELL, *replicate_columns(columns)]))
    rows = frame[apart].assign(**{"name of the row": names})[names != ""]
    if (doubled := rows.duplicated()).any():
        first = rows[doubled].iloc[0]
        raise InputError(
            f"{counted(doubled.sum(), 'rows repeat', 'row repeats')} a well of the same treatment (the first: "
            f"{first[plates[0]]}, {first[WELL]}), which is no replicate: leave them out, or aggregate to wells"
        )


def replicate_columns(columns: Iterable[str]) -> list[str]:
    """Find metadata whose names say that rows are repeats of each other: replicate, donor, week, time.

    Examples
    --------
    >>> replicate_columns(["Metadata_Well", "Metadata_Replicate", "Metadata_Timepoint", "Nuclei_AreaShape_Area"])
    ['Metadata_Replicate', 'Metadata_Timepoint']
    """
    return [name for name in columns if name.startswith(METADATA) and _REPLICATES.match(_joined(name))]


def holds_clock_times(column: pd.Series) -> bool:
    """Return True for a column of times of day, which differ from image to image."""
    values = column.dropna()
    if pd.api.types.is_datetime64_any_dtype(values):
        return bool((values != values.dt.normalize()).any())
    return bool(len(values)) and not pd.api.types.is_numeric_dtype(values) and bool(_CLOCK.search(str(values.iloc[0])))


def _separates(name: str) -> bool:
    words = _words(name)
    if not words or any(_ELSE.match(word) for word in words):
        return False
    if _PREFIX.match(name):
        return any(_SEPARATES.match(word) for word in words) or bool(_SEPARATES.match("".join(words)))
    return bool(_SEPARATES.match("".join(words)))


def _words(name: str) -> Sequence[str]:
    """Split a name at underlines, blanks and capitals; lower case."""
    return [word.lower() for word in _WORDS.findall(_PREFIX.sub("", name))]


def _joined(name: str) -> str:
    return "".join(_words(name))

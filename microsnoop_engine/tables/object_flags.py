"""Flag objects whose quality differs from the rest of their plate."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from .columns import BORDER_COLUMN, IMAGE_NUMBER, OBJECT_NUMBER, PLATE
from .csv_files import open_csv
from .image_flags import THRESHOLD
from .plate_deviations import group_numbers, robust_deviations
from .source import TableSource, read_frame

OBJECT_FLAGS = "Metadata_QC_ObjectFlags"
SATURATED = 5.0
"""Per cent of its pixels at the maximum of the plane above which an object is saturated."""
MIN_GROUP = 30
"""Objects that a plate needs, to tell which of them differ."""
MIN_SPREAD = {"area": 0.1, "solidity": 0.01, "intensity": 0.1}
"""Smallest spreads, in natural logarithms."""
# CellProfiler's measurements of the same names are the same numbers
_COLUMN = re.compile(
    r"^(?P<objects>.+?)_(?:QC|AreaShape|Intensity)_(?P<name>Area|Solidity|MeanIntensity|PercentMaximal)"
    r"(?:_(?P<channel>.+))?$"
)


@dataclass
class _Columns:
    """The columns of one object set by their meaning."""

    area: str = ""
    solidity: str = ""
    intensity: list[str] = field(default_factory=list)
    saturation: dict[str, str] = field(default_factory=dict)
    border: str = ""

    @property
    def all(self) -> list[str]:
        """The columns that the table has."""
        return [name for name in (self.area, self.solidity, *self.intensity, *self.saturation, self.border) if name]


def flag_objects(source: TableSource, by: Sequence[str] = (), threshold: float = THRESHOLD) -> pd.DataFrame:
    """Flag objects that are no single whole cells, or seem so.

    A value is compared with the others of the plate by its distance from their median, in units of their median
    absolute deviation (times 1.4826), both of logarithms. An object is

    - ``small`` or ``large``, if its area is too low or too high;
    - ``debris``, if its area is at least half as far too low, and a mean intensity differs or its solidity is too low;
    - ``clumped``, if its solidity is too low and its area above the median, as where several objects became one;
    - ``edge``, if it touches the edge of its image;
    - ``saturated``, if more than 5 % of its pixels are at the maximum of the channel.

    Parameters
    ----------
    source : TableSource
        One row per object, with the columns ``<Objects>_QC_<quality>``, or CellProfiler's ``AreaShape_Area``,
        ``AreaShape_Solidity`` and ``Intensity_MeanIntensity``.
    by : sequence of str
        Columns of the groups that are compared, such as the plate. Groups of fewer than 30 objects are only searched
        for objects at the edge and saturated ones.
    threshold : float
        Deviations from the median.

    Returns
    -------
    DataFrame
        A row per object in the order of the table: the columns ``by``, plate, ImageNumber and ObjectNumber as far as it
        has them, and ``Metadata_QC_ObjectFlags``: words such as ``small; edge``, None without any.

    Raises
    ------
    InputError
        If there are no such columns.

    Examples
    --------
    >>> from microsnoop_engine.tables.source import in_memory
    >>> areas = pd.DataFrame({"Nuclei_QC_Area": [400.0] * 39 + [5.0]})
    >>> flag_objects(in_memory(areas))["Metadata_QC_ObjectFlags"].iloc[-2:].tolist()
    [None, 'small']
    """
    columns = _find_columns(source)
    keys = [name for name in dict.fromkeys((*by, PLATE, IMAGE_NUMBER, OBJECT_NUMBER)) if name in source.columns]
    objects = read_frame(source, list(dict.fromkeys([*keys, *columns.all])))
    groups = group_numbers(objects, by)
    nothing = np.zeros(len(objects))

    def deviations(name: str, kind: str) -> NDArray[np.float64]:
        if not name:
            return nothing
        return robust_deviations(objects[name].to_numpy(np.float64), groups, MIN_GROUP, MIN_SPREAD[kind])

    area, solidity = deviations(columns.area, "area"), deviations(columns.solidity, "solidity")
    unusual = solidity < -threshold
    for name in columns.intensity:
        unusual |= np.abs(deviations(name, "intensity")) > threshold
    found = {
        "small": area < -threshold,
        "large": area > threshold,
        "debris": (area < -threshold / 2) & unusual,
        "clumped": (area > 0) & (solidity < -threshold),
        "edge": objects[columns.border].to_numpy(np.float64) == 1 if columns.border else nothing > 0,
    }
    for name, channel in columns.saturation.items():
        found[f"saturated {channel}"] = objects[name].to_numpy(np.float64) > SATURATED
    return objects[keys].assign(**{OBJECT_FLAGS: _words(found)})


def _find_columns(source: TableSource) -> _Columns:
    """Find the columns of quality of the first object set that has an area."""
    matches = [(name, match) for name in source.columns if (match := _COLUMN.match(name))]
    objects = next((match["objects"] for _, match in matches if match["name"] == "Area"), None)
    if objects is None:
        raise InputError(
            f"'{source.path}' has no qualities of objects (..._QC_Area, not measured by versions up to 0.1.0, or "
            "..._AreaShape_Area): measure into another folder, or add MeasureObjectSizeShape to CellProfiler's pipeline"
        )
    columns = _Columns(border=BORDER_COLUMN if BORDER_COLUMN in source.columns else "")
    for name, match in matches:
        # QC columns come before CellProfiler's measurements, which a table may have, too
        if match["objects"] != objects:
            continue
        if match["name"] == "Area":
            columns.area = columns.area or name
        elif match["name"] == "Solidity":
            columns.solidity = columns.solidity or name
        elif match["name"] == "MeanIntensity":
            columns.intensity.append(name)
        else:
            columns.saturation[name] = match["channel"]
    return columns


def _words(found: dict[str, NDArray[np.bool_]]) -> NDArray[np.object_]:
    """Join the flags of each row; None without any."""
    names = list(found)
    # few combinations of flags occur
    patterns, rows = np.unique(np.column_stack(list(found.values())), axis=0, return_inverse=True)
    words = ["; ".join(name for name, true in zip(names, row, strict=True) if true) or None for row in patterns]
    joined: NDArray[np.object_] = np.array(words, dtype=object)[rows.ravel()]
    return joined


def read_flagged_objects(path: Path) -> pd.DataFrame:
    """Read the flagged rows of :func:`flag_objects` from a CSV file; there may be none."""
    source = open_csv(path)
    chunks = list(source.chunks())
    flagged = pd.concat(chunks) if chunks else pd.DataFrame(columns=list(source.columns))
    return flagged.astype({IMAGE_NUMBER: np.int64, OBJECT_NUMBER: np.int64})


def count_object_flags(flagged: pd.DataFrame) -> dict[str, Counter[str]]:
    """Count the objects of each flag by plate.

    Parameters
    ----------
    flagged : DataFrame
        Result of :func:`flag_objects`, or its flagged rows.

    Returns
    -------
    dict of str to Counter
        Objects by plate (empty where there are no plates), in the order of the flags.
    """
    plates = flagged[PLATE].astype(str) if PLATE in flagged else pd.Series("", flagged.index)
    counts: dict[str, Counter[str]] = {}
    sizes = Counter(zip(plates, flagged[OBJECT_FLAGS].fillna(""), strict=True))
    for (plate, flags), count in sorted(sizes.items()):
        for flag in filter(None, flags.split("; ")):
            counts.setdefault(flag, Counter())[plate] += count
    return dict(sorted(counts.items()))

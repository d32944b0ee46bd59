"""From objects to images, wells and treatments: means or medians of a table that need not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import InputError
from .columns import IMAGE_NUMBER, METADATA, PLATE, WELL
from .joining import join_platemap
from .source import TableSource, in_memory

STATISTICS = ("mean", "median")
COUNT = f"{METADATA}Object_Count"
"""Objects behind a row."""
MEDIAN_BYTES = 1 << 30
"""Of the columns whose medians are taken in one go."""
PARTIALS = 64
"""Chunks whose sums are kept apart before they are added up."""


def aggregate(
    source: TableSource, by: Sequence[str], features: Sequence[str], statistic: str = "mean", least: int = 1
) -> pd.DataFrame:
    """One row per group.

    Parameters
    ----------
    source : Source
        Read in chunks: the memory that this takes does not depend on the number of rows (mean), or is limited by
        reading a part of the columns at a time (median).
    by : sequence of str
        Columns that say what belongs together.
    features : sequence of str
    statistic : {'mean', 'median'}
        Of the values that are there; a feature that is missing in all rows of a group is missing in the result.
    least : int
        Groups with fewer rows (objects, where the table counts them) are left out.

    Returns
    -------
    DataFrame
        The columns ``by``; metadata that are the same in all rows of each group; ``Metadata_Object_Count``; the
        features. Sorted by ``by``.

    Raises
    ------
    InputError
        If columns are missing or not numbers, or no group is left.
    """
    if statistic not in STATISTICS:
        raise InputError(f"statistic is '{statistic}': give one of {', '.join(STATISTICS)}")
    by, features = list(by), list(features)
    if keys := [name for name in by if name in features]:
        raise InputError(f"{keys[0]} says what belongs together and is no feature: narrow --features down")
    rows = _Rows(by, features, source, sums=statistic == "mean")
    for chunk in source.chunks(rows.columns):
        rows.add(chunk)
    found = rows.means() if statistic == "mean" else _medians(source, by, features, rows.number)
    result = rows.described().join(found)
    result = result[result[COUNT] >= least]
    if not len(result):
        raise InputError(f"'{source.path}': no group of {', '.join(by)} has {least} objects or more: lower --least")
    return result.sort_index().reset_index()


class _Rows:
    """What is added up over the chunks of a table, by group."""

    def __init__(self, by: list[str], features: list[str], source: TableSource, sums: bool):
        self._by, self._path = by, source.path
        self._summed = features if sums else []
        self._counted = COUNT in source.columns
        self._constant = [n for n in source.columns if n.startswith(METADATA) and n not in (*by, *features, COUNT)]
        self._metadata: list[pd.DataFrame] = []
        self._sums: list[pd.DataFrame] = []
        self.columns = [*by, *([COUNT] if self._counted else []), *self._constant, *self._summed]
        self.number = 0

    def add(self, chunk: pd.DataFrame) -> None:
        self.number += len(chunk)
        groups = chunk.groupby(self._by, dropna=False, sort=False)
        several = groups[self._constant].nunique(dropna=False).gt(1).any()
        self._constant = [name for name in self._constant if not several[name]]
        described = groups[self._constant].first()
        described[COUNT] = groups[COUNT].sum() if self._counted else groups.size()
        self._metadata.append(described)
        if self._summed:
            keys = [chunk[name] for name in self._by]
            groups = _numbers(chunk, self._summed, self._path).groupby(keys, dropna=False, sort=False)
            self._sums.append(pd.concat([groups.sum(), groups.count()], axis=1, keys=["sum", "count"]))
        if len(self._metadata) >= PARTIALS:
            self._add_up()

    def _add_up(self) -> None:
        every = pd.concat(self._metadata)
        groups = every.groupby(level=self._by, dropna=False, sort=False)
        several = groups[self._constant].nunique(dropna=False).gt(1).any()
        self._constant = [name for name in self._constant if not several[name]]
        self._metadata = [groups[self._constant].first().assign(**{COUNT: groups[COUNT].sum()})]
        if self._sums:
            self._sums = [pd.concat(self._sums).groupby(level=self._by, dropna=False, sort=False).sum()]

    def described(self) -> pd.DataFrame:
        """Metadata and counts of the groups."""
        self._add_up()
        return self._metadata[0]

    def means(self) -> pd.DataFrame:
        """Means of the values that are there."""
        self._add_up()
        return self._sums[0]["sum"] / self._sums[0]["count"].replace(0, np.nan)


def _medians(source: TableSource, by: list[str], features: list[str], rows: int) -> pd.DataFrame:
    """Medians of the values that are there, a part of the columns at a time."""
    size = max(MEDIAN_BYTES // (8 * max(rows, 1)), 1)
    found = []
    for start in range(0, len(features), size):
        names = features[start : start + size]
        chunks = source.chunks([*by, *names])
        table = pd.concat([chunk[by].join(_numbers(chunk, names, source.path)) for chunk in chunks])
        found.append(table.groupby(by, dropna=False, sort=False)[names].median())
    return pd.concat(found, axis=1)


def _numbers(chunk: pd.DataFrame, names: list[str], path: Path) -> pd.DataFrame:
    """Columns as float64, infinite values as missing ones."""
    try:
        values = chunk[names].astype(np.float64)
    except (ValueError, TypeError):
        words = ", ".join([name for name in names if not pd.api.types.is_numeric_dtype(chunk[name])][:5])
        raise InputError(f"'{path}': the columns {words} hold words: leave them out with --features") from None
    return values.where(np.isfinite(values))


LEVELS = ("image", "well", "treatment")


def aggregate_levels(
    source: TableSource,
    level: str,
    features: Sequence[str],
    treatment: Sequence[str] = (),
    statistic: str = "mean",
    least: int = 1,
    platemap: Path | None = None,
    on: Sequence[str] = (PLATE, WELL),
    listed: Sequence[str] = (),
) -> pd.DataFrame:
    """Objects to images, images to wells, wells to treatments, as far as asked (Xun et al. 2023, Methods).

    Parameters
    ----------
    source : Source
    level : {'image', 'well', 'treatment'}
    features : sequence of str
    treatment : sequence of str
        Columns of a treatment, such as compound and concentration.
    statistic : {'mean', 'median'}
    least : int
        Rows of the result with fewer objects are left out.
    platemap : Path, optional
        Table with a row per well, joined once wells are known.
    on : sequence of str
        Columns that it is joined on.
    listed : sequence of str
        Columns of the wells whose different values a treatment keeps, joined by spaces, such as its weeks
        (the batch of NSCB). Other columns that differ among the wells of a treatment are left out.

    Raises
    ------
    InputError
        If columns are missing.
    """
    if level not in LEVELS:
        raise InputError(f"level is '{level}': give one of {', '.join(LEVELS)}")
    if level == "treatment" and not treatment:
        raise InputError("level 'treatment' needs the columns of a treatment: --treatment Metadata_Compound,..")
    places = [name for name in (PLATE, WELL) if name in source.columns]
    image = [name for name in ("TableNumber", IMAGE_NUMBER) if name in source.columns]
    if level == "image" and not image:
        raise InputError(f"'{source.path}' has no column {IMAGE_NUMBER}: its rows cannot be told apart by image")
    if level != "image" and WELL not in places:
        raise InputError(f"'{source.path}' has no column {WELL}: add it, or rename the column that holds the well")
    steps = [[*places, *image]] if image else []
    if level != "image":
        steps.append(places)
    for number, by in enumerate(steps):
        last = number == len(steps) - 1
        frame = aggregate(source, by, features, statistic, least if last and level != "treatment" else 1)
        source = in_memory(frame, source.path)
    if platemap is not None:
        frame = join_platemap(frame, platemap, on)
        source = in_memory(frame, source.path)
    if level != "treatment":
        return frame
    result = aggregate(source, treatment, features, statistic, least)
    return result.assign(**_lists(frame, result, list(treatment), listed))


def _lists(frame: pd.DataFrame, result: pd.DataFrame, by: list[str], names: Sequence[str]) -> dict[str, list[str]]:
    """The different values of columns in each group, as words."""
    if missing := [name for name in names if name not in frame]:
        raise InputError(f"--list: the wells have no column {', '.join(missing)}")
    groups = frame.groupby(by, dropna=False)
    values = {name: groups[name].agg(lambda column: " ".join(sorted(set(map(str, column))))) for name in names}
    keys = pd.MultiIndex.from_frame(result[by]) if len(by) > 1 else pd.Index(result[by[0]])
    return {name: column.reindex(keys).tolist() for name, column in values.items()}

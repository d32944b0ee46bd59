"""Means and medians of groups of rows of a table that need not fit into memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted, listing
from .columns import COUNT, METADATA
from .source import TableSource

STATISTICS = ("mean", "median")
MEDIAN_BYTES = 1 << 30
"""Size of the columns whose medians are computed together."""
PARTIALS = 64
"""Number of chunks whose sums are kept before they are added up."""


def aggregate_groups(
    source: TableSource,
    by: Sequence[str],
    features: Sequence[str],
    statistic: str = "mean",
    min_objects: int = 1,
    described_by: Sequence[str] = (),
) -> pd.DataFrame:
    """Aggregate a table to one row per group.

    Parameters
    ----------
    source : TableSource
        Read in chunks. For means, memory does not depend on the number of rows; for medians, it is limited by reading
        a part of the columns at a time.
    by : sequence of str
        Columns whose values define a group.
    features : sequence of str
    statistic : {'mean', 'median'}
        Computed over the values that are present. A feature without any value in a group is missing in the result.
    min_objects : int
        Groups with fewer objects are left out. A row is one object, unless the table counts its objects.
    described_by : sequence of str
        Other columns that count as metadata.

    Returns
    -------
    DataFrame
        The columns ``by``; metadata that are constant within each group; ``Metadata_Object_Count``; the features.
        Sorted by ``by``.

    Raises
    ------
    InputError
        If columns are missing or not numbers, or no group is left.
    """
    if statistic not in STATISTICS:
        raise InputError(f"`statistic` is '{statistic}': choose one of {', '.join(STATISTICS)}")
    by, features = list(by), list(features)
    if keys := [name for name in by if name in features]:
        raise InputError(f"column {keys[0]} defines the groups and cannot be a feature too: narrow `features` down")
    metadata = [name for name in source.columns if name.startswith(METADATA) or name in described_by]
    constant = [name for name in metadata if name not in (*by, *features, COUNT)]
    groups = _Groups(by, features if statistic == "mean" else [], constant, source)
    for chunk in source.chunks(groups.columns):
        groups.add(chunk)
    values = groups.means() if statistic == "mean" else _medians(source, by, features, groups.rows)
    result = groups.described().join(values)
    result = result[result[COUNT] >= min_objects]
    if not len(result):
        raise InputError(
            f"'{source.path}': no group of {', '.join(by)} has {counted(min_objects, 'objects')} or more: lower "
            "`min_objects`"
        )
    return result.sort_index().copy().reset_index()  # a copy is in one block: columns are inserted in no time


class _Groups:
    """Metadata, counts and sums of groups, added up chunk by chunk."""

    def __init__(self, by: list[str], summed: list[str], constant: list[str], source: TableSource) -> None:
        self._by, self._summed, self._path, self._constant = by, summed, source.path, constant
        self._counted = COUNT in source.columns
        self._metadata: list[pd.DataFrame] = []
        self._sums: list[pd.DataFrame] = []
        self._counts: list[pd.DataFrame] = []
        self.columns = [*by, *([COUNT] if self._counted else []), *self._constant, *summed]
        self.rows = 0

    def add(self, chunk: pd.DataFrame) -> None:
        """Add the rows of a chunk."""
        self.rows += len(chunk)
        described_by = [*self._by, *([COUNT] if self._counted else []), *self._constant]
        groups = _plain(chunk[list(dict.fromkeys(described_by))]).groupby(self._by, dropna=False, sort=False)
        self._keep_constant(groups[self._constant].nunique(dropna=False))
        described = groups[self._constant].first().copy()  # one block: pandas warns of many
        described[COUNT] = groups[COUNT].sum() if self._counted else groups.size()
        self._metadata.append(described)
        if self._summed:
            sums, counts = _sums(_numbers(chunk, self._summed, self._path), groups.ngroup().to_numpy())
            self._sums.append(pd.DataFrame(sums, described.index, self._summed))
            self._counts.append(pd.DataFrame(counts, described.index, self._summed))
        if len(self._metadata) >= PARTIALS:
            self._add_up()

    def _add_up(self) -> None:
        groups = pd.concat(self._metadata).groupby(level=self._by, dropna=False, sort=False)
        self._keep_constant(groups[self._constant].nunique(dropna=False))
        self._metadata = [groups[self._constant].first().assign(**{COUNT: groups[COUNT].sum()})]
        if self._summed:
            self._sums, self._counts = (
                [pd.concat(parts).groupby(level=self._by, dropna=False, sort=False).sum()]
                for parts in (self._sums, self._counts)
            )

    def _keep_constant(self, distinct: pd.DataFrame) -> None:
        """Drop the metadata that have more than one distinct value in a group."""
        varies = distinct.gt(1).any()
        self._constant = [name for name in self._constant if not varies[name]]

    def described(self) -> pd.DataFrame:
        """Return metadata and counts of the groups."""
        self._add_up()
        return self._metadata[0]

    def means(self) -> pd.DataFrame:
        """Return the means of the values that are present."""
        self._add_up()
        return self._sums[0] / self._counts[0].replace(0, np.nan)


def _medians(source: TableSource, by: list[str], features: list[str], rows: int) -> pd.DataFrame:
    """Compute the medians of the values that are present, a part of the columns at a time."""
    size = max(MEDIAN_BYTES // (8 * max(rows, 1)), 1)
    medians = []
    for start in range(0, len(features), size):
        names = features[start : start + size]
        chunks = source.chunks([*by, *names])
        table = pd.concat([_plain(chunk[by]).join(_frame(chunk, names, source.path)) for chunk in chunks])
        medians.append(table.groupby(by, dropna=False, sort=False)[names].median())
    return pd.concat(medians, axis=1)


def _plain(keys: pd.DataFrame) -> pd.DataFrame:
    """Turn categories into values: pandas would make a group of each of their combinations."""
    kinds = keys.dtypes.items()
    return keys.astype({n: k.categories.dtype for n, k in kinds if isinstance(k, pd.CategoricalDtype)})


def _sums(values: NDArray[np.float64], groups: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the sums and counts (g, p) of the values that are present, by the numbers of groups, from 0."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.diff(groups[order], prepend=-1))
    values = values[order]
    present = np.isfinite(values)
    return (
        np.add.reduceat(np.where(present, values, 0.0), starts),
        np.add.reduceat(present, starts, dtype=np.int64),
    )


def _frame(chunk: pd.DataFrame, names: list[str], path: Path) -> pd.DataFrame:
    """Return columns as numbers, with infinite values missing."""
    values = _numbers(chunk, names, path)
    return pd.DataFrame(np.where(np.isfinite(values), values, np.nan), chunk.index, names)


def _numbers(chunk: pd.DataFrame, names: list[str], path: Path) -> NDArray[np.float64]:
    """Return the values (n, p) of columns."""
    try:
        return chunk[names].to_numpy(np.float64, na_value=np.nan)
    except (ValueError, TypeError):
        text = [name for name in names if not pd.api.types.is_numeric_dtype(chunk[name])]
        raise InputError(f"'{path}': the columns {listing(text)} hold words: leave them out with `features`") from None

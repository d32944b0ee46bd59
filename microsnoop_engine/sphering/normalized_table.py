"""Normalize the features of a table, plate by plate or all together, on all rows or on controls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted, require_columns
from ..storage.paths import as_path
from ..tables.features import select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from .handcrafted import constant_over_controls
from .normalization import SCALES, Normalize, rank_to_normal
from .rows import ALL_ROWS, control_rows, dominant_features, group_rows
from .typical_variation import TypicalVariation

METHODS = (*SCALES, "rank-normal", "tvn")


@dataclass(frozen=True)
class NormalizedTable(FeatureTable):
    """A table after normalization.

    Attributes
    ----------
    frame : DataFrame
        The other columns of the table, then the normalized features, float32.
    features : list of str
    groups : dict of str to tuple of int
        By group, the number of its rows with features and of the reference rows among them.
    dropped : dict of str to str
        Features that were left out, with the reason.
    missing, incomplete : int
        Number of rows without features, and of those that lack some.
    without_mad : int
        Number of features whose median absolute deviation is 0 in some group: their standard deviation is taken.
    dominant : dict of str to int
        Features that make up nearly all of the length of rows, with the number of these rows.
    """

    groups: dict[str, tuple[int, int]]
    dropped: dict[str, str]
    missing: int
    incomplete: int
    without_mad: int
    dominant: dict[str, int]


def normalize(
    table: str | Path | pd.DataFrame | TableSource,
    method: str = "mad-robust",
    *,
    controls: str = ALL_ROWS,
    by: str | None = None,
    features: str | Sequence[str] = "all",
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
) -> NormalizedTable:
    """Normalize the features of a table.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    method, controls, by
        See :func:`.normalize_frame`.
    features : str or sequence of str
        See :func:`.select_features`.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).

    Returns
    -------
    NormalizedTable

    Raises
    ------
    InputError
        If an argument or the table cannot be used, or a file cannot be written; checked before any work is done.

    Warns
    -----
    SpheringWarning
        With ``tvn``, if there are no more controls than features.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table,))
    source = open_table(table, objects, where)
    names, frame = select_features(source, features), read_frame(source)
    with name_in_errors(table):
        result = normalize_frame(frame, names, method, controls=controls, by=by)
    if out is not None:
        write_table(result.frame, out, result.features, table, source.rows, source.provenance)
    return result


def normalize_frame(
    frame: pd.DataFrame,
    features: Sequence[str],
    method: str = "mad-robust",
    *,
    controls: str = ALL_ROWS,
    by: str | None = None,
) -> NormalizedTable:
    """Normalize the features of a table in memory.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    method : {'standardize', 'mad-robust', 'rank-normal', 'tvn'}
        The first two: see :class:`.Normalize`. ``rank-normal``: see :func:`.rank_to_normal`; it ranks all rows.
        ``tvn``: see :class:`.TypicalVariation`; needs controls in each group, and rows with all features.
    controls : str
        Query of the reference rows (see :func:`.select_rows`), or ``all``.
    by : str, optional
        Column of the groups (plates) that are normalized on their own rows; by default all rows form one group. For
        ``tvn`` the batches, which are needed.

    Returns
    -------
    NormalizedTable
        Missing numbers stay missing.

    Raises
    ------
    InputError
        If the method is unknown or lacks what it needs, columns are missing, or a group has fewer than two controls.

    Warns
    -----
    SpheringWarning
        With ``tvn``, if there are no more controls than features.
    """
    _check(frame, method, controls, by)
    values = frame[list(features)].to_numpy(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    known = np.isfinite(values)
    some = known.any(1)
    groups = group_rows(frame, by, some)
    is_control = control_rows(frame, controls, some)
    counts = {name: (len(rows), int(is_control[rows].sum())) for name, rows in groups.items()}
    for name, (_, count) in counts.items():
        if count < 2:
            raise InputError(
                f"group '{name}' has {counted(count, 'control rows')}: two are needed at least, better a dozen"
            )
    reference = "rows" if controls == ALL_ROWS else "controls"
    dropped = _unusable(values, features, groups, is_control, reference)
    kept = [column for column, name in enumerate(features) if name not in dropped]
    if not kept:
        raise InputError("no feature is left: all are constant or missing in a group")
    values, names = values[:, kept] if dropped else values, [features[column] for column in kept]
    incomplete = int((some & ~np.isfinite(values).all(1)).sum())
    result, without_mad = _normalized(values, method, groups, is_control, some)
    table = frame.drop(columns=list(features))
    table = table.join(pd.DataFrame(result.astype(np.float32), columns=names, index=frame.index))
    dominant = dominant_features(result, names)
    return NormalizedTable(table, names, counts, dropped, int((~some).sum()), incomplete, without_mad, dominant)


def _check(frame: pd.DataFrame, method: str, controls: str, by: str | None) -> None:
    if method not in METHODS:
        raise InputError(f"`method` is '{method}': choose one of {', '.join(METHODS)}")
    if by is not None:
        require_columns(frame, [by], "`by`: the table")
    if method == "rank-normal" and controls != ALL_ROWS:
        raise InputError("`method` rank-normal ranks all rows: leave out `controls`")
    if method == "tvn" and (by is None or controls == ALL_ROWS):
        raise InputError("`method` tvn needs `controls`, and `by`: the column of the batches (plates)")


def _unusable(
    values: NDArray[Any],
    features: Sequence[str],
    groups: dict[str, NDArray[np.intp]],
    is_control: NDArray[np.bool_],
    reference: str,
) -> dict[str, str]:
    """Find the features that cannot be normalized in some group, with the reason."""
    dropped: dict[str, str] = {}
    for group, rows in groups.items():
        where = "" if len(groups) == 1 else f" of {group}"
        part, chosen = values if len(rows) == len(values) else values[rows], is_control[rows]
        empty = np.isfinite(part[chosen]).sum(0) < 2
        flat = np.zeros(len(features), bool)
        flat[~empty] = constant_over_controls(part[:, ~empty] if empty.any() else part, chosen)
        for column in np.flatnonzero(empty | flat):
            reason = f"{'missing in' if empty[column] else 'constant over'} the {reference}"
            dropped.setdefault(features[column], reason + where)
    return dropped


def _normalized(
    values: NDArray[Any],
    method: str,
    groups: dict[str, NDArray[np.intp]],
    is_control: NDArray[np.bool_],
    some: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], int]:
    """Normalize features (n, q), whose memory is used again.

    Returns
    -------
    array (n, q), and the number of features without a median absolute deviation
    """
    if method == "tvn":
        result = np.full(values.shape, np.nan)
        batches = np.full(len(values), "", dtype=object)
        for name, rows in groups.items():
            batches[rows] = name
        complete = some & np.isfinite(values).all(1)
        if not (complete & is_control).any():
            raise InputError("no control row has all features: leave out incomplete ones with `features`")
        fit = complete & is_control
        variation = TypicalVariation().fit(values[fit], batches[fit].astype(str))
        result[complete] = variation.transform(values[complete], batches[complete].astype(str))
        return result, 0
    without = np.zeros(values.shape[1], bool)
    for rows in groups.values():
        part = values if len(rows) == len(values) else values[rows]
        if method == "rank-normal":
            values[rows] = rank_to_normal(part)
            continue
        scaling = Normalize(method).fit(part[is_control[rows]])
        values[rows] = scaling.transform(part)
        without |= scaling.without_mad_
    return values, int(without.sum())

"""Select features that carry information: without gaps, varying, repeatable, and not said twice."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, listing, require_columns
from ..evaluation.missing import MOST_MISSING
from ..evaluation.table import joined_words
from ..storage.paths import as_path
from ..tables.features import select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.plates import refuse_parts_of_wells
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from ..tables.treatment_values import unify_treatments

log = logging.getLogger(__name__)

VARIANCE = 1e-8
"""Smallest variance of a feature, as a share of its mean square."""
CORRELATION = 0.9
"""Largest absolute correlation of two features that are kept."""
NOISE = 0.8
"""Largest standard deviation within replicates, as a share of that of all rows."""


@dataclass(frozen=True)
class SelectedTable(FeatureTable):
    """A table with the features that were kept.

    Attributes
    ----------
    frame : DataFrame
    features : list of str
    dropped : dict of str to str
        Features that were left out, with the reason.
    """

    dropped: dict[str, str]


def select_informative(
    table: str | Path | pd.DataFrame | TableSource,
    *,
    features: str | Sequence[str] = "all",
    variance: float = VARIANCE,
    correlation: float = CORRELATION,
    replicates: Sequence[str] = (),
    noise: float = NOISE,
    blocklist: str | Path | Iterable[str] = (),
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    dropped: str | Path | None = None,
) -> SelectedTable:
    """Leave out features of a table that carry no information of their own.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    features : str or sequence of str
        See :func:`.select_features`; other features are left out, too.
    variance, correlation, noise
        See :func:`uninformative_features`.
    replicates : sequence of str
        Columns that together name what is replicated; without them, noise is not judged.
    blocklist : str, Path or iterable of str
        Names of features to leave out, or a file with one name in each line.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).
    dropped : str or Path, optional
        File to write the features that were left out to, with the reason.

    Returns
    -------
    SelectedTable

    Raises
    ------
    InputError
        If an argument or the table cannot be used, rows are objects or images and so no ``replicates``, no feature is
        left, or a file cannot be written.
    """
    for path in (out, dropped):
        if path is not None:
            check_output(as_path(path), inputs=(table, blocklist))
    source = open_table(table, objects, where)
    names, frame = select_features(source, features), read_frame(source)
    blocked = set(_read_blocklist(blocklist))
    with name_in_errors(table):
        require_columns(frame, list(replicates), "`replicates`: the table")
        groups = None
        if replicates:
            refuse_parts_of_wells(frame)
            groups = joined_words(unify_treatments(frame, replicates), replicates)
        if blocked and not blocked & set(names):
            log.warning("no feature of the table is in the blocklist (%s)", listing(sorted(blocked)))
        reasons = {name: "in the blocklist" for name in names if name in blocked}
        rest = [name for name in names if name not in reasons]
        if rest:
            values = frame[rest].to_numpy(np.float64)
            reasons |= uninformative_features(
                values, rest, groups, variance=variance, correlation=correlation, noise=noise
            )
        kept = [name for name in names if name not in reasons]
        if not kept:
            raise InputError(f"no feature is left of {len(names)}: {listing(sorted(set(reasons.values())))}")
    result = SelectedTable(frame.drop(columns=list(reasons)), kept, reasons)
    if out is not None:
        write_table(result.frame, out, kept, table, source.rows, source.provenance)
    if dropped is not None:
        write_table(pd.DataFrame({"Feature": list(reasons), "Reason": list(reasons.values())}), dropped, [])
    return result


def uninformative_features(
    values: NDArray[Any],
    names: Sequence[str],
    groups: NDArray[Any] | None = None,
    *,
    variance: float = VARIANCE,
    correlation: float = CORRELATION,
    noise: float = NOISE,
) -> dict[str, str]:
    """Find features without information of their own, with the reason.

    Parameters
    ----------
    values : array (n, p)
        Rows without any number do not count.
    names : sequence of str
    groups : array (n,) of str, optional
        What is replicated; '' for rows that take no part in the judgment of noise.
    variance : float
        Smallest variance, as a share of the mean square, from 0.
    correlation : float
        Largest absolute correlation (Pearson) of two features, from 0 to 1. Of correlated features, those that
        correlate least with all others are kept.
    noise : float
        Largest mean of the standard deviations within replicates, as a share of the standard deviation of all rows,
        above 0.

    Returns
    -------
    dict of str to str

    Raises
    ------
    InputError
        If a limit is out of its range, or no treatment has two rows.

    Examples
    --------
    >>> values = np.array([[1.0, -1.1, 5, 2], [2, -2, 5, 1], [3, -3.1, 5, 2]])
    >>> uninformative_features(values, ["a", "b", "c", "d"])
    {'c': 'constant', 'b': 'correlates -1.00 with a'}
    """
    if not (variance >= 0 and 0 <= correlation <= 1 and noise > 0):
        raise InputError("`variance` must be from 0, `correlation` from 0 to 1, and `noise` above 0")
    values = np.asarray(values, np.float64)
    finite = np.isfinite(values)
    rows = finite.any(1)
    values, finite = np.where(finite, values, np.nan)[rows], finite[rows]
    groups = None if groups is None else np.asarray(groups)[rows]
    reasons: dict[str, str] = {}
    gaps = 1 - finite.mean(0) if len(finite) else np.ones(len(names))
    for column in np.flatnonzero(gaps > MOST_MISSING):
        reasons[names[column]] = f"missing in {100 * gaps[column]:.0f} % of the rows"
    rest = np.flatnonzero(gaps <= MOST_MISSING)
    spread = np.nanvar(values[:, rest], 0) if len(rest) else np.empty(0)
    square = np.nanmean(values[:, rest] ** 2, 0) if len(rest) else np.empty(0)
    for column, of, size in zip(rest, spread, square, strict=True):
        if of <= max(variance, 1e-24) * size:
            reasons[names[column]] = "constant" if of <= 1e-24 * size else f"variance {of:.1e}"
    rest = np.array([column for column in rest if names[column] not in reasons], int)
    if groups is not None and len(rest):
        share = _noise(values[:, rest], groups)
        for column, of in zip(rest, share, strict=True):
            if of > noise:
                reasons[names[column]] = f"deviation of replicates {of:.2f} of that of all rows"
        rest = np.array([column for column in rest if names[column] not in reasons], int)
    for column, (other, of) in _correlated(values[:, rest], correlation).items():
        reasons[names[rest[column]]] = f"correlates {of:.2f} with {names[rest[other]]}"
    return reasons


def _noise(values: NDArray[np.float64], groups: NDArray[Any]) -> NDArray[np.float64]:
    """Return the mean deviation (p,) within replicates, as a share of the deviation of all rows."""
    known = groups != ""
    names, codes, counts = np.unique(groups[known], return_inverse=True, return_counts=True)
    if not len(names) or counts.max() < 2:
        raise InputError("`replicates`: nothing has two rows")
    if (counts > 1).mean() < 0.5:
        log.warning("noise is judged by the %d of %d replicated names with two rows", (counts > 1).sum(), len(names))
    table = pd.DataFrame(values[known]).groupby(codes)
    within = table.std(ddof=0)[counts > 1].mean().to_numpy()
    return np.asarray(within / np.nanstd(values, 0))


def _correlated(values: NDArray[np.float64], most: float) -> dict[int, tuple[int, float]]:
    """Return features that correlate with one that is kept, with its number and the correlation."""
    if values.shape[1] < 2:
        return {}
    filled = np.where(np.isfinite(values), values, np.nanmean(values, 0))
    table = np.corrcoef(filled.T)
    size = np.abs(table)
    order = np.argsort(size.sum(1), kind="stable")
    kept: list[int] = []
    found: dict[int, tuple[int, float]] = {}
    for column in map(int, order):
        twins = [other for other in kept if size[column, other] > most]
        if twins:
            nearest = max(twins, key=lambda other: size[column, other])
            found[column] = nearest, float(table[column, nearest])
        else:
            kept.append(column)
    return dict(sorted(found.items()))


def _read_blocklist(blocklist: str | Path | Iterable[str]) -> list[str]:
    """Return the names of a blocklist."""
    if not isinstance(blocklist, str | Path):
        return list(blocklist)
    try:
        lines = as_path(blocklist).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"`blocklist`: '{blocklist}' cannot be read: {error}") from None
    return [line.strip().strip('"') for line in lines if line.strip() and not line.startswith("#")]

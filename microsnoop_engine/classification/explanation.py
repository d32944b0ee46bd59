"""Explain the difference of two groups of cells by the named features of a table."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted
from ..evaluation.scores import Estimate
from ..storage.paths import as_path
from ..tables.features import select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.queries import select_rows
from ..tables.source import TableSource, name_in_errors, read_frame
from ..tables.spellings import one_spelling
from .associations import alike, associate
from .folds import choose_groups
from .rows import group_kinds, rows_of, warn_of_groups
from .validation import validate, warn_of_chance

log = logging.getLogger(__name__)

MOST_ROWS = 1000
"""Rows of each group; of more, as many are drawn at random."""


@dataclass(frozen=True)
class Explanation:
    """The named features that go along with the difference of two groups.

    Attributes
    ----------
    frame : DataFrame
        A row per named feature, the largest correlation first: ``Feature``, ``Rows``, ``Correlation`` with its 95 %
        interval ``Low`` to ``High``, ``Within`` and ``Difference`` (see :class:`.Associations`), and ``Like``: a
        feature above it that says the same (see :func:`.alike`), or blank.
    separation : Estimate
        Balanced accuracy with which learned features tell held-out rows of the groups apart.
    rows : tuple of two int
        Numbers of rows of the groups that were compared.
    unit : str
        What was held out, and what intervals are over: ``wells``, ``images`` or ``cells``.
    constant : int
        Number of named features without a correlation: constant, or missing everywhere.
    """

    frame: pd.DataFrame
    separation: Estimate
    rows: tuple[int, int]
    unit: str
    constant: int


def explain(
    table: str | Path | pd.DataFrame | TableSource,
    first: str,
    second: str,
    *,
    features: str | Sequence[str] = "microsnoop",
    named: str | Sequence[str] = "classical",
    groups: str | None = None,
    most_rows: int = MOST_ROWS,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    seed: int = 0,
) -> Explanation:
    """Correlate named features with the axis along which two groups of rows differ in learned features.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        With both kinds of features, as of ``profile(classical=True)`` or :func:`.combine`.
    first, second : str
        Queries of the two groups, such as ``Metadata_Role == 'negative'`` (see :func:`.select_rows`).
    features, named : str or sequence of str
        The learned features, and those to explain by (see :func:`.select_features`).
    groups : str, optional
        Column of the groups that are held out together. By default wells, else images.
    most_rows : int
        Rows of each group; of more, as many are drawn at random.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to (see :func:`.write_table`).
    seed : int
        Of folds, draws and intervals.

    Returns
    -------
    Explanation

    Raises
    ------
    InputError
        If a query selects no row, both select the same, or the table lacks a kind of features.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table,))
    source = one_spelling(open_table(table, objects, where))
    learned, others = select_features(source, features), select_features(source, named)
    if shared := set(learned) & set(others):
        raise InputError(
            f"`named`: {counted(len(shared), 'features are', 'feature is')} among the learned ones, too: choose others"
        )
    left = set(learned)
    frame = read_frame(source, [name for name in source.columns if name not in left])
    with name_in_errors(table):
        chosen, is_first = _chosen(frame, first, second, most_rows, seed)
        values = rows_of(source, learned, chosen)
        complete = np.isfinite(values).all(1)
        if not complete.all():
            log.warning("%d of %d rows lack learned features and are left out", (~complete).sum(), len(complete))
        chosen, is_first, values = chosen[complete], is_first[complete], values[complete]
        kinds = group_kinds(frame.iloc[chosen], groups)
        words = np.where(is_first, "first", "second")
        unit, group_of = choose_groups(words, kinds)
        warn_of_groups(unit, group_of, kinds)
        numbers = frame[others].iloc[chosen].to_numpy(np.float64)
        found = associate(values, numbers, is_first, group_of, seed)
    # of log-odds, the sign is the predicted group
    sides = 1 / (1 + np.exp(-np.clip(found.axis, -500, 500)))
    separation = validate(("first", "second"), words, np.column_stack([sides, 1 - sides]), {unit: group_of})
    warn_of_chance(separation.balanced_accuracy, 2, "there may be no difference to explain")
    columns = {"Correlation": found.correlation, "Low": found.low, "High": found.high, "Within": found.within}
    result = pd.DataFrame({"Feature": others, "Rows": found.rows, **columns, "Difference": found.difference})
    result = result.sort_values("Correlation", key=np.abs, ascending=False, kind="stable", na_position="last")
    order = result.index.to_numpy()[: int(result.Correlation.notna().sum())]
    like = alike(numbers, order)
    result["Like"] = ""
    result.loc[order, "Like"] = np.where(like == order, "", np.array(others, object)[like])
    result = result.reset_index(drop=True)
    if out is not None:
        write_table(result, out, [])
    rows = int(is_first.sum()), int((~is_first).sum())
    return Explanation(result, separation.balanced_accuracy, rows, unit, int(result.Correlation.isna().sum()))


def _chosen(
    frame: pd.DataFrame, first: str, second: str, most_rows: int, seed: int
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Return the rows of both groups in rising order, and which of them are of the first."""
    random, sides = np.random.default_rng(seed), [select_rows(frame, query) for query in (first, second)]
    for query, side in zip((first, second), sides, strict=True):
        if not side.any():
            raise InputError(f'no row satisfies "{query}": check names and spelling')
    if (both := sides[0] & sides[1]).any():
        raise InputError(
            f'{counted(both.sum(), "rows satisfy", "row satisfies")} both "{first}" and "{second}": the groups must '
            "not overlap"
        )
    parts = []
    for query, side in zip((first, second), sides, strict=True):
        rows = np.flatnonzero(side)
        if len(rows) > most_rows:
            log.info('%d of %d rows of "%s" are drawn at random', most_rows, len(rows), query)
            rows = random.choice(rows, most_rows, replace=False)
        parts.append(rows)
    chosen = np.sort(np.concatenate(parts))
    return chosen, sides[0][chosen]

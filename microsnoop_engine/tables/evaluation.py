"""Evaluate a table of any program."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, counted
from ..evaluation.table import evaluate_frame
from ..storage.paths import as_path
from .baselines import evaluate_baselines
from .features import CHOICES, select_features
from .formats import open_table, write_table
from .outputs import check_output
from .plates import row_units
from .source import TableSource, name_in_errors, read_frame
from .spellings import one_spelling
from .treatment_values import unify_treatments

Table = str | Path | pd.DataFrame | TableSource


def evaluate(
    table: Table,
    label: str,
    tasks: Sequence[str] = ("knn",),
    *,
    features: str | Sequence[str] = "all",
    compound: str | None = None,
    batch: str | None = None,
    groups: str | None = None,
    neighbors: int = 11,
    metric: str = "cosine",
    separator: str | None = None,
    objects: str | None = None,
    where: str | None = None,
    baseline: bool = False,
    baseline_tables: Mapping[str, Table] | None = None,
    out: str | Path | None = None,
) -> list[dict[str, float | str]]:
    """Score how well the features of a table separate labels.

    Intervals of tables of objects are over wells, or over images where no wells are known.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    label : str
        Column of the labels, such as the mechanism of action.
    tasks : sequence of {'knn', 'linear', 'mlp', 'silhouette', 'ari', 'map', 'nsc', 'nscb'}
    features : str or sequence of str
        See :func:`.select_features`.
    compound, batch, groups, neighbors, metric, separator
        See :func:`.evaluate_frame`.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    baseline : bool
        Score the number of objects and mean intensities, too (see :func:`.evaluate_baselines`).
    baseline_tables : mapping of str to tables, optional
        Further tables of the same rows, by name, such as features of an untrained network; they are scored in the same
        way.
    out : str or Path, optional
        File to write the scores to (see :func:`.write_table`).

    Returns
    -------
    list of dict
        See :func:`.evaluate_frame`; ``pandas.DataFrame(evaluate(...))`` makes a table of it. With baselines each
        has the name of what was scored as ``features``.

    Raises
    ------
    InputError
        If an argument or a table cannot be used, or a table of a baseline has other rows with labels.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table, *(baseline_tables or {}).values()))

    def scored(one: Table, chosen: str | Sequence[str], simple: bool) -> tuple[list[dict[str, Any]], Counter[str], int]:
        """Return scores, those of simple numbers among them, with the labels and the number of features."""
        source = one_spelling(open_table(one, objects, where))
        names = select_features(source, chosen)
        with name_in_errors(one):
            frame = unify_treatments(read_frame(source), [label, compound])
            units = row_units([name for name in map(str, source.columns) if name not in set(names)])
            scores = evaluate_frame(
                frame,
                names,
                label,
                tasks,
                compound=compound,
                batch=batch,
                groups=groups,
                neighbors=neighbors,
                metric=metric,
                separator=separator,
                units=units,
            )
            if simple:
                scores += evaluate_baselines(
                    frame, label, tasks, names, groups=groups, neighbors=neighbors, units=units
                )
        return scores, Counter(frame[label].dropna().astype(str)), len(names)

    scores, labels, count = scored(table, features, baseline)
    if baseline or baseline_tables:
        scores = [{"features": counted(count, "features"), **score} for score in scores]
    kind = features if isinstance(features, str) and features in CHOICES else "all"
    for name, further in (baseline_tables or {}).items():
        found, others, _ = scored(further, kind, False)
        if others != labels:
            raise InputError(
                f"baseline '{name}': its table has {counted(others.total(), 'rows')} with {label}, the table has "
                f"{labels.total()}: make both in the same way, so that the same rows are compared"
            )
        scores += [{"features": name, **score} for score in found]
    if out is not None:
        write_table(pd.DataFrame(scores), out, [])
    return scores

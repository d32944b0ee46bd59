"""Evaluate a table of any program."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..evaluation.table import evaluate_frame
from ..storage.paths import as_path
from .baselines import evaluate_baselines
from .features import select_features
from .formats import open_table, write_table
from .outputs import check_output
from .plates import row_units
from .source import TableSource, name_in_errors, read_frame
from .spellings import one_spelling


def evaluate(
    table: str | Path | pd.DataFrame | TableSource,
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
    out : str or Path, optional
        File to write the scores to (see :func:`.write_table`).

    Returns
    -------
    list of dict
        See :func:`.evaluate_frame`; ``pandas.DataFrame(evaluate(...))`` makes a table of it. With ``baseline`` each has
        the name of what was scored as ``features``.

    Raises
    ------
    InputError
        If an argument or the table cannot be used.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table,))
    source = one_spelling(open_table(table, objects, where))
    names = select_features(source, features)
    with name_in_errors(table):
        frame = read_frame(source)
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
        if baseline:
            scores = [{"features": f"{len(names)} features", **score} for score in scores]
            scores += evaluate_baselines(frame, label, tasks, names, groups=groups, neighbors=neighbors, units=units)
    if out is not None:
        write_table(pd.DataFrame(scores), out, [])
    return scores

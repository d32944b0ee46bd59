"""Compare corrections by how well batches mix and replicates find each other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from ..evaluation.metrics import average_precisions, knn_correct
from ..evaluation.missing import complete_part
from ..evaluation.neighbors import has_direction
from ..evaluation.scores import Estimate, estimate
from ..evaluation.table import has_word, joined_words
from ..storage.paths import as_path
from ..tables.features import select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.plates import refuse_doubled_wells, refuse_parts_of_wells
from ..tables.queries import select_rows
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from ..tables.treatment_values import unify_treatments
from .corrected_table import harmonize_frame
from .normalized_table import normalize_frame
from .rows import ALL_ROWS
from .spherize import SpheringWarning
from .table import sphere_frame

NEIGHBORS = 5
"""Number of nearest rows whose batches are looked at."""
Correction = Callable[[pd.DataFrame, list[str]], FeatureTable]


def compare_corrections(
    table: str | Path | pd.DataFrame | TableSource,
    batch: str,
    treatment: Sequence[str],
    *,
    controls: str | None = None,
    features: str | Sequence[str] = "all",
    seed: int = 0,
    where: str | None = None,
    out: str | Path | None = None,
    on_step: Callable[[int, int, str], None] = lambda done, total, note: None,
) -> pd.DataFrame:
    """Correct a table in many ways and score each.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        Wells; see :func:`.open_table`.
    batch : str
        Column of the batches (plates).
    treatment : sequence of str
        Columns that together name a treatment.
    controls : str, optional
        Query of the negative controls (see :func:`.select_rows`); without it, corrections that need them are left out.
    features : str or sequence of str
        See :func:`.select_features`.
    seed : int
        Of Harmony.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to (see :func:`.write_table`).
    on_step : callable
        Takes the number of corrections done, their number, and the name of the next.

    Returns
    -------
    DataFrame
        A row per correction, as it is first. ``Correction``; ``Replicates`` (mean average precision of finding the
        replicates of other batches, or all where no treatment lies in two) with ``_Low``, ``_High``, its 95 % interval
        over treatments, ``_Rows`` and ``_Treatments``; ``Batch`` (how often the nearest rows vote for the own batch:
        balanced accuracy of 5 neighbors) with its interval and ``_Rows``; ``Batch_Chance``; ``Note``, why a
        correction could not be made.

    Raises
    ------
    InputError
        If an argument or the table cannot be used, there is one batch only, or no treatment has replicates.
    """
    if out is not None:
        check_output(as_path(out), inputs=(table,))
    source = open_table(table, where=where)
    names, frame = select_features(source, features), read_frame(source)
    with name_in_errors(table):
        refuse_parts_of_wells(frame)
        require_columns(frame, [batch], "`batch`: the table")
        if not treatment:
            raise InputError("`treatment` names no column: name those that define one, such as Metadata_Compound")
        require_columns(frame, list(treatment), "`treatment`: the table")
        frame = unify_treatments(frame, treatment)
        result = _scored(frame, names, batch, treatment, controls, seed, on_step)
    if out is not None:
        write_table(result, out, [])
    return result


def _scored(
    frame: pd.DataFrame,
    names: list[str],
    batch: str,
    treatment: Sequence[str],
    controls: str | None,
    seed: int,
    on_step: Callable[[int, int, str], None],
) -> pd.DataFrame:
    known = has_word(frame[batch])
    if frame.loc[known, batch].nunique() < 2:
        raise InputError(f"`batch`: all rows have the same '{batch}': there is nothing to compare")
    negative = np.zeros(len(frame), bool) if controls is None else select_rows(frame, controls)
    labels = joined_words(frame, treatment).astype(str)
    treated = (labels != "") & ~negative & known
    refuse_doubled_wells(frame, np.where(treated, labels, ""))
    batches = frame[batch].astype(str).to_numpy(str)
    spread = pd.Series(batches[treated]).groupby(labels[treated])
    if not (spread.size() > 1).any():
        raise InputError(f"no treatment of {', '.join(treatment)} has two rows")
    across = bool((spread.nunique() > 1).any())
    rows = []
    grid = _grid(batch, controls, seed)
    for number, (name, apply) in enumerate(grid.items()):
        on_step(number, len(grid), name)
        row: dict[str, object] = {"Correction": name}
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SpheringWarning)
                corrected = apply(frame, names)
            row |= _scores(corrected, known, treated, labels, batches, across)
            row["Note"] = ""
        except InputError as error:
            row["Note"] = str(error)
        rows.append(row)
    on_step(len(grid), len(grid), "")
    return pd.DataFrame(rows)


def _grid(batch: str, controls: str | None, seed: int) -> dict[str, Correction]:
    """Return the corrections by name."""
    normalized = partial(normalize_frame, by=batch)
    grid: dict[str, Correction] = {"none": FeatureTable}
    grid |= {
        f"normalize {way}": partial(normalized, method=way) for way in ("mad-robust", "standardize", "rank-normal")
    }
    if controls is not None:
        for way in ("mad-robust", "tvn"):
            grid[f"normalize {way} on controls"] = partial(normalized, method=way, controls=controls)
        for rule in ("knee", 0.1, 1.0):
            sphered = partial(sphere_frame, controls=controls, regularization=rule)
            grid[f"sphere {rule} on controls"] = sphered
    grid["sphere 1.0 on all rows"] = partial(sphere_frame, controls=ALL_ROWS, regularization=1.0)
    grid["harmony"] = partial(harmonize_frame, batch=batch, seed=seed)

    def both(frame: pd.DataFrame, names: list[str]) -> FeatureTable:
        scaled = normalize_frame(frame, names, by=batch)
        return harmonize_frame(scaled.frame, scaled.features, batch, seed=seed)

    grid["normalize mad-robust, then harmony"] = both
    return grid


def _scores(
    table: FeatureTable,
    known: NDArray[np.bool_],
    treated: NDArray[np.bool_],
    labels: NDArray[Any],
    batches: NDArray[Any],
    across: bool,
) -> dict[str, object]:
    """Score a corrected table."""
    values = table.frame[table.features].to_numpy(np.float64)
    present, columns = complete_part(values)
    values = values[:, columns]
    present[present] = has_direction(values[present])
    rows = treated & present
    names, counts = np.unique(labels[rows], return_counts=True)
    rows &= np.isin(labels, names[counts > 1])
    precisions = average_precisions(values[rows], labels[rows], batches[rows] if across else None)
    found = np.isfinite(precisions)
    of = labels[rows][found]
    replicates = estimate(of, precisions[found], {"treatments": of})["balanced_accuracy"]
    everywhere = known & present
    votes = knn_correct(values[everywhere], batches[everywhere], k=NEIGHBORS)
    mixing = estimate(batches[everywhere], votes, {})["balanced_accuracy"]
    result = _named("Replicates", replicates) | {"Replicates_Treatments": len(np.unique(of))}
    return result | _named("Batch", mixing) | {"Batch_Chance": 1 / len(np.unique(batches[everywhere]))}


def _named(name: str, score: Estimate) -> dict[str, object]:
    return {name: score.value, f"{name}_Low": score.low, f"{name}_High": score.high, f"{name}_Rows": score.rows}

"""Correct the batches of a table by the method that is chosen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from ..evaluation.missing import complete_part
from ..evaluation.neighbors import has_direction, nearest
from ..evaluation.table import has_word
from ..storage.paths import as_path
from ..tables.features import is_microsnoop, select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from .handcrafted import constant_over_controls, robust_z, uninformative
from .harmony import Harmony
from .table import SpheredTable, sphere_frame

METHODS = ("sphering", "harmony", "none")


@dataclass(frozen=True)
class HarmonizedTable(FeatureTable):
    """A table after Harmony.

    Attributes
    ----------
    frame : DataFrame
        The other columns of the table, then the corrected features, float32.
    features : list of str
    dropped : dict of str to str
        Features that were left out, with the reason.
    missing : int
        Number of rows without all features, or without a batch. They stay, with missing features.
    batches : dict of str to int
        Number of rows of each batch.
    rounds : int
        Number of rounds.
    converged : bool
    seed_effect : float
        Root mean square difference from a run with another seed, in standard deviations of the result.
    seed_neighbors : float
        Share of the rows that have another nearest row (cosine) with that seed, from 0 to 1.
    """

    dropped: dict[str, str]
    missing: int
    batches: dict[str, int]
    rounds: int
    converged: bool
    seed_effect: float
    seed_neighbors: float


def correct(
    table: str | Path | pd.DataFrame | TableSource,
    method: str,
    *,
    features: str | Sequence[str] = "all",
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    **settings: Any,
) -> SpheredTable | HarmonizedTable | FeatureTable:
    """Correct the batches of a table.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    method : {'sphering', 'harmony', 'none'}
        ``none`` leaves the features as they are.
    features : str or sequence of str
        See :func:`.select_features`.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).
    **settings
        Of :func:`.sphere_frame` (``controls``, ...) or :func:`.harmonize_frame` (``batch``, ...).

    Returns
    -------
    SpheredTable, HarmonizedTable or FeatureTable

    Raises
    ------
    InputError
        If an argument or the table cannot be used, or a file cannot be written; checked before any work is done.

    Warns
    -----
    SpheringWarning
        If a group has no more controls than features.
    """
    if method not in METHODS:
        raise InputError(f"`method` is '{method}': choose one of {', '.join(METHODS)}")
    needed = {"sphering": "controls", "harmony": "batch"}.get(method)
    if needed is not None and settings.get(needed) is None:
        raise InputError(f"`method` {method} needs `{needed}`")
    if out is not None:
        check_output(as_path(out), inputs=(table,))
    source = open_table(table, objects, where)
    names, frame = select_features(source, features), read_frame(source)
    result: SpheredTable | HarmonizedTable | FeatureTable = FeatureTable(frame, names)
    with name_in_errors(table):
        if method == "sphering":
            result = sphere_frame(frame, names, **settings)
        elif method == "harmony":
            result = harmonize_frame(frame, names, **settings)
    if out is not None:
        write_table(result.frame, out, result.features, table, source.rows, source.provenance)
    return result


def harmonize_frame(
    frame: pd.DataFrame,
    features: Sequence[str],
    batch: str,
    *,
    clusters: int | None = None,
    theta: float = 2.0,
    rounds: int = 10,
    seed: int = 0,
) -> HarmonizedTable:
    """Correct the batches of a table in memory by Harmony.

    Learned features enter as they are. Classical ones first become robust z-scores over all rows; those that are
    constant or near-duplicates are dropped. Harmony runs with two seeds, to tell how much the seed decides.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    batch : str
        Column of the batches (plates).
    clusters, theta, rounds, seed
        Of :class:`.Harmony`.

    Returns
    -------
    HarmonizedTable

    Raises
    ------
    InputError
        If the column is missing, there is one batch only, or no feature is left.
    """
    require_columns(frame, [batch], "`batch`: the table")
    values = frame[list(features)].to_numpy(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    rows, columns = complete_part(values)
    rows &= has_word(frame[batch])
    if not rows.any():
        raise InputError(f"no row has a '{batch}' and all features")
    part, every = values[rows], np.ones(int(rows.sum()), bool)
    dropped = {features[column]: "missing values" for column in np.flatnonzero(~columns)}
    flat = np.zeros(len(features), bool)
    flat[columns] = constant_over_controls(part[:, columns], every)
    dropped |= {features[column]: "constant" for column in np.flatnonzero(flat)}
    learned = np.array([is_microsnoop(name) for name in features])
    classical = np.flatnonzero(columns & ~flat & ~learned)
    if len(classical):
        part[:, classical] = robust_z(part[:, classical], every)
        dropped |= uninformative(part[:, classical], [features[column] for column in classical])
    kept = [column for column, name in enumerate(features) if name not in dropped]
    if not kept:
        raise InputError("no feature is left: all are constant or have missing values")
    part, names = part[:, kept], [features[column] for column in kept]
    labels = frame[batch].astype(str).to_numpy()[rows]
    harmony = Harmony(clusters, theta=theta, rounds=rounds, seed=seed)
    corrected = harmony.fit_transform(part, labels)
    other = Harmony(clusters, theta=theta, rounds=rounds, seed=seed + 1).fit_transform(part, labels)
    result = np.full((len(frame), len(kept)), np.nan)
    result[rows] = corrected
    table = frame.drop(columns=list(features))
    table = table.join(pd.DataFrame(result.astype(np.float32), columns=names, index=frame.index))
    counts = {str(name): int(count) for name, count in zip(*np.unique(labels, return_counts=True), strict=True)}
    effect = float(np.sqrt(((corrected - other) ** 2).mean()) / corrected.std())
    return HarmonizedTable(
        table,
        names,
        dropped,
        int((~rows).sum()),
        counts,
        len(harmony.objective_),
        harmony.converged_,
        effect,
        _changed_neighbors(corrected, other),
    )


def _changed_neighbors(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Return the share of rows whose nearest row differs between two tables."""
    rows = has_direction(first) & has_direction(second)
    if rows.sum() < 2:
        return 0.0
    return float((nearest(first[rows], 1) != nearest(second[rows], 1)).mean())

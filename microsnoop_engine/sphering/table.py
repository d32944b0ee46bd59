"""Sphere a table: choose control rows and feature columns, and fit group by group."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from ..evaluation.metrics import knn_correct
from ..evaluation.neighbors import has_direction
from ..storage.paths import as_path
from ..tables.features import is_microsnoop, select_features
from ..tables.formats import check_output, open_table, write_table
from ..tables.queries import select_rows
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from .handcrafted import robust_z, uninformative
from .spherize import SpheringWarning, Spherize, save_spherings

ALL_ROWS = "all"
"""The name of the only group of a global fit."""
GRID = tuple(float(value) for value in np.logspace(-6, 1, 15))
"""Regularizations that ``auto`` tries."""


@dataclass(frozen=True)
class SpheredTable(FeatureTable):
    """A table after sphering.

    Attributes
    ----------
    frame : DataFrame
        The other columns of the table, then the sphered features, float32.
    features : list of str
    spherings : dict of str to Spherize
        By group; ``diagnostics_`` describes each fit.
    dropped : dict of str to str
        Features that were left out, with the reason.
    missing : int
        Number of rows without features (wells without objects). They stay, with missing features.
    """

    spherings: dict[str, Spherize]
    dropped: dict[str, str]
    missing: int


def sphere(
    table: str | Path | pd.DataFrame | TableSource,
    controls: str,
    *,
    features: str | Sequence[str] = "all",
    by: str | None = None,
    method: str = "zca-cor",
    regularization: str | float = "knee",
    replicates: str | None = None,
    weights: Mapping[str, float] | None = None,
    objects: str | None = None,
    out: str | Path | None = None,
    save: str | Path | None = None,
) -> SpheredTable:
    """Whiten features on control rows, so that directions in which controls differ among themselves count less.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    controls : str
        Query of the control rows, such as ``Metadata_role == 'negative'`` (see :func:`.select_rows`).
    features : str or sequence of str
        See :func:`.select_features`.
    by, method, regularization, replicates, weights
        See :func:`.sphere_frame`.
    objects : str, optional
        Object set of a CellProfiler export.
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).
    save : str or Path, optional
        File ending in .safetensors to write the transforms to (see :func:`.save_spherings`).

    Returns
    -------
    SpheredTable

    Raises
    ------
    InputError
        If an argument or the table cannot be used, or a file cannot be written; checked before any work is done.

    Warns
    -----
    SpheringWarning
        If a group has no more controls than features.
    """
    if out is not None:
        check_output(as_path(out))
    if save is not None:
        check_output(as_path(save), (".safetensors",))
    source = open_table(table, objects)
    names, frame = select_features(source, features), read_frame(source)
    with name_in_errors(table):
        result = sphere_frame(
            frame,
            names,
            controls,
            by=by,
            method=method,
            regularization=regularization,
            replicates=replicates,
            weights=weights,
        )
    if out is not None:
        write_table(result.frame, out, result.features)
    if save is not None:
        save_spherings(as_path(save), result.spherings, result.features)
    return result


def sphere_frame(
    frame: pd.DataFrame,
    features: Sequence[str],
    controls: str,
    *,
    by: str | None = None,
    method: str = "zca-cor",
    regularization: str | float = "knee",
    replicates: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> SpheredTable:
    """Sphere the features of a table in memory on its control rows.

    Learned features enter as they are. Classical ones first become robust z-scores on the controls; those that are
    constant, incomplete or near-duplicates are dropped.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    controls : str
        Query of the control rows.
    by : str, optional
        Column of the groups (plates) that are sphered on their own controls; by default all rows form one group.
    method, regularization
        Of :class:`.Spherize`. With ``auto``, the regularization is the value of a grid with which most treated rows
        have a row of the same ``replicates`` as nearest neighbor.
    replicates : str, optional
        Column of what is replicated (the treatment), for ``auto``.
    weights : mapping of str to float, optional
        Weights of ``microsnoop`` and ``classical`` in squared distances between rows, from 0, whatever their number of
        columns.

    Returns
    -------
    SpheredTable

    Raises
    ------
    InputError
        If a group has fewer than two controls, columns are missing, or a setting is unknown.

    Warns
    -----
    SpheringWarning
        If a group has no more controls than features.
    """
    for parameter, column in (("by", by), ("replicates", replicates)):
        if column is not None:
            require_columns(frame, [column], f"`{parameter}`: the table")
    values = frame[list(features)].to_numpy(np.float64, copy=True)
    present = np.isfinite(values).any(1)
    is_control = _control_rows(frame, controls, present)
    learned = np.array([is_microsnoop(name) for name in features])
    if not learned.all():
        values[:, ~learned] = robust_z(values[:, ~learned], is_control)
    dropped = _dropped_features(values, features, learned, present, is_control)
    kept = [column for column, name in enumerate(features) if name not in dropped]
    if not kept:
        raise InputError("no feature is left: all are constant or have missing values")
    values, learned, names = values[:, kept], learned[kept], [features[column] for column in kept]
    groups = _groups(frame, by, present)
    if regularization == "auto":
        if replicates is None:
            raise InputError("`regularization` auto needs `replicates`, the column of what is replicated")
        labels = frame[replicates].astype(str).to_numpy()
        regularization = best_regularization(values, is_control, groups, labels, method, present & ~is_control)
    sphered, spherings = _sphere(values, is_control, groups, method, regularization)
    for name, sphering in spherings.items():
        if sphering.diagnostics_.warning:
            warnings.warn(f"{name}: {sphering.diagnostics_.warning}", SpheringWarning, stacklevel=2)
    sphered *= _block_weights(learned, weights)
    result = frame.drop(columns=list(features))
    result = result.join(pd.DataFrame(sphered.astype(np.float32), columns=names, index=frame.index))
    return SpheredTable(result, names, spherings, dropped, int((~present).sum()))


def best_regularization(
    values: NDArray[Any],
    is_control: NDArray[np.bool_],
    groups: Mapping[str, NDArray[np.intp]],
    labels: NDArray[Any],
    method: str = "zca-cor",
    compared: NDArray[np.bool_] | None = None,
    grid: Sequence[float] = GRID,
) -> float:
    """Find the regularization with which most rows have a row of their own label as nearest neighbor by cosine.

    Parameters
    ----------
    values : array (n, p)
    is_control : array (n,), bool
    groups : mapping of str to array (m,), int
        Rows of each group.
    labels : array (n,)
        What is replicated.
    method : str
        Of :class:`.Spherize`.
    compared : array (n,), bool, optional
        Rows that are compared, usually the treated ones; by default all.
    grid : sequence of float
        Regularizations to try, from 0, in rising order.

    Returns
    -------
    float
        Of equally good ones, the strongest.

    Raises
    ------
    InputError
        If no label has two rows.
    """
    compared = np.ones(len(labels), bool) if compared is None else compared
    names, counts = np.unique(labels[compared], return_counts=True)
    compared = compared & np.isin(labels, names[counts > 1])
    if not compared.any():
        raise InputError("no treatment has two rows: the regularization cannot be chosen by replicates")
    shares = []
    for regularization in grid:
        sphered, _ = _sphere(values, is_control, groups, method, regularization)
        shares.append(_nearest_alike(sphered[compared], labels[compared]))
    return grid[len(grid) - 1 - int(np.argmax(shares[::-1]))]


def _nearest_alike(values: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the share of rows whose nearest row has their label; rows without direction have none."""
    rows = has_direction(values)
    names, counts = np.unique(labels[rows], return_counts=True)
    rows &= np.isin(labels, names[counts > 1])
    return float(knn_correct(values[rows], labels[rows], k=1).sum() / len(values)) if rows.any() else 0.0


def _control_rows(frame: pd.DataFrame, controls: str, present: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Find the control rows (n,) that have features."""
    selected = select_rows(frame, controls)
    if not selected.any():
        raise InputError(f'no row is a control by "{controls}": check names and spelling')
    is_control: NDArray[np.bool_] = selected & present
    if is_control.sum() < 2:
        count = f"{is_control.sum()} of the {selected.sum()} control rows"
        raise InputError(f'{count} by "{controls}" have features: sphering needs two, better more than features')
    return is_control


def _groups(frame: pd.DataFrame, by: str | None, present: NDArray[np.bool_]) -> dict[str, NDArray[np.intp]]:
    """Find the rows of each group that have features."""
    rows_present = np.flatnonzero(present)
    if by is None:
        return {ALL_ROWS: rows_present}
    if (without := frame[by].isna().to_numpy()).any():
        raise InputError(f"{without.sum()} rows have no '{by}' (the first is row {without.argmax() + 1}): fill it in")
    return {str(name): np.intersect1d(rows, rows_present) for name, rows in frame.groupby(by).indices.items()}


def _sphere(
    values: NDArray[Any],
    is_control: NDArray[np.bool_],
    groups: Mapping[str, NDArray[np.intp]],
    method: str,
    regularization: str | float,
) -> tuple[NDArray[Any], dict[str, Spherize]]:
    """Sphere each group on its own controls; rows outside of all groups become NaN."""
    sphered, spherings = np.full_like(values, np.nan), {}
    for name, rows in groups.items():
        controls = rows[is_control[rows]]
        if len(controls) < 2:
            raise InputError(
                f"group '{name}' has {len(controls)} control rows, two are needed: sphere without `by`, or leave the "
                "group out"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SpheringWarning)  # the caller warns once, with the group's name
                spherings[name] = Spherize(method, regularization).fit(values[controls])
        except InputError as error:
            raise InputError(f"group '{name}': {error}") from None
        sphered[rows] = spherings[name].transform(values[rows])
    return sphered, spherings


def _dropped_features(
    values: NDArray[Any],
    features: Sequence[str],
    learned: NDArray[np.bool_],
    present: NDArray[np.bool_],
    is_control: NDArray[np.bool_],
) -> dict[str, str]:
    """Find features to leave out, with the reason; of learned ones only those that would break the fit."""
    dropped = {}
    for column in np.flatnonzero(learned):
        if not np.isfinite(values[present, column]).all():
            dropped[features[column]] = "missing values"
        elif np.ptp(values[is_control, column]) == 0:
            dropped[features[column]] = "constant over the controls"
    classical = np.flatnonzero(~learned)
    return dropped | uninformative(values[np.ix_(present, classical)], [features[column] for column in classical])


def _block_weights(learned: NDArray[np.bool_], weights: Mapping[str, float] | None) -> NDArray[np.float64]:
    """Return a factor per column, such that the squares of the factors of a block add up to its weight."""
    factors = np.ones(len(learned))
    if weights is None:
        return factors
    unknown = set(weights) - {"microsnoop", "classical"}
    if unknown or any(not value >= 0 for value in weights.values()):
        raise InputError(f"`weights` are {dict(weights)}: name microsnoop and classical, each with a number from 0")
    for name, block in (("microsnoop", learned), ("classical", ~learned)):
        if block.any():
            factors[block] = np.sqrt(weights.get(name, 1.0) / block.sum())
    return factors

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
from sklearn.base import clone

from ..errors import InputError, counted, require_columns
from ..evaluation.metrics import knn_correct
from ..evaluation.missing import complete_part
from ..evaluation.neighbors import has_direction
from ..evaluation.table import has_word
from ..storage.paths import as_path
from ..tables.features import is_microsnoop, select_features
from ..tables.formats import open_table, write_table
from ..tables.outputs import check_output
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from .handcrafted import constant_over_controls, robust_z, uninformative
from .rows import ALL_ROWS, control_rows, dominant_features, group_rows
from .spherize import SpheringWarning, Spherize, save_spherings

MISSING = ("drop-row", "drop-feature", "impute")
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
    incomplete : int
        Number of rows that lack some features: they stay without features, or are imputed.
    dominant : dict of str to int
        Features that make up nearly all of the length of rows after sphering, with the number of these rows.
    """

    spherings: dict[str, Spherize]
    dropped: dict[str, str]
    missing: int
    incomplete: int
    dominant: dict[str, int]


def sphere(
    table: str | Path | pd.DataFrame | TableSource,
    controls: str,
    *,
    features: str | Sequence[str] = "all",
    by: str | None = None,
    method: str | None = None,
    regularization: str | float = "knee",
    components: int | None = None,
    replicates: str | None = None,
    weights: Mapping[str, float] | None = None,
    missing: str = "drop-row",
    clip: float | None = None,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    save: str | Path | None = None,
) -> SpheredTable:
    """Whiten features on control rows, so that directions in which controls differ among themselves count less.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    controls : str
        Query of the control rows, such as ``Metadata_role == 'negative'`` (see :func:`.select_rows`), or ``all``.
    features : str or sequence of str
        See :func:`.select_features`.
    by, method, regularization, components, replicates, weights, missing, clip
        See :func:`.sphere_frame`.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
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
        check_output(as_path(out), inputs=(table,))
    if save is not None:
        check_output(as_path(save), (".safetensors",))
    source = open_table(table, objects, where)
    names, frame = select_features(source, features), read_frame(source)
    with name_in_errors(table):
        result = sphere_frame(
            frame,
            names,
            controls,
            by=by,
            method=method,
            regularization=regularization,
            components=components,
            replicates=replicates,
            weights=weights,
            missing=missing,
            clip=clip,
        )
    if out is not None:
        write_table(result.frame, out, result.features, table, source.rows, source.provenance)
    if save is not None:
        save_spherings(as_path(save), result.spherings, result.features)
    return result


def sphere_frame(
    frame: pd.DataFrame,
    features: Sequence[str],
    controls: str,
    *,
    by: str | None = None,
    method: str | None = None,
    regularization: str | float = "knee",
    components: int | None = None,
    replicates: str | None = None,
    weights: Mapping[str, float] | None = None,
    missing: str = "drop-row",
    clip: float | None = None,
) -> SpheredTable:
    """Sphere the features of a table in memory on its control rows.

    Learned features enter as they are. Classical ones first become robust z-scores on the controls; those that are
    constant or near-duplicates are dropped. With ``pca`` and ``pca-cor``, the columns of the result are called ``PC1``,
    ``PC2``, ...: each is a mixture of all features, those in which the controls vary most come first.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    controls : str
        Query of the control rows, or ``all``: the features are whitened on all rows, where a screen has no controls.
    by : str, optional
        Column of the groups (plates) that are sphered on their own controls; by default all rows form one group.
    method, regularization, components
        Of :class:`.Spherize`; the method is ``zca-cor`` by default, with ``components`` ``pca``. With ``auto``, the
        regularization is the value of a grid with which most treated rows (or all, if all are controls) have a row of
        the same ``replicates`` as nearest neighbor.
    replicates : str, optional
        Column of what is replicated (the treatment), for ``auto``.
    weights : mapping of str to float, optional
        Weights of ``microsnoop`` and ``classical`` in squared distances between rows, from 0, whatever their number of
        columns.
    missing : {'drop-row', 'drop-feature', 'impute'}
        A row with missing or infinite numbers stays without features; or the features that it lacks are dropped; or
        they get the median of the controls. Features that more than a fifth of the rows lack are dropped in any case.
    clip : float, optional
        Largest absolute robust z-score of a classical feature, above 0.

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
    if missing not in MISSING:
        raise InputError(f"`missing` is '{missing}': choose one of {', '.join(MISSING)}")
    if clip is not None and not clip > 0:
        raise InputError(f"`clip` is {clip}: it must be above 0")
    method = method or ("zca-cor" if components is None else "pca")
    if weights is not None and method.startswith("pca"):
        raise InputError("`weights` need `method` zca or zca-cor: principal components mix both kinds of features")
    values = frame[list(features)].to_numpy(np.float64, copy=True)
    values[~np.isfinite(values)] = np.nan
    some = np.isfinite(values).any(1)
    present, lacking = _complete(values, some, missing)
    incomplete = int((some & ~np.isfinite(values[:, ~lacking]).all(1)).sum())
    is_control = control_rows(frame, controls, present)
    if missing == "impute":
        _impute(values, ~lacking, some, is_control)
    learned = np.array([is_microsnoop(name) for name in features])
    dropped = {features[column]: "missing values" for column in np.flatnonzero(lacking)}
    usable = ~lacking
    flat = np.zeros(len(features), bool)
    flat[usable] = constant_over_controls(values[np.ix_(present, usable)], is_control[present])
    constant = "constant" if controls == ALL_ROWS else "constant over the controls"
    dropped |= {features[column]: constant for column in np.flatnonzero(flat)}
    classical = np.flatnonzero(usable & ~flat & ~learned)
    if len(classical):
        values[:, classical] = robust_z(values[:, classical], is_control)
        if clip is not None:
            values[:, classical] = values[:, classical].clip(-clip, clip)
        dropped |= uninformative(values[np.ix_(present, classical)], [features[column] for column in classical])
    kept = [column for column, name in enumerate(features) if name not in dropped]
    if not kept:
        raise InputError("no feature is left: all are constant over the controls or have missing values")
    values, learned, names = values[:, kept], learned[kept], [features[column] for column in kept]
    groups = group_rows(frame, by, present)
    if regularization == "auto":
        if replicates is None:
            raise InputError("`regularization` auto needs `replicates`, the column of what is replicated")
        labels = frame[replicates].astype(str).to_numpy()
        compared = present & has_word(frame[replicates])
        compared = compared if controls == ALL_ROWS else compared & ~is_control
        regularization = best_regularization(
            values, is_control, groups, labels, method, compared, components=components
        )
    sphered, spherings = _sphere(values, is_control, groups, Spherize(method, regularization, components))
    for name, sphering in spherings.items():
        if sphering.diagnostics_.warning:
            warnings.warn(f"{name}: {sphering.diagnostics_.warning}", SpheringWarning, stacklevel=2)
    if method.startswith("pca"):
        names = [f"PC{number + 1}" for number in range(sphered.shape[1])]
        learned = np.zeros(len(names), bool)
    dominant = dominant_features(sphered, names)
    sphered *= _block_weights(learned, weights)
    result = frame.drop(columns=list(features))
    result = result.join(pd.DataFrame(sphered.astype(np.float32), columns=names, index=frame.index))
    return SpheredTable(result, names, spherings, dropped, int((~some).sum()), incomplete, dominant)


def _complete(
    values: NDArray[Any], some: NDArray[np.bool_], missing: str
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the rows (n,) to sphere, and the columns (p,) that lack too many numbers."""
    rows, columns = complete_part(values)
    if missing == "drop-feature":
        return some, ~np.isfinite(values[some]).all(0)
    if missing == "impute":
        return some, ~columns
    if some.any() and not rows.any():
        raise InputError("every row lacks some feature: choose `missing` drop-feature or impute")
    return rows, ~columns


def _impute(
    values: NDArray[Any], columns: NDArray[np.bool_], rows: NDArray[np.bool_], is_control: NDArray[np.bool_]
) -> None:
    """Set missing numbers to the median of the controls, or of all rows where no control has one."""
    for column in np.flatnonzero(columns):
        gaps = rows & np.isnan(values[:, column])
        if gaps.any():
            known = values[is_control & ~gaps, column]
            values[gaps, column] = np.median(known if len(known) else values[rows & ~gaps, column])


def best_regularization(
    values: NDArray[Any],
    is_control: NDArray[np.bool_],
    groups: Mapping[str, NDArray[np.intp]],
    labels: NDArray[Any],
    method: str = "zca-cor",
    compared: NDArray[np.bool_] | None = None,
    grid: Sequence[float] = GRID,
    components: int | None = None,
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
    components : int, optional
        Of :class:`.Spherize`.

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
        sphered, _ = _sphere(values, is_control, groups, Spherize(method, regularization, components))
        shares.append(_nearest_alike(sphered[compared], labels[compared]))
    return grid[len(grid) - 1 - int(np.argmax(shares[::-1]))]


def _nearest_alike(values: NDArray[Any], labels: NDArray[Any]) -> float:
    """Return the share of rows whose nearest row has their label; rows without direction have none."""
    rows = has_direction(values)
    names, counts = np.unique(labels[rows], return_counts=True)
    rows &= np.isin(labels, names[counts > 1])
    return float(knn_correct(values[rows], labels[rows], k=1).sum() / len(values)) if rows.any() else 0.0


def _sphere(
    values: NDArray[Any],
    is_control: NDArray[np.bool_],
    groups: Mapping[str, NDArray[np.intp]],
    sphering: Spherize,
) -> tuple[NDArray[Any], dict[str, Spherize]]:
    """Sphere each group on its own controls; rows outside of all groups become NaN."""
    sphered = np.full((len(values), sphering.components or values.shape[1]), np.nan)
    spherings: dict[str, Spherize] = {}
    for name, rows in groups.items():
        controls = rows[is_control[rows]]
        if len(controls) < 2:
            raise InputError(
                f"group '{name}' has {counted(len(controls), 'control rows')}, two are needed: sphere without `by`, or "
                "leave the group out"
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", SpheringWarning)  # the caller warns once, with the group's name
                spherings[name] = clone(sphering).fit(values[controls])
        except InputError as error:
            raise InputError(f"group '{name}': {error}") from None
        sphered[rows] = spherings[name].transform(values[rows])
    return sphered, spherings


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

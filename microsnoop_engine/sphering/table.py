"""Sphering of a table: which rows are controls, which columns take part, group by group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError
from ..evaluation.metrics import knn_predict
from ..tables.features import is_microsnoop
from ..tables.queries import select_rows
from .handcrafted import robust_z, uninformative
from .spherize import Spherize

EVERYTHING = "all"
"""The name of the only group of a global fit."""
GRID = tuple(float(value) for value in np.logspace(-6, 1, 15))
"""Regularizations that are tried."""


@dataclass(frozen=True)
class SpheredTable:
    """What became of a table.

    Attributes
    ----------
    frame : DataFrame
        Its other columns, then the sphered features.
    features : list of str
    spherings : dict of str to Spherize
        By group.
    dropped : dict of str to str
        Columns that took no part, with the reason.
    missing : int
        Rows without features (no object was found there); they stay, without features.
    """

    frame: pd.DataFrame
    features: list[str]
    spherings: dict[str, Spherize]
    dropped: dict[str, str]
    missing: int


def sphere_table(
    frame: pd.DataFrame,
    features: Sequence[str],
    controls: str,
    by: str | None = None,
    method: str = "zca-cor",
    regularization: str | float = "knee",
    replicates: str | None = None,
    weights: Mapping[str, float] | None = None,
) -> SpheredTable:
    """Sphere the features of a table on its control rows.

    Microsnoop columns enter as they are. Handcrafted ones first become robust z-scores on the controls, and those that
    are constant, incomplete or near-duplicates are dropped.

    Parameters
    ----------
    frame : DataFrame
    features : sequence of str
    controls : str
        Query of the control rows (see :mod:`microsnoop_engine.tables.queries`).
    by : str, optional
        Column of the groups (plates) that are sphered on their own controls; by default all together.
    method, regularization
        Of :class:`.Spherize`; ``auto`` tries a grid and keeps the value with which most
        rows have a row of the same ``replicates`` as their nearest.
    replicates : str, optional
        Column of what is replicated, for ``auto``.
    weights : dict of str to float, optional
        Share of ``microsnoop`` and ``classical`` in the distances between rows, whatever their number of columns.

    Raises
    ------
    InputError
        If a group has no controls, or columns are missing.
    """
    for column in filter(None, (by, replicates)):
        if column not in frame:
            raise InputError(f"there is no column '{column}': it has {', '.join(map(str, frame.columns[:10]))}, ..")
    features = list(features)
    values = frame[features].to_numpy(np.float64, copy=True)
    present = np.isfinite(values).any(1)
    asked = select_rows(frame, controls)
    is_control = asked & present
    if not asked.any():
        raise InputError(f'no row is a control by "{controls}": check names and spelling')
    if is_control.sum() < 2:
        count = f"{is_control.sum()} of the {asked.sum()} control rows"
        raise InputError(f'{count} by "{controls}" have features: sphering needs two, better more than features')
    deep = np.array([is_microsnoop(name) for name in features])
    if not deep.all():
        values[:, ~deep] = robust_z(values[:, ~deep], is_control)
    dropped = _drops(values, features, deep, present, is_control)
    kept = [column for column, name in enumerate(features) if name not in dropped]
    if not kept:
        raise InputError("no feature is left: all are constant or have missing values")
    values, features, deep = values[:, kept], [features[column] for column in kept], deep[kept]
    groups = _groups(frame, by, present)
    if regularization == "auto":
        if replicates is None:
            raise InputError("regularization 'auto' needs the column of the replicates (--replicates)")
        labels = frame[replicates].astype(str).to_numpy()
        regularization = best_regularization(values, is_control, groups, labels, method, present & ~is_control)
    sphered, spherings = _sphere(values, is_control, groups, method, regularization)
    sphered *= _block_weights(deep, weights)
    result = frame.drop(columns=[*features, *dropped])
    result = result.join(pd.DataFrame(sphered.astype(np.float32), columns=features, index=frame.index))
    return SpheredTable(result, features, spherings, dropped, int((~present).sum()))


def best_regularization(
    values: np.ndarray,
    is_control: np.ndarray,
    groups: Mapping[str, np.ndarray],
    labels: np.ndarray,
    method: str = "zca-cor",
    asked: np.ndarray | None = None,
    grid: Sequence[float] = GRID,
) -> float:
    """The regularization with which most rows have a row of their own label as the nearest by cosine.

    Parameters
    ----------
    values : array (n, p)
    is_control : array (n,), bool
    groups : dict of str to array (m,), int
        Rows of each group.
    labels : array (n,)
        What is replicated.
    method : str
    asked : array (n,), bool, optional
        Rows that are asked and answer: usually the treated ones.
    grid : sequence of float

    Raises
    ------
    InputError
        If no label has two rows.
    """
    asked = np.ones(len(labels), bool) if asked is None else asked
    names, counts = np.unique(labels[asked], return_counts=True)
    asked = asked & np.isin(labels, names[counts > 1])
    if not asked.any():
        raise InputError("no treatment has two rows: the regularization cannot be chosen by replicates")
    shares = []
    for regularization in grid:
        sphered, _ = _sphere(values, is_control, groups, method, regularization)
        predictions = knn_predict(sphered[asked], labels[asked], k=1)
        shares.append(float((predictions == labels[asked]).mean()))
    # of equally good ones the strongest
    return grid[len(grid) - 1 - int(np.argmax(shares[::-1]))]


def _groups(frame: pd.DataFrame, by: str | None, present: np.ndarray) -> dict[str, np.ndarray]:
    everywhere = np.flatnonzero(present)
    if by is None:
        return {EVERYTHING: everywhere}
    if (without := frame[by].isna()).any():
        raise InputError(f"{without.sum()} rows have no '{by}' (the first is row {without.argmax() + 1}): fill it in")
    return {str(name): np.intersect1d(rows, everywhere) for name, rows in frame.groupby(by).indices.items()}


def _sphere(
    values: np.ndarray,
    is_control: np.ndarray,
    groups: Mapping[str, np.ndarray],
    method: str,
    regularization: str | float,
) -> tuple[np.ndarray, dict[str, Spherize]]:
    sphered, spherings = np.full_like(values, np.nan), {}
    for name, rows in groups.items():
        own = rows[is_control[rows]]
        if len(own) < 2:
            raise InputError(f"group '{name}' has {len(own)} control rows: sphere without --by, or leave the group out")
        try:
            spherings[name] = Spherize(method, regularization).fit(values[own])
        except InputError as error:
            raise InputError(f"group '{name}': {error}") from None
        sphered[rows] = spherings[name].transform(values[rows])
    return sphered, spherings


def _drops(
    values: np.ndarray, features: list[str], deep: np.ndarray, present: np.ndarray, is_control: np.ndarray
) -> dict[str, str]:
    """Columns that take no part, with the reason; of Microsnoop's only those that would break the fit."""
    dropped = {}
    for column in np.flatnonzero(deep):
        own = values[present, column]
        if not np.isfinite(own).all():
            dropped[features[column]] = "missing values"
        elif np.ptp(values[is_control, column]) == 0:
            dropped[features[column]] = "constant over the controls"
    hand = np.flatnonzero(~deep)
    return dropped | uninformative(values[np.ix_(present, hand)], [features[column] for column in hand])


def _block_weights(deep: np.ndarray, weights: Mapping[str, float] | None) -> np.ndarray:
    """A factor per column: within a block all columns together weigh what the block weighs."""
    factors = np.ones(len(deep))
    if weights is None:
        return factors
    unknown = set(weights) - {"microsnoop", "classical"}
    if unknown or any(not value >= 0 for value in weights.values()):
        raise InputError(f"weights are {dict(weights)}: give microsnoop=X,classical=Y, X and Y from 0")
    for name, block in (("microsnoop", deep), ("classical", ~deep)):
        if block.any():
            factors[block] = np.sqrt(weights.get(name, 1.0) / block.sum())
    return factors

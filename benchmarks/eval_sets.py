"""The labeled sets that representations are measured on, each with the protocol of its README."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from get_data import DATA

FOLDER = DATA / "eval"
BENCHMARK_CELLS = 600
"""Of each set, that the benchmark of the representation uses unless told otherwise."""
SMALLEST_LABEL = 20
"""A label with fewer cells is dropped: six basophils cannot outvote anything. A subsample keeps as many of each."""


@dataclass(frozen=True)
class Protocol:
    """How a set is evaluated.

    Attributes
    ----------
    group : str
        Column whose members are never each other's neighbors; '' for stratified folds instead.
    also_apart : tuple of str
        Further such columns.
    k : int
    within : str
        Column inside which the neighbors are also looked for, in a task of its own.
    """

    group: str = ""
    also_apart: tuple[str, ...] = ()
    k: int = 11
    within: str = ""


PROTOCOLS = {
    "mitocheck_phenotype": Protocol("plate", also_apart=("well",)),
    "yeast_protein": Protocol("field"),
    "wbc_multibatch": Protocol("batch", k=5, within="batch"),
    "cric_papsmear": Protocol(),
    "chula_rbc12": Protocol("field"),
    "hepg2_huh7_nuclei": Protocol("field"),
}


@dataclass(frozen=True)
class EvalSet:
    """Labeled cells.

    Attributes
    ----------
    name : str
    images : array (n, c, h, w)
    labels : array (n,)
    columns : dict of str to array (n,)
        Plates, wells, fields, batches.
    protocol : Protocol
    """

    name: str
    images: np.ndarray
    labels: np.ndarray
    columns: dict[str, np.ndarray]
    protocol: Protocol

    @property
    def groups(self) -> np.ndarray | None:
        """The column that is kept apart, if the set has one."""
        return self.columns[self.protocol.group] if self.protocol.group else None


def read_set(name: str, limit: int = 0, folder: Path = FOLDER) -> EvalSet:
    """A set, or a stratified subsample of about ``limit`` cells (0: all)."""
    with np.load(folder / f"{name}.npz") as data:
        rows = subsample(data["labels"], limit)
    return _read(name, rows, folder)


def read_development_set(name: str, limit: int = 400, folder: Path = FOLDER) -> EvalSet:
    """About ``limit`` cells of a set that the benchmark of the representation does not use: to choose by.

    They may be of the same plates and fields as the benchmark's.
    """
    with np.load(folder / f"{name}.npz") as data:
        labels = data["labels"]
        rest = np.setdiff1d(np.arange(len(labels)), subsample(labels, BENCHMARK_CELLS))
        names, counts = np.unique(labels[rest], return_counts=True)
        rest = rest[np.isin(labels[rest], names[counts >= SMALLEST_LABEL])]
        rows = rest[subsample(labels[rest], limit, seed=1)]
    return _read(name, rows, folder)


def _read(name: str, rows: np.ndarray, folder: Path) -> EvalSet:
    with np.load(folder / f"{name}.npz") as data:
        columns = {key: data[key][rows] for key in data.files if key not in ("images", "labels", "channels")}
        return EvalSet(name, data["images"][rows], data["labels"][rows], columns, PROTOCOLS[name])


def subsample(labels: np.ndarray, limit: int, seed: int = 0) -> np.ndarray:
    """Rows of about ``limit`` cells: each label's share, but no fewer than ``SMALLEST_LABEL`` of a label."""
    random = np.random.default_rng(seed)
    share = limit / len(labels) if limit else 1
    rows = []
    for name in np.unique(labels):
        members = np.flatnonzero(labels == name)
        if len(members) >= SMALLEST_LABEL:
            count = min(len(members), max(SMALLEST_LABEL, round(len(members) * share)))
            rows.append(random.choice(members, count, replace=False))
    return np.sort(np.concatenate(rows))

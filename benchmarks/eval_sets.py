"""The labelled sets that representations are measured on, each with the protocol of its README."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

FOLDER = Path(__file__).resolve().parents[2] / "shared" / "data" / "eval"
SMALLEST_LABEL = 20
"""A label with fewer cells is dropped: six basophils cannot outvote anything. A subsample keeps as many of each."""


@dataclass(frozen=True)
class Protocol:
    """How a set is evaluated.

    Attributes
    ----------
    group : str
        Column whose members are never each other's neighbours; '' for stratified folds instead.
    also_apart : tuple of str
        Further such columns.
    k : int
    within : str
        Column inside which the neighbours are also looked for, in a task of its own.
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
    """Labelled cells.

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
        labels = data["labels"]
        rows = subsample(labels, limit)
        columns = {key: data[key][rows] for key in data.files if key not in ("images", "labels", "channels")}
        return EvalSet(name, data["images"][rows], labels[rows], columns, PROTOCOLS[name])


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

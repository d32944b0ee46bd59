"""Name the columns that a fitted MUSE takes, and bring further cells to what it was fitted on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted, listing
from ..tables.provenance import Provenance, as_metadata, from_metadata
from .variable_genes import is_counts, normalize_totals

Blocks = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class JoinedColumns:
    """The columns of images and genes that were joined.

    Attributes
    ----------
    images, genes : tuple of str
    total : float or None
        Total to which the counts of each cell were scaled; None if genes were no counts.
    measured : tuple of str
        Genes whose counts make up the total.
    network : Provenance
        Of the features of images.
    """

    images: tuple[str, ...]
    genes: tuple[str, ...]
    total: float | None = None
    measured: tuple[str, ...] = ()
    network: Provenance = ()

    def as_json(self) -> dict[str, Any]:
        """Return values that JSON can hold."""
        return asdict(self) | {"network": as_metadata(self.network)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> JoinedColumns:
        """Read what :meth:`as_json` returned."""
        names = {name: tuple(values[name]) for name in ("images", "genes", "measured")}
        return cls(**names, total=values["total"], network=from_metadata(values["network"]))

    def of_cells(
        self, blocks: Blocks, names: tuple[Sequence[str], Sequence[str]], left_out: dict[str, int]
    ) -> tuple[NDArray[np.intp], Blocks]:
        """Return the rows of further cells with all numbers, and both blocks as those of the fit were.

        Parameters
        ----------
        blocks : tuple of array (n, q) and array (n, p)
            Images and genes of the same cells.
        names : tuple of sequence of str
            Their columns.
        left_out : dict of str to int
            Gains the numbers of rows that are left out, by the reason.

        Returns
        -------
        rows : array (m,), int
        blocks : tuple of array (m, ..) and array (m, ..)

        Raises
        ------
        InputError
            If a column is missing, no cell has all numbers, or genes are counts in one of both tables only.
        """
        needed = self.images, self.measured or self.genes
        images, genes = (
            _columns(block, own, wanted, kind)
            for block, own, wanted, kind in zip(blocks, names, needed, ("images", "genes"), strict=True)
        )
        rows = np.ones(len(images), bool)
        for block, kind in ((images, "images"), (genes, "genes")):
            complete = np.isfinite(block).all(1)
            left_out[f"missing numbers of {kind}"] = int((rows & ~complete).sum())
            rows &= complete
        if not rows.any():
            raise InputError("no cell has all numbers of images and genes that the model takes")
        if is_counts(genes[rows]) != (self.total is not None):
            then, now = ("counts", "no counts") if self.total is not None else ("no counts", "counts")
            raise InputError(f"genes of the model were {then}, these are {now}: normalize both in the same way")
        if self.total is None:
            return np.flatnonzero(rows), (images[rows], genes[rows])
        empty = rows & (genes.sum(1) == 0)
        left_out["no counts of genes"] = int(empty.sum())
        rows &= ~empty
        place = {name: number for number, name in enumerate(self.measured)}
        chosen = [place[name] for name in self.genes]
        return np.flatnonzero(rows), (images[rows], np.log1p(normalize_totals(genes[rows], self.total)[:, chosen]))


def _columns(block: NDArray[Any], names: Sequence[str], wanted: Sequence[str], kind: str) -> NDArray[np.float64]:
    """Return columns in their order."""
    place = {name: number for number, name in enumerate(names)}
    if missing := [name for name in wanted if name not in place]:
        raise InputError(
            f"the table of {kind} lacks {len(missing)} of the {counted(len(wanted), 'columns')} that the model takes "
            f"({listing(missing, 3)}); it has {listing(names, 3)}"
        )
    return np.asarray(block[:, [place[name] for name in wanted]], np.float64)

"""Join a table of images with a table of genes by MUSE: one joint representation per cell that both have."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, listing
from ..evaluation.clustering import graph_clusters
from ..evaluation.missing import complete_part
from ..storage.paths import as_path
from ..tables.anndata_files import import_anndata, row_names
from ..tables.features import select_features
from ..tables.formats import is_anndata, open_table, write_table
from ..tables.joining import KEYS, match_rows
from ..tables.outputs import check_output
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from .estimator import MUSE

log = logging.getLogger(__name__)

NAMES = "obs_names"
"""The names of the rows of AnnData, as a key column."""
CLUSTERS = ("Metadata_Cluster_Joint", "Metadata_Cluster_Images", "Metadata_Cluster_Genes")
Table = str | Path | pd.DataFrame | TableSource


@dataclass(frozen=True)
class JointTable(FeatureTable):
    """Cells with the joint representation of their images and genes.

    Attributes
    ----------
    frame : DataFrame
        ``MUSE1``, ``MUSE2``, ...; the columns of both tables that are no features; clusters of the joint
        representation, of images and of genes (``Metadata_Cluster_Joint``, ``..._Images``, ``..._Genes``).
    features : list of str
    image_features, genes : list of str
        The columns that were joined.
    estimator : MUSE
    left_out : dict of str to int
        Numbers of rows that are left out, by the reason.
    normalized : bool
        True if the genes were counts, and were normalized.
    """

    image_features: list[str]
    genes: list[str]
    estimator: MUSE
    left_out: dict[str, int]
    normalized: bool


def muse(
    images: Table,
    genes: Table,
    on: Sequence[str] | None = None,
    *,
    features: str | Sequence[str] = "all",
    estimator: MUSE | None = None,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
) -> JointTable:
    """Join the images and the genes of cells, or of spots or wells (Bao et al. 2022; Xun et al. 2023).

    Counts of genes are divided by the total of their cell, multiplied by the median total, and enter as log(1 + x).
    Any other numbers enter as they are.

    Parameters
    ----------
    images, genes : str, Path, DataFrame or TableSource
        See :func:`.open_table`. Of AnnData, X is read. Genes of other tables are all columns of numbers but keys and
        those that begin with ``Metadata_``.
    on : sequence of str, optional
        Key columns, ``NAME=OTHER`` where the tables call one differently; ``obs_names`` are the names of the rows of
        AnnData. By default these, if both tables are AnnData, or else those of :func:`.combine`.
    features : str or sequence of str
        Of the images; see :func:`.select_features`.
    estimator : MUSE, optional
        Is fitted. By default one with default settings.
    objects : str, optional
        Object set of a CellProfiler export of the images.
    where : str, optional
        Query of the rows of the images, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to (see :func:`.write_table`). AnnData has the names of rows, ``obsm`` and ``uns`` of
        the genes.

    Returns
    -------
    JointTable

    Raises
    ------
    InputError
        If rows cannot be matched (see :func:`.combine`), fewer than ten cells have all numbers in both tables, or
        ``out`` cannot be written.
    """
    if out is not None and check_output(as_path(out), inputs=(images, genes)) == ".h5ad":
        import_anndata("writing .h5ad files")
    a, picture_names = _read(images, features, objects, where=where)
    b, gene_names = _read(genes, None, None, [word.partition("=")[2] or word for word in on or ()])
    if on is None and NAMES in a and NAMES in b:
        on = [NAMES]
        if all((frame[NAMES] == [str(row) for row in range(len(frame))]).all() for frame in (a, b)):
            raise InputError(
                "the rows of both tables have no names but their numbers, which need not be of one cell: name key "
                "columns with `on`"
            )
    with name_in_errors(images, genes):
        rows_a, rows_b = match_rows(a.drop(columns=picture_names), b.drop(columns=gene_names), on)
        left_out = {"images without genes": len(a) - len(rows_a), "genes without images": len(b) - len(rows_b)}
        values = a[picture_names].to_numpy(np.float64)[rows_a], b[gene_names].to_numpy(np.float64)[rows_b]
        kept, blocks, normalized = _complete(values, (picture_names, gene_names), left_out)
        fitted = (estimator or MUSE()).fit(*blocks)
    rows_a, rows_b = rows_a[kept], rows_b[kept]
    like = genes if is_anndata(genes) else None
    metadata = a.drop(columns=picture_names).iloc[rows_a].reset_index(drop=True)
    others = b.drop(columns=[*gene_names, *([NAMES] if like is not None and NAMES in metadata else [])])
    others = others[[name for name in others if name not in metadata]].iloc[rows_b].reset_index(drop=True)
    found = graph_clusters(fitted.joint_, fitted.neighbors, fitted.seed), fitted.image_clusters_, fitted.gene_clusters_
    joint = [f"MUSE{number + 1}" for number in range(fitted.dimension)]
    frame = pd.concat([metadata, others, pd.DataFrame(fitted.joint_, columns=joint)], axis=1)
    frame = frame.assign(**dict(zip(CLUSTERS, found, strict=True)))
    if out is not None:
        write_table(frame, out, joint, like, rows_b)
    left_out = {reason: count for reason, count in left_out.items() if count}
    return JointTable(frame, joint, picture_names, gene_names, fitted, left_out, normalized)


def _read(
    table: Table,
    features: str | Sequence[str] | None,
    objects: str | None,
    keys: Sequence[str] = (),
    where: str | None = None,
) -> tuple[pd.DataFrame, list[str]]:
    """Read a table and the names of its features, and of AnnData the names of rows; None: all numbers are features."""
    source = open_table(table, objects, where)
    frame = read_frame(source)
    if features is not None or source.features is not None:
        chosen = select_features(source, features or "all")
    else:
        numbers = [str(name) for name in frame.select_dtypes("number")]
        other = {*keys, *(name for names in KEYS for name in names)}
        chosen = [name for name in numbers if name not in other and not name.startswith("Metadata_")]
        if not chosen:
            raise InputError(f"'{source.path}' has no columns of genes: it has {listing(source.columns)}")
    if is_anndata(table) and NAMES not in frame:
        names = row_names(as_path(table))
        frame[NAMES] = names if source.rows is None else np.asarray(names)[source.rows]
    return frame, chosen


def _complete(
    values: tuple[NDArray[Any], NDArray[Any]], names: tuple[list[str], list[str]], left_out: dict[str, int]
) -> tuple[NDArray[np.intp], tuple[NDArray[Any], NDArray[Any]], bool]:
    """Return the rows with all numbers in both blocks, and the blocks; count the other rows, warn of features."""
    rows = np.ones(len(values[0]), bool)
    blocks = []
    for block, columns, kind in zip(values, names, ("images", "genes"), strict=True):
        complete, known = complete_part(block)
        if not known.all():
            lacking = [name for name, is_known in zip(columns, known, strict=True) if not is_known]
            log.warning(
                "%d features of %s are missing in more than a fifth of the rows and left out: %s",
                len(lacking),
                kind,
                listing(lacking),
            )
        left_out[f"missing numbers of {kind}"] = int((rows & ~complete).sum())
        rows &= complete
        blocks.append(block[:, known])
    if normalized := is_counts(blocks[1][rows]):
        empty = rows & (np.nansum(blocks[1], axis=1) == 0)
        left_out["no counts of genes"] = int(empty.sum())
        rows &= ~empty
    images, genes = (block[rows] for block in blocks)
    return np.flatnonzero(rows), (images, log_normalize(genes) if normalized else genes), normalized


def is_counts(values: NDArray[Any]) -> bool:
    """Return True for whole numbers from 0 that are not all 0."""
    return bool(values.size and values.any() and values.min() >= 0 and (values == np.floor(values)).all())


def log_normalize(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Scale the counts of each cell to the median total, and return log(1 + x).

    Parameters
    ----------
    counts : array (n, p)
        Each cell has some.

    Returns
    -------
    array (n, p), float64

    Examples
    --------
    >>> np.expm1(log_normalize(np.array([[1, 1], [3, 1]]))).round(6).tolist()
    [[1.5, 1.5], [2.25, 0.75]]
    """
    counts = np.asarray(counts, np.float64)
    totals = counts.sum(1, keepdims=True)
    return np.asarray(np.log1p(counts / totals * np.median(totals)))

"""Join a table of images with a table of genes by MUSE: one joint representation per cell that both have."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted, listing
from ..evaluation.clustering import graph_clusters
from ..evaluation.missing import complete_part
from ..storage.paths import as_path
from ..tables.anndata_files import as_anndata, import_anndata, read_anndata, row_names
from ..tables.columns import METADATA
from ..tables.features import select_features
from ..tables.formats import is_anndata, open_table, write_table
from ..tables.joining import KEYS, match_rows
from ..tables.mudata_files import H5MU, container, import_mudata, is_modality, write_mudata
from ..tables.outputs import FORMATS, check_output
from ..tables.provenance import below_each_other
from ..tables.source import FeatureTable, TableSource, name_in_errors, read_frame
from .estimator import MUSE
from .joined_columns import JoinedColumns
from .model_file import SUFFIX, load_joint_model, save_muse
from .variable_genes import is_counts, normalize_totals, variable_genes

log = logging.getLogger(__name__)

MOST_GENES = 2000
ALIKE = (0.2, 5.0)
"""Spread of further cells, between which their features look like those of the fit (1)."""
_SYMBOL = re.compile(r"[A-Za-z]+\d\w*")
NAMES = "obs_names"
"""The names of the rows of AnnData, as a key column."""
IN_OBSM = "X_muse"
"""Entry of obsm of MuData that holds the joint representation."""
CLUSTERS = ("Metadata_Cluster_Joint", "Metadata_Cluster_Images", "Metadata_Cluster_Genes")
Table = str | Path | pd.DataFrame | TableSource


@dataclass(frozen=True)
class JointTable(FeatureTable):
    """Cells with the joint representation of their images and genes.

    Attributes
    ----------
    frame : DataFrame
        ``MUSE1``, ``MUSE2``, ...; the columns of both tables that are no features; clusters of the joint
        representation, of images and of genes (``Metadata_Cluster_Joint``, ``..._Images``, ``..._Genes``); further
        cells, to which a saved model was applied, have none.
    features : list of str
    columns : JoinedColumns
        The columns that were joined.
    estimator : MUSE
    left_out : dict of str to int
        Numbers of rows that are left out, by the reason.
    measured_genes : int
        Number of genes of the table.
    """

    columns: JoinedColumns
    estimator: MUSE
    left_out: dict[str, int]
    measured_genes: int

    @property
    def image_features(self) -> list[str]:
        """The features of images that were joined."""
        return list(self.columns.images)

    @property
    def genes(self) -> list[str]:
        """The genes that were joined."""
        return list(self.columns.genes)

    @property
    def normalized(self) -> bool:
        """True if the genes were counts, and were normalized."""
        return self.columns.total is not None


def muse(
    images: Table,
    genes: Table,
    on: Sequence[str] | None = None,
    *,
    features: str | Sequence[str] = "all",
    most_genes: int = MOST_GENES,
    estimator: MUSE | None = None,
    model: str | Path | None = None,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
    save: str | Path | None = None,
) -> JointTable:
    """Join the images and the genes of cells, or of spots or wells (Bao et al. 2022; Xun et al. 2023).

    Counts of genes are divided by the total of their cell, multiplied by the median total, and enter as log(1 + x); of
    many genes, the most variable ones enter (see :func:`.variable_genes`). Any other numbers enter as they are.

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
    most_genes : int
        Of counts, as many variable genes enter at most; 0 for all.
    estimator : MUSE, optional
        Is fitted. By default one with default settings.
    model : str or Path, optional
        A file of ``save``: its MUSE is applied to further cells, and nothing is fitted.
    objects : str, optional
        Object set of a CellProfiler export of the images.
    where : str, optional
        Query of the rows of the images, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to (see :func:`.write_table`). AnnData has the names of rows, ``obsm`` and ``uns`` of
        the genes. MuData (.h5mu) has images and genes of the joined cells as modalities, the joint representation as
        ``obsm["X_muse"]``, and the clusters as ``obs``.
    save : str or Path, optional
        File ending in .safetensors to write the fitted MUSE to, with the names of its columns and their scale.

    Returns
    -------
    JointTable

    Raises
    ------
    InputError
        If ``most_genes`` is negative, rows cannot be matched (see :func:`.combine`), fewer than ten cells have all
        numbers in both tables, ``model`` takes other columns, or was fitted on features of other weights, or a file
        cannot be written.
    """
    if most_genes < 0:
        raise InputError(f"`most_genes` is {most_genes}: choose a number of genes, or 0 for all")
    if out is not None:
        _check_out(as_path(out), (images, genes))
    if save is not None:
        check_output(as_path(save), (SUFFIX,), (images, genes))
    loaded = None if model is None else _load(model, estimator, save)
    a, picture_names, source_a = _read(images, loaded[1].images if loaded else features, objects, where=where)
    b, gene_names, source_b = _read(genes, None, None, [word.partition("=")[2] or word for word in on or ()])
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
        if loaded:
            fitted, columns = loaded
            below_each_other([(model, columns.network), (source_a.path, source_a.provenance)])
            kept, blocks = columns.of_cells(values, (picture_names, gene_names), left_out)
            joint = fitted.transform(*blocks)
            _warn_of_scale(source_a.path, fitted.spread(blocks[0]))
        else:
            kept, blocks, columns = _complete(values, (picture_names, gene_names), most_genes, left_out)
            columns = replace(columns, network=source_a.provenance)
            fitted = (estimator or MUSE()).fit(*blocks)
            joint = fitted.joint_
    rows_a, rows_b = rows_a[kept], rows_b[kept]
    like = genes if is_anndata(genes) else None
    metadata = a.drop(columns=picture_names).iloc[rows_a].reset_index(drop=True)
    others = b.drop(columns=[*gene_names, *([NAMES] if like is not None and NAMES in metadata else [])])
    others = others[[name for name in others if name not in metadata]].iloc[rows_b].reset_index(drop=True)
    names = [f"MUSE{number + 1}" for number in range(fitted.dimension)]
    frame = pd.concat([metadata, others, pd.DataFrame(joint, columns=names)], axis=1)
    if not loaded:
        clusters = graph_clusters(joint, fitted.neighbors, fitted.seed), fitted.image_clusters_, fitted.gene_clusters_
        frame = frame.assign(**dict(zip(CLUSTERS, clusters, strict=True)))
    if save is not None:
        save_muse(fitted, save, columns)
    if out is not None and as_path(out).name.lower().endswith(H5MU):
        modalities = {
            _modality(images, "images"): _part(images, source_a, a, picture_names, rows_a),
            _modality(genes, "rna"): _part(genes, source_b, b, gene_names, rows_b),
        }
        write_mudata(as_path(out), modalities, frame[[name for name in CLUSTERS if name in frame]], {IN_OBSM: joint})
    elif out is not None:
        write_table(frame, out, names, like, rows_b)
    left_out = {reason: count for reason, count in left_out.items() if count}
    return JointTable(frame, names, columns, fitted, left_out, len(gene_names))


def _load(model: str | Path, estimator: MUSE | None, save: str | Path | None) -> tuple[MUSE, JoinedColumns]:
    """Read a saved model of tables."""
    if estimator is not None or save is not None:
        raise InputError(f"`{'save' if estimator is None else 'estimator'}` goes with a fit, not with `model`")
    loaded, columns = load_joint_model(model)
    if columns is None:
        raise InputError(f"'{model}' does not say the columns that it takes: fit it on tables, and save it there")
    return loaded, columns


def _warn_of_scale(path: Path, spread: float) -> None:
    """Warn of features that are distributed differently from those of the fit, as corrected ones are."""
    if not ALIKE[0] < spread < ALIKE[1]:
        log.warning(
            "'%s': its features lie %.3g standard deviations of the fitted cells from their mean (about 1 is usual): "
            "was one of the two tables normalized or sphered? Then the joint representations cannot be compared",
            path,
            spread,
        )


def _read(
    table: Table,
    features: str | Sequence[str] | None,
    objects: str | None,
    keys: Sequence[str] = (),
    where: str | None = None,
) -> tuple[pd.DataFrame, list[str], TableSource]:
    """Read a table and the names of its features, and of AnnData the names of rows; None: all numbers are features."""
    source = open_table(table, objects, where)
    frame = read_frame(source)
    if features is not None or source.features is not None:
        chosen = select_features(source, features or "all")
    else:
        others = {*keys, *(name for names in KEYS for name in names)}
        candidates = [str(name) for name in frame if name not in others and not str(name).startswith(METADATA)]
        frame = frame.assign(**_genes_like_names(frame[candidates], source.path))
        chosen = [name for name in candidates if pd.api.types.is_numeric_dtype(frame[name])]
        if not chosen:
            raise InputError(f"'{source.path}' has no columns of genes: it has {listing(source.columns)}")
    if is_anndata(table) and NAMES not in frame:
        names = row_names(as_path(table))
        frame[NAMES] = names if source.rows is None else np.asarray(names)[source.rows]
    return frame, chosen, source


def _genes_like_names(frame: pd.DataFrame, path: Path) -> dict[str, pd.Series]:
    """Return the numbers of genes such as ID1 and MAP2, which tables of text take for names; warn of other numbers."""
    numbers = {
        str(name): pd.to_numeric(column, errors="coerce")
        for name, column in frame.select_dtypes(exclude=["number", "bool"]).items()
    }
    numbers = {name: column for name, column in numbers.items() if column.notna().equals(frame[name].notna())}
    genes = {name: column for name, column in numbers.items() if column.notna().any() and _SYMBOL.fullmatch(name)}
    if left := [name for name, column in numbers.items() if column.notna().any() and name not in genes]:
        log.warning(
            "'%s': %s of numbers named as names, which are no genes: %s",
            path,
            counted(len(left), "columns"),
            listing(left),
        )
    return genes


def _check_out(out: Path, inputs: tuple[Table, Table]) -> None:
    """Check that the result can be written, before any work is done."""
    files = [container(as_path(table)) if isinstance(table, str | Path) else None for table in inputs]
    ending = check_output(out, (*FORMATS, H5MU), (*inputs, *(file for file in files if file is not None)))
    if ending == ".h5ad":
        import_anndata("writing .h5ad files")
    elif ending == H5MU:
        import_mudata("writing .h5mu files")


def _modality(table: Table, name: str) -> str:
    """Return the name of a modality: that of the input, if it is one of MuData."""
    return as_path(table).name if isinstance(table, str | Path) and is_modality(as_path(table)) else name


def _part(table: Table, source: TableSource, frame: pd.DataFrame, features: list[str], rows: NDArray[np.intp]) -> Any:
    """Return rows of a frame that was read as AnnData: as they are if it was AnnData, with all that belongs to them."""
    if is_anndata(table):
        part = read_anndata(as_path(table))[rows if source.rows is None else source.rows[rows]]
        return part.to_memory() if part.isbacked else part.copy()
    return as_anndata(frame.iloc[rows].reset_index(drop=True), features, provenance=source.provenance)


def _complete(
    values: tuple[NDArray[Any], NDArray[Any]],
    names: tuple[list[str], list[str]],
    most_genes: int,
    left_out: dict[str, int],
) -> tuple[NDArray[np.intp], tuple[NDArray[Any], NDArray[Any]], JoinedColumns]:
    """Return the rows with all numbers in both blocks, the blocks to join, and their columns.

    Other rows are counted; a warning names columns with many gaps.
    """
    rows = np.ones(len(values[0]), bool)
    blocks, used = [], []
    for block, columns, kind in zip(values, names, ("images", "genes"), strict=True):
        complete, known = complete_part(block)
        if not known.all():
            lacking = [name for name, is_known in zip(columns, known, strict=True) if not is_known]
            log.warning(
                "%s of %s left out, missing in more than a fifth of the rows: %s",
                counted(len(lacking), "features"),
                kind,
                listing(lacking),
            )
        left_out[f"missing numbers of {kind}"] = int((rows & ~complete).sum())
        rows &= complete
        blocks.append(block[:, known])
        used.append([name for name, is_known in zip(columns, known, strict=True) if is_known])
    if normalized := is_counts(blocks[1][rows]):
        empty = rows & (np.nansum(blocks[1], axis=1) == 0)
        left_out["no counts of genes"] = int(empty.sum())
        rows &= ~empty
    images, genes = (block[rows] for block in blocks)
    joined = JoinedColumns(tuple(used[0]), tuple(used[1]))
    if normalized:
        total = float(np.median(genes.sum(1)))
        genes = normalize_totals(genes, total)
        chosen = variable_genes(genes, most_genes or genes.shape[1])
        genes = np.log1p(genes[:, chosen])
        joined = replace(joined, genes=tuple(used[1][column] for column in chosen), total=total, measured=joined.genes)
    return np.flatnonzero(rows), (images, genes), joined

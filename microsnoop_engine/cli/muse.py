"""The command that joins images with genes: muse."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError, counted
from .options import add_quiet_option, names_argument, path_argument
from .tables import add_where

OF_A_FIT = ("features", "most_genes", "dimension", "seed", "save_model")
"""Options that a fitted model has decided."""
ANNDATA = ".h5ad or a modality of MuData (FILE.h5mu/NAME)"


def add_muse_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("muse", help="join images with genes of the same cells", description=run_muse.__doc__)
    parser.add_argument("images", type=path_argument, metavar="IMAGES", help=f"table of image features, {ANNDATA}")
    parser.add_argument("genes", type=path_argument, metavar="RNA", help=f"table with a column per gene, {ANNDATA}")
    parser.add_argument(
        "--on",
        type=names_argument,
        metavar="A,B",
        help="key columns, NAME=OTHER where RNA calls one differently; obs_names are the names of rows of .h5ad files; "
        "default: these, or image and object number, or plate and well",
    )
    parser.add_argument(
        "--features",
        metavar="WHICH",
        help="of IMAGES: microsnoop, classical, all (default), or a regular expression for the names of columns",
    )
    parser.add_argument(
        "--most-genes",
        type=int,
        metavar="N",
        help="of counts, as many of the most variable genes enter; 0 for all; default: 2000",
    )
    parser.add_argument("--objects", metavar="NAME", help="of a CellProfiler export: the object set whose rows to read")
    add_where(parser, "of IMAGES: ")
    parser.add_argument("--dimension", type=int, metavar="N", help="of the joint representation; default: 100")
    parser.add_argument("--seed", type=int, metavar="N", help="default: 0")
    parser.add_argument(
        "--save-model", type=path_argument, metavar="FILE.safetensors", help="write the fitted model to this file"
    )
    parser.add_argument(
        "--load-model",
        type=path_argument,
        metavar="FILE.safetensors",
        help="apply a model of --save-model to further cells, instead of fitting one",
    )
    parser.add_argument(
        "-o",
        "--out",
        type=path_argument,
        default=Path("joint.h5ad"),
        metavar="FILE",
        help="ends in .h5mu (images, genes and the joint representation), .h5ad, .parquet, .csv, .csv.gz or .sqlite; "
        "default: joint.h5ad",
    )
    add_quiet_option(parser)
    parser.set_defaults(run=run_muse)


def run_muse(options: argparse.Namespace) -> int:
    """Join the images and the genes of the same cells into one representation (MUSE; Bao et al. 2022)."""
    from ..errors import listing
    from ..multimodal.estimator import MUSE
    from ..multimodal.table import CLUSTERS, muse

    of_a_fit = {name: value for name in OF_A_FIT if (value := getattr(options, name)) is not None}
    if options.load_model and of_a_fit:
        raise InputError(f"`{next(iter(of_a_fit))}` goes with a fit, not with `load_model`")
    columns = {name: of_a_fit[name] for name in ("features", "most_genes") if name in of_a_fit}
    settings = {name: of_a_fit[name] for name in ("dimension", "seed") if name in of_a_fit}
    result = muse(
        options.images,
        options.genes,
        options.on,
        estimator=None if options.load_model else MUSE(**settings),
        model=options.load_model,
        objects=options.objects,
        where=options.where,
        out=options.out,
        save=options.save_model,
        **columns,
    )
    if options.quiet:
        return 0
    for reason, count in result.left_out.items():
        print(f"{counted(count, 'rows')} left out: {reason}")
    genes = f"{counted(len(result.genes), 'genes')} ({listing(result.genes)})"
    print(f"joined {counted(len(result.image_features), 'features')} of images and {genes}")
    if result.normalized:
        chosen = len(result.genes) < result.measured_genes
        most = f", the {len(result.genes)} most variable of {result.measured_genes}" if chosen else ""
        total = "the total of the model" if options.load_model else "the median total of a cell"
        print(f"genes were counts: scaled to {total}, log(1 + x){most}")
    if not options.load_model:
        joint, of_images, of_genes = (result.frame[name].max() for name in CLUSTERS)
        print(f"{counted(joint, 'clusters')} of the joint representation; of images {of_images}, of genes {of_genes}")
    if options.save_model:
        print(f"model: {options.save_model}")
    print(f"{counted(len(result.frame), 'rows')}, {counted(len(result.features), 'features')}: {options.out}")
    return 0

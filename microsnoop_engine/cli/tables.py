"""The commands that turn tables into tables and figures: aggregate, sphere, combine, evaluate."""

from __future__ import annotations

import argparse
import json
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError
from .options import path_argument

TABLE_HELP = (
    "a folder of microsnoop profile; .parquet, .csv, .csv.gz, .h5ad; a folder of CellProfiler's ExportToSpreadsheet or "
    "an SQLite file of its ExportToDatabase"
)
OUT_HELP = "ends in .parquet, .csv, .csv.gz, .sqlite or .h5ad"


def add_table_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_aggregate(commands)
    _add_combine(commands)
    _add_sphere(commands)
    _add_evaluate(commands)


def _add_aggregate(commands: Any) -> None:
    parser = commands.add_parser(
        "aggregate", help="objects to images, wells or treatments", description=run_aggregate.__doc__
    )
    _add_table(parser)
    parser.add_argument("--level", choices=("image", "well", "treatment"), default="well", help="default: well")
    parser.add_argument("--treatment", type=names_of, default=(), metavar="A,B", help="columns of a treatment")
    parser.add_argument(
        "--list",
        type=names_of,
        default=(),
        metavar="A,B",
        help="with --level treatment: columns of the wells of which a treatment keeps all values, Metadata_Week",
    )
    parser.add_argument("--statistic", choices=("mean", "median"), default="mean", help="default: mean (the paper's)")
    parser.add_argument("--least", type=int, default=1, metavar="N", help="leave out rows with fewer objects")
    parser.add_argument(
        "--platemap", type=path_argument, metavar="FILE", help="table with a row per well, joined to the wells"
    )
    parser.add_argument(
        "--on",
        type=names_of,
        default=("Metadata_Plate", "Metadata_Well"),
        metavar="A,B",
        help="columns to join the platemap on; default: Metadata_Plate,Metadata_Well",
    )
    _add_out(parser, "wells.parquet")
    parser.set_defaults(run=run_aggregate)


def _add_combine(commands: Any) -> None:
    parser = commands.add_parser(
        "combine", help="two tables of the same objects or wells side by side", description=run_combine.__doc__
    )
    parser.add_argument("tables", nargs=2, type=path_argument, metavar="TABLE", help=TABLE_HELP)
    parser.add_argument(
        "--on", type=names_of, metavar="A,B", help="key columns; default: image and object number, or plate and well"
    )
    parser.add_argument("--objects", metavar="NAME", help="of CellProfiler exports: the objects whose rows are wanted")
    _add_out(parser, "combined.parquet")
    parser.set_defaults(run=run_combine)


def _add_sphere(commands: Any) -> None:
    parser = commands.add_parser(
        "sphere", help="correct batch effects by whitening on the negative controls", description=run_sphere.__doc__
    )
    _add_table(parser)
    parser.add_argument(
        "--controls", required=True, metavar="QUERY", help="the control rows, \"Metadata_role == 'negative'\""
    )
    parser.add_argument("--by", metavar="COLUMN", help="sphere each group (plate) on its own controls")
    parser.add_argument("--method", choices=("zca-cor", "zca", "pca-cor", "pca"), default="zca-cor")
    parser.add_argument(
        "--regularization",
        type=_regularization,
        default="knee",
        metavar="RULE",
        help="knee (default, the paper's), ledoit-wolf, a number from 0, or auto: the one with which replicates find "
        "each other best",
    )
    parser.add_argument("--replicates", metavar="COLUMN", help="what is replicated (treatment), for auto")
    parser.add_argument(
        "--weights", type=_weights, metavar="microsnoop=X,classical=Y", help="share of the two kinds in distances"
    )
    parser.add_argument("--save", type=Path, metavar="FILE.safetensors", help="keep the transform")
    _add_out(parser, "sphered.parquet")
    parser.set_defaults(run=run_sphere)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate", help="how well the features tell labels apart", description=run_evaluate.__doc__
    )
    _add_table(parser)
    parser.add_argument("--label", required=True, metavar="COLUMN", help="what is to be told apart, Metadata_MoA")
    parser.add_argument(
        "--task",
        type=names_of,
        default=("knn",),
        metavar="A,B",
        help="knn (default), linear, mlp, silhouette, map, nsc, nscb",
    )
    parser.add_argument("--compound", metavar="COLUMN", help="for nsc and nscb")
    parser.add_argument("--batch", metavar="COLUMN", help="for nscb: plate or week")
    parser.add_argument("--groups", metavar="COLUMN", help="rows that share it are not compared (plate, donor)")
    parser.add_argument("--neighbors", type=int, default=11, metavar="K", help="default: 11")
    parser.add_argument(
        "--metric",
        choices=("cosine", "euclidean"),
        default="cosine",
        help="of the neighbors: cosine (default) for kinds of effect, euclidean for sphered controls against the rest",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.set_defaults(run=run_evaluate)


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=TABLE_HELP)
    parser.add_argument(
        "--features",
        default="all",
        metavar="WHICH",
        help="microsnoop, classical, all (default), or a regular expression for the names of columns",
    )
    parser.add_argument("--objects", metavar="NAME", help="of a CellProfiler export: the objects whose rows are wanted")


def _add_out(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument(
        "-o", "--out", type=path_argument, default=Path(default), metavar="FILE", help=f"{OUT_HELP}; default: {default}"
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")


def names_of(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def _regularization(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _weights(text: str) -> dict[str, float]:
    try:
        return {name: float(value) for name, value in (part.split("=") for part in text.split(","))}
    except ValueError:
        raise argparse.ArgumentTypeError("write microsnoop=1,classical=1") from None


def run_aggregate(options: argparse.Namespace) -> int:
    """Average a table of objects, of any size, into one row per image, well or treatment."""
    from ..tables.aggregation import COUNT, aggregate_levels
    from ..tables.features import select_features
    from ..tables.formats import check_output, open_table, write_table

    check_output(options.out)
    source = open_table(options.table, options.objects)
    features = select_features(source, options.features)
    with _naming(options.table):
        frame = aggregate_levels(
            source,
            options.level,
            features,
            options.treatment,
            options.statistic,
            options.least,
            options.platemap,
            options.on,
            options.list,
        )
    write_table(frame, options.out, features)
    _say(options, f"{len(frame)} rows of {int(frame[COUNT].sum())} objects, {len(features)} features: {options.out}")
    return 0


def run_combine(options: argparse.Namespace) -> int:
    """Join two tables, such as Microsnoop's and CellProfiler's columns, on their keys."""
    from ..tables.features import select_features
    from ..tables.formats import check_output, open_table, write_table
    from ..tables.joining import combine
    from ..tables.source import read_frame

    check_output(options.out)
    sources = [open_table(path, options.objects) for path in options.tables]
    features = [name for source in sources for name in select_features(source)]
    frames = [read_frame(source) for source in sources]
    with _naming(*options.tables):
        joined, *only = combine(*frames, options.on)
    write_table(joined, options.out, list(dict.fromkeys(features)))
    for path, count in zip(options.tables, only, strict=True):
        if count:
            _say(options, f"{count} rows of {path} have no partner and are left out")
    _say(options, f"{len(joined)} rows, {len(set(features))} features: {options.out}")
    return 0


def run_sphere(options: argparse.Namespace) -> int:
    """Whiten features on control rows, so that directions in which controls differ among themselves count less."""
    from ..sphering.spherize import SpheringWarning, save_spherings
    from ..sphering.table import sphere_table
    from ..tables.features import select_features
    from ..tables.formats import check_output, open_table, write_table
    from ..tables.source import read_frame

    check_output(options.out)
    if options.save:
        check_output(options.save, (".safetensors",))
    source = open_table(options.table, options.objects)
    warnings.simplefilter("ignore", SpheringWarning)  # the diagnostics say it, group by group
    features, frame = select_features(source, options.features), read_frame(source)
    with _naming(options.table):
        found = sphere_table(
            frame,
            features,
            options.controls,
            options.by,
            options.method,
            options.regularization,
            options.replicates,
            options.weights,
        )
    write_table(found.frame, options.out, found.features)
    if options.save:
        save_spherings(options.save, found.spherings, found.features)
    for group, sphering in found.spherings.items():
        _say(options, f"{group}: {sphering.diagnostics_}")
        if warning := sphering.diagnostics_.warning:
            print(f"WARNING: {group}: {warning}", file=sys.stderr)
    by_reason: dict[str, list[str]] = {}
    for name, why in found.dropped.items():
        by_reason.setdefault("near-duplicate of another" if why.startswith("as ") else why, []).append(name)
    for why, names in by_reason.items():
        some = ", ".join(names[:5]) + (", .." if len(names) > 5 else "")
        _say(options, f"{len(names)} columns left out ({why}): {some}")
    if found.missing:
        _say(options, f"{found.missing} rows have no features and stay without")
    _say(options, f"{len(found.frame)} rows, {len(found.features)} features: {options.out}")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Say how well features tell labels apart: neighbors, classifiers, and the mechanism of action of treatments."""
    from ..evaluation.table import evaluate
    from ..tables.features import select_features
    from ..tables.formats import open_table
    from ..tables.source import read_frame

    source = open_table(options.table, options.objects)
    features, frame = select_features(source, options.features), read_frame(source)
    with _naming(options.table):
        figures = evaluate(
            frame,
            features,
            options.label,
            options.task,
            options.compound,
            options.batch,
            options.groups,
            options.neighbors,
            options.metric,
        )
    if options.json:
        print(json.dumps(figures, indent=1))
        return 0
    for figure in figures:
        interval = f" ({figure['low']:.3f} to {figure['high']:.3f})" if "low" in figure else ""
        left_out = f", {figure['left_out']} left out" if figure.get("left_out") else ""
        print(f"{figure['task']:24s} {figure['value']:.3f}{interval}  {figure['rows']} rows{left_out}")
    return 0


@contextmanager
def _naming(*paths: Path) -> Iterator[None]:
    """Errors inside say which tables they are about."""
    try:
        yield
    except InputError as error:
        if any(str(path) in str(error) for path in paths):
            raise
        names = " and ".join(f"'{path}'" for path in paths)
        raise InputError(f"{names}: {error}") from None


def _say(options: argparse.Namespace, text: str) -> None:
    if not options.quiet:
        print(text)

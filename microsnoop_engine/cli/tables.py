"""The commands that turn tables into tables and scores: aggregate, combine, evaluate."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ..errors import InputError, counted
from .options import names_argument, path_argument

TABLE_HELP = (
    "a folder of microsnoop profile; .parquet, .csv, .csv.gz, .h5ad; a folder of CellProfiler's ExportToSpreadsheet or "
    "an SQLite file of its ExportToDatabase"
)
OUT_HELP = "ends in .parquet, .csv, .csv.gz, .sqlite or .h5ad"


def add_table_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_aggregate(commands)
    _add_combine(commands)
    _add_evaluate(commands)


def _add_aggregate(commands: Any) -> None:
    parser = commands.add_parser(
        "aggregate", help="aggregate objects to images, wells or treatments", description=run_aggregate.__doc__
    )
    add_table(parser)
    parser.add_argument("--level", choices=("image", "well", "treatment"), default="well", help="default: well")
    parser.add_argument(
        "--treatment", type=names_argument, default=(), metavar="A,B", help="columns that define a treatment"
    )
    parser.add_argument(
        "--keep-values",
        type=names_argument,
        default=(),
        metavar="A,B",
        help="with --level treatment: columns of the wells whose different values a treatment keeps, Metadata_Week",
    )
    parser.add_argument(
        "--statistic",
        choices=("mean", "median", "modz"),
        default="mean",
        help="default: mean (the paper's); modz: wells of a treatment that agree with the others count more",
    )
    parser.add_argument(
        "--pool",
        choices=("images", "cells"),
        default="images",
        help="a well is the mean of its images (default, the paper's) or of all its cells",
    )
    parser.add_argument(
        "--plates",
        type=names_argument,
        default=(),
        metavar="A,B",
        help="columns that tell plates, batches and acquisitions apart; default: found by their names",
    )
    parser.add_argument("--min-objects", type=int, default=1, metavar="N", help="leave out rows with fewer objects")
    parser.add_argument(
        "--platemap", type=path_argument, metavar="FILE", help="table with a row per well, joined to the wells"
    )
    parser.add_argument(
        "--on",
        type=names_argument,
        default=("Metadata_Plate", "Metadata_Well"),
        metavar="A,B",
        help="columns to join the platemap on, Plate=Metadata_Plate where it has another name there; default: "
        "Metadata_Plate,Metadata_Well",
    )
    add_out(parser, None, "wells.parquet, images.parquet or treatments.parquet")
    parser.set_defaults(run=run_aggregate)


def _add_combine(commands: Any) -> None:
    parser = commands.add_parser(
        "combine", help="join tables of the same objects or wells", description=run_combine.__doc__
    )
    parser.add_argument(
        "tables",
        nargs="+",
        type=path_argument,
        metavar="TABLE",
        help=f"two tables: {TABLE_HELP}; with --match overlap two or more results folders",
    )
    parser.add_argument(
        "--on",
        type=names_argument,
        metavar="A,B",
        help="key columns; default: image and object number, or plate and well",
    )
    parser.add_argument(
        "--match",
        choices=("keys", "location", "overlap"),
        default="keys",
        help="keys (default); location: join the objects of an image by their centers; overlap: join cells with their "
        "nuclei, cytoplasm, ... of runs of the same images, by the pixels that their label images share",
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=2.0,
        metavar="PIXELS",
        help="how far the centers of one object may be apart; default: 2",
    )
    parser.add_argument(
        "--features",
        metavar="WHICH",
        help="microsnoop, classical, all (default), or a regular expression for the names of columns of both tables",
    )
    parser.add_argument("--objects", metavar="NAME", help="of CellProfiler exports: the object set whose rows to read")
    add_where(parser, "of the first table: ")
    add_out(parser, "combined.parquet")
    parser.set_defaults(run=run_combine)


def _add_evaluate(commands: Any) -> None:
    parser = commands.add_parser(
        "evaluate", help="score how well features separate labels", description=run_evaluate.__doc__
    )
    add_table(parser)
    parser.add_argument("--label", required=True, metavar="COLUMN", help="column of the labels, Metadata_MoA")
    parser.add_argument(
        "--task",
        dest="tasks",
        type=names_argument,
        default=("knn",),
        metavar="A,B",
        help="knn (default), linear, mlp, silhouette, ari, map, nsc, nscb",
    )
    parser.add_argument("--compound", metavar="COLUMN", help="for nsc and nscb")
    parser.add_argument("--batch", metavar="COLUMN", help="for nscb: plate or week")
    parser.add_argument("--groups", metavar="COLUMN", help="rows with the same value are not compared (plate, donor)")
    parser.add_argument("--neighbors", type=int, default=11, metavar="K", help="default: 11")
    parser.add_argument(
        "--metric",
        choices=("cosine", "euclidean"),
        default="cosine",
        help="distance to neighbors: cosine (default) for kinds of effect, euclidean for controls against the rest",
    )
    parser.add_argument(
        "--separator",
        metavar="CHARACTER",
        help="separates several labels of a row, | in a|b: rows that share one are alike; for map, nsc, nscb",
    )
    parser.add_argument(
        "--baseline",
        nargs="?",
        type=named_tables,
        const={},
        metavar="NAME=TABLE,...",
        help="score the number of objects and mean intensities, too, by knn, linear and mlp; and these tables of the "
        "same rows in the same way as TABLE, untrained=untrained_wells.parquet",
    )
    parser.add_argument(
        "--profiles",
        type=path_argument,
        metavar="FOLDER",
        help="of microsnoop profile: with --baseline, mean intensities are those of its images",
    )
    parser.add_argument("--json", action="store_true", help="print the scores as JSON")
    parser.add_argument(
        *("-o", "--out"), type=path_argument, metavar="FILE", help=f"write the scores; {OUT_HELP}; default: no file"
    )
    parser.set_defaults(run=run_evaluate)


def add_table(parser: argparse.ArgumentParser) -> None:
    """Add the table, ``--features``, ``--objects`` and ``--where``."""
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=TABLE_HELP)
    parser.add_argument(
        "--features",
        default="all",
        metavar="WHICH",
        help="microsnoop, classical, all (default), or a regular expression for the names of columns",
    )
    parser.add_argument("--objects", metavar="NAME", help="of a CellProfiler export: the object set whose rows to read")
    add_where(parser)


def named_tables(text: str) -> dict[str, Path]:
    """Read ``NAME=TABLE,...``; a table without a name is called as its file."""
    tables: dict[str, Path] = {}
    for word in names_argument(text):
        name, separator, table = word.partition("=")
        path = path_argument(table if separator else word)
        name = name if separator else path.stem
        if name in tables:
            raise argparse.ArgumentTypeError(f"two tables are called {name}: write NAME=TABLE")
        tables[name] = path
    return tables


def add_where(parser: argparse.ArgumentParser, of: str = "") -> None:
    """Add ``--where``; ``of`` names the table where there are two."""
    parser.add_argument(
        "--where",
        metavar="QUERY",
        help=f'{of}read only these rows, e.g. "Metadata_QC_Flags is None" after microsnoop qc; default: all',
    )


def add_out(parser: argparse.ArgumentParser, default: str | None, shown: str = "") -> None:
    """Add ``--out`` for a table, and ``--quiet``."""
    parser.add_argument(
        "-o",
        "--out",
        type=path_argument,
        default=Path(default) if default else None,
        metavar="FILE",
        help=f"{OUT_HELP}; default: {shown or default}",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def run_aggregate(options: argparse.Namespace) -> int:
    """Average a table of objects, of any size, into one row per image, well or treatment."""
    from ..tables.aggregation import aggregate
    from ..tables.columns import COUNT

    options.out = options.out or Path(f"{options.level}s.parquet")
    result = aggregate(
        options.table,
        options.level,
        options.treatment,
        features=options.features,
        statistic=options.statistic,
        pool=options.pool,
        plates=options.plates,
        min_objects=options.min_objects,
        platemap=options.platemap,
        on=options.on,
        keep_values=options.keep_values,
        objects=options.objects,
        where=options.where,
        out=options.out,
    )
    count = int(result.frame[COUNT].sum())
    say(
        options,
        f"{counted(len(result.frame), 'rows')} of {counted(count, 'objects')}, "
        f"{counted(len(result.features), 'features')}: {options.out}",
    )
    return 0


def run_combine(options: argparse.Namespace) -> int:
    """Join tables, such as Microsnoop's and CellProfiler's columns, or those of cells, nuclei and cytoplasm."""
    from ..distributor.compartments import combine_compartments
    from ..tables.joining import combine

    if options.match == "overlap":
        if given := [name for name in ("on", "objects", "features") if getattr(options, name)]:
            raise InputError(f"`{given[0]}` does not go with `match` overlap, which joins results folders")
        result = combine_compartments(options.tables, options.out, options.where)
    elif len(options.tables) != 2:
        raise InputError(
            f"{counted(len(options.tables), 'tables')}: name two, or join several object sets by `match` overlap"
        )
    else:
        first, second = options.tables
        result = combine(
            first,
            second,
            options.on,
            features=options.features or "all",
            match=options.match,
            tolerance=options.tolerance,
            objects=options.objects,
            where=options.where,
            out=options.out,
        )
    partner = "partner" if options.where is None else "partner among the chosen rows"
    for path, count in zip(options.tables, result.unmatched, strict=True):
        if count:
            say(options, f"{counted(count, 'rows')} of {path} without a {partner}, left out")
    if result.distance is not None:
        say(options, f"centers of joined rows are at most {result.distance:.2f} pixels apart")
    say(options, f"{counted(len(result.frame), 'rows')}, {counted(len(result.features), 'features')}: {options.out}")
    return 0


def run_evaluate(options: argparse.Namespace) -> int:
    """Score how well features separate labels: neighbors, classifiers, and the mechanism of action of treatments."""
    from ..tables.evaluation import evaluate

    table = options.table
    with_baselines = options.baseline is not None
    if options.profiles and with_baselines:
        from .intensities import with_intensities

        table = with_intensities(options.table, options.profiles, options.objects)
    scores = evaluate(
        table,
        options.label,
        options.tasks,
        features=options.features,
        compound=options.compound,
        batch=options.batch,
        groups=options.groups,
        neighbors=options.neighbors,
        metric=options.metric,
        separator=options.separator,
        objects=options.objects,
        where=options.where,
        baseline=with_baselines,
        baseline_tables=options.baseline,
        out=options.out,
    )
    if options.json:
        known = [{key: None if value != value else value for key, value in score.items()} for score in scores]
        print(json.dumps(known, indent=1))
        return 0
    for score in scores:
        interval = "(no interval)" if score["low"] != score["low"] else f"({score['low']:.3f} to {score['high']:.3f})"
        units = "" if score["unit"] == "rows" else f", interval over {score['units']} {score['unit']}"
        left_out = f", {score['left_out']} left out" if score.get("left_out") else ""
        of = f"{score['features']:16s} " if with_baselines else ""
        print(
            f"{of}{score['task']:24s} {score['value']:.3f} {interval}  "
            f"{counted(int(score['rows']), 'rows')}{units}{left_out}"
        )
    if with_baselines:
        for name in sorted({"object count", "mean intensity"} - {str(score["features"]) for score in scores}):
            print(f"{name:16s} not scored: no such column that varies, or none of the tasks knn, linear, mlp")
    if options.out:
        print(f"{counted(len(scores), 'scores')}: {options.out}")
    return 0


def say(options: argparse.Namespace, text: str) -> None:
    """Print a line unless ``--quiet``."""
    if not options.quiet:
        print(text)

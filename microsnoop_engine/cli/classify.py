"""Define the commands that learn classes from labeled cells: classify train, apply and review."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import counted
from .options import add_out_option, add_quiet_option, names_argument, path_argument, positive_int
from .tables import OUT_HELP, TABLE_HELP, add_where

MODEL_HELP = "classifier of microsnoop classify train"
LABELS_HELP = (
    "labels of cells: a CSV or other table with key columns and a column Label (or Class), a training set (.txt) of "
    "CellProfiler Analyst, or the list of classify review; once for each file"
)


def add_classify_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser(
        "classify", help="classify cells from labeled examples", description="Classify cells from labeled examples."
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_train(actions)
    _add_apply(actions)
    _add_review(actions)


def _add_table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=TABLE_HELP)
    add_where(parser)


def _add_train(actions: Any) -> None:
    parser = actions.add_parser("train", help="learn classes from labeled cells", description=run_train.__doc__)
    _add_table(parser)
    parser.add_argument("--labels", action="append", type=path_argument, default=[], metavar="FILE", help=LABELS_HELP)
    parser.add_argument(
        "--label",
        metavar="COLUMN",
        help="column of the labels; without --labels a column of the table, such as Metadata_ROI_Group",
    )
    parser.add_argument(
        "--on",
        type=names_argument,
        metavar="A,B",
        help="key columns; default: image and object number with plate and well, or all metadata that both have",
    )
    parser.add_argument("--features", default="microsnoop", metavar="WHICH", help="as in evaluate; default: microsnoop")
    parser.add_argument(
        "--groups", metavar="COLUMN", help="rows that are held out together; default: wells, else images"
    )
    parser.add_argument(
        "--most-unmatched",
        type=float,
        default=0.1,
        metavar="SHARE",
        help="share of the labels that may belong to no row; default: 0.1",
    )
    parser.add_argument("--objects", metavar="NAME", help="of a CellProfiler export: the object set whose rows to read")
    add_out_option(parser, "classifier.safetensors", "FILE.safetensors")
    add_quiet_option(parser)
    parser.set_defaults(run=run_train)


def _add_apply(actions: Any) -> None:
    parser = actions.add_parser("apply", help="classify the cells of a table", description=run_apply.__doc__)
    _add_table(parser)
    parser.add_argument("model", type=path_argument, metavar="CLASSIFIER", help=MODEL_HELP)
    parser.add_argument("--objects", metavar="NAME", help="of a CellProfiler export: the object set whose rows to read")
    add_out_option(parser, "classes.parquet", "FILE", OUT_HELP)
    parser.add_argument(
        "--counts",
        type=path_argument,
        default=Path("class_counts.csv"),
        metavar="FILE",
        help="counts per well; default: class_counts.csv",
    )
    add_quiet_option(parser)
    parser.set_defaults(run=run_apply)


def _add_review(actions: Any) -> None:
    parser = actions.add_parser(
        "review", help="write a page of the most doubtful cells", description=run_review.__doc__
    )
    _add_table(parser)
    parser.add_argument("model", type=path_argument, metavar="CLASSIFIER", help=MODEL_HELP)
    parser.add_argument(
        "--profiles",
        type=path_argument,
        metavar="FOLDER",
        help="results folder of microsnoop profile, for the pictures; default: TABLE",
    )
    parser.add_argument(
        "--labels",
        action="append",
        type=path_argument,
        default=[],
        metavar="FILE",
        help="leave out cells that this file labels; once for each file",
    )
    parser.add_argument("--cells", type=positive_int, default=60, metavar="N", help="default: 60")
    add_out_option(parser, "review.html", "FILE.html")
    parser.add_argument(
        "--csv", type=path_argument, default=Path("review.csv"), metavar="FILE.csv", help="default: review.csv"
    )
    add_quiet_option(parser)
    parser.set_defaults(run=run_review)


def run_train(options: argparse.Namespace) -> int:
    """Learn classes from labeled cells by logistic regression on their features, with calibrated probabilities."""
    from ..classification.summary import training_lines
    from ..classification.training import train_on_table

    training = train_on_table(
        options.table,
        options.labels,
        options.label,
        on=options.on,
        features=options.features,
        groups=options.groups,
        most_unmatched=options.most_unmatched,
        objects=options.objects,
        where=options.where,
        out=options.out,
    )
    if not options.quiet:
        print("\n".join([*training_lines(training), str(options.out)]))
    return 0


def run_apply(options: argparse.Namespace) -> int:
    """Write the class of every cell with the probability of each class, and counts per well."""
    from ..classification.application import CLASS, apply_to_table

    result = apply_to_table(
        options.table,
        options.model,
        objects=options.objects,
        where=options.where,
        out=options.out,
        counts=options.counts,
    )
    if not options.quiet:
        for name, count in result.frame[CLASS].value_counts().items():
            print(f"{name}: {counted(count, 'cells')}")
        if result.unclassified:
            print(
                f"{result.unclassified} of {counted(len(result.frame), 'cells lack', 'cell lacks')} features and have "
                "no class"
            )
        print(f"{counted(len(result.frame), 'rows')}: {options.out}; counts per well: {options.counts}")
    return 0


def run_review(options: argparse.Namespace) -> int:
    """Write a page with pictures of the cells whose class is most doubtful, and a list of them to fill in."""
    from ..classification.review import review

    result = review(
        options.table,
        options.model,
        options.out,
        options.csv,
        profiles=options.profiles,
        labeled=options.labels,
        count=options.cells,
        where=options.where,
    )
    if not options.quiet:
        print(f"{counted(len(result.cells), 'cells')}, {result.shown} with a picture: {options.out}, {options.csv}")
    return 0

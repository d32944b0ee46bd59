"""Define the commands of a whole screen: report, and run, which chains all others."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import Any

from .options import Parse, add_out_option, add_quiet_option, field_values, names_argument, path_argument
from .tables import TABLE_HELP, add_where

RUN_HELP = """The file has a section for each step, with the options of that command:

  profile:   {input: LoadData.csv}
  qc:        {threshold: 5}
  aggregate: {platemap: platemap.csv, where: Metadata_QC_Flags is None}
  activity:  {controls: Metadata_Role == 'negative', treatment: [Metadata_Compound, Metadata_Dose]}
  sphere:    {controls: Metadata_Role == 'negative', regularization: 0.1}
  evaluate:  {label: Metadata_MoA, groups: Metadata_Plate}
  report:    {title: My screen}

All sections may be left out. Their order is always
  illumination, profile, qc, combine, classify-train, classify, explain, aggregate, normalize, select-features,
  activity, compare-corrections, sphere, correct, evaluate, report.
Each step takes the table of the step before it; without 'profile', 'table: FILE' is the first table. 'out: FOLDER' is
the folder of the results (default: results). A finished step is repeated only if its options or its input changed."""


def add_screen_commands(commands: Any, parse: Parse) -> None:
    """Add the commands to the parser.

    Parameters
    ----------
    commands : argparse action
        Result of ``add_subparsers``.
    parse : callable
        Parses a command line, for the commands of a screen file.
    """
    _add_report(commands)
    _add_run(commands, parse)


def _add_report(commands: Any) -> None:
    from ..reporting.roles import ColumnRoles

    parser = commands.add_parser("report", help="write an HTML report", description=run_report.__doc__)
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=TABLE_HELP)
    add_out_option(parser, "report.html", "FILE.html")
    add_where(parser)
    parser.add_argument("--title", help="default: the name of the table")
    parser.add_argument("--before", type=path_argument, metavar="TABLE", help="the same rows before a correction")
    parser.add_argument(
        "--profiles", type=path_argument, metavar="FOLDER", help="of microsnoop profile: shows cells of each row"
    )
    parser.add_argument("--transform", type=Path, metavar="FILE.safetensors", help="of sphere --save: its diagnostics")
    parser.add_argument(
        "--corrections", type=path_argument, metavar="TABLE", help="of microsnoop compare-corrections, to be shown"
    )
    parser.add_argument("--explained", type=path_argument, metavar="TABLE", help="of microsnoop explain, to be shown")
    parser.add_argument(
        "--classes", type=path_argument, metavar="TABLE", help="of microsnoop classify apply: counts of each treatment"
    )
    parser.add_argument(
        "--activity",
        type=path_argument,
        metavar="TABLE",
        help="of microsnoop activity, to be shown; default: treatments are tested here",
    )
    parser.add_argument(
        "--features",
        default="all",
        metavar="WHICH",
        help="microsnoop, classical, all (default), or a regular expression for the names of columns",
    )
    roles = parser.add_argument_group("roles of the columns; panels whose columns are not named are skipped")
    roles.add_argument("--controls", metavar="QUERY", help="the negative controls, \"Metadata_Role == 'negative'\"")
    roles.add_argument("--positive", metavar="QUERY", help="the positive controls")
    roles.add_argument(
        "--treatment",
        type=names_argument,
        default=ColumnRoles.treatment,
        metavar="A,B",
        help="columns that name a treatment; rows that share them are replicates",
    )
    roles.add_argument("--label", metavar="COLUMN", help="classes to tell apart, Metadata_MoA")
    roles.add_argument("--compound", metavar="COLUMN", help="for NSC, NSCB and dose curves")
    roles.add_argument("--dose", metavar="COLUMN", help="a column of numbers")
    roles.add_argument("--batch", metavar="COLUMN", help="plate or week, whose effect should not show in the features")
    roles.add_argument("--groups", metavar="COLUMN", help="rows that share it do not vote for each other")
    roles.add_argument("--neighbors", type=int, default=ColumnRoles.neighbors, metavar="K", help="default: %(default)d")
    parser.add_argument(
        "--command",
        dest="commands",
        action="append",
        default=[],
        metavar="LINE",
        help="a command line that led to the table, shown in the report; may be repeated",
    )
    add_quiet_option(parser)
    parser.set_defaults(run=run_report)


def _add_run(commands: Any, parse: Parse) -> None:
    parser = commands.add_parser(
        "run",
        help="run a whole screen from one file, from its images to its report",
        description=run_run.__doc__,
        epilog=RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="SCREEN.yaml")
    add_quiet_option(parser)
    parser.set_defaults(run=partial(run_run, parse=parse))


def run_report(options: argparse.Namespace) -> int:
    """Write one HTML file that needs no network: maps before and after a correction, plates, doses, scores, cells."""
    from ..reporting.page import report
    from ..reporting.roles import ColumnRoles

    page = report(
        options.table,
        options.out,
        ColumnRoles(**field_values(ColumnRoles, options)),
        features=options.features,
        where=options.where,
        before=options.before,
        profiles=options.profiles,
        transform=options.transform,
        corrections=options.corrections,
        activity=options.activity,
        explained=options.explained,
        classes=options.classes,
        commands=options.commands,
        title=options.title,
    )
    if not options.quiet:
        print(f"report: {page} ({page.stat().st_size / 2**20:.1f} MB): open it in a browser")
    return 0


def run_run(options: argparse.Namespace, parse: Parse) -> int:
    """Run the steps of a screen file; run the same command again to continue after an interruption."""
    from .pipeline import run_file

    return run_file(options.file, parse, options.quiet)

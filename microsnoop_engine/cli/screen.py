"""The commands of a whole screen: report, and run, which chains all others."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import InputError
from .options import path_argument
from .tables import TABLE_HELP, names_of

RUN_HELP = """The file has a section for each step, with the options of that command:

  profile:   {input: LoadData.csv}
  aggregate: {level: well, platemap: platemap.csv}
  sphere:    {controls: "Metadata_Role == 'negative'", regularization: 0.1}
  evaluate:  {label: Metadata_MoA, groups: Metadata_Plate}
  report:    {treatment: [Metadata_Compound, Metadata_Dose]}

A step takes the table of the step before it; without 'profile', 'table: FILE' is the first. 'out: FOLDER' says where
results go (default: results). What is done already and has not changed is not done again."""


def add_screen_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_report(commands)
    _add_run(commands)


def _add_report(commands: Any) -> None:
    parser = commands.add_parser("report", help="a page to look at", description=run_report.__doc__)
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=TABLE_HELP)
    parser.add_argument("-o", "--out", type=Path, default=Path("report.html"), metavar="FILE.html")
    parser.add_argument("--title", help="default: the name of the table")
    parser.add_argument("--before", type=path_argument, metavar="TABLE", help="the same rows before sphering")
    parser.add_argument(
        "--profiles", type=path_argument, metavar="FOLDER", help="of microsnoop profile: shows cells of each row"
    )
    parser.add_argument("--transform", type=Path, metavar="FILE.safetensors", help="of sphere --save: its diagnostics")
    parser.add_argument(
        "--features",
        default="all",
        metavar="WHICH",
        help="microsnoop, classical, all (default), or a pattern",
    )
    meaning = parser.add_argument_group("what the columns mean; what is not said is not shown")
    meaning.add_argument("--controls", metavar="QUERY", help="the negative controls, \"Metadata_Role == 'negative'\"")
    meaning.add_argument("--positive", metavar="QUERY", help="the positive controls")
    meaning.add_argument(
        "--treatment", type=names_of, default=(), metavar="A,B", help="columns that name a treatment (rows: replicates)"
    )
    meaning.add_argument("--label", metavar="COLUMN", help="what is to be told apart, Metadata_MoA")
    meaning.add_argument("--compound", metavar="COLUMN", help="for NSC, NSCB and the curves of the doses")
    meaning.add_argument("--dose", metavar="COLUMN", help="a number")
    meaning.add_argument("--batch", metavar="COLUMN", help="what must not show in the features: plate, week")
    meaning.add_argument("--groups", metavar="COLUMN", help="rows that share it do not vote for each other")
    meaning.add_argument("--neighbors", type=int, default=5, metavar="K", help="default: 5")
    parser.add_argument(
        "--command",
        dest="commands",
        action="append",
        default=[],
        metavar="LINE",
        help="command lines that led to the table, to be shown",
    )
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run_report)


def _add_run(commands: Any) -> None:
    parser = commands.add_parser(
        "run",
        help="a whole screen by one file: profile, aggregate, sphere, evaluate, report",
        description=run_run.__doc__,
        epilog=RUN_HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="SCREEN.yaml")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run_run)


def run_report(options: argparse.Namespace) -> int:
    """Write one HTML file, readable without network: maps before and after sphering, plates, doses, figures, cells."""
    from ..reporting.page import make_report
    from ..reporting.screen import ColumnRoles
    from ..sphering.spherize import load_spherings
    from ..storage.atomic import write_atomic
    from ..tables.features import select_features
    from ..tables.formats import open_table
    from ..tables.outputs import refuse_inputs
    from ..tables.source import read_frame

    if options.out.suffix not in (".html", ".htm"):
        raise InputError(f"--out '{options.out}' must end in .html")
    refuse_inputs(options.out, (options.table, options.before, options.profiles, options.transform))
    source = open_table(options.table)
    names = ("controls", "positive", "treatment", "label", "compound", "dose", "batch", "groups", "neighbors")
    page = make_report(
        read_frame(source),
        select_features(source, options.features),
        ColumnRoles(**{name: getattr(options, name) for name in names}),
        read_frame(open_table(options.before)) if options.before else None,
        options.profiles,
        load_spherings(options.transform)[0] if options.transform else None,
        options.commands,
        options.title or options.table.stem,
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(options.out, page.encode())
    if not options.quiet:
        print(f"report: {options.out} ({len(page) / 2**20:.1f} MB): open it in a browser")
    return 0


def run_run(options: argparse.Namespace) -> int:
    """Do what a file says, step by step; the same command goes on after an interruption."""
    from .pipeline import run_file

    return run_file(options.file, options.quiet)

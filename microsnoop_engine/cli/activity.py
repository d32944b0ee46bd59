"""The command activity: which treatments differ from the controls, and at which dose."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import counted, listing
from .options import names_argument, path_argument, positive_int
from .tables import OUT_HELP, TABLE_HELP, add_where, say

if TYPE_CHECKING:
    from ..tables.activity import Activity

SHOWN = 10
"""Dose series that are printed one by one."""


def add_activity_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "activity", help="find the treatments that differ from the controls", description=run_activity.__doc__
    )
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=f"wells: {TABLE_HELP}")
    parser.add_argument(
        "--features",
        default="all",
        metavar="WHICH",
        help="microsnoop, classical, all (default), or a regular expression for the names of columns",
    )
    add_where(parser)
    parser.add_argument(
        "--controls", required=True, metavar="QUERY", help="the negative controls, \"Metadata_Role == 'negative'\""
    )
    parser.add_argument(
        "--treatment",
        type=names_argument,
        required=True,
        metavar="A,B",
        help="columns that name a treatment, Metadata_Compound,Metadata_Dose; rows that share them are replicates",
    )
    parser.add_argument("--compound", metavar="COLUMN", help="for dose series")
    parser.add_argument("--dose", metavar="COLUMN", help="for dose series: a column of numbers")
    parser.add_argument("--positive", metavar="QUERY", help="the positive controls: dose series lie between both kinds")
    parser.add_argument("--by", metavar="COLUMN", help="plates: treatments are compared with controls of their plates")
    parser.add_argument("--fdr", type=float, default=0.05, metavar="RATE", help="false discovery rate; default: 0.05")
    parser.add_argument("--draws", type=positive_int, default=10_000, metavar="N", help="permutations; default: 10000")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the permutations; default: 0")
    parser.add_argument(
        "--curves", type=path_argument, metavar="FILE", help="table of the dose series; default: beside --out"
    )
    parser.add_argument(
        *("-o", "--out"),
        type=path_argument,
        default=Path("activity.csv"),
        metavar="FILE",
        help=f"{OUT_HELP}; default: activity.csv",
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=run_activity)


def run_activity(options: argparse.Namespace) -> int:
    """Test by permutation which treatments differ from the controls and from each other, and fit dose curves."""
    from ..tables.activity import activity

    if options.dose and not options.curves:
        options.curves = options.out.with_name(f"{options.out.name.partition('.')[0]}-curves.csv")
    result = activity(
        options.table,
        options.controls,
        options.treatment,
        compound=options.compound,
        dose=options.dose,
        positive=options.positive,
        by=options.by,
        features=options.features,
        fdr=options.fdr,
        draws=options.draws,
        seed=options.seed,
        where=options.where,
        out=options.out,
        curves=options.curves,
    )
    for line in _summary(result):
        say(options, line)
    say(options, f"{counted(len(result.frame), 'rows')}: {options.out}")
    if options.curves:
        say(options, f"{counted(len(result.curves), 'dose series', 'dose series')}: {options.curves}")
    return 0


def _summary(result: Activity) -> list[str]:
    """Return lines about treatments and dose series."""
    frame = result.frame
    (active, tested), (distinct, compared) = (
        (int(frame[flag].map(lambda value: value is True).sum()), int(frame[rate].notna().sum()))
        for flag, rate in (("Active", "Activity_q"), ("Distinct", "Distinct_q"))
    )
    lines = [
        f"{active} of {counted(tested, 'treatments are', 'treatment is')} active, {distinct} of {compared} distinct "
        f"from other treatments (false discovery rate {result.fdr:g}; {counted(int(frame['Rows'].sum()), 'wells')}, "
        f"{_range(frame['Controls'], 'controls')} each)"
    ]
    left_out = int(frame["Rows_Left_Out"].sum())
    if left_out:
        lines.append(
            f"{counted(left_out, 'wells are', 'well is')} left out: without features, or without controls on their "
            "plate"
        )
    for note, count in Counter(frame["Note"]).items():
        if note:
            names = [name for name, of in zip(result.names, frame["Note"], strict=True) if of == note]
            lines.append(f"{counted(count, 'treatments')}, {note}: {listing(names)}")
    fitted = [(name, curve) for name, curve in result.curves.items() if curve.kind == "hill"]
    for name, curve in fitted[:SHOWN]:
        lines.append(
            f"{name}: EC50 {curve.ec50:.3g} ({curve.low:.3g} to {curve.high:.3g}), {counted(curve.rows, 'wells')} at "
            f"{counted(curve.doses, 'doses')}"
        )
    if len(fitted) > SHOWN:
        lines.append(f"and {len(fitted) - SHOWN} more with an EC50")
    for note, count in Counter(curve.note for curve in result.curves.values() if curve.kind != "hill").items():
        lines.append(f"{counted(count, 'dose series', 'dose series')} without an EC50: {note}")
    return lines


def _range(numbers: Any, things: str) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return counted(low, things) if low == high else f"{low} to {counted(high, things)}"

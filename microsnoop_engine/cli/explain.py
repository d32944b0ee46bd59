"""Define the command that explains a difference by named features: explain."""

from __future__ import annotations

import argparse
from typing import Any

from ..errors import counted
from .options import add_out_option, add_quiet_option, path_argument, positive_int
from .tables import OUT_HELP, TABLE_HELP, add_where

SHOWN = 15
"""Features that are printed."""


def add_explain_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "explain",
        help="name the features that go along with a difference of two groups",
        description=run_explain.__doc__,
    )
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=f"with both kinds of features: {TABLE_HELP}")
    parser.add_argument(
        "--between",
        nargs=2,
        required=True,
        metavar=("QUERY", "QUERY"),
        help="the two groups of rows, \"Metadata_Role == 'negative'\" \"Metadata_Compound == 'A'\"",
    )
    parser.add_argument(
        "--features",
        default="microsnoop",
        metavar="WHICH",
        help="learned features, as in evaluate; default: microsnoop",
    )
    parser.add_argument(
        "--named", default="classical", metavar="WHICH", help="features to explain by; default: classical"
    )
    parser.add_argument(
        "--groups", metavar="COLUMN", help="rows that are held out together; default: wells, else images"
    )
    parser.add_argument(
        "--most-rows",
        type=positive_int,
        default=1000,
        metavar="N",
        help="rows of each group; of more, N are drawn at random; default: 1000",
    )
    parser.add_argument("--objects", metavar="NAME", help="of a CellProfiler export: the object set whose rows to read")
    add_where(parser)
    add_out_option(parser, "explained.csv", "FILE", OUT_HELP)
    add_quiet_option(parser)
    parser.set_defaults(run=run_explain)


def run_explain(options: argparse.Namespace) -> int:
    """Correlate named (handcrafted) features with the axis along which two groups differ in learned features."""
    from ..classification.explanation import explain

    result = explain(
        options.table,
        *options.between,
        features=options.features,
        named=options.named,
        groups=options.groups,
        most_rows=options.most_rows,
        objects=options.objects,
        where=options.where,
        out=options.out,
    )
    if options.quiet:
        return 0
    separation = result.separation
    share = f"{100 * separation.value:.1f} %"
    if separation.low == separation.low:
        share += f" ({100 * separation.low:.1f} to {100 * separation.high:.1f})"
    print(f"{counted(result.rows[0], 'rows')} against {result.rows[1]}")
    print(f"learned features tell them apart: balanced accuracy {share}, {result.unit} held out")
    print(
        "feature: correlation with the axis between them (95 % interval); within the groups; difference in deviations"
    )
    alike = result.frame.Like.value_counts().to_dict()
    for row in result.frame[(result.frame.Like == "") & result.frame.Correlation.notna()].head(SHOWN).itertuples():
        more = f"; and {alike[row.Feature]} like it" if row.Feature in alike else ""
        interval = f"({row.Low:.2f} to {row.High:.2f})"
        print(f"  {row.Feature}: {row.Correlation:.2f} {interval}; {row.Within:.2f}; {row.Difference:.2f}{more}")
    if result.constant:
        print(f"{counted(result.constant, 'features are', 'feature is')} constant or missing: no correlation")
    print(f"{counted(len(result.frame), 'features')}: {options.out}")
    return 0

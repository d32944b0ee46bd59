"""The commands that prepare features: normalize and select-features."""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

from ..errors import counted, listing
from .options import names_argument, path_argument
from .tables import add_out, add_table, say

FEW_REFERENCES = 8
"""Number of rows from which their spread is known to about a quarter."""
KINDS = {
    "missing": "missing in more than a fifth of the rows",
    "variance": "hardly any variance",
    "deviation": "noise: replicates differ nearly as much as all rows",
    "correlates": "correlated with a feature that stays",
}
"""Reasons for leaving out features, by their first word."""


def add_normalizing_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_normalize(commands)
    _add_select(commands)


def _add_normalize(commands: Any) -> None:
    parser = commands.add_parser(
        "normalize",
        help="express features as distances from the usual row, plate by plate",
        description=run_normalize.__doc__,
    )
    add_table(parser)
    parser.add_argument(
        "--method",
        choices=("mad-robust", "standardize", "rank-normal", "tvn"),
        default="mad-robust",
        help="mad-robust (default): median and median absolute deviation; standardize: mean and standard deviation; "
        "rank-normal: ranks, turned to a normal distribution; tvn: typical variation of the controls of each plate",
    )
    parser.add_argument(
        "--controls",
        default="all",
        metavar="QUERY",
        help="the rows to measure distances from, \"Metadata_role == 'negative'\"; default: all",
    )
    parser.add_argument("--by", metavar="COLUMN", help="normalize each group (plate) on its own rows; tvn needs it")
    add_out(parser, "normalized.parquet")
    parser.set_defaults(run=run_normalize)


def _add_select(commands: Any) -> None:
    parser = commands.add_parser(
        "select-features", help="leave out features without information", description=run_select_features.__doc__
    )
    add_table(parser)
    parser.add_argument(
        "--variance", type=float, default=1e-8, metavar="V", help="least variance, of the mean square; default: 1e-8"
    )
    parser.add_argument(
        "--correlation", type=float, default=0.9, metavar="R", help="most of two features that stay; default: 0.9"
    )
    parser.add_argument(
        "--replicates", type=names_argument, default=(), metavar="A,B", help="what is replicated, to judge the noise"
    )
    parser.add_argument(
        "--noise",
        type=float,
        default=0.8,
        metavar="S",
        help="most deviation within replicates, as a share of that of all rows; default: 0.8",
    )
    parser.add_argument("--blocklist", type=path_argument, default=(), metavar="FILE", help="a name in each line")
    parser.add_argument("--dropped", type=path_argument, metavar="FILE.csv", help="write what is left out, and why")
    add_out(parser, "selected.parquet")
    parser.set_defaults(run=run_select_features)


def run_normalize(options: argparse.Namespace) -> int:
    """Express each feature as distance from the center of the controls (or of all rows), in units of their spread."""
    from ..sphering.normalized_table import normalize
    from ..sphering.spherize import SpheringWarning

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", SpheringWarning)
        result = normalize(
            options.table,
            options.method,
            controls=options.controls,
            by=options.by,
            features=options.features,
            objects=options.objects,
            where=options.where,
            out=options.out,
        )
    for warning in caught:
        if issubclass(warning.category, SpheringWarning):
            print(f"WARNING: {warning.message}", file=sys.stderr)
    for group, (rows, references) in result.groups.items():
        say(options, f"{group}: {counted(rows, 'rows')}, normalized on {references} of them")
        if references < FEW_REFERENCES and options.method != "rank-normal":
            uncertain = round(100 / (2 * (references - 1)) ** 0.5)
            print(
                f"WARNING: {group}: the spread of {counted(references, 'rows')} is uncertain by about {uncertain} %",
                file=sys.stderr,
            )
    say_dropped(options, result.dropped)
    if result.without_mad:
        say(
            options,
            f"{counted(result.without_mad, 'features have', 'feature has')} a median absolute deviation of 0: the "
            "standard deviation is taken",
        )
    if result.missing:
        say(
            options,
            f"{counted(result.missing, 'rows have no features and stay', 'row has no features and stays')} without",
        )
    if result.incomplete:
        say(options, f"{counted(result.incomplete, 'rows lack', 'row lacks')} some features, which stay missing")
    warn_of_dominant(result.dominant, "check it, and leave it out")
    say(options, f"{counted(len(result.frame), 'rows')}, {counted(len(result.features), 'features')}: {options.out}")
    return 0


def run_select_features(options: argparse.Namespace) -> int:
    """Leave out features with gaps, without variance, with noise between replicates, or that others say already."""
    from ..sphering.selection import select_informative

    result = select_informative(
        options.table,
        features=options.features,
        variance=options.variance,
        correlation=options.correlation,
        replicates=options.replicates,
        noise=options.noise,
        blocklist=options.blocklist,
        objects=options.objects,
        where=options.where,
        out=options.out,
        dropped=options.dropped,
    )
    kinds: dict[str, list[str]] = {}
    for name, reason in result.dropped.items():
        kinds.setdefault(reason if reason in ("constant", "in the blocklist") else reason.split()[0], []).append(name)
    for kind, names in kinds.items():
        say(options, f"{len(names)} left out ({KINDS.get(kind, kind)}): {listing(names)}")
    if not options.replicates:
        say(options, "noise is not judged without --replicates")
    if options.dropped:
        say(options, f"every one with its reason: {options.dropped}")
    say(options, f"{counted(len(result.frame), 'rows')}, {counted(len(result.features), 'features')}: {options.out}")
    return 0


def say_dropped(options: argparse.Namespace, dropped: dict[str, str]) -> None:
    """Print the columns that were left out, by reason."""
    for reason, names in _by_reason(dropped).items():
        say(options, f"{counted(len(names), 'columns')} left out ({reason}): {listing(names)}")


def warn_of_dominant(dominant: dict[str, int], remedy: str) -> None:
    """Warn of features that make up nearly all of the length of rows."""
    for name, rows in list(dominant.items())[:5]:
        print(f"WARNING: {name} makes up more than 90 % of {counted(rows, 'rows')}: {remedy}", file=sys.stderr)


def _by_reason(dropped: dict[str, str]) -> dict[str, list[str]]:
    """Group dropped columns by reason, near-duplicates together."""
    from ..sphering.handcrafted import DUPLICATE_OF

    names: dict[str, list[str]] = {}
    for name, reason in dropped.items():
        kind = "near-duplicate of another" if reason.startswith(DUPLICATE_OF) else reason
        names.setdefault(kind, []).append(name)
    return names

"""The commands that correct features: normalize and sphere."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

from ..errors import listing
from .options import positive_int
from .tables import add_out, add_table, say

FEW_REFERENCES = 8
"""Number of rows from which their spread is known to about a quarter."""


def add_correction_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_normalize(commands)
    _add_sphere(commands)


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


def _add_sphere(commands: Any) -> None:
    parser = commands.add_parser(
        "sphere", help="correct batch effects by whitening on the negative controls", description=run_sphere.__doc__
    )
    add_table(parser)
    parser.add_argument(
        "--controls",
        required=True,
        metavar="QUERY",
        help="the control rows, \"Metadata_role == 'negative'\", or all: every row, where a screen has no controls",
    )
    parser.add_argument("--by", metavar="COLUMN", help="sphere each group (plate) on its own controls")
    parser.add_argument(
        "--method",
        choices=("zca-cor", "zca", "pca-cor", "pca"),
        help="default: zca-cor (the paper's); with --components pca",
    )
    parser.add_argument(
        "--components",
        type=positive_int,
        metavar="N",
        help="keep the N directions in which the controls vary most, as columns PC1, PC2, ...",
    )
    parser.add_argument(
        "--regularization",
        type=_regularization,
        default="knee",
        metavar="RULE",
        help="knee (default, the paper's), ledoit-wolf, a number from 0, or auto: the number with which replicates are "
        "nearest to each other",
    )
    parser.add_argument("--replicates", metavar="COLUMN", help="what is replicated (treatment), for auto")
    parser.add_argument(
        "--weights",
        type=_weights,
        metavar="microsnoop=X,classical=Y",
        help="weights of the two kinds in distances",
    )
    parser.add_argument(
        "--missing",
        choices=("drop-row", "drop-feature", "impute"),
        default="drop-row",
        help="a row with missing numbers: leave it without features (default), drop the features that it lacks, or "
        "take the median of the controls",
    )
    parser.add_argument("--clip", type=float, metavar="Z", help="largest robust z-score of a classical feature")
    parser.add_argument("--save", type=Path, metavar="FILE.safetensors", help="write the transform")
    add_out(parser, "sphered.parquet")
    parser.set_defaults(run=run_sphere)


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
            out=options.out,
        )
    for warning in caught:
        if issubclass(warning.category, SpheringWarning):
            print(f"WARNING: {warning.message}", file=sys.stderr)
    for group, (rows, references) in result.groups.items():
        say(options, f"{group}: {rows} rows, normalized on {references} of them")
        if references < FEW_REFERENCES and options.method != "rank-normal":
            uncertain = round(100 / (2 * (references - 1)) ** 0.5)
            print(
                f"WARNING: {group}: the spread of {references} rows is uncertain by about {uncertain} %",
                file=sys.stderr,
            )
    say_dropped(options, result.dropped)
    if result.without_mad:
        say(
            options,
            f"{result.without_mad} features have a median absolute deviation of 0: the standard deviation is taken",
        )
    if result.missing:
        say(options, f"{result.missing} rows have no features and stay without")
    if result.incomplete:
        say(options, f"{result.incomplete} rows lack some features, which stay missing")
    warn_of_dominant(result.dominant, "check it, and leave it out")
    say(options, f"{len(result.frame)} rows, {len(result.features)} features: {options.out}")
    return 0


def say_dropped(options: argparse.Namespace, dropped: dict[str, str]) -> None:
    """Print the columns that were left out, by reason."""
    for reason, names in _by_reason(dropped).items():
        say(options, f"{len(names)} columns left out ({reason}): {listing(names)}")


def warn_of_dominant(dominant: dict[str, int], remedy: str) -> None:
    """Warn of features that make up nearly all of the length of rows."""
    for name, rows in list(dominant.items())[:5]:
        print(f"WARNING: {name} makes up more than 90 % of {rows} rows: {remedy}", file=sys.stderr)


def run_sphere(options: argparse.Namespace) -> int:
    """Whiten features on control rows, so that directions in which controls differ among themselves count less."""
    from ..sphering.spherize import SpheringWarning
    from ..sphering.table import sphere

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpheringWarning)  # printed below, group by group
        result = sphere(
            options.table,
            options.controls,
            features=options.features,
            by=options.by,
            method=options.method,
            regularization=options.regularization,
            components=options.components,
            replicates=options.replicates,
            weights=options.weights,
            missing=options.missing,
            clip=options.clip,
            objects=options.objects,
            out=options.out,
            save=options.save,
        )
    if options.controls == "all":
        say(options, "every row counts as a control: what most rows have in common is whitened, too")
    for group, sphering in result.spherings.items():
        say(options, f"{group}: {sphering.diagnostics_}")
        if warning := sphering.diagnostics_.warning:
            print(f"WARNING: {group}: {warning}", file=sys.stderr)
    say_dropped(options, result.dropped)
    if result.missing:
        say(options, f"{result.missing} rows have no features and stay without")
    if result.incomplete:
        done = "are imputed" if options.missing == "impute" else "stay without features (--missing)"
        say(options, f"{result.incomplete} rows lack some features and {done}")
    warn_of_dominant(result.dominant, "check it, and leave it out or use --clip")
    say(options, f"{len(result.frame)} rows, {len(result.features)} features: {options.out}")
    return 0


def _by_reason(dropped: dict[str, str]) -> dict[str, list[str]]:
    """Group dropped columns by reason, near-duplicates together."""
    from ..sphering.handcrafted import DUPLICATE_OF

    names: dict[str, list[str]] = {}
    for name, reason in dropped.items():
        kind = "near-duplicate of another" if reason.startswith(DUPLICATE_OF) else reason
        names.setdefault(kind, []).append(name)
    return names

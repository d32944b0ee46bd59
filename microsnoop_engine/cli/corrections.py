"""The commands that correct batch effects: sphere, correct, and the comparison of corrections."""

from __future__ import annotations

import argparse
import sys
import warnings
from pathlib import Path
from typing import Any

from ..errors import counted
from .normalizing import say_dropped, warn_of_dominant
from .options import names_argument, path_argument, positive_int
from .tables import TABLE_HELP, add_out, add_table, add_where, say

SHOWN = 8
"""Batches that are printed one by one."""
SCORED = ("Replicates", "Batch")


def add_correction_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_sphere(commands)
    _add_correct(commands)
    _add_compare(commands)


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


def _add_correct(commands: Any) -> None:
    parser = commands.add_parser(
        "correct", help="correct batch effects by sphering or Harmony", description=run_correct.__doc__
    )
    add_table(parser)
    parser.add_argument(
        "--method",
        choices=("sphering", "harmony", "none"),
        required=True,
        help="sphering: as the command sphere; harmony: soft clusters in which batches mix; none: as it is",
    )
    sphering = parser.add_argument_group("sphering (more with the command sphere)")
    sphering.add_argument("--controls", metavar="QUERY", help="the control rows, or all")
    sphering.add_argument("--by", metavar="COLUMN", help="sphere each group (plate) on its own controls")
    sphering.add_argument(
        "--regularization", type=_regularization, default="knee", metavar="RULE", help="knee, ledoit-wolf or a number"
    )
    sphering.add_argument("--components", type=positive_int, metavar="N", help="keep N principal components")
    harmony = parser.add_argument_group("Harmony")
    harmony.add_argument("--batch", metavar="COLUMN", help="the batches (plates)")
    harmony.add_argument("--clusters", type=positive_int, metavar="N", help="default: rows / 30, at most 100")
    harmony.add_argument("--theta", type=float, default=2.0, help="how much batches must mix; default: 2")
    harmony.add_argument("--rounds", type=positive_int, default=10, metavar="N", help="at most; default: 10")
    harmony.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    add_out(parser, "corrected.parquet")
    parser.set_defaults(run=run_correct)


def _add_compare(commands: Any) -> None:
    parser = commands.add_parser(
        "compare-corrections",
        help="score normalizations, sphering and Harmony on a table",
        description=run_compare_corrections.__doc__,
    )
    parser.add_argument("table", type=path_argument, metavar="TABLE", help=f"wells: {TABLE_HELP}")
    parser.add_argument("--features", default="all", metavar="WHICH", help="see aggregate; default: all")
    add_where(parser)
    parser.add_argument("--batch", required=True, metavar="COLUMN", help="the batches (plates)")
    parser.add_argument(
        "--treatment", type=names_argument, required=True, metavar="A,B", help="columns that name a treatment"
    )
    parser.add_argument("--controls", metavar="QUERY", help="the negative controls, for corrections on them")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of Harmony; default: 0")
    add_out(parser, "corrections.csv")
    parser.set_defaults(run=run_compare_corrections)


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
            where=options.where,
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
        say(
            options,
            f"{counted(result.missing, 'rows have no features and stay', 'row has no features and stays')} without",
        )
    if result.incomplete:
        rows = counted(result.incomplete, "rows")
        done = "imputed" if options.missing == "impute" else "left without any (--missing)"
        say(options, f"{rows} without some features: {done}")
    warn_of_dominant(result.dominant, "check it, and leave it out or use --clip")
    say(options, f"{counted(len(result.frame), 'rows')}, {counted(len(result.features), 'features')}: {options.out}")
    return 0


def run_correct(options: argparse.Namespace) -> int:
    """Correct batch effects by sphering on controls, or by Harmony."""
    from ..sphering.corrected_table import HarmonizedTable, correct
    from ..sphering.spherize import SpheringWarning
    from ..sphering.table import SpheredTable

    names = {
        "sphering": ("controls", "by", "regularization", "components"),
        "harmony": ("batch", "clusters", "theta", "rounds", "seed"),
        "none": (),
    }[options.method]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpheringWarning)  # printed below, group by group
        result = correct(
            options.table,
            options.method,
            features=options.features,
            objects=options.objects,
            where=options.where,
            out=options.out,
            **{name: getattr(options, name) for name in names},
        )
    if isinstance(result, SpheredTable):
        for group, sphering in result.spherings.items():
            say(options, f"{group}: {sphering.diagnostics_}")
            if warning := sphering.diagnostics_.warning:
                print(f"WARNING: {group}: {warning}", file=sys.stderr)
        say_dropped(options, result.dropped)
    elif isinstance(result, HarmonizedTable):
        rows = ", ".join(f"{name} {count}" for name, count in list(result.batches.items())[:SHOWN])
        more = ", ..." if len(result.batches) > SHOWN else ""
        say(options, f"{counted(len(result.batches), 'batches', 'batch')} (rows: {rows}{more})")
        settled = "" if result.converged else ", not settled yet (--rounds)"
        say(options, f"Harmony: {counted(result.rounds, 'rounds')}{settled}; the order of the rows changes nothing")
        say(
            options,
            f"another seed moves the numbers by {result.seed_effect:.2f} standard deviations (root mean square), and "
            f"gives {100 * result.seed_neighbors:.0f} % of the rows another nearest row",
        )
        say_dropped(options, result.dropped)
        if result.missing:
            stay = counted(result.missing, "rows stay", "row stays")
            say(options, f"{stay} without features: no batch, or not all features")
    say(options, f"{counted(len(result.frame), 'rows')}, {counted(len(result.features), 'features')}: {options.out}")
    return 0


def run_compare_corrections(options: argparse.Namespace) -> int:
    """Correct a table in many ways, and print how well replicates find each other and how far batches mix."""
    from ..sphering.comparison import compare_corrections
    from .console import Console

    with Console(options.quiet).progress("corrections") as update:
        result = compare_corrections(
            options.table,
            options.batch,
            options.treatment,
            controls=options.controls,
            features=options.features,
            seed=options.seed,
            where=options.where,
            out=options.out,
            on_step=lambda done, total, note: update(done, total, note) if done else None,
        )
    say(options, f"{'correction':36s} {'replicates (mAP)':24s} {'batch by neighbors':24s}")
    for _, row in result.iterrows():
        if row["Note"]:
            say(options, f"{row['Correction']:36s} {row['Note']}")
            continue
        parts = [f"{row[name]:.2f} ({row[f'{name}_Low']:.2f} to {row[f'{name}_High']:.2f})" for name in SCORED]
        say(options, f"{row['Correction']:36s} {parts[0]:24s} {parts[1]:24s}")
    known = result[result["Note"] == ""]
    if len(known):
        wells, treatments, all_wells = (
            int(known[name].iloc[0]) for name in ("Replicates_Rows", "Replicates_Treatments", "Batch_Rows")
        )
        say(
            options,
            f"replicates: {counted(wells, 'wells')} of {counted(treatments, 'treatments')}, more is better; batch: "
            f"{counted(all_wells, 'wells')}, {known['Batch_Chance'].iloc[0]:.2f} by chance, less is better. The best "
            "row is flattered by the choice",
        )
    say(options, f"{counted(len(result), 'corrections')}: {options.out}")
    return 0

"""Define the command qc, which finds image sets of poor quality."""

from __future__ import annotations

import argparse
import sys
from typing import Any

from ..errors import InputError, listing, require_columns
from .options import names_argument, path_argument, positive_float


def add_quality_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("qc", help="find image sets of poor quality", description=run_qc.__doc__)
    parser.add_argument("results", type=path_argument, metavar="FOLDER", help="results folder of microsnoop profile")
    parser.add_argument(
        "--by",
        type=names_argument,
        metavar="A,B",
        help="columns of the groups whose image sets are compared; default: Metadata_Plate, if it is there",
    )
    parser.add_argument(
        "--threshold",
        type=positive_float,
        metavar="X",
        help="flag what lies X robust standard deviations from the median of its plate; default: 5",
    )
    parser.set_defaults(run=run_qc)


def run_qc(options: argparse.Namespace) -> int:
    """Flag image sets that are blank, blurred, bright or saturated, and write quality.csv into the results folder.

    To leave them out: microsnoop aggregate FOLDER --where "Metadata_QC_Flags is None".
    """
    from ..storage.atomic import atomic_path
    from ..storage.paths import path_kind
    from ..tables.columns import PLATE
    from ..tables.csv_files import open_csv
    from ..tables.image_flags import FLAGS, MIN_GROUP, THRESHOLD, flag_images, flagged_numbers, groups_too_small
    from ..tables.selection import IMAGE_QUALITY
    from ..tables.source import read_frame

    path = options.results / "images.csv"
    if path_kind(path) != "file":
        raise InputError(f"'{options.results}' holds no images.csv: name the results folder of microsnoop profile")
    images = read_frame(open_csv(path))
    images = images[images["Status"] == "done"]
    by = [PLATE] if options.by is None and PLATE in images else list(options.by or ())
    require_columns(images.columns, by, f"'{path}'")
    flagged = flag_images(images, by, options.threshold or THRESHOLD)
    out = options.results / IMAGE_QUALITY
    with atomic_path(out) as temporary:
        flagged.to_csv(temporary, index=False)
    if small := groups_too_small(images, by):
        print(
            f"note: {listing(small)}: fewer than {MIN_GROUP} image sets, so only blank and saturated ones are found",
            file=sys.stderr,
        )
    print(f"{flagged[FLAGS].notna().sum()} of {len(flagged)} image sets are flagged: {out}")
    of_flag: dict[str, list[int]] = {}
    for (flag, _), numbers in flagged_numbers(flagged).items():
        of_flag.setdefault(flag, []).extend(numbers)
    for flag, numbers in of_flag.items():
        print(f"  {flag}: {len(numbers)} (ImageNumber {listing(sorted(numbers))})")
    return 0

"""Define the command qc, which finds image sets and objects of poor quality."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError, counted, listing, require_columns
from .options import names_argument, path_argument, positive_float
from .tables import OUT_HELP

if TYPE_CHECKING:
    import pandas as pd

    from ..tables.source import TableSource


def add_quality_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser("qc", help="find image sets and objects of poor quality", description=run_qc.__doc__)
    parser.add_argument(
        "input",
        type=path_argument,
        metavar="FOLDER",
        help="results folder of microsnoop profile; or a table of single cells of any program, with --out",
    )
    parser.add_argument(
        "--by",
        type=names_argument,
        metavar="A,B",
        help="columns of the groups that are compared within themselves; default: Metadata_Plate, if it is there",
    )
    parser.add_argument(
        "--threshold",
        type=positive_float,
        metavar="X",
        help="flag what lies X robust standard deviations from the median of its plate; default: 5",
    )
    parser.add_argument("--objects", metavar="NAME", help="of CellProfiler exports: the object set whose rows to read")
    parser.add_argument(
        *("-o", "--out"),
        type=path_argument,
        metavar="FILE",
        help=f"of a table: the same with the flags of its rows; {OUT_HELP}",
    )
    parser.set_defaults(run=run_qc)


def run_qc(options: argparse.Namespace) -> int:
    """Flag image sets that are blank, blurred, bright or saturated, and objects that are no single whole cells.

    The flags are written into the results folder, as quality.csv and object_flags.csv. To leave them out: microsnoop
    aggregate FOLDER --where "Metadata_QC_Flags is None and Metadata_QC_ObjectFlags is None".
    """
    from ..distributor.results import IMAGE_LIST
    from ..storage.paths import path_kind

    images = options.input / IMAGE_LIST
    if path_kind(images) == "file":
        if options.out is not None:
            raise InputError(f"--out goes with a table: flags of a results folder are written into '{options.input}'")
        _flag_images(options, images)
        _flag_objects_of_run(options)
    elif options.out is None:
        raise InputError(
            f"'{options.input}' holds no images.csv: name the results folder of microsnoop profile; a table of single "
            "cells needs --out, the file for the same table with flags"
        )
    else:
        _flag_table(options)
    return 0


def _flag_images(options: argparse.Namespace, path: Path) -> None:
    """Write quality.csv, and print the image sets of each flag."""
    from ..storage.atomic import atomic_path
    from ..tables.columns import IMAGE_NUMBER, PLATE
    from ..tables.csv_files import open_csv
    from ..tables.file_names import IMAGE_QUALITY
    from ..tables.image_flags import FLAGS, MIN_GROUP, THRESHOLD, flag_images, flagged_numbers
    from ..tables.plate_deviations import small_groups
    from ..tables.source import read_frame

    images = read_frame(open_csv(path))
    images = images[images["Status"] == "done"]
    if images.empty:
        raise InputError(f"'{path}': no image set was measured, so there is nothing to flag")
    by = [PLATE] if options.by is None and PLATE in images else list(options.by or ())
    require_columns(images.columns, by, f"'{path}'")
    flagged = flag_images(images, by, options.threshold or THRESHOLD)
    without = images.filter(regex="^Image_QC_").isna().all(axis=1)
    if without.any():
        _note(
            f"{counted(without.sum(), 'image sets have', 'image set has')} no qualities and no flags, as measured by "
            f"version 0.1.0 or earlier (ImageNumber {listing(images.loc[without, IMAGE_NUMBER])}): to judge them, "
            "measure into another folder"
        )
    out = options.input / IMAGE_QUALITY
    with atomic_path(out) as temporary:
        flagged.to_csv(temporary, index=False)
    if small := small_groups(images, by, MIN_GROUP):
        _note(f"{listing(small)}: fewer than {MIN_GROUP} image sets, so only blank and saturated ones are found")
    print(f"{flagged[FLAGS].notna().sum()} of {counted(len(flagged), 'image sets are', 'image set is')} flagged: {out}")
    of_flag: dict[str, list[int]] = {}
    for (flag, _), numbers in flagged_numbers(flagged).items():
        of_flag.setdefault(flag, []).extend(numbers)
    for flag, numbers in of_flag.items():
        print(f"  {flag}: {len(numbers)} (ImageNumber {listing(sorted(numbers))})")


def _flag_objects_of_run(options: argparse.Namespace) -> None:
    """Write object_flags.csv, and print the objects of each flag and plate; image sets without objects have none."""
    from ..storage.atomic import atomic_path
    from ..tables.columns import OBJECT_NUMBER
    from ..tables.file_names import FLAGGED_OBJECTS
    from ..tables.formats import open_table
    from ..tables.object_flags import OBJECT_FLAGS

    source = open_table(options.input)
    if OBJECT_NUMBER not in source.columns:
        return
    if not any("_QC_" in name for name in source.columns):
        _note(
            "objects have no qualities (..._QC_Area), as measured by version 0.1.0 or earlier, and are not flagged: "
            "measure into another folder"
        )
        return
    flagged = _flag_objects(options, source)
    out = options.input / FLAGGED_OBJECTS
    with atomic_path(out) as temporary:
        flagged[flagged[OBJECT_FLAGS].notna()].to_csv(temporary, index=False)
    _print_objects(flagged, out)


def _flag_table(options: argparse.Namespace) -> None:
    """Write a table with the flags of its rows, and print the objects of each flag and plate."""
    from ..tables.features import select_features
    from ..tables.formats import open_table, write_table
    from ..tables.object_flags import OBJECT_FLAGS
    from ..tables.outputs import check_output
    from ..tables.source import read_frame

    check_output(options.out, inputs=[options.input])
    source = open_table(options.input, options.objects)
    flagged = _flag_objects(options, source)
    features, table = select_features(source), read_frame(source)
    place = next((number for number, name in enumerate(table) if name in features), len(table.columns))
    table.insert(place, OBJECT_FLAGS, flagged[OBJECT_FLAGS].to_numpy())
    write_table(table, options.out, features, options.input, provenance=source.provenance)
    _print_objects(flagged, options.out)


def _flag_objects(options: argparse.Namespace, source: TableSource) -> pd.DataFrame:
    from ..tables.columns import PLATE
    from ..tables.image_flags import THRESHOLD
    from ..tables.object_flags import MIN_GROUP, flag_objects
    from ..tables.plate_deviations import small_groups

    by = [PLATE] if options.by is None and PLATE in source.columns else list(options.by or ())
    require_columns(source.columns, by, f"'{source.path}'")
    flagged = flag_objects(source, by, options.threshold or THRESHOLD)
    if small := small_groups(flagged, by, MIN_GROUP):
        _note(f"{listing(small)}: fewer than {MIN_GROUP} objects: only those saturated or at the edge are found")
    return flagged


def _print_objects(flagged: pd.DataFrame, out: Path) -> None:
    from ..tables.object_flags import OBJECT_FLAGS, count_object_flags

    print(
        f"{flagged[OBJECT_FLAGS].notna().sum()} of {counted(len(flagged), 'objects are', 'object is')} flagged: {out}"
    )
    for flag, plates in count_object_flags(flagged).items():
        of_plates = listing(f"{plate} {count}" for plate, count in plates.items() if plate)
        print(f"  {flag}: {plates.total()}" + (f" ({of_plates})" if of_plates else ""))


def _note(text: str) -> None:
    print(f"note: {text}", file=sys.stderr)

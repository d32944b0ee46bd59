"""Define the command illumination, which calculates illumination functions."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

from ..errors import counted
from .image_options import add_folder_options, add_plane_options, reading_arguments
from .options import names_argument, path_argument, positive_float

if TYPE_CHECKING:
    from ..images.image_set import ImageSet


def add_illumination_command(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "illumination", help="calculate illumination functions", description=run_illumination.__doc__
    )
    parser.add_argument("input", type=path_argument, metavar="INPUT", help="what microsnoop profile takes")
    parser.add_argument("--pattern", help="see microsnoop profile")
    add_folder_options(parser)
    add_plane_options(parser)
    parser.add_argument("--channels", type=names_argument, metavar="A,B", help="default: all")
    parser.add_argument(
        "--statistic", choices=("mean", "median"), default="mean", help="over the images; default: mean"
    )
    parser.add_argument(
        "--filter-size",
        type=positive_float,
        metavar="PIXELS",
        help="width of the smoothing; default: a quarter of the longer side of an image",
    )
    parser.add_argument(
        "-o", "--out", type=path_argument, required=True, metavar="FOLDER", help="folder of the functions"
    )
    parser.set_defaults(run=run_illumination)


def run_illumination(options: argparse.Namespace) -> int:
    """Calculate an illumination function for each channel and plate, for microsnoop profile --illumination FOLDER."""
    import io
    import re

    import numpy as np

    from ..errors import InputError, MicrosnoopError
    from ..images.illumination_functions import illumination_function
    from ..images.inputs import find_inputs
    from ..images.planes import read_channels
    from ..images.reading_options import ReadingOptions
    from ..storage.atomic import write_atomic
    from ..storage.paths import make_folder

    image_sets = find_inputs(options.input, ReadingOptions(**reading_arguments(options))).image_sets
    names = list(dict.fromkeys(name for each in image_sets for name in each.channels))
    for name in options.channels or ():
        if name not in names:
            raise InputError(f"`channels`: there is no channel '{name}'; there are {', '.join(names)}")
    make_folder(options.out)
    for plate, members in _by_plate(image_sets).items():
        for channel in options.channels or names:
            planes = (read_channels(each, [channel])[0] for each in members)
            try:
                function = illumination_function(planes, options.statistic, options.filter_size)
            except MicrosnoopError as error:
                raise InputError(f"channel {channel}{f' of plate {plate}' if plate else ''}: {error}") from error
            file = io.BytesIO()
            np.save(file, function.astype(np.float32))
            prefix = re.sub(r'[\\/:*?"<>|]', "_", f"{plate}_") if plate else ""
            out = options.out / f"{prefix}Illum{channel}.npy"
            write_atomic(out, file.getvalue())
            print(f"{out}: {counted(len(members), 'images')}, brightest place {function.max():.2f} times the darkest")
    return 0


def _by_plate(image_sets: list[ImageSet]) -> dict[str, list[ImageSet]]:
    plates: dict[str, list[ImageSet]] = {}
    for each in image_sets:
        plates.setdefault(str(each.metadata.get("Plate", "")), []).append(each)
    return plates

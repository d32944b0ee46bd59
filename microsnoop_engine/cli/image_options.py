"""Options of the microsnoop command that choose planes of image files."""

from __future__ import annotations

import argparse
from typing import Any

from ..images.projection import PROJECTIONS
from ..images.selection import PAGES, PlaneSelection
from .options import path_argument


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """Add the options; :func:`image_arguments` passes them on."""
    group = parser.add_argument_group("stacks and illumination")
    depth = group.add_mutually_exclusive_group()
    depth.add_argument(
        "--project",
        choices=PROJECTIONS,
        help="project a stack in depth: the maximum, mean or sum of each pixel, or the sharpest plane of each "
        "channel (focus) or of each object and channel (focus-object, with --mask object)",
    )
    depth.add_argument(
        "--plane",
        type=_number_or("middle", "all"),
        metavar="N|middle|all",
        help="one plane of a stack in depth, from 0; all: an image set for each (Metadata_Plane)",
    )
    group.add_argument(
        "--time",
        type=_number_or("all"),
        metavar="N|all",
        help="one time point, from 0; all: an image set for each (Metadata_Time)",
    )
    group.add_argument("--pages", choices=PAGES, help="what the pages of a TIFF file are, if the file does not say it")
    group.add_argument(
        "--illumination",
        type=path_argument,
        metavar="FOLDER",
        help="illumination functions of CellProfiler (IllumDNA.npy, ..), by which the channels are divided",
    )


def image_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options as arguments of `find_image_sets`."""
    selection = PlaneSelection(options.project, options.plane, options.time, options.pages)
    return {"selection": None if selection == PlaneSelection() else selection, "illumination": options.illumination}


def _number_or(*words: str) -> Any:
    def parse(text: str) -> int | str:
        if text in words:
            return text
        if text.isdecimal():
            return int(text)
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number from 0 nor {' or '.join(words)}")

    return parse

"""Options of the microsnoop command about how inputs are read."""

from __future__ import annotations

import argparse
from dataclasses import fields
from typing import Any

from ..images.acquisitions.layouts import AUTO, LAYOUT_CHOICES
from ..images.projection import PROJECTIONS
from ..images.reading_options import ReadingOptions
from ..images.selection import PAGES, PlaneSelection
from .options import path_argument


def add_folder_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a folder of images; :func:`reading_arguments` passes them on."""
    parser.add_argument(
        "--layout",
        choices=LAYOUT_CHOICES,
        default=AUTO,
        help="for a folder: the instrument that wrote it; auto (default) recognizes it, files takes every file as an "
        "image set",
    )
    parser.add_argument(
        "--channel-name", metavar="NAME", help="for a folder: name of the channel where file names have none"
    )
    parser.add_argument(
        "--allow-unmatched",
        action="store_true",
        help="for a folder: also if more than a fifth of its images fit neither --pattern nor the layout",
    )


def add_plane_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of stacks and illumination; :func:`reading_arguments` passes them on."""
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


def reading_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options of a command as fields of `ReadingOptions`, except the object set."""
    given = vars(options)
    names = {each.name for each in fields(ReadingOptions)} - {"objects", "selection"}
    selection = PlaneSelection(*(given.get(each.name) for each in fields(PlaneSelection)))
    return {
        **{name: given[name] for name in given.keys() & names},
        "selection": None if selection == PlaneSelection() else selection,
    }


def _number_or(*words: str) -> Any:
    def parse(text: str) -> int | str:
        if text in words:
            return text
        if text.isdecimal():
            return int(text)
        raise argparse.ArgumentTypeError(f"'{text}' is neither a number from 0 nor {' or '.join(words)}")

    return parse

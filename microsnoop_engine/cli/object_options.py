"""Options of profile about objects: how masks are read, and how objects are found and shown."""

from __future__ import annotations

import argparse
from typing import Any

from ..segmentation.settings import SegmentationSettings
from .options import positive_float


def add_object_options(group: Any) -> None:
    """Add the options to a group of the parser."""
    group.add_argument(
        "--label-mask",
        action="store_true",
        help="the label images are black-and-white masks: number their unconnected objects",
    )
    group.add_argument("--invert", action="store_true", help="segmentation: objects are darker than the background")
    group.add_argument(
        "--min-contrast",
        type=positive_float,
        default=SegmentationSettings.min_contrast,
        metavar="X",
        help="segmentation of nuclei: a field whose objects exceed the background by less than X of its standard "
        "deviations has none; default: %(default)g",
    )
    group.add_argument(
        "--segment-pixel-size",
        type=positive_float,
        metavar="MICROMETERS",
        help="segmentation with InstanSeg: pixel size of the images; default: the one in their files",
    )
    group.add_argument(
        "--save-labels",
        action="store_true",
        help="segmentation: write label images to the folder 'labels' of the results, and segmentation.png to look at",
    )


def object_arguments(options: argparse.Namespace) -> dict[str, Any]:
    """Return the options as arguments of `profile`."""
    settings = SegmentationSettings(
        invert=options.invert, min_contrast=options.min_contrast, segment_pixel_size=options.segment_pixel_size
    )
    return {"label_mask": options.label_mask, "segmentation": settings, "save_labels": options.save_labels}

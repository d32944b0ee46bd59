"""Define the commands that turn images into a table: profile, and merge for its shards."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

from ..distributor.compute import EXECUTORS, ComputeSettings
from ..distributor.shards import Shard
from ..errors import InputError, counted
from ..modes.settings import MASKS, MODES, NORMALIZATIONS, CropSettings
from .image_options import add_folder_options, add_plane_options, reading_arguments
from .object_options import add_object_options, object_arguments
from .options import (
    add_compute_options,
    add_quiet_option,
    field_values,
    memory_bytes,
    names_argument,
    path_argument,
    positive_float,
)


def add_profile_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_profile(commands)
    _add_merge(commands)


def _add_profile(commands: Any) -> None:
    parser = commands.add_parser(
        "profile",
        help="measure images into a table of features",
        description=run_profile.__doc__,
        epilog="Run the same command again to continue a stopped run. Exit code 1: some image sets could not be "
        "measured (images.csv lists them; the others are in the table).",
    )
    parser.add_argument(
        "input",
        type=path_argument,
        metavar="INPUT",
        help="a CellProfiler LoadData .csv, a folder of images, an OME-Zarr plate or image, an image (multi-channel "
        "TIFF, OME-TIFF, PNG, ...) or a .npz with an array 'images' (n, channels, height, width); like --out and "
        "--labels also in an object store, s3://bucket/LoadData.csv",
    )
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("-o", "--out", type=path_argument, metavar="FOLDER", help="results folder")
    target.add_argument(
        "--inside-input",
        action="store_true",
        help="for OME-Zarr: write the results into the folder 'microsnoop' of the plate or image",
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default=CropSettings.mode,
        help="cells: a crop around every object (default); single-cell: every image is one cell; tile: the mean of "
        "224 px tiles; image: the whole image, reduced to 224 px",
    )
    parser.add_argument(
        "--channels", type=names_argument, metavar="A,B", help="channels in the order of the columns; default: all"
    )
    parser.add_argument(
        "--where",
        metavar="QUERY",
        help="measure only these image sets, e.g. \"Metadata_Well in ['A01', 'A02']\"; default: all",
    )
    parser.add_argument(
        "--pattern",
        help="for a folder: pattern of the paths in it, e.g. '{Plate}/{Well}_s{Site}_{Channel}.tif'; {Channel} is the "
        "channel, the others become Metadata_ columns",
    )
    add_folder_options(parser)
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument("--level", type=int, metavar="N", help="for OME-Zarr: resolution level; default: 0, the finest")
    levels.add_argument(
        "--pixel-size",
        type=positive_float,
        metavar="UM",
        help="resize all images to pixels of UM micrometers; for OME-Zarr: use the level whose pixel size is nearest",
    )
    parser.add_argument("--acquisition", metavar="ID", help="for OME-Zarr plates: number or name of the acquisition")
    add_plane_options(parser)
    cells = parser.add_argument_group("objects (mode cells)")
    cells.add_argument(
        "--segment",
        metavar="nuclei|cellpose:MODEL|instanseg:MODEL",
        help="segment the images: 'nuclei' is built in and the default where there are no label images; MODEL is the "
        "name or path of a Cellpose model, or the path of an InstanSeg model",
    )
    cells.add_argument("--segment-channel", metavar="NAME", help="channel to segment; default: the DNA stain")
    cells.add_argument(
        "--labels",
        type=path_argument,
        metavar="FILE|FOLDER",
        help="the label image of a single image or stack, or a folder of label images named like the images (with or "
        "without _labels, _masks, _cp_masks, _Nuclei, _Cells), _seg.npy of Cellpose, or .geojson; default: those "
        "beside the images, if all have one",
    )
    cells.add_argument(
        "--rois",
        type=Path,
        metavar="FILE|FOLDER",
        help="outlines instead of label images: a .zip of ImageJ's ROI Manager, a .roi, a .geojson of QuPath, a .csv "
        "of napari's shapes, or a folder of them named like the images (field1.tif: field1.zip); or the images, a .tif "
        "or their folder, if ImageJ saved the outlines in them as overlay",
    )
    cells.add_argument(
        "--objects", metavar="NAME", help="name of the objects, e.g. Nuclei; the first word of every column"
    )
    cells.add_argument(
        "--rescale-constant",
        type=float,
        default=CropSettings.rescale_constant,
        metavar="X",
        help="half width of the crop in units of the object's longer side: 2.0 (the default) suits nuclei and takes in "
        "the cell around them, 0.6 suits whole cells",
    )
    cells.add_argument(
        "--mask",
        choices=MASKS,
        default=CropSettings.mask,
        help="box: the whole crop (default); object: only the object's own pixels, all others set to zero",
    )
    add_object_options(cells)
    cells.add_argument("--drop-border", action="store_true", help="leave out objects that touch the image's edge")
    cells.add_argument(
        "--classical",
        action="store_true",
        help="also measure shape, intensity, texture, ... of the objects, under CellProfiler's names (extra classical)",
    )
    crops = parser.add_argument_group("crops")
    crops.add_argument(
        "--normalize",
        choices=NORMALIZATIONS,
        default=CropSettings.normalize,
        help="crop-first: normalize a crop by its own pixels, then add the zeros around it, so that the camera's "
        "offset does not count (default); pad-first: add the zeros first and count them, as in the paper",
    )
    crops.add_argument(
        "--scale",
        type=scale_argument,
        default=CropSettings.scale,
        metavar="S",
        help="resize crops. auto: all by one factor, so that the box around a typical object fills what the network "
        "sees (default); each: every box fills it, so that size no longer counts; none: not at all, as in the paper; "
        "or a factor",
    )
    crops.add_argument(
        "--diameter",
        type=positive_float,
        metavar="PIXELS",
        help="longer side of a typical object, for --scale auto and for a segmentation; default: the median of the "
        "objects in some of the image sets. To compare runs, give all the same",
    )
    crops.add_argument(
        "--magnifications",
        type=magnifications_argument,
        default=CropSettings.magnifications,
        metavar="A,B",
        help="show every crop at several magnifications, e.g. 1,1.75: twice as many numbers per channel; default: 1",
    )
    add_compute_options(parser)
    several = parser.add_argument_group("several devices or machines")
    several.add_argument(
        "--devices",
        type=names_argument,
        metavar="A,B",
        help="start a process for each, which share threads and memory: numbers of CUDA devices, or cpu; e.g. 0,1 or "
        "cpu,cpu",
    )
    several.add_argument(
        "--executor",
        choices=EXECUTORS,
        default=ComputeSettings.executor,
        help="ray: measure on the nodes of a Ray cluster; default: local",
    )
    several.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="address of the cluster: HOST:6379, or auto on one of its nodes; default: RAY_ADDRESS, else start Ray on "
        "this machine",
    )
    several.add_argument(
        "--worker-timeout",
        type=positive_float,
        default=ComputeSettings.worker_timeout / 60,
        metavar="MINUTES",
        help="restart a worker that makes no progress for MINUTES and retry its image sets; default: %(default)g",
    )
    output = parser.add_argument_group("output")
    add_quiet_option(output)
    output.add_argument("--json", action="store_true", help="print a JSON summary")
    output.add_argument("--csv", action="store_true", help="also write profiles.csv")
    output.add_argument(
        "--shard",
        type=shard_argument,
        metavar="I/N",
        help="for job arrays: measure the I-th of N shards, into a folder of its own in FOLDER; then microsnoop merge",
    )
    output.add_argument("--strict", action="store_true", help="stop at the first image set that cannot be measured")
    parser.set_defaults(run=run_profile)


def _add_merge(commands: Any) -> None:
    parser = commands.add_parser(
        "merge", help="merge the shards of a run into one table", description=run_merge.__doc__
    )
    parser.add_argument(
        "folder", type=path_argument, metavar="FOLDER", help="the results folder of microsnoop profile --shard"
    )
    parser.set_defaults(run=run_merge)


def shard_argument(text: str) -> Shard:
    """Parse a shard, ``3/10``."""
    try:
        return Shard.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def magnifications_argument(text: str) -> tuple[float, ...]:
    """Parse numbers with commas between them."""
    return tuple(float(number) for number in text.split(","))


def scale_argument(text: str) -> float | str:
    """Parse a scale: a number, or the name of a rule."""
    try:
        return float(text)
    except ValueError:
        return text


def run_profile(options: argparse.Namespace) -> int:
    """Measure images into a table: one row per object (or image), the same number of features per channel."""
    from ..distributor.run import profile
    from .console import Console

    console = Console(options.quiet, options.json)
    began = time.monotonic()
    with console.progress("image sets") as on_progress:
        summary = profile(
            options.input,
            options.out,
            CropSettings(**field_values(CropSettings, options)),
            channels=options.channels,
            objects=options.objects,
            segment=options.segment,
            segment_channel=options.segment_channel,
            **object_arguments(options),
            where=options.where,
            classical=options.classical,
            compute=_compute_settings(options),
            memory=memory_bytes(options),
            shard=options.shard,
            strict=options.strict,
            csv=options.csv,
            on_progress=on_progress,
            **reading_arguments(options),
        )
    console.print_summary(summary, time.monotonic() - began)
    return 1 if summary.failures else 0


def _compute_settings(options: argparse.Namespace) -> ComputeSettings:
    settings = field_values(ComputeSettings, options)
    return ComputeSettings(**{**settings, "worker_timeout": 60 * options.worker_timeout})


def run_merge(options: argparse.Namespace) -> int:
    """Merge the tables of all shards of a run (profile --shard); the shards stay."""
    from ..distributor.merge import merge

    merged = merge(options.folder)
    print(
        f"{counted(merged.rows, 'rows')} of {counted(merged.done, 'image sets')} from "
        f"{counted(merged.shards, 'shards')}: {merged.table}"
    )
    if merged.failed:
        print(f"{counted(merged.failed, 'image sets')} could not be measured: see {merged.image_list}", file=sys.stderr)
    return 1 if merged.failed else 0

"""The commands that turn images into a table: profile, and merge for its shares."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..distributor.shards import Shard
from ..errors import InputError
from ..images.image_set import ImageSet
from ..modes.settings import MASKS, MODES, NORMALIZATIONS
from .image_options import add_image_options, image_arguments
from .options import add_engine_options, make_embedder, memory_of, path_argument, positive_float

if TYPE_CHECKING:
    pass


def add_profile_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    _add_profile(commands)
    _add_merge(commands)


def _add_profile(commands: Any) -> None:
    parser = commands.add_parser(
        "profile",
        help="images to a table of features",
        description=run_profile.__doc__,
        epilog="A stopped run is continued by the same command. Exit code 1: some image sets could not be measured "
        "(they are listed, the others are in the table).",
    )
    parser.add_argument(
        "input",
        type=path_argument,
        metavar="INPUT",
        help="a CellProfiler LoadData .csv, a folder of images, an OME-Zarr plate or image, an image (multi-channel "
        "TIFF, OME-TIFF, PNG, ..) or a .npz with an array 'images' (n, channels, height, width); like --out and "
        "--labels also in an object store, s3://bucket/LoadData.csv",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=path_argument, metavar="FOLDER", help="folder of the results")
    place.add_argument(
        "--beside", action="store_true", help="for OME-Zarr: results in the folder 'microsnoop' of the plate or image"
    )
    parser.add_argument(
        "--mode",
        choices=MODES,
        default="cells",
        help="cells: a crop around every object (default); single-cell: every image is one cell; tile: the mean of "
        "224 px tiles; image: the whole image, reduced to 224 px",
    )
    parser.add_argument("--channels", metavar="A,B", help="channels by name, in the order of the columns; default: all")
    parser.add_argument(
        "--pattern",
        help="for a folder: how paths in it are made up, e.g. '{Plate}/{Well}_s{Site}_{Channel}.tif'; {Channel} is the "
        "channel, the others become Metadata_ columns",
    )
    levels = parser.add_mutually_exclusive_group()
    levels.add_argument("--level", type=int, metavar="N", help="for OME-Zarr: resolution level; default: 0, the finest")
    levels.add_argument(
        "--pixel-size",
        type=positive_float,
        metavar="UM",
        help="resize all images to pixels of UM micrometers; for OME-Zarr: take the level whose pixels are nearest",
    )
    add_image_options(parser)
    cells = parser.add_argument_group("objects (mode cells)")
    cells.add_argument(
        "--segment",
        metavar="nuclei|cellpose:MODEL",
        help="find the objects: 'nuclei' is built in and the default where there are no label images; MODEL is the "
        "name or path of a Cellpose model",
    )
    cells.add_argument("--segment-channel", metavar="NAME", help="channel to find them in; default: the DNA stain")
    cells.add_argument(
        "--labels",
        type=path_argument,
        metavar="FOLDER",
        help="label images, named like the images (with or without _labels, _masks, _cp_masks, _Nuclei, _Cells)",
    )
    cells.add_argument(
        "--rois",
        type=Path,
        metavar="FILE|FOLDER",
        help="outlines of ImageJ instead of label images: a .zip of its ROI Manager, a .roi, or a folder of them named "
        "like the images (field1.tif: field1.zip)",
    )
    cells.add_argument("--objects", metavar="NAME", help="name of the objects, e.g. Nuclei; begins every column")
    cells.add_argument("--rescale-constant", type=float, default=2.0, metavar="X", help=RESCALE_CONSTANT_HELP)
    cells.add_argument(
        "--mask",
        choices=MASKS,
        default="box",
        help="box: the crop as it is (default); object: everything outside the object set to zero",
    )
    cells.add_argument("--drop-border", action="store_true", help="leave out objects that touch the image's edge")
    crops = parser.add_argument_group("crops")
    crops.add_argument(
        "--normalize",
        choices=NORMALIZATIONS,
        help="whether the zeros around a small crop count in its percentiles (default, as in the paper) or not (the "
        "default with --mask object)",
    )
    crops.add_argument(
        "--scale",
        type=float,
        default=1.0,
        metavar="X",
        help="resize the images by this factor first: 2 for images taken at half the usual magnification",
    )
    crops.add_argument(
        "--resize",
        type=int,
        metavar="N",
        help="for modes cells and single-cell: resize every crop to N x N pixels (48 to 224), so that small and large "
        "cells fill the same frame",
    )
    add_engine_options(parser)
    several = parser.add_argument_group("several devices or machines")
    several.add_argument(
        "--devices",
        metavar="A,B",
        help="a process for each, which share threads and memory: numbers of CUDA devices, or cpu; e.g. 0,1 or cpu,cpu",
    )
    several.add_argument("--engine", choices=("local", "ray"), default="local", help="ray: the nodes of a Ray cluster")
    several.add_argument(
        "--ray-address",
        metavar="ADDRESS",
        help="of the cluster: HOST:6379, or auto on one of its nodes; default: RAY_ADDRESS, else Ray is started here",
    )
    several.add_argument(
        "--stall-minutes",
        type=positive_float,
        default=30,
        metavar="N",
        help="without a sign of life for so long, a worker is killed and its image sets are tried anew; default: 30",
    )
    output = _add_output_options(parser)
    output.add_argument("--csv", action="store_true", help="write the table as profiles.csv too")
    output.add_argument(
        "--shard",
        type=shard,
        metavar="I/N",
        help="for job arrays: measure the I-th of N shares, into a folder of its own in FOLDER; then microsnoop merge",
    )
    output.add_argument("--strict", action="store_true", help="stop at the first image set that cannot be measured")
    parser.set_defaults(run=run_profile)


def _add_output_options(parser: argparse.ArgumentParser) -> Any:
    output = parser.add_argument_group("output")
    output.add_argument("--quiet", action="store_true", help="say nothing but errors")
    output.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return output


def _add_merge(commands: Any) -> None:
    parser = commands.add_parser("merge", help="the shares of a run as one table", description=run_merge.__doc__)
    parser.add_argument("folder", type=path_argument, metavar="FOLDER", help="the --out of microsnoop profile --shard")
    parser.set_defaults(run=run_merge)


def shard(text: str) -> Shard:
    """A share of a run, ``3/10``."""
    try:
        return Shard.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run_profile(options: argparse.Namespace) -> int:
    """Turn images into a table: one row per object (or image), 256 numbers per channel."""
    from ..distributor.job import resolve_job
    from ..distributor.run import profile
    from ..images.inputs import find_image_sets
    from ..modes.settings import CropSettings
    from .console import Console

    settings = CropSettings(
        mode=options.mode,
        rescale_constant=options.rescale_constant,
        mask=options.mask,
        normalize=options.normalize,
        drop_border=options.drop_border,
        scale=options.scale,
        resize=options.resize,
    )
    channels = [name.strip() for name in options.channels.split(",")] if options.channels else None
    if options.labels and (options.mode != "cells" or options.segment):
        raise InputError("--labels goes with --mode cells, and without --segment")
    if options.rois and (options.mode != "cells" or options.segment or options.labels):
        raise InputError("--rois goes with --mode cells, and without --segment and --labels")
    image_sets = find_image_sets(
        options.input,
        options.pattern,
        options.labels,
        options.objects or "Nuclei",
        options.level,
        options.pixel_size,
        options.rois,
        **image_arguments(options),
    )
    job = resolve_job(image_sets, settings, channels, options.objects, options.segment, options.segment_channel)
    engine = _make_engine(options)
    console = Console(options.quiet, options.json)
    began = time.monotonic()
    folder, own = results_beside(options.input, image_sets) if options.beside else options.out, image_sets
    if options.shard:
        folder, own = folder / options.shard.folder, options.shard.of(image_sets)
    with console.progress("image sets") as progress:
        report = profile(
            image_sets, job, engine, folder, memory_of(options), options.strict, progress, shard=options.shard
        )
    return console.finish(folder, own, job, report, time.monotonic() - began, options.csv)


def _make_engine(options: argparse.Namespace) -> Any:
    """What measures a run: the embedder of this process, or what starts several processes or the nodes of a cluster."""
    if options.ray_address and options.engine != "ray":
        raise InputError("--ray-address goes with --engine ray")
    if options.devices and options.engine == "ray":
        raise InputError("--devices chooses devices of this machine: leave it out with --engine ray, which takes all")
    if options.device != "auto" and (options.devices or options.engine == "ray"):
        raise InputError("--device chooses the device of one process: leave it out with --devices and --engine ray")
    if options.threads and options.engine == "ray":
        raise InputError("--threads is for this machine; with --engine ray, say it to each node: ray start --num-cpus")
    settings = {"model": options.weights, "precision": options.precision, "batch_size": options.batch_size}
    patience = 60 * options.stall_minutes
    if options.engine == "ray":
        from ..distributor.executors.ray_executor import RayExecutor

        return partial(RayExecutor, address=options.ray_address, settings=settings, patience=patience)
    if options.devices:
        from ..distributor.executors.processes import ProcessExecutor

        devices = [name.strip() for name in options.devices.split(",")]
        return partial(ProcessExecutor, devices=devices, settings=settings, threads=options.threads, patience=patience)
    return make_embedder(options)


def run_merge(options: argparse.Namespace) -> int:
    """Put the tables of all shares of a run (profile --shard) together; they stay as they are."""
    from ..distributor.merge import merge

    merged = merge(options.folder)
    print(f"{merged.rows} rows of {merged.done} image sets from {merged.shards} shares: {merged.table}")
    if merged.failed:
        print(f"{merged.failed} image sets could not be measured: see {merged.image_list}", file=sys.stderr)
    return 1 if merged.failed else 0


RESCALE_CONSTANT_HELP = (
    "half width of the crop in units of the object's longer side: 2.0 (the default) suits nuclei and takes in the cell "
    "around them, 0.6 suits whole cells"
)
BESIDE = "microsnoop"
"""Folder in a plate for the results; a plain folder, which readers of OME-Zarr pass over."""


def results_beside(path: Path, image_sets: Sequence[ImageSet]) -> Path:
    """The folder for results in a plate or image; InputError if the image sets are from something else."""
    if any(source.level is None for image_set in image_sets for source in image_set.channels.values()):
        raise InputError(f"--beside goes with an OME-Zarr plate or image, which '{path}' is not: give --out")
    return path / BESIDE

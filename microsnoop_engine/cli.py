"""The `microsnoop` command. What a command needs is imported when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

from . import __version__
from .cli_screen import add_screen_commands
from .cli_tables import add_table_commands
from .embedder import DEVICES, PRECISIONS
from .errors import InputError, MicrosnoopError
from .modes import MASKS, MODES, NORMALISATIONS, RESCALE_CONSTANT_HELP
from .shards import Shard
from .storage import location

log = logging.getLogger("microsnoop_engine")


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 bad input or a failed part, 2 usage."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    quiet = getattr(options, "quiet", False)
    logging.basicConfig(
        level=logging.ERROR if quiet else logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    for store in ("aiobotocore", "botocore", "gcsfs", "s3fs"):
        logging.getLogger(store).setLevel(logging.CRITICAL)  # what they raise is said once, by us
    try:
        return options.run(options)
    except (MicrosnoopError, OSError) as error:
        print(f"microsnoop {options.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"microsnoop {options.command}: interrupted; the same command goes on where it was", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """The parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="microsnoop", description="Every channel of a microscopy image as 256 numbers."
    )
    parser.add_argument("--version", action="version", version=f"microsnoop {__version__}")
    strict = partial(argparse.ArgumentParser, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=strict)
    _add_demo(commands)
    _add_profile(commands)
    _add_merge(commands)
    add_table_commands(commands)
    add_screen_commands(commands)
    _add_train(commands)
    _add_weights(commands)
    _add_install(commands)
    _add_worker(commands)
    return parser


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser("demo", help="draw a small screen, down to its report", description=run_demo.__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="FOLDER", help="default: demo")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run_demo)


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
        type=location,
        metavar="INPUT",
        help="a CellProfiler LoadData .csv, a folder of images, an OME-Zarr plate or image, an image (multi-channel "
        "TIFF, OME-TIFF, PNG, ..) or a .npz with an array 'images' (n, channels, height, width); like --out and "
        "--labels also in an object store, s3://bucket/LoadData.csv",
    )
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--out", type=location, metavar="FOLDER", help="folder of the results")
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
        type=_positive_float,
        metavar="UM",
        help="for OME-Zarr: take the level whose pixels are nearest to so many micrometers",
    )
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
        type=location,
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
        "--normalise",
        choices=NORMALISATIONS,
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
    _add_engine_options(parser)
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
        type=_positive_float,
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


def _add_merge(commands: Any) -> None:
    parser = commands.add_parser("merge", help="the shares of a run as one table", description=run_merge.__doc__)
    parser.add_argument("folder", type=location, metavar="FOLDER", help="the --out of microsnoop profile --shard")
    parser.set_defaults(run=run_merge)


def _add_train(commands: Any) -> None:
    parser = commands.add_parser(
        "train",
        help="train the network on your images",
        description=run_train.__doc__,
        epilog="The same command, or --resume, continues a stopped run. Several processes: torchrun --nproc-per-node 2 "
        "-m microsnoop_engine train ...",
    )
    parser.add_argument(
        "images",
        type=Path,
        metavar="IMAGES",
        help="a folder of images, its sub-folders being the categories, or a pool (index.csv and .zip archives)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("training"), metavar="RUN", help="folder of the run; default: training"
    )
    parser.add_argument(
        "--config",
        default="paper",
        metavar="NAME|FILE.yaml",
        help="paper (default): masked reconstruction as in the paper; contrast: two views of one place; or a YAML file",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting, e.g. --set crop=112"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN with its own configuration")
    parser.add_argument("--max-minutes", type=_positive_float, default=float("inf"), metavar="N", help="end after that")
    parser.add_argument("--save-minutes", type=_positive_float, default=5, metavar="N", help="default: 5")
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto")
    parser.add_argument("--compile", action="store_true", help="use torch.compile: a slow start, then faster")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run_train)


def _add_weights(commands: Any) -> None:
    parser = commands.add_parser("weights", help="show or convert the network's weights")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("info", help="what a weights file is", description=run_weights_info.__doc__)
    show.add_argument("weights", nargs="?", default="microsnoop-base", help="name or .safetensors file")
    show.set_defaults(run=run_weights_info)
    export = actions.add_parser("export", help="the weights of a training run", description=run_weights_export.__doc__)
    export.add_argument("folder", type=Path, metavar="RUN")
    export.add_argument("--out", type=Path, metavar="FILE.safetensors", help="default: RUN/NAME.safetensors")
    export.add_argument("--name", help="name on the card; default: the run's folder")
    export.add_argument("--licence", default="not stated", help="for the card")
    export.add_argument("--encoder-only", action="store_true", help="leave out the decoder: half the size")
    export.set_defaults(run=run_weights_export)
    convert = actions.add_parser(
        "import", help="convert a checkpoint of the reference implementation", description=run_weights_import.__doc__
    )
    convert.add_argument("file", type=Path, metavar="FILE.pth")
    convert.add_argument("--out", type=Path, metavar="FILE.safetensors", help="default: beside FILE.pth")
    convert.add_argument("--name", help="name on the card; default: the file's")
    convert.add_argument("--training", default="not stated", help="what it was trained on, for the card")
    convert.add_argument("--licence", default="not stated", help="for the card")
    convert.add_argument("--encoder-only", action="store_true", help="leave out the decoder: half the size")
    convert.set_defaults(run=run_weights_import)


def _add_install(commands: Any) -> None:
    parser = commands.add_parser("install", help="install the part for CellProfiler, Fiji or ImageJ")
    hosts = parser.add_subparsers(dest="host", required=True, metavar="HOST")
    host = hosts.add_parser(
        "cellprofiler", help="copy MeasureMicrosnoopFeatures", description=run_install_cellprofiler.__doc__
    )
    host.add_argument(
        "folder",
        nargs="?",
        type=Path,
        metavar="DIR",
        help="CellProfiler's plugin folder; default: the one in its preferences, else ~/CellProfiler-plugins",
    )
    host.add_argument(
        "--set-plugin-folder", action="store_true", help="write DIR into CellProfiler's preferences (close it first)"
    )
    host.set_defaults(run=run_install_cellprofiler)
    host = hosts.add_parser("fiji", help="copy the plugin", description=run_install_fiji.__doc__)
    host.add_argument(
        "folders",
        nargs="*",
        type=Path,
        metavar="DIR",
        help="folder of Fiji or ImageJ (it holds a folder 'plugins'); default: all that are found",
    )
    host.set_defaults(run=run_install_fiji)


def _add_worker(commands: Any) -> None:
    parser = commands.add_parser(
        "worker", help="serve CellProfiler, ImageJ and Appose clients on standard input and output"
    )
    _add_engine_options(parser)
    parser.set_defaults(run=run_worker)


def _add_engine_options(parser: argparse.ArgumentParser) -> None:
    engine = parser.add_argument_group("engine")
    engine.add_argument("--weights", default="microsnoop-base", metavar="NAME|FILE")
    engine.add_argument("--device", choices=DEVICES, default="auto")
    engine.add_argument("--precision", choices=PRECISIONS, default="auto")
    engine.add_argument("--batch-size", type=_positive_int, metavar="N", help="crops at once; default: by the device")
    engine.add_argument("--threads", type=_positive_int, metavar="N", help="CPU threads; default: all cores")
    engine.add_argument(
        "--memory",
        type=_positive_float,
        metavar="GB",
        help="for images and rows, beside the network itself; default: a quarter of what is free, at most 4",
    )


def _add_output_options(parser: argparse.ArgumentParser) -> Any:
    output = parser.add_argument_group("output")
    output.add_argument("--quiet", action="store_true", help="say nothing but errors")
    output.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    return output


def _positive_int(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


def shard(text: str) -> Shard:
    """A share of a run, ``3/10``."""
    try:
        return Shard.parse(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _positive_float(text: str) -> float:
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("give a number above 0")
    return value


def run_demo(options: argparse.Namespace) -> int:
    """Draw a small synthetic screen (2 plates x 24 wells, 3 channels, 4 phenotypes) and take it to a report."""
    from .demo import demo

    return demo(options.out, options.quiet)


def run_profile(options: argparse.Namespace) -> int:
    """Turn images into a table: one row per object (or image), 256 numbers per channel."""
    from .distributor import profile
    from .inputs import find_image_sets
    from .modes import CropSettings
    from .ome_zarr import results_beside
    from .planning import plan
    from .telling import Teller

    settings = CropSettings(
        mode=options.mode,
        rescale_constant=options.rescale_constant,
        mask=options.mask,
        normalise=options.normalise,
        drop_border=options.drop_border,
        scale=options.scale,
    )
    channels = [name.strip() for name in options.channels.split(",")] if options.channels else None
    if options.labels and (options.mode != "cells" or options.segment):
        raise InputError("--labels goes with --mode cells, and without --segment")
    if options.rois and (options.mode != "cells" or options.segment or options.labels):
        raise InputError("--rois goes with --mode cells, and without --segment and --labels")
    image_sets = find_image_sets(
        options.input, options.pattern, options.labels, options.objects or "Nuclei", options.level, options.pixel_size
    )
    if options.rois:
        from .rois import with_rois

        image_sets = with_rois(image_sets, options.rois, options.objects or "Nuclei")
    job = plan(image_sets, settings, channels, options.objects, options.segment, options.segment_channel)
    engine = _make_engine(options)
    teller = Teller(options.quiet, options.json)
    began = time.monotonic()
    folder, own = results_beside(options.input, image_sets) if options.beside else options.out, image_sets
    if options.shard:
        folder, own = folder / options.shard.folder, options.shard.of(image_sets)
    with teller.progress("image sets") as progress:
        report = profile(
            image_sets, job, engine, folder, _memory(options), options.strict, progress, shard=options.shard
        )
    return teller.finish(folder, own, job, report, time.monotonic() - began, options.csv)


def run_merge(options: argparse.Namespace) -> int:
    """Put the tables of all shares of a run (profile --shard) together; they stay as they are."""
    from .merging import merge

    merged = merge(options.folder)
    print(f"{merged.rows} rows of {merged.done} image sets from {merged.shards} shares: {merged.table}")
    if merged.failed:
        print(f"{merged.failed} image sets could not be measured: see {merged.image_list}", file=sys.stderr)
    return 1 if merged.failed else 0


def run_weights_info(options: argparse.Namespace) -> int:
    """Print the card of weights, after checking that the file is the one that the card describes."""
    from dataclasses import asdict

    from .checkpoints import load_weights

    print(json.dumps(asdict(load_weights(options.weights)[1]), indent=2))
    return 0


def run_train(options: argparse.Namespace) -> int:
    """Train the network by self-supervision on a folder of images; no labels are needed."""
    from .telling import Teller
    from .training import train

    if options.resume and (options.set or options.config != "paper"):
        raise InputError("--resume takes the configuration from the run: leave --config and --set out")
    changes = dict(_setting(text) for text in options.set)
    teller = Teller(options.quiet)
    report = train(
        options.images,
        options.out,
        options.config,
        changes,
        resume=options.resume,
        device=options.device,
        precision=options.precision,
        max_minutes=options.max_minutes,
        save_minutes=options.save_minutes,
        compiled=options.compile,
        teller=teller,
    )
    teller.say(f"report: {report}\nweights: microsnoop weights export {options.out}")
    return 0


def _setting(text: str) -> tuple[str, Any]:
    """The key and the value of ``KEY=VALUE``; a value with commas is a list."""
    key, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"--set {text}: give KEY=VALUE")
    if key == "categories":
        return key, tuple(filter(None, value.split(",")))
    for convert in (int, float):
        try:
            return key, convert(value)
        except ValueError:
            pass
    return key, value


def run_weights_export(options: argparse.Namespace) -> int:
    """Write the weights of a training run as a .safetensors file with a card that says how they were made."""
    from .training import export

    name = options.name or options.folder.resolve().name
    target = options.out or options.folder / f"{name}.safetensors"
    if target.suffix != ".safetensors":
        raise InputError(f"--out '{target}' must end in .safetensors")
    card = export(options.folder, target, name, options.licence, options.encoder_only)
    print(f"wrote {target} and its card {target.with_suffix('.json')}, sha256 {card.sha256}")
    return 0


def run_weights_import(options: argparse.Namespace) -> int:
    """Convert a checkpoint of the reference implementation to a .safetensors file with a card."""
    from .checkpoints import Card, import_reference

    target = options.out or options.file.with_suffix(".safetensors")
    if target.suffix != ".safetensors":
        raise InputError(f"--out '{target}' must end in .safetensors")
    card = Card(options.name or target.stem, training={"data": options.training}, licence=options.licence)
    card = import_reference(options.file, target, card, decoder=not options.encoder_only)
    print(f"wrote {target} and its card {target.with_suffix('.json')}, sha256 {card.sha256}")
    return 0


def run_install_cellprofiler(options: argparse.Namespace) -> int:
    """Copy the module MeasureMicrosnoopFeatures to where CellProfiler finds it, and tell it where this engine is."""
    from .install import install_cellprofiler, plugin_folder, preference_files, set_plugin_folder

    preferences = preference_files()
    configured = plugin_folder(preferences)
    folder = install_cellprofiler(options.folder or configured or Path("~/CellProfiler-plugins"))
    print(f"installed MeasureMicrosnoopFeatures in {folder}; its engine is {sys.executable}")
    if options.set_plugin_folder and preferences:
        set_plugin_folder(folder, preferences)
        print(f"CellProfiler's plugin folder is now {folder}: start CellProfiler anew")
    elif configured != folder:
        if options.set_plugin_folder:
            print("CellProfiler's preferences were not found: set the folder there by hand, once:", file=sys.stderr)
        print(f"in CellProfiler: Preferences > CellProfiler plugins directory: {folder}, then start it anew")
    print(f"without its window: cellprofiler -c -r --plugins-directory {folder} ...")
    return 1 if options.set_plugin_folder and not preferences else 0


def run_install_fiji(options: argparse.Namespace) -> int:
    """Copy the plugin to where Fiji and ImageJ find it, and tell it where this engine is."""
    from .install import fiji_folders, install_fiji

    folders = options.folders or fiji_folders()
    if not folders:
        raise InputError(
            "no Fiji or ImageJ was found: give its folder, as in 'microsnoop install fiji ~/Fiji.app' (in ImageJ, "
            "Plugins > Utilities > ImageJ Properties shows its plugins folder)"
        )
    for folder in folders:
        print(f"installed the Microsnoop plugin in {install_fiji(folder)}; its engine is {sys.executable}")
    print("start Fiji or ImageJ anew: Plugins > Microsnoop > Measure Microsnoop Features")
    return 0


def run_worker(options: argparse.Namespace) -> int:
    """Serve requests until standard input ends."""
    from .worker import serve

    return serve(lambda: _make_embedder(options), _memory(options))


def _make_embedder(options: argparse.Namespace) -> Any:
    from .embedder import Embedder

    return Embedder(
        options.weights,
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        threads=options.threads,
    )


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
        from .ray_engine import RayEngine

        return partial(RayEngine, address=options.ray_address, settings=settings, patience=patience)
    if options.devices:
        from .processes import Processes

        devices = [name.strip() for name in options.devices.split(",")]
        return partial(Processes, devices=devices, settings=settings, threads=options.threads, patience=patience)
    return _make_embedder(options)


def _memory(options: argparse.Namespace) -> int:
    """Bytes from ``--memory``, or a share of what is free."""
    import psutil

    if options.memory:
        return int(options.memory * 2**30)
    return min(psutil.virtual_memory().available // 4, 4 << 30)

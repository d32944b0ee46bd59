"""Define the commands that show, export, import and draw weights."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..model.checkpoints import DEFAULT, Card, load_weights
from .options import positive_int


def add_weights_commands(commands: Any) -> None:
    """Add the commands to the parser."""
    parser = commands.add_parser("weights", help="show or convert the network's weights")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    show = actions.add_parser("info", help="describe a weights file", description=run_weights_info.__doc__)
    show.add_argument("weights", nargs="?", default=DEFAULT, help="fast, base or a .safetensors file")
    show.set_defaults(run=run_weights_info)
    export = actions.add_parser(
        "export", help="write the weights of a training run", description=run_weights_export.__doc__
    )
    export.add_argument("folder", type=Path, metavar="RUN")
    export.add_argument("-o", "--out", type=Path, metavar="FILE.safetensors", help="default: RUN/NAME.safetensors")
    export.add_argument("--name", help="name on the card; default: the run's folder")
    export.add_argument("--license", default="not stated", help="for the card")
    export.add_argument("--encoder-only", action="store_true", help="leave out the decoder: half the size")
    export.set_defaults(run=run_weights_export)
    _add_import(actions)
    untrained = actions.add_parser(
        "untrained", help="write random weights, to compare with", description=run_weights_untrained.__doc__
    )
    untrained.add_argument("like", nargs="?", default=DEFAULT, help="fast (default), base or a .safetensors file")
    untrained.add_argument("--seed", type=int, default=0, metavar="N", help="default: 0")
    untrained.add_argument(
        "-o",
        "--out",
        type=Path,
        default=Path("untrained.safetensors"),
        metavar="FILE.safetensors",
        help="default: untrained.safetensors",
    )
    untrained.set_defaults(run=run_weights_untrained)


def _add_import(actions: Any) -> None:
    parser = actions.add_parser("import", help="take weights of other programs", description=run_weights_import.__doc__)
    parser.add_argument(
        "file",
        type=Path,
        metavar="FILE",
        help="weights (.safetensors, .pth, .pt) or a package of bioimage.io (.zip, its folder or its .yaml file)",
    )
    parser.add_argument("-o", "--out", type=Path, metavar="FILE.safetensors", help="default: beside FILE")
    parser.add_argument("--name", help="name on the card; default: that of the file")
    parser.add_argument("--training", default="not stated", help="what the weights were trained on, for the card")
    parser.add_argument("--license", default="not stated", help="for the card")
    parser.add_argument("--encoder-only", action="store_true", help="leave out the decoder, for the reference's files")
    network = parser.add_argument_group("networks of other programs")
    network.add_argument("--timm", metavar="MODEL", help="the weights are of this model of timm")
    network.add_argument("--part", metavar="NAME", help="which of several networks of a checkpoint, such as teacher")
    network.add_argument(
        "--standardize", action="store_true", help="show each crop with a mean of 0 and a standard deviation of 1"
    )
    network.add_argument(
        "--mean", type=_numbers, default=(), metavar="N,...", help="show (crop - mean) / std; default: as timm knows"
    )
    network.add_argument("--std", type=_numbers, default=(), metavar="N,...")
    network.add_argument(
        "--input-size",
        type=positive_int,
        metavar="N",
        help="resize crops to fill N pixels, and show them without a frame of zeros; default: in one of 224 pixels",
    )
    parser.set_defaults(run=run_weights_import)


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError("write a number for each channel, such as 0.5,0.5,0.5") from None


def run_weights_info(options: argparse.Namespace) -> int:
    """Print the card of weights, after a check that the file is the one that the card describes."""
    print(json.dumps(asdict(load_weights(options.weights)[1]), indent=2))
    return 0


def run_weights_export(options: argparse.Namespace) -> int:
    """Write the weights of a training run as a .safetensors file, with a card that states how they were made."""
    from ..trainer.export import export

    name = options.name or options.folder.resolve().name
    target = options.out or options.folder / f"{name}.safetensors"
    _check_suffix(target)
    card = export(options.folder, target, name, options.license, options.encoder_only)
    _print_written(target, card)
    return 0


def run_weights_import(options: argparse.Namespace) -> int:
    """Convert weights of timm, DINO, bioimage.io or the reference implementation to a .safetensors file with a card."""
    from ..model.foreign.importing import import_weights
    from ..model.foreign.presentation import Presentation

    target = options.out or options.file.with_suffix(".safetensors")
    _check_suffix(target)
    if target == options.file:
        raise InputError(f"--out is needed: '{target}' would be overwritten")
    presentation = None
    if options.standardize or options.mean or options.std:
        channels = len(options.mean or options.std) or 1
        presentation = Presentation(channels, options.mean, options.std, options.standardize)
    training = {"data": options.training}
    card = Card(options.name or target.stem, training=training, license=options.license)
    if options.input_size:
        card = replace(card, frame="crop", input_size=options.input_size)
    card = import_weights(
        options.file,
        target,
        card,
        timm=options.timm,
        part=options.part,
        presentation=presentation,
        decoder=not options.encoder_only,
    )
    _print_written(target, card)
    return 0


def run_weights_untrained(options: argparse.Namespace) -> int:
    """Write random weights for the network of other weights: features that training must beat (evaluate --baseline)."""
    from ..model.untrained import write_untrained

    _check_suffix(options.out)
    _print_written(options.out, write_untrained(options.like, options.out, options.seed))
    return 0


def _check_suffix(target: Path) -> None:
    if target.suffix != ".safetensors":
        raise InputError(f"--out '{target}' must end in .safetensors")


def _print_written(target: Path, card: Card) -> None:
    print(
        f"wrote {target} and its card {target.with_suffix('.json')}: {card.architecture}, {card.dimension} numbers per "
        f"channel, sha256 {card.sha256}"
    )

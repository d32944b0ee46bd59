"""Options that several commands have, and what becomes of them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ..errors import MicrosnoopError
from ..model.embedder import DEVICES, PRECISIONS
from ..storage.paths import as_path


def add_engine_options(parser: argparse.ArgumentParser) -> None:
    """Which weights, and on what they compute."""
    engine = parser.add_argument_group("engine")
    engine.add_argument("--weights", default="microsnoop-base", metavar="NAME|FILE")
    engine.add_argument("--device", choices=DEVICES, default="auto")
    engine.add_argument("--precision", choices=PRECISIONS, default="auto")
    engine.add_argument("--batch-size", type=positive_int, metavar="N", help="crops at once; default: by the device")
    engine.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads; default: all cores")
    engine.add_argument(
        "--memory",
        type=positive_float,
        metavar="GB",
        help="for images and rows, beside the network itself; default: a quarter of what is free, at most 4",
    )


def positive_int(text: str) -> int:
    """A whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("give 1 or more")
    return value


def positive_float(text: str) -> float:
    """A number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("give a number above 0")
    return value


def make_embedder(options: argparse.Namespace) -> Any:
    """The embedder that the options ask for."""
    from ..model.embedder import Embedder

    return Embedder(
        options.weights,
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        threads=options.threads,
    )


def memory_of(options: argparse.Namespace) -> int:
    """Bytes from ``--memory``, or a share of what is free."""
    import psutil

    if options.memory:
        return int(options.memory * 2**30)
    return min(psutil.virtual_memory().available // 4, 4 << 30)


def path_argument(text: str) -> Path:
    """:func:`as_path` as the type of an argument of a command."""
    try:
        return as_path(text)
    except MicrosnoopError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

"""Define the options that several commands share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..distributor.compute import ComputeSettings
from ..errors import MicrosnoopError
from ..model.embedder import DEVICES, PRECISIONS, Embedder
from ..storage.paths import as_path

Parse = Callable[[list[str]], argparse.Namespace]
"""Parses a command line, without the name of the program."""


def field_values(settings: type[Any], options: argparse.Namespace) -> dict[str, Any]:
    """Return the options that are named as the fields of a dataclass."""
    return {field.name: getattr(options, field.name) for field in fields(settings)}


def add_out_option(parser: argparse.ArgumentParser, default: str, metavar: str, help: str = "") -> None:
    """Add ``-o`` and ``--out`` with a default."""
    parser.add_argument(
        *("-o", "--out"),
        type=path_argument,
        default=Path(default),
        metavar=metavar,
        help=f"{help}{'; ' if help else ''}default: {default}",
    )


def add_quiet_option(parser: argparse.ArgumentParser) -> None:
    """Add ``--quiet``."""
    parser.add_argument("--quiet", action="store_true", help="print errors only")


def add_compute_options(parser: argparse.ArgumentParser) -> None:
    """Add the weights and the device on which they compute."""
    group = parser.add_argument_group("computing")
    defaults = ComputeSettings
    group.add_argument(
        "--model",
        default=defaults.model,
        metavar="fast|base|FILE",
        help="weights: fast (the compact network, default), base (the paper's network) or a .safetensors file; "
        "fast+base: both, their numbers side by side",
    )
    group.add_argument(
        "--device",
        type=device_argument,
        default=defaults.device,
        metavar="{auto,cpu,cuda,cuda:N,mps}",
        help="cuda:1 is the second GPU; default: auto, a GPU if there is one",
    )
    group.add_argument("--precision", choices=PRECISIONS, default=defaults.precision)
    group.add_argument(
        "--batch-size", type=positive_int, metavar="N", help="crops in a batch; default: depends on the device"
    )
    group.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads; default: one per core")
    group.add_argument(
        "--memory",
        type=positive_float,
        metavar="GB",
        help="for images and rows, without the network; default: a quarter of the free memory, at most 4",
    )


def make_embedder(options: argparse.Namespace) -> Embedder:
    """Load the network that the options of :func:`add_compute_options` select."""
    return Embedder(
        options.model,
        device=options.device,
        precision=options.precision,
        batch_size=options.batch_size,
        threads=options.threads,
    )


def memory_bytes(options: argparse.Namespace) -> int:
    """Return ``--memory`` in bytes, or the default."""
    from ..distributor.executors.machine import default_memory

    return int(options.memory * 2**30) if options.memory else default_memory()


def positive_int(text: str) -> int:
    """Parse a whole number above 0."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("it must be 1 or more")
    return value


def positive_float(text: str) -> float:
    """Parse a number above 0."""
    value = float(text)
    if not 0 < value < float("inf"):
        raise argparse.ArgumentTypeError("it must be above 0")
    return value


def device_argument(text: str) -> str:
    """Parse a device; ``cuda:1`` is the second GPU."""
    if text not in DEVICES and not re.fullmatch(r"cuda:\d+", text):
        raise argparse.ArgumentTypeError(f"'{text}' is none of {', '.join(DEVICES)}, cuda:N")
    return text


def names_argument(text: str) -> tuple[str, ...]:
    """Parse a comma-separated list of names."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def path_argument(text: str) -> Path:
    """Parse the path of a file or folder, or an address in an object store."""
    try:
        return as_path(text)
    except MicrosnoopError as error:
        raise argparse.ArgumentTypeError(str(error)) from None

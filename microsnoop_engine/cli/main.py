"""The `microsnoop` command. What a command needs is imported when it runs, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import logging
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import MicrosnoopError
from ..storage.paths import quiet_stores
from .inputs import add_inputs_command
from .install import add_install_command
from .options import add_engine_options, make_embedder, memory_of
from .profile import add_profile_commands
from .screen import add_screen_commands
from .tables import add_table_commands
from .training import add_training_commands


def main(arguments: list[str] | None = None) -> int:
    """Run the command; returns its exit code: 0 done, 1 bad input or a failed part, 2 usage."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    quiet = getattr(options, "quiet", False)
    logging.basicConfig(
        level=logging.ERROR if quiet else logging.INFO, format="%(levelname)s: %(message)s", stream=sys.stderr
    )
    quiet_stores()
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
    add_profile_commands(commands)
    add_inputs_command(commands)
    add_table_commands(commands)
    add_screen_commands(commands)
    add_training_commands(commands)
    add_install_command(commands)
    _add_worker(commands)
    return parser


def _add_demo(commands: Any) -> None:
    parser = commands.add_parser("demo", help="draw a small screen, down to its report", description=run_demo.__doc__)
    parser.add_argument("--out", type=Path, default=Path("demo"), metavar="FOLDER", help="default: demo")
    parser.add_argument("--quiet", action="store_true", help="say nothing but errors")
    parser.set_defaults(run=run_demo)


def _add_worker(commands: Any) -> None:
    parser = commands.add_parser(
        "worker", help="serve CellProfiler, ImageJ and Appose clients on standard input and output"
    )
    add_engine_options(parser)
    parser.set_defaults(run=run_worker)


def run_demo(options: argparse.Namespace) -> int:
    """Draw a small synthetic screen (2 plates x 24 wells, 3 channels, 4 phenotypes) and take it to a report."""
    from .demo import demo

    return demo(options.out, options.quiet)


def run_worker(options: argparse.Namespace) -> int:
    """Serve requests until standard input ends."""
    from ..worker.server import serve

    return serve(lambda: make_embedder(options), memory_of(options))

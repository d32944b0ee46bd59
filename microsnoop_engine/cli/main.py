"""Run the ``microsnoop`` command; a command's modules are imported when it runs, so that ``--help`` is fast."""

from __future__ import annotations

import argparse
import errno
import logging
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..errors import MicrosnoopError, torch_needed
from ..storage.paths import quiet_stores
from .activity import add_activity_command
from .classify import add_classify_commands
from .corrections import add_correction_commands
from .explain import add_explain_command
from .illumination import add_illumination_command
from .inputs import add_inputs_command
from .install import add_install_command
from .muse import add_muse_command
from .normalizing import add_normalizing_commands
from .options import Parse, add_compute_options, add_quiet_option, make_embedder, memory_bytes
from .profile import add_profile_commands
from .quality import add_quality_command
from .screen import add_screen_commands
from .tables import add_table_commands
from .training import add_train_command
from .weights import add_weights_commands

_NOT_ALLOWED = {
    errno.EROFS: "Nothing can be written there: choose another folder for results",
    **dict.fromkeys(
        (errno.EACCES, errno.EPERM), "You may not read or write there: choose another place, or change its permissions"
    ),
}
"""What to do about errors of the operating system."""
_SPELLINGS = {"--neighbours": "--neighbors", "--normalise": "--normalize"}
"""Options by their British spelling."""
_RENAMED = {"--resize": "--scale each", "--weights": "--model"}
"""Present name of options of earlier versions."""


def main(arguments: list[str] | None = None) -> int:
    """Run a command.

    Parameters
    ----------
    arguments : list of str, optional
        Default: those of the process.

    Returns
    -------
    int
        Exit code: 0 done, 1 bad input or some image sets failed. Usage errors exit with 2.
    """
    parser = build_parser()
    options = parser.parse_args([_american(word) for word in (sys.argv[1:] if arguments is None else arguments)])
    quiet = getattr(options, "quiet", False)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_FlagFormatter(parser, options))
    logging.basicConfig(level=logging.ERROR if quiet else logging.INFO, handlers=[handler])
    quiet_stores()
    try:
        code: int = options.run(options)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # the reader of standard output, such as head, has seen enough
        _discard_output()
        return 141  # as if the signal SIGPIPE had ended the process
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        print(f"microsnoop {options.command}: {torch_needed('this')}", file=sys.stderr)
        return 1
    except (MicrosnoopError, OSError) as error:
        message = with_flags(_words(error), parser, options)
        print(f"microsnoop {options.command}: {message}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"microsnoop {options.command}: interrupted; run the same command again to continue", file=sys.stderr)
        return 1


def _words(error: Exception) -> str:
    """Return the message of an error; of one of the operating system with what to do, where that is known."""
    if not isinstance(error, OSError) or error.errno not in _NOT_ALLOWED or error.filename is None:
        return str(error)
    return f"'{error.filename}': {error.strerror}. {_NOT_ALLOWED[error.errno]}"


def _american(word: str) -> str:
    """Return an option in American spelling, where it was typed in British spelling.

    Examples
    --------
    >>> _american("--neighbours=5"), _american("--out")
    ('--neighbors=5', '--out')
    """
    option, equals, value = word.partition("=")
    return _SPELLINGS.get(option, option) + equals + value


def build_parser() -> argparse.ArgumentParser:
    """Build the parser of the command line.

    Returns
    -------
    ArgumentParser
    """
    parser = argparse.ArgumentParser(
        prog="microsnoop", description="Measure each channel of a microscopy image as learned features."
    )
    parser.add_argument("--version", action="version", version=f"microsnoop {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_ExactParser)
    _add_demo(commands, parser.parse_args)
    add_profile_commands(commands)
    add_inputs_command(commands)
    add_quality_command(commands)
    add_illumination_command(commands)
    add_table_commands(commands)
    add_normalizing_commands(commands)
    add_correction_commands(commands)
    add_activity_command(commands)
    add_classify_commands(commands)
    add_explain_command(commands)
    add_screen_commands(commands, parser.parse_args)
    add_train_command(commands)
    add_weights_commands(commands)
    add_muse_command(commands)
    add_install_command(commands)
    _add_worker(commands)
    return parser


class _FlagFormatter(logging.Formatter):
    """Write messages with the flags of the parsed command in place of parameters."""

    def __init__(self, parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
        super().__init__("%(levelname)s: %(message)s")
        self._parsed = parser, options

    def format(self, record: logging.LogRecord) -> str:
        return with_flags(super().format(record), *self._parsed)


class _ExactParser(argparse.ArgumentParser):
    """Refuse abbreviated options, whose meaning would change with every new option."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(allow_abbrev=False, **settings)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse arguments, and say the present name of an option that was renamed."""
        known, unknown = super().parse_known_args(args, namespace)
        for word in unknown:
            option = word.partition("=")[0]
            if option in _RENAMED:
                self.error(f"{option} is called {_RENAMED[option]} now")
        return known, unknown


def with_flags(message: str, parser: argparse.ArgumentParser, options: argparse.Namespace) -> str:
    """Replace the parameters in backticks in an error message by the flags of the parsed command.

    Parameters
    ----------
    message : str
        Such as "`segment_channel`: there is no channel 'X'".
    parser : ArgumentParser
    options : Namespace
        Result of the parser.

    Returns
    -------
    str
        Such as "--segment-channel: there is no channel 'X'". Names that are no option stay as they are.
    """
    flags = _flags(parser, options)
    return re.sub(r"`(\w+)`", lambda match: flags.get(match[1], match[0]), message)


def _flags(parser: argparse.ArgumentParser, options: argparse.Namespace) -> dict[str, str]:
    """Map the parameters of the parsed command to their flags, or to the placeholder of a positional argument."""
    flags: dict[str, str] = {}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            flags |= _flags(action.choices[getattr(options, action.dest)], options)
        else:
            flags[action.dest] = action.option_strings[-1] if action.option_strings else str(action.metavar)
    return flags


def _discard_output() -> None:
    """Send the rest of standard output nowhere, so that Python does not fail to flush it when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _add_demo(commands: Any, parse: Parse) -> None:
    parser = commands.add_parser(
        "demo", help="draw a small screen, measure it and write its report", description=run_demo.__doc__
    )
    parser.add_argument("-o", "--out", type=Path, default=Path("demo"), metavar="FOLDER", help="default: demo")
    add_quiet_option(parser)
    parser.set_defaults(run=partial(run_demo, parse=parse))


def _add_worker(commands: Any) -> None:
    parser = commands.add_parser(
        "worker", help="serve CellProfiler, ImageJ and Appose clients on standard input and output"
    )
    add_compute_options(parser)
    parser.set_defaults(run=run_worker)


def run_demo(options: argparse.Namespace, parse: Parse) -> int:
    """Draw a small screen (2 plates x 24 wells, 3 channels, 4 phenotypes), measure it and write its report."""
    from .demo import demo

    return demo(options.out, parse, options.quiet)


def run_worker(options: argparse.Namespace) -> int:
    """Serve requests until standard input ends."""
    from ..worker.server import serve

    serve(lambda: make_embedder(options), memory_bytes(options))
    return 0

"""Define the command that trains."""

from __future__ import annotations

import argparse
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

from ..errors import InputError, counted
from ..model.embedder import DEVICES
from ..trainer.config import PRECISIONS
from .options import positive_float, positive_int

PACE_STEPS = 50
"""Number of steps that the pace of a training is measured on."""


def add_train_command(commands: Any) -> None:
    """Add the command to the parser."""
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
        "-o", "--out", type=Path, default=Path("training"), metavar="RUN", help="folder of the run; default: training"
    )
    parser.add_argument(
        "--config",
        default="paper",
        metavar="NAME|FILE.yaml",
        help="paper (default): masked reconstruction as in the paper; compact, base: contrastive learning, as the "
        "shipped weights fast and base; or a YAML file",
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one setting, e.g. --set crop=112"
    )
    parser.add_argument("--resume", action="store_true", help="continue the run in RUN with its configuration")
    parser.add_argument(
        "--max-minutes", type=positive_float, default=float("inf"), metavar="N", help="stop after N minutes"
    )
    parser.add_argument(
        "--save-minutes", type=positive_float, default=5, metavar="N", help="between checkpoints; default: 5"
    )
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument("--precision", choices=("auto", *PRECISIONS), default="auto")
    parser.add_argument(
        "--compile",
        action=argparse.BooleanOptionalAction,
        help="use torch.compile, which is slow to start, then faster; default: on CUDA",
    )
    parser.add_argument(
        "--judge",
        type=Path,
        metavar="FOLDER",
        help="score the network while it learns, on labeled cells: .npz files with the arrays images and labels",
    )
    parser.add_argument(
        "--judge-crops", type=positive_int, metavar="N", help="crops between scores; default: a tenth of the run"
    )
    parser.add_argument("--quiet", action="store_true", help="print errors only")
    parser.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> int:
    """Train the network on a folder of images by self-supervision, which needs no labels."""
    from ..trainer.train import train
    from .console import Console

    if options.resume and (options.set or options.config != "paper"):
        raise InputError("--resume takes the configuration from the run: leave --config and --set out")
    if options.judge_crops and not options.judge:
        raise InputError("--judge-crops needs the labeled cells of --judge")
    console, pace = Console(options.quiet), Pace(options.max_minutes * 60)
    with ExitStack() as bar:
        update: Callable[..., None] | None = None

        def show_step(entry: dict[str, Any], steps: int) -> None:
            nonlocal update
            update = update or bar.enter_context(console.progress("steps"))
            update(entry["step"], steps, f"loss {entry['loss']:.4f}{pace.note(entry, steps)}")

        def show_message(text: str) -> None:
            nonlocal update
            bar.close()  # text would be printed into the bar
            update = None
            console.say(text)

        report = train(
            options.images,
            options.out,
            options.config,
            dict(_setting(text) for text in options.set),
            resume=options.resume,
            device=options.device,
            precision=options.precision,
            max_minutes=options.max_minutes,
            save_minutes=options.save_minutes,
            compiled=options.compile,
            judge=options.judge,
            judge_crops=options.judge_crops,
            on_message=show_message,
            on_step=show_step,
        )
    console.say(f"report: {report}\nweights: microsnoop weights export {options.out}")
    return 0


class Pace:
    """Tell how fast a training is and when it will end, from its last steps.

    Parameters
    ----------
    limit : float
        Longest duration of the run in seconds.
    clock : callable
        Returns the time in seconds.
    """

    def __init__(self, limit: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._end = clock, clock() + limit
        self._last: deque[tuple[float, int, int]] = deque(maxlen=PACE_STEPS)

    def note(self, entry: Mapping[str, Any], steps: int) -> str:
        """Return a note on crops per second and the time to the end; it is empty after the first step.

        Parameters
        ----------
        entry : mapping
            Line of the log.
        steps : int
            Number of steps of the run.
        """
        now = self._clock()
        self._last.append((now, entry["step"], entry["images"]))
        began, step, images = self._last[0]
        if now <= began:
            return ""
        left = min((steps - entry["step"]) * (now - began) / (entry["step"] - step), max(self._end - now, 0))
        pace = counted(round((entry["images"] - images) / (now - began)), "crops")
        return f", {pace}/s, {timedelta(seconds=round(left))} left"


def _setting(text: str) -> tuple[str, Any]:
    """Return the key and the value of ``KEY=VALUE``; categories are separated by commas."""
    key, separator, value = text.partition("=")
    if not separator:
        raise InputError(f"--set {text}: it must be KEY=VALUE")
    if key == "categories":
        return key, tuple(filter(None, value.split(",")))
    for convert in (int, float):
        try:
            return key, convert(value)
        except ValueError:
            pass
    return key, value

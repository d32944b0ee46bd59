"""Print messages, progress and summaries of commands."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import counted

if TYPE_CHECKING:
    from ..distributor.summary import RunSummary

LINE_SECONDS = 10
"""Time between two lines of progress where standard error is no terminal."""


class Console:
    """Print messages, progress and summaries, for people or for scripts.

    Parameters
    ----------
    quiet : bool
        Print errors only.
    as_json : bool
        Print one JSON object at the end instead of text.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False) -> None:
        self._quiet = quiet
        self._json = as_json

    def say(self, text: str) -> None:
        """Print a message for people."""
        if not self._quiet and not self._json:
            print(text, flush=True)

    @contextmanager
    def progress(self, unit: str) -> Iterator[Callable[..., None]]:
        """Show progress: a bar on a terminal, a line every ``LINE_SECONDS`` elsewhere.

        Parameters
        ----------
        unit : str
            Plural noun of the things counted.

        Yields
        ------
        callable
            Takes the number done, the total and, optionally, a note.
        """
        if self._quiet:
            yield lambda done, total, note="": None
        elif sys.stderr.isatty():
            from tqdm import tqdm
            from tqdm.contrib.logging import logging_redirect_tqdm

            with tqdm(unit=f" {unit}", smoothing=0.1, file=sys.stderr) as bar, logging_redirect_tqdm():

                def update(done: int, total: int, note: str = "") -> None:
                    if bar.total is None:
                        bar.reset(total)
                        bar.initial = bar.n = done - 1
                    bar.set_postfix_str(note, refresh=False)
                    bar.update(done - bar.n)

                yield update
        else:
            last = time.monotonic()

            def print_line(done: int, total: int, note: str = "") -> None:
                nonlocal last
                if done == total or time.monotonic() - last > LINE_SECONDS:
                    last = time.monotonic()
                    print(f"{done} of {total} {unit}{', ' if note else ''}{note}", file=sys.stderr, flush=True)

            yield print_line

    def print_summary(self, summary: RunSummary, seconds: float) -> None:
        """Print the summary of a profile run, and where failed image sets are listed.

        Parameters
        ----------
        summary : RunSummary
        seconds : float
            Duration of the run.
        """
        files = {"table": summary.table, "images": summary.image_list}
        if summary.csv:
            files["csv"] = summary.csv
        if self._json:
            print(json.dumps(_json_summary(summary, files, seconds)))
        elif not self._quiet:
            print("\n".join(_text_summary(summary, files, seconds)))
        if summary.failures and not self._json:
            print(
                f"{counted(len(summary.failures), 'image sets')} could not be measured (listed in "
                f"{summary.image_list}): fix these files and run the same command again",
                file=sys.stderr,
            )


def _json_summary(summary: RunSummary, files: dict[str, Path], seconds: float) -> dict[str, object]:
    return {
        **{name: str(path) for name, path in files.items()},
        "objects": summary.job.objects,
        "channels": list(summary.job.channels),
        "image_sets": summary.image_sets,
        "done": len(summary.images),
        "resumed": summary.resumed,
        "without_rows": summary.empty,
        "rows": summary.rows,
        "rows_with_nan": summary.unmeasured,
        "problems": dict(summary.problems),
        "crops": summary.crops,
        "seconds": round(seconds, 3),
        "failures": [asdict(failure) for failure in summary.failures],
    }


def _text_summary(summary: RunSummary, files: dict[str, Path], seconds: float) -> Iterator[str]:
    objects, channels = summary.job.objects, ", ".join(summary.job.channels)
    resumed = f" ({summary.resumed} in an earlier run)" if summary.resumed else ""
    yield f"measured {len(summary.images)} of {counted(summary.image_sets, 'image sets')}{resumed} in {seconds:.0f} s"
    features = counted(summary.features, "features")
    yield f"{counted(summary.rows, 'rows')} ({objects}) with {features} of the channels {channels}"
    if summary.crops:
        yield f"{counted(summary.crops, 'crops')}, {summary.crops / seconds:.1f} per second"
    if summary.empty:
        yield f"{counted(summary.empty, 'image sets have', 'image set has')} no {objects}"
    if summary.unmeasured:
        reasons = "; ".join(f"{reason} ({counted(count, 'crops')})" for reason, count in summary.problems.most_common())
        yield f"{counted(summary.unmeasured, 'rows have', 'row has')} NaN: {reasons}"
    for name, path in files.items():
        yield f"{name}: {path}"

"""What a command says while it runs and when it is done."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from ..distributor.job import Job
from ..distributor.results import IMAGE_LIST, write_csv, write_image_list
from ..distributor.run import RunSummary
from ..images.image_set import ImageSet
from ..images.image_set_file import write_image_sets
from ..tables.parquet_files import TABLE

LINE_SECONDS = 10
LISTED = 20


class Console:
    """Says how a run goes, for people (default) or for scripts.

    Parameters
    ----------
    quiet : bool
        Say nothing but errors.
    as_json : bool
        End with one JSON object on standard output instead of a text.
    """

    def __init__(self, quiet: bool = False, as_json: bool = False):
        self._quiet = quiet
        self._json = as_json

    def say(self, text: str) -> None:
        """A line for people."""
        if not self._quiet and not self._json:
            print(text, flush=True)

    @contextmanager
    def progress(self, unit: str) -> Iterator[Callable[..., None]]:
        """A function that takes (done, in all, note): a bar on a terminal, a line now and then elsewhere."""
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

    def finish(
        self, folder: Path, image_sets: Sequence[ImageSet], job: Job, report: RunSummary, seconds: float, csv: bool
    ) -> int:
        """Write the list of image sets (and the CSV), say how it went, and return the exit code."""
        write_image_list(folder, image_sets, report.images, {f.number: asdict(f) for f in report.failures})
        write_image_sets(folder, image_sets, job.channels)
        files = {"table": folder / TABLE, "images": folder / IMAGE_LIST}
        if csv:
            files["csv"] = write_csv(folder)
        if self._json:
            summary = {
                **{name: str(path) for name, path in files.items()},
                "objects": job.objects,
                "channels": list(job.channels),
                "image_sets": len(image_sets),
                "done": len(report.images),
                "resumed": report.resumed,
                "without_rows": report.empty,
                "rows": report.rows,
                "rows_with_nan": report.unmeasured,
                "problems": dict(report.problems),
                "crops": report.crops,
                "seconds": round(seconds, 3),
                "failures": [asdict(failure) for failure in report.failures],
            }
            print(json.dumps(summary))
        elif not self._quiet:
            print("\n".join(_summary(files, image_sets, job, report, seconds)))
        if report.failures:
            if not self._json:
                print(_failures(report, files["images"]), file=sys.stderr)
            return 1
        return 0


def _summary(
    files: dict[str, Path], image_sets: Sequence[ImageSet], job: Job, report: RunSummary, seconds: float
) -> Iterator[str]:
    resumed = f" ({report.resumed} of them before)" if report.resumed else ""
    yield f"measured {len(report.images)} of {len(image_sets)} image sets{resumed} in {seconds:.0f} s"
    features = 256 * len(job.channels)
    yield f"{report.rows} rows ({job.objects}) with {features} features of the channels {', '.join(job.channels)}"
    if report.crops:
        yield f"{report.crops} crops, {report.crops / seconds:.1f} per second"
    if report.empty:
        yield f"{report.empty} image sets hold no {job.objects}"
    if report.unmeasured:
        reasons = "; ".join(f"{reason} ({count} crops)" for reason, count in report.problems.most_common())
        yield f"{report.unmeasured} rows hold NaN: {reasons}"
    for name, path in files.items():
        yield f"{name}: {path}"


def _failures(report: RunSummary, image_list: Path) -> str:
    lines = [f"{len(report.failures)} image sets could not be measured (all of them in {image_list}):"]
    lines += [f"  {failure}" for failure in report.failures[:LISTED]]
    if len(report.failures) > LISTED:
        lines.append(f"  and {len(report.failures) - LISTED} more")
    lines.append("run the same command again to measure them once they are mended")
    return "\n".join(lines)

"""Image sets to a table: an engine measures them, what it gives is written in order, and a stopped run goes on.

Executors: this process (:mod:`.executors.local`), several processes (:mod:`.executors.processes`), a Ray cluster
(:mod:`.executors.ray_executor`).
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ..errors import ImageError, MicrosnoopError
from ..images.image_set import ImageSet
from ..model.checkpoints import Card
from ..model.embedder import Embedder
from ..tables.layout import layout_of
from .assembly import Outcome
from .executors.local import LocalExecutor
from .job import Job
from .results import PART_BYTES, resume_table
from .shards import Shard

log = logging.getLogger(__name__)


class Executor(Protocol):
    """What measures image sets, once it runs.

    Attributes
    ----------
    card : Card
        Of the weights.
    precision : str
        In which the network computes.
    """

    card: Card
    precision: str

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Every image set with its measurement or with what is wrong with it, in order."""


ExecutorFactory = Callable[[Job, int], AbstractContextManager[Executor]]
"""Starts an engine for a job that may hold so many bytes of images and rows; leaving its context ends it."""


@dataclass(frozen=True)
class ImageSetFailure:
    """An image set that could not be measured."""

    number: int
    error: str
    file: str = ""
    channel: str = ""

    @classmethod
    def of(cls, image_set: ImageSet, error: MicrosnoopError) -> ImageSetFailure:
        """What an error says about an image set."""
        return cls(image_set.number, str(error), getattr(error, "path", ""), getattr(error, "channel", ""))

    def __str__(self) -> str:
        places = [f"file '{self.file}'" if self.file else "", f"channel '{self.channel}'" if self.channel else ""]
        return ", ".join(filter(None, [f"image set {self.number}", *places])) + f": {self.error}"


@dataclass
class RunSummary:
    """How a run went.

    Attributes
    ----------
    images : dict of int to dict
        The image sets in the table, by number: ``rows``, ``unmeasured`` rows, and ``problems`` (how many crops could
        not be measured, by channel and reason).
    failures : list of Failure
    resumed : int
        Image sets that were in the table before this run began.
    crops : int
        Crops of single channels that this run embedded.
    """

    images: dict[int, dict[str, Any]]
    failures: list[ImageSetFailure] = field(default_factory=list)
    resumed: int = 0
    crops: int = 0

    @property
    def rows(self) -> int:
        """Rows of the table."""
        return sum(image["rows"] for image in self.images.values())

    @property
    def empty(self) -> int:
        """Image sets without a row."""
        return sum(image["rows"] == 0 for image in self.images.values())

    @property
    def unmeasured(self) -> int:
        """Rows that hold NaN."""
        return sum(image["unmeasured"] for image in self.images.values())

    @property
    def problems(self) -> Counter[str]:
        """Crops that could not be measured, by channel and reason."""
        return sum((Counter(image["problems"]) for image in self.images.values()), Counter())


def profile(
    image_sets: Sequence[ImageSet],
    job: Job,
    engine: Embedder | ExecutorFactory,
    folder: Path,
    memory: int = 2 << 30,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    part_bytes: int = PART_BYTES,
    shard: Shard | None = None,
) -> RunSummary:
    """Measure image sets into the table of an output folder; continues the table that a stopped run left there.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    job : Job
    engine : Embedder or callable
        An embedder, to measure in this process; or what starts another engine, such as
        ``partial(ProcessExecutor, devices=["cpu", "cpu"])``.
    folder : Path
    memory : int
        Bytes that images read ahead and rows not yet written may take.
    strict : bool
        Stop at the first image set that cannot be measured.
    on_progress : callable, optional
        Called with the number of image sets done and their number in all.
    part_bytes : int
        Size of the parts of the table.
    shard : Shard, optional
        Measure only this share of the image sets.

    Returns
    -------
    Report

    Raises
    ------
    ImageError
        With ``strict``.
    ResumeError
        If the folder holds the results of another run, or another process is writing to it.
    WeightsError, DeviceError, MissingExtraError
        If segmentation, network or engine cannot run at all.
    """
    start = partial(LocalExecutor, engine) if isinstance(engine, Embedder) else engine
    with start(job, memory) as running:
        layout = layout_of(image_sets, job.channels, job.objects, running.card.dimension)
        run = describe_run(image_sets, job, running.card, running.precision)
        if shard:
            run |= {"shard": str(shard)}
            image_sets = shard.of(image_sets)
        with resume_table(folder, layout, run, part_bytes) as writer:
            report = RunSummary(writer.done, resumed=len(writer.done))
            todo = [image_set for image_set in image_sets if image_set.number not in writer.done]
            for done, (image_set, outcome) in enumerate(running.measured(todo), start=1):
                if isinstance(outcome, MicrosnoopError):
                    failure = ImageSetFailure.of(image_set, outcome)
                    if strict:
                        raise ImageError(str(failure), failure.file, failure.channel) from outcome
                    report.failures.append(failure)
                    log.error("%s", failure)
                else:
                    report.crops += outcome.crops
                    writer.write(image_set, outcome.measurement)
                if on_progress:
                    on_progress(report.resumed + done, len(image_sets))
            writer.finish()
    return report


def describe_run(image_sets: Sequence[ImageSet], job: Job, card: Card, precision: str) -> dict[str, Any]:
    """What has to be the same for a stopped run to be continued."""
    inputs = hashlib.sha256()
    for image_set in image_sets:
        sources = [
            [kind, name, *source.key()]
            for kind, found in (("channel", image_set.channels), ("labels", image_set.labels))
            for name, source in found.items()
        ]
        scale = [] if image_set.scale == 1 else [image_set.scale]
        inputs.update(json.dumps([image_set.number, sources, image_set.metadata, *scale]).encode())
    return {
        "inputs": inputs.hexdigest(),
        "image sets": len(image_sets),
        **{name.replace("_", " "): value for name, value in json.loads(json.dumps(asdict(job))).items()},
        "weights": f"{card.name} {card.sha256}",
        "precision": precision,
    }

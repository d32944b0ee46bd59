"""Image sets to a table: readers ahead of the network, full batches across images, parts written as they complete.

Memory is bounded by what may be read ahead and by what may wait for its batch, not by the number of images.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from .checkpoints import Card
from .embedder import Embedder
from .errors import DeviceError, ImageError, InputError, MicrosnoopError, MissingExtraError, WeightsError
from .images import ImageSet, read_channels, read_labels
from .measuring import Batcher, Measurement, check_labels, mean_of_rows, start_measurement
from .modes import CropSettings
from .profiles import PART_BYTES, layout_of, open_table
from .segmentation import Segmenter, segmenter
from .shards import Shard

log = logging.getLogger(__name__)

READERS = 4
LONGEST_WAIT = 20.0
"""Seconds after which rows do not wait any longer for a batch to be filled."""
_SEGMENTATION_BYTES = 80
"""Temporary memory of the built-in segmentation per pixel."""


@dataclass(frozen=True)
class Job:
    """What is measured in every image set.

    Attributes
    ----------
    channels : tuple of str
        Their names, in the order of the columns.
    objects : str
        The object set; ``Image`` where images are measured as a whole.
    settings : CropSettings
    segment : str, optional
        How objects are found (see :func:`microsnoop_engine.segmentation.segmenter`); None where labels are given.
    segment_channel : str, optional
        The channel in which they are found.
    """

    channels: tuple[str, ...]
    objects: str
    settings: CropSettings
    segment: str | None = None
    segment_channel: str | None = None


@dataclass(frozen=True)
class Failure:
    """An image set that could not be measured."""

    number: int
    error: str
    file: str = ""
    channel: str = ""

    @classmethod
    def of(cls, image_set: ImageSet, error: MicrosnoopError) -> Failure:
        """What an error says about an image set."""
        return cls(image_set.number, str(error), getattr(error, "path", ""), getattr(error, "channel", ""))

    def __str__(self) -> str:
        places = [f"file '{self.file}'" if self.file else "", f"channel '{self.channel}'" if self.channel else ""]
        return ", ".join(filter(None, [f"image set {self.number}", *places])) + f": {self.error}"


@dataclass
class Report:
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
    failures: list[Failure] = field(default_factory=list)
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
    embedder: Embedder,
    folder: Path,
    memory: int = 2 << 30,
    strict: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
    part_bytes: int = PART_BYTES,
    shard: Shard | None = None,
) -> Report:
    """Measure image sets into the table of an output folder; continues the table that a stopped run left there.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    job : Job
    embedder : Embedder
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
        If segmentation or network cannot run at all.
    """
    find_objects = segmenter(job.segment, embedder.device) if job.segment else None
    layout = layout_of(image_sets, job.channels, job.objects, embedder.card.dimension)
    run = describe_run(image_sets, job, embedder.card, embedder.precision)
    if shard:
        run |= {"shard": str(shard)}
        image_sets = shard.of(image_sets)
    batcher = Batcher(embedder)
    held: deque[tuple[ImageSet, Measurement, float]] = deque()

    def write_complete() -> None:
        while held and not batcher.pending[held[0][0].number]:
            image_set, measurement, _ = held.popleft()
            del batcher.pending[image_set.number]
            if job.settings.mode == "tile":
                measurement = mean_of_rows(measurement)
            writer.write(image_set, measurement)

    with open_table(folder, layout, run, part_bytes) as writer:
        report = Report(writer.done, resumed=len(writer.done))
        todo = [image_set for image_set in image_sets if image_set.number not in writer.done]
        for done, (image_set, result) in enumerate(read_ahead(todo, job, find_objects, memory // 2), start=1):
            if isinstance(result, MicrosnoopError):
                failure = Failure.of(image_set, result)
                if strict:
                    raise ImageError(str(failure), failure.file, failure.channel) from result
                report.failures.append(failure)
                log.error("%s", failure)
            else:
                image, labels = result
                measurement = start_measurement(
                    batcher, image, labels, job.settings, embedder.card.dimension, owner=image_set.number
                )
                report.crops += measurement.features.size // embedder.card.dimension - len(measurement.problems)
                held.append((image_set, measurement, time.monotonic()))
                too_much = sum(measurement.features.nbytes for _, measurement, _ in held) > memory // 4
                if too_much or time.monotonic() - held[0][2] > LONGEST_WAIT:
                    batcher.flush()
                write_complete()
            if on_progress:
                on_progress(report.resumed + done, len(image_sets))
        batcher.flush()
        write_complete()
        writer.finish()
    return report


def describe_run(image_sets: Sequence[ImageSet], job: Job, card: Card, precision: str) -> dict[str, Any]:
    """What has to be the same for a stopped run to be continued."""
    inputs = hashlib.sha256()
    for image_set in image_sets:
        sources = [
            [kind, name, str(source.path.resolve()), source.index, source.row]
            for kind, found in (("channel", image_set.channels), ("labels", image_set.labels))
            for name, source in found.items()
        ]
        inputs.update(json.dumps([image_set.number, sources, image_set.metadata]).encode())
    return {
        "inputs": inputs.hexdigest(),
        "image sets": len(image_sets),
        **{name.replace("_", " "): value for name, value in json.loads(json.dumps(asdict(job))).items()},
        "weights": f"{card.name} {card.sha256}",
        "precision": precision,
    }


Pixels = tuple[np.ndarray, np.ndarray | None]


def read_ahead(
    image_sets: Sequence[ImageSet], job: Job, find_objects: Segmenter | None, memory: int
) -> Iterator[tuple[ImageSet, Pixels | ImageError | InputError]]:
    """Image sets with their pixels (c, h, w) and labels, or with what is wrong with them, in order.

    Parameters
    ----------
    memory : int
        Bytes that may be in use; of the largest image sets seen so far, as many are read ahead as fit. One is
        always read.
    """
    waiting: deque[tuple[ImageSet, Future]] = deque()
    upcoming = iter(image_sets)
    largest = 0
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as pool:
        try:
            while True:
                fitting = max(min(memory // largest, 2 * READERS), 1) if largest else 1
                room = max(fitting - len(waiting), 0)
                waiting.extend((s, pool.submit(_read, s, job, find_objects)) for s in islice(upcoming, room))
                if not waiting:
                    return
                image_set, future = waiting.popleft()
                result = future.result()
                if not isinstance(result, MicrosnoopError):
                    seen = _bytes_in_use(*result, job)
                    if seen > max(memory, largest):
                        log.warning(
                            "image set %d needs about %.1f GB, more than the part of --memory for images (%.1f GB)",
                            image_set.number,
                            seen / 2**30,
                            memory / 2**30,
                        )
                    largest = max(largest, seen)
                yield image_set, result
        finally:
            pool.shutdown(cancel_futures=True)


def _bytes_in_use(image: np.ndarray, labels: np.ndarray | None, job: Job) -> int:
    pixels = image.shape[1] * image.shape[2]
    scaled = 0 if job.settings.scale == 1 else 4 * len(image) * pixels * job.settings.scale**2
    return int(image.nbytes + (0 if labels is None else labels.nbytes) + scaled) + (
        _SEGMENTATION_BYTES * pixels if job.segment else 0
    )


def _read(image_set: ImageSet, job: Job, find_objects: Segmenter | None) -> Pixels | ImageError | InputError:
    try:
        return read_pixels(image_set, job, find_objects)
    except (DeviceError, WeightsError, MissingExtraError):
        raise
    except (ImageError, InputError) as error:
        return error
    except Exception as error:
        log.debug("image set %d", image_set.number, exc_info=True)
        return InputError(f"unexpected {type(error).__name__}: {error}")


def read_pixels(image_set: ImageSet, job: Job, find_objects: Segmenter | None) -> Pixels:
    """The channels (c, h, w) of an image set, and its labels (h, w) in mode ``cells``.

    Raises
    ------
    ImageError, InputError
    """
    names = list(job.channels)
    if find_objects is not None and job.segment_channel not in names:
        names.append(job.segment_channel)
    image = read_channels(image_set, names)
    if job.settings.mode != "cells":
        return image, None
    if find_objects is not None:
        labels = find_objects(image[names.index(job.segment_channel)])
    elif job.objects in image_set.labels:
        labels = check_labels(read_labels(image_set.labels[job.objects], job.objects, image.shape[1:]), image.shape[1:])
    else:
        raise InputError(
            f"no labels of the object set '{job.objects}': there are {', '.join(image_set.labels) or 'none at all'}"
        )
    return image[: len(job.channels)], labels

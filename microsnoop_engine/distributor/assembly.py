"""Pixels of image sets to their finished rows, in full batches across image sets: what every engine does at its end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from ..errors import ImageError, InputError, MicrosnoopError
from ..images.image_set import ImageSet
from ..model.embedder import Embedder
from ..modes.batcher import Batcher
from ..modes.measure import Measurement, mean_of_rows, start_measurement
from .job import Job
from .reading import Pixels

LONGEST_WAIT = 20.0
"""Seconds after which rows do not wait any longer for a batch to be filled."""


@dataclass
class ImageSetResult:
    """An image set that was measured.

    Attributes
    ----------
    measurement : Measurement
    crops : int
        Crops of single channels that were embedded for it.
    """

    measurement: Measurement
    crops: int


Outcome = ImageSetResult | MicrosnoopError


class ImageSetBatcher:
    """Takes pixels of image sets and gives their rows, in the same order, once their last crop was in a batch.

    Parameters
    ----------
    embedder : Embedder
    job : Job
    memory : int
        Bytes of rows that may wait for their batch to be filled.
    on_batch : callable, optional
        Called after each batch.
    """

    def __init__(self, embedder: Embedder, job: Job, memory: int, on_batch: Callable[[], None] | None = None):
        self._batcher = Batcher(embedder)
        self._dimension = embedder.card.dimension
        self._job = job
        self._memory = memory
        self._on_batch = (lambda done, total: on_batch()) if on_batch else None
        self._held: deque[tuple[ImageSet, Outcome, float]] = deque()

    def take(self, image_set: ImageSet, pixels: Pixels | MicrosnoopError) -> None:
        """Measure an image set, or pass on what is wrong with it."""
        outcome = pixels if isinstance(pixels, MicrosnoopError) else self._start(image_set, *pixels)
        self._held.append((image_set, outcome, time.monotonic()))
        waiting = sum(held.measurement.features.nbytes for _, held, _ in self._held if isinstance(held, ImageSetResult))
        if waiting > self._memory or time.monotonic() - self._held[0][2] > LONGEST_WAIT:
            self.flush()

    def flush(self) -> None:
        """Fill no more batches: embed what still waits."""
        self._batcher.flush()

    def finished(self) -> Iterator[tuple[ImageSet, Outcome]]:
        """The image sets that are done and follow those given before."""
        while self._held and not self._batcher.pending[self._held[0][0].number]:
            image_set, outcome, _ = self._held.popleft()
            del self._batcher.pending[image_set.number]
            if isinstance(outcome, ImageSetResult) and self._job.settings.mode == "tile":
                outcome.measurement = mean_of_rows(outcome.measurement)
            yield image_set, outcome

    def _start(self, image_set: ImageSet, image: np.ndarray, labels: np.ndarray | None) -> Outcome:
        settings = self._job.settings
        try:
            if image_set.scale != 1:
                settings = replace(settings, scale=settings.scale * image_set.scale)
            measurement = start_measurement(
                self._batcher, image, labels, settings, self._dimension, image_set.number, self._on_batch
            )
        except (ImageError, InputError) as error:
            return error
        return ImageSetResult(measurement, measurement.features.size // self._dimension - len(measurement.problems))

"""Measure image sets in full batches that they share."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import ImageError, InputError, MicrosnoopError
from ..images.image_set import ImageSet
from ..images.quality import plane_quality
from ..model.embedder import Embedder
from ..modes.batcher import Batcher
from ..modes.classical import measure_classical
from ..modes.measure import Measurement, mean_of_rows, start_measurement
from ..modes.object_quality import object_quality
from .job import Job
from .reading import Image, Pixels, attempt

LONGEST_WAIT = 20.0
"""Seconds after which a batch is run although it is not full."""


@dataclass
class ImageSetResult:
    """Hold the measurement of one image set.

    Attributes
    ----------
    measurement : Measurement
    crops : int
        Number of embedded crops of single channels.
    quality : list of dict
        Of the planes of the channels, see :func:`.plane_quality`.
    """

    measurement: Measurement
    crops: int
    quality: list[dict[str, float]]


Outcome = ImageSetResult | MicrosnoopError
"""The result of an image set, or the error that kept it from being measured."""


class ImageSetBatcher:
    """Measure image sets in shared batches and return them in order.

    Parameters
    ----------
    embedder : Embedder
    job : Job
    memory : int
        Bytes of rows that may wait for a batch to fill.
    on_batch : callable, optional
        Called after each batch.
    """

    def __init__(self, embedder: Embedder, job: Job, memory: int, on_batch: Callable[[], None] | None = None) -> None:
        self._batcher = Batcher(embedder)
        self._dimension = embedder.card.dimension
        self._job = job
        self._memory = memory
        self._on_batch = (lambda done, total: on_batch()) if on_batch else None
        self._queue: deque[tuple[ImageSet, Outcome, float]] = deque()

    def add(self, image_set: ImageSet, pixels: Pixels | MicrosnoopError) -> None:
        """Start measuring an image set.

        Parameters
        ----------
        image_set : ImageSet
        pixels : tuple of array or MicrosnoopError
            Channels (c, h, w) and labels (h, w), or the error of reading them, which becomes the outcome.
        """
        outcome = pixels if isinstance(pixels, MicrosnoopError) else self._start(image_set, *pixels)
        self._queue.append((image_set, outcome, time.monotonic()))
        results = [outcome for _, outcome, _ in self._queue if isinstance(outcome, ImageSetResult)]
        waiting = sum(result.measurement.features.nbytes for result in results)
        if waiting > self._memory or time.monotonic() - self._queue[0][2] > LONGEST_WAIT:
            self.flush()

    def flush(self) -> None:
        """Embed all waiting crops, in batches that may not be full."""
        self._batcher.flush()

    def finished(self) -> Iterator[tuple[ImageSet, Outcome]]:
        """Yield image sets that are complete, in the order in which they were added.

        Yields
        ------
        image_set : ImageSet
        outcome : ImageSetResult or MicrosnoopError
        """
        while self._queue and not self._batcher.pending[self._queue[0][0].number]:
            image_set, outcome, _ = self._queue.popleft()
            del self._batcher.pending[image_set.number]
            if isinstance(outcome, ImageSetResult) and self._job.settings.mode == "tile":
                outcome.measurement = mean_of_rows(outcome.measurement)
            yield image_set, outcome

    def _start(self, image_set: ImageSet, image: Image, labels: Image | None) -> Outcome:
        try:
            settings = self._job.settings.zoomed(image_set.scale)
            measurement = start_measurement(
                self._batcher, image, labels, settings, self._dimension, image_set.number, self._on_batch
            )
        except (ImageError, InputError) as error:
            return error
        numbers, channels = measurement.regions.object_number, self._job.channels
        if labels is not None:
            measurement.quality = object_quality(image, labels, numbers)
        if self._job.classical and labels is not None:
            classical = attempt(image_set, lambda: measure_classical(image, labels, numbers, channels))
            if isinstance(classical, MicrosnoopError):
                return classical
            measurement.classical = classical
        crops = measurement.features.size // self._dimension
        crops -= len(measurement.problems) * len(settings.magnifications)
        return ImageSetResult(measurement, crops, [plane_quality(plane) for plane in image])

"""What runs on the nodes of a Ray cluster: tasks that read and segment, actors that embed."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np

from ...errors import MicrosnoopError
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from ...model.embedder import Embedder
from ...segmentation.segmenter import segmenter
from ...storage.paths import quiet_stores
from ..assembly import ImageSetBatcher, Outcome
from ..job import Job
from ..reading import Pixels, add_labels, attempt, bytes_in_use, read, read_image

_segmenter = lru_cache(segmenter)


def segments_in_actor(job: Job) -> bool:
    """Whether objects are found by a network, which wants the device and the cores of an actor."""
    return bool(job.segment) and job.segment != "nuclei"


def read_task(image_set: ImageSet, job: Job, folder: str) -> tuple[int | MicrosnoopError, Pixels | np.ndarray | None]:
    """An image set's pixels, or its channels alone where an actor segments; before them their bytes, or what is wrong.

    Parameters
    ----------
    image_set : ImageSet
    job : Job
    folder : str
        From which relative paths count.
    """
    _enter(folder)
    if segments_in_actor(job):
        image = attempt(image_set, lambda: read_image(image_set, job))
        return (image, None) if isinstance(image, MicrosnoopError) else (image.nbytes, image)
    pixels = read(image_set, job, _segmenter(job.segment) if job.segment else None)
    return (pixels, None) if isinstance(pixels, MicrosnoopError) else (bytes_in_use(pixels, job), pixels)


class Embedding:
    """The actor: one network on one device.

    Parameters
    ----------
    device : {'cpu', 'cuda'}
    threads : int
    settings : dict
        Of the :class:`.embedder.Embedder`.
    job : Job
    memory : int
        Bytes of rows that may wait for a batch to be filled.
    folder : str
        From which relative paths count.
    """

    def __init__(self, device: str, threads: int, settings: dict[str, Any], job: Job, memory: int, folder: str):
        self._device, self._threads, self._settings = device, threads, settings
        self._job, self._memory, self._folder = job, memory, folder

    def start(self) -> tuple[Card, str, int]:
        """Load the networks; card, precision and batch size."""
        _enter(self._folder)
        self._embedder = Embedder(device=self._device, threads=self._threads, **self._settings)
        self._find_objects = self._job.segmenter(self._device) if segments_in_actor(self._job) else None
        return self._embedder.card, self._embedder.precision, self._embedder.batch_size

    def measure(self, image_sets: list[ImageSet], *read: Pixels | np.ndarray) -> list[Outcome]:
        """What becomes of image sets that were read, in batches that they share."""
        assembly = ImageSetBatcher(self._embedder, self._job, self._memory)
        outcomes = []
        for image_set, pixels in zip(image_sets, read, strict=True):
            assembly.take(image_set, self._labeled(image_set, pixels))
            outcomes += [outcome for _, outcome in assembly.finished()]
        assembly.flush()
        return outcomes + [outcome for _, outcome in assembly.finished()]

    def _labeled(self, image_set: ImageSet, pixels: Pixels | np.ndarray) -> Pixels | MicrosnoopError:
        if self._find_objects is None:
            return pixels
        return attempt(image_set, lambda: add_labels(image_set, pixels, self._job, self._find_objects))


def _enter(folder: str) -> None:
    quiet_stores()
    with suppress(OSError):  # a node without it has none of the files either, and says so of each
        os.chdir(folder)

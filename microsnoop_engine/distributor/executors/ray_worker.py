"""Read and segment image sets in tasks of a Ray cluster, and embed them in its actors."""

from __future__ import annotations

import os
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from ...errors import MicrosnoopError
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from ...model.embedder import Embedder
from ...segmentation.segmenter import segmenter
from ...storage.paths import quiet_stores
from ..assembly import ImageSetBatcher, Outcome
from ..job import Job
from ..reading import Image, Pixels, add_labels, attempt, bytes_in_use, read, read_image

_segmenter = lru_cache(segmenter)

ReadResult = Pixels | Image
"""Channels and labels, or the channels (c, h, w) alone where an actor segments."""


def segments_in_actor(job: Job) -> bool:
    """Return True if a network segments, which needs the device and the cores of an actor."""
    return bool(job.segment) and job.segment != "nuclei"


def read_task(image_set: ImageSet, job: Job, folder: str) -> tuple[int | MicrosnoopError, ReadResult | None]:
    """Read an image set, and segment it unless an actor does that.

    Parameters
    ----------
    image_set : ImageSet
    job : Job
    folder : str
        Folder that relative paths refer to.

    Returns
    -------
    size : int or MicrosnoopError
        Bytes, or the error of this image set.
    pixels : tuple of array, array or None
        Channels (c, h, w) and labels (h, w), or the channels alone; None after an error.
    """
    _enter(folder)
    if segments_in_actor(job):
        image = attempt(image_set, lambda: read_image(image_set, job))
        return (image, None) if isinstance(image, MicrosnoopError) else (image.nbytes, image)
    pixels = read(image_set, job, _segmenter(job.segment, settings=job.segmentation) if job.segment else None)
    return (pixels, None) if isinstance(pixels, MicrosnoopError) else (bytes_in_use(pixels, job), pixels)


class Embedding:
    """Embed image sets with one network on one device; an actor of the cluster.

    Parameters
    ----------
    device : {'cpu', 'cuda'}
    threads : int
        CPU threads.
    settings : dict
        Arguments of :class:`microsnoop_engine.Embedder`.
    job : Job
    memory : int
        Bytes of rows that may wait for a batch to fill.
    folder : str
        Folder that relative paths refer to.
    """

    def __init__(self, device: str, threads: int, settings: dict[str, Any], job: Job, memory: int, folder: str) -> None:
        self._device, self._threads, self._settings = device, threads, settings
        self._job, self._memory, self._folder = job, memory, folder

    def start(self) -> tuple[Card, str, int]:
        """Load the networks.

        Returns
        -------
        card : Card
        precision : str
        batch_size : int
        """
        _enter(self._folder)
        self._embedder = Embedder(device=self._device, threads=self._threads, **self._settings)
        self._segment = self._job.segmenter(self._device) if segments_in_actor(self._job) else None
        return self._embedder.card, self._embedder.precision, self._embedder.batch_size

    def measure(self, image_sets: list[ImageSet], *read: ReadResult) -> list[Outcome]:
        """Measure image sets in batches that they share.

        Parameters
        ----------
        image_sets : list of ImageSet
        *read : tuple of array, or array
            Pixels of each, as :func:`read_task` returns them.

        Returns
        -------
        list of (ImageSetResult or MicrosnoopError)
        """
        batcher = ImageSetBatcher(self._embedder, self._job, self._memory)
        outcomes = []
        for image_set, pixels in zip(image_sets, read, strict=True):
            batcher.add(image_set, self._labeled(image_set, pixels))
            outcomes += [outcome for _, outcome in batcher.finished()]
        batcher.flush()
        return outcomes + [outcome for _, outcome in batcher.finished()]

    def _labeled(self, image_set: ImageSet, pixels: ReadResult) -> Pixels | MicrosnoopError:
        if self._segment is None:
            return cast(Pixels, pixels)
        image = cast(Image, pixels)
        return attempt(image_set, lambda: add_labels(image_set, image, self._job, self._segment))


def _enter(folder: str) -> None:
    quiet_stores()
    with suppress(OSError):  # a node without the folder lacks its files too, and reports each of them
        os.chdir(folder)

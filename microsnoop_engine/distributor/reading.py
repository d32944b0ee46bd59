"""Image sets to pixels: read ahead of what measures them, within a given memory."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import numpy as np

from ..errors import (
    DeviceError,
    ImageError,
    InputError,
    MicrosnoopError,
    MissingExtraError,
    UnreachableError,
    WeightsError,
)
from ..images.image_set import ImageSet
from ..images.labels import read_labels
from ..images.planes import read_channels
from ..segmentation.segmenter import Segmenter
from .job import Job

log = logging.getLogger(__name__)

READERS = 4
_SEGMENTATION_BYTES = 80
"""Temporary memory of the built-in segmentation per pixel."""

Pixels = tuple[np.ndarray, np.ndarray | None]
Result = TypeVar("Result")


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
                room = max(how_many_fit(memory, largest) - len(waiting), 0)
                waiting.extend((s, pool.submit(read, s, job, find_objects)) for s in islice(upcoming, room))
                if not waiting:
                    return
                image_set, future = waiting.popleft()
                result = future.result()
                seen = bytes_in_use(result, job)
                warn_of_size(image_set, seen, largest, memory)
                largest = max(largest, seen)
                yield image_set, result
        finally:
            pool.shutdown(cancel_futures=True)


def how_many_fit(memory: int, largest: int) -> int:
    """How many image sets may be under way to one network if the largest so far took ``largest`` bytes (0: unknown)."""
    return max(min(memory // largest, 2 * READERS), 1) if largest else 1


def warn_of_size(image_set: ImageSet, size: int, largest: int, memory: int) -> None:
    """Say that an image set takes more bytes than it should, if it is the largest one so far."""
    if size > max(memory, largest):
        log.warning(
            "image set %d needs about %.1f GB, more than the part of --memory for images (%.1f GB)",
            image_set.number,
            size / 2**30,
            memory / 2**30,
        )


def bytes_in_use(result: Pixels | MicrosnoopError, job: Job) -> int:
    """What an image set takes in memory while it is read and cropped; 0 for one that could not be read."""
    if isinstance(result, MicrosnoopError):
        return 0
    image, labels = result
    pixels = image.shape[1] * image.shape[2]
    scaled = 0 if job.settings.scale == 1 else 4 * len(image) * pixels * job.settings.scale**2
    return int(image.nbytes + (0 if labels is None else labels.nbytes) + scaled) + (
        _SEGMENTATION_BYTES * pixels if job.segment else 0
    )


def read(image_set: ImageSet, job: Job, find_objects: Segmenter | None) -> Pixels | ImageError | InputError:
    """The channels (c, h, w) of an image set and, in mode ``cells``, its labels (h, w); or what is wrong with it.

    Raises
    ------
    DeviceError, WeightsError, MissingExtraError, UnreachableError
        If no image set can be read or segmented here.
    """
    return attempt(image_set, lambda: add_labels(image_set, read_image(image_set, job), job, find_objects))


def attempt(image_set: ImageSet, step: Callable[[], Result]) -> Result | ImageError | InputError:
    """What ``step`` gives for an image set, or the error that says what is wrong with the image set.

    Raises
    ------
    DeviceError, WeightsError, MissingExtraError, UnreachableError
        If it is not the image set that is wrong.
    """
    try:
        return step()
    except (DeviceError, WeightsError, MissingExtraError, UnreachableError):
        raise
    except (ImageError, InputError) as error:
        return error
    except Exception as error:
        log.debug("image set %d", image_set.number, exc_info=True)
        return InputError(f"unexpected {type(error).__name__}: {error}")


def read_image(image_set: ImageSet, job: Job) -> np.ndarray:
    """The channels of a job (c, h, w); after them the one in which objects are to be found, if it is none of them.

    Raises
    ------
    ImageError
    """
    return read_channels(image_set, list(dict.fromkeys([*job.channels, job.segment_channel or job.channels[0]])))


def add_labels(image_set: ImageSet, image: np.ndarray, job: Job, find_objects: Segmenter | None) -> Pixels:
    """The channels (c, h, w) out of :func:`read_image`, and the labels (h, w) in mode ``cells``.

    Raises
    ------
    ImageError, InputError
    """
    channels = image[: len(job.channels)]
    if job.settings.mode != "cells":
        return channels, None
    if find_objects is not None:
        at = job.channels.index(job.segment_channel) if job.segment_channel in job.channels else -1
        return channels, find_objects(image[at])
    if job.objects not in image_set.labels:
        raise InputError(
            f"no labels of the object set '{job.objects}': there are {', '.join(image_set.labels) or 'none at all'}"
        )
    planes = tuple(image_set.channels.values())
    return channels, read_labels(image_set.labels[job.objects], job.objects, image.shape[1:], planes)

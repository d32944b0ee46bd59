"""Read the pixels of image sets ahead of their measurement, within a given memory."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from numpy.typing import NDArray

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
from ..storage.paths import as_path
from .job import Job
from .label_images import label_path, write_labels

log = logging.getLogger(__name__)

READERS = 4
_SEGMENTATION_BYTES = 80
"""Temporary memory of the built-in segmentation per pixel."""

Image = NDArray[Any]
"""Pixels of any numeric type."""
Pixels = tuple[Image, Image | None]
"""Channels (c, h, w) and labels (h, w); no labels where images are measured as a whole."""
Result = TypeVar("Result")


def read_ahead(
    image_sets: Sequence[ImageSet], job: Job, segment: Segmenter | None, memory: int
) -> Iterator[tuple[ImageSet, Pixels | ImageError | InputError]]:
    """Read image sets in threads, some of them ahead.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    job : Job
    segment : callable, optional
        Segmentation method of the job.
    memory : int
        Bytes for the image sets that are read ahead, counted by the largest one so far. One is always read.

    Yields
    ------
    image_set : ImageSet
        In the order of ``image_sets``.
    pixels : tuple of array, ImageError or InputError
        Channels (c, h, w) and labels (h, w), or the error.
    """
    waiting: deque[tuple[ImageSet, Future[Pixels | ImageError | InputError]]] = deque()
    upcoming = iter(image_sets)
    largest = 0
    with ThreadPoolExecutor(READERS, thread_name_prefix="reader") as pool:
        try:
            while True:
                room = max(how_many_fit(memory, largest) - len(waiting), 0)
                waiting.extend((s, pool.submit(read, s, job, segment)) for s in islice(upcoming, room))
                if not waiting:
                    return
                image_set, future = waiting.popleft()
                result = future.result()
                size = bytes_in_use(result, job)
                warn_of_size(image_set, size, largest, memory)
                largest = max(largest, size)
                yield image_set, result
        finally:
            pool.shutdown(cancel_futures=True)


def how_many_fit(memory: int, largest: int) -> int:
    """Count the image sets that may be read ahead for one network.

    Parameters
    ----------
    memory : int
        Bytes.
    largest : int
        Bytes of the largest image set so far; 0: unknown.

    Returns
    -------
    int
        1 or more.

    Examples
    --------
    >>> how_many_fit(1000, 300), how_many_fit(1000, 5000), how_many_fit(1000, 0)
    (3, 1, 1)
    """
    return max(min(memory // largest, 2 * READERS), 1) if largest else 1


def warn_of_size(image_set: ImageSet, size: int, largest: int, memory: int) -> None:
    """Log a warning if an image set is the largest so far and exceeds the memory for images.

    Parameters
    ----------
    image_set : ImageSet
    size, largest, memory : int
        Bytes of this image set, of the largest one before, and for all images.
    """
    if size > max(memory, largest):
        log.warning(
            "image set %d needs about %.1f GB, more than the %.1f GB for images: raise the memory limit, or expect a "
            "slower run",
            image_set.number,
            size / 2**30,
            memory / 2**30,
        )


def bytes_in_use(result: Pixels | MicrosnoopError, job: Job) -> int:
    """Estimate the memory that an image set takes while it is read and cropped.

    Parameters
    ----------
    result : tuple of array or MicrosnoopError
        Channels (c, h, w) and labels (h, w), or the error.
    job : Job

    Returns
    -------
    int
        Bytes; 0 for an error.
    """
    if isinstance(result, MicrosnoopError):
        return 0
    image, labels = result
    pixels = image.shape[1] * image.shape[2]
    segmentation = _SEGMENTATION_BYTES * pixels if job.segment else 0
    return int(image.nbytes + (0 if labels is None else labels.nbytes) + segmentation)


def read(image_set: ImageSet, job: Job, segment: Segmenter | None) -> Pixels | ImageError | InputError:
    """Read the channels of an image set and, in mode ``cells``, its labels.

    Parameters
    ----------
    image_set : ImageSet
    job : Job
    segment : callable, optional
        Segmentation method of the job.

    Returns
    -------
    tuple of array, ImageError or InputError
        Channels (c, h, w) and labels (h, w), or the error of this image set.

    Raises
    ------
    DeviceError, WeightsError, MissingExtraError, UnreachableError
        If no image set can be read or segmented here.
    """
    return attempt(image_set, lambda: add_labels(image_set, read_image(image_set, job), job, segment))


def attempt(image_set: ImageSet, step: Callable[[], Result]) -> Result | ImageError | InputError:
    """Run a step of an image set and return its result or the error of this image set.

    Parameters
    ----------
    image_set : ImageSet
    step : callable
        Takes nothing.

    Returns
    -------
    object, ImageError or InputError

    Raises
    ------
    DeviceError, WeightsError, MissingExtraError, UnreachableError
        If the same would happen to every image set.
    """
    try:
        return step()
    except (DeviceError, WeightsError, MissingExtraError, UnreachableError):
        raise
    except (ImageError, InputError) as error:
        return error
    except Exception as error:  # of any kind: one damaged image set must not end the run
        log.debug("image set %d", image_set.number, exc_info=True)
        return InputError(f"unexpected {type(error).__name__}: {error}")


def read_image(image_set: ImageSet, job: Job) -> Image:
    """Read the channels of a job.

    Parameters
    ----------
    image_set : ImageSet
    job : Job

    Returns
    -------
    array (c, h, w)
        The channel to segment comes last where it is not one of those measured.

    Raises
    ------
    ImageError
        If a file is missing, damaged or of another size.
    """
    return read_channels(image_set, list(dict.fromkeys([*job.channels, job.segment_channel or job.channels[0]])))


def add_labels(image_set: ImageSet, image: Image, job: Job, segment: Segmenter | None) -> Pixels:
    """Read or segment the labels of an image set.

    Parameters
    ----------
    image_set : ImageSet
    image : array (c, h, w)
        Result of :func:`read_image`.
    job : Job
    segment : callable, optional
        Segmentation method of the job.

    Returns
    -------
    channels : array (c, h, w)
        The channels of the job.
    labels : array (h, w) or None
        None unless the mode is ``cells``.

    Raises
    ------
    ImageError, InputError
        If there are no such labels, or they do not fit the image.
    """
    channels = image[: len(job.channels)]
    if job.settings.mode != "cells":
        return channels, None
    if segment is not None:
        index = job.channels.index(job.segment_channel) if job.segment_channel in job.channels else -1
        labels = segment(image[index])
        if not labels.any():
            log.warning(
                "image set %d: no objects in channel '%s': its contrast is low, or they are darker than the background "
                "(see `min_contrast`, `invert`)",
                image_set.number,
                job.segment_channel,
            )
        if job.results and job.segment_channel:
            write_labels(label_path(as_path(job.results), image_set, job.segment_channel, job.shared_folders), labels)
        return _focused(image_set, channels, labels, job), labels
    if job.objects not in image_set.labels:
        raise InputError(
            f"there are no labels of the object set '{job.objects}', only of {', '.join(image_set.labels) or 'none'}"
        )
    source, shape = image_set.labels[job.objects], (image.shape[1], image.shape[2])
    given = read_labels(source, job.objects, shape, tuple(image_set.channels.values()))
    return _focused(image_set, channels, given, job), given


def _focused(image_set: ImageSet, channels: Image, labels: Image, job: Job) -> Image:
    """Return the channels with each object in its own focus, if that is chosen, for which they are read again."""
    if not any(image_set.channels[name].focuses_objects for name in job.channels):
        return channels
    planes = labels.reshape(-1, *labels.shape[-2:])
    if ((planes > 0).sum(0) > 1).any():
        raise InputError("`project` focus-object goes with objects that do not overlap: choose `project` focus")
    return read_channels(image_set, job.channels, planes.max(0))

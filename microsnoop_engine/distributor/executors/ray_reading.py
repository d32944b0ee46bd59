"""Read image sets in tasks of a Ray cluster."""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any

from ...errors import MicrosnoopError
from ...images.image_set import ImageSet
from ..job import Job
from .ray_calls import RemoteCalls, reason_of
from .ray_cluster import READING_CPUS
from .ray_worker import read_task
from .schedule import Schedule


class ClusterReader:
    """Read image sets on any node into the memory of the cluster.

    Parameters
    ----------
    ray : module
    calls : RemoteCalls
    schedule : Schedule
        Takes image sets that cannot be read.
    job : Job
    folder : str
        Folder that relative paths refer to.

    Attributes
    ----------
    ready : deque of (ImageSet, ray.ObjectRef)
        Image sets that were read and wait for an actor.
    largest : int
        Bytes of the largest image set so far.
    """

    def __init__(self, ray: Any, calls: RemoteCalls, schedule: Schedule, job: Job, folder: str) -> None:
        self.ready: deque[tuple[ImageSet, Any]] = deque()
        self.largest = 0
        self._calls, self._schedule, self._job, self._folder = calls, schedule, job, folder
        self._reading: dict[Any, ImageSet] = {}
        self._task = ray.remote(num_cpus=READING_CPUS, max_retries=0, num_returns=2, scheduling_strategy="SPREAD")(
            read_task
        )

    def __len__(self) -> int:
        return len(self._reading) + len(self.ready)

    def read(self, image_set: ImageSet) -> None:
        """Start to read an image set."""
        size, pixels = self._task.remote(image_set, self._job, self._folder)
        self._reading[size] = image_set
        self._calls.add(size, partial(self._finish, size, pixels), is_task=True)

    def cancel(self, reason: str) -> None:
        """Give up all reading under way; the schedule retries these image sets."""
        for reference, image_set in self._reading.items():
            self._calls.forget(reference)
            self._schedule.lose([image_set], reason)
        self._reading.clear()

    def _finish(self, reference: Any, pixels: Any, size: int | MicrosnoopError, failure: Exception | None) -> None:
        image_set = self._reading.pop(reference)
        if failure is not None:
            self._schedule.lose([image_set], reason_of(failure))
        elif isinstance(size, MicrosnoopError):
            self._schedule.put(image_set, size)
        else:
            self.largest = max(self.largest, size)
            self.ready.append((image_set, pixels))

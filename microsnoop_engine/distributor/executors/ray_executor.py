"""Measure image sets on a Ray cluster.

Tasks read and segment wherever there are cores; one actor per GPU (or per node) embeds. These are plain tasks and
actors, not Ray Data, which retries a task that kills its worker without end. Ray's own retries are disabled:
:class:`.schedule.Schedule` counts the losses of each image set.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from ...errors import DeviceError
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from ..assembly import ImageSetResult, Outcome
from ..job import Job
from .executor import WorkerExecutor
from .ray_actors import Actor, ActorPool, Group
from .ray_calls import RemoteCalls, reason_of
from .ray_cluster import connect, import_ray
from .ray_reading import ClusterReader
from .schedule import Schedule

IN_FLIGHT = (2, 256)
"""Smallest and largest number of image sets per actor that are read or wait in the cluster's memory."""
GROUP_BATCHES = 8
"""Batches of crops in the group of image sets that an actor embeds in one call; a second group waits meanwhile."""
_TICK = 1.0


class RayExecutor(WorkerExecutor):
    """Measure image sets on the nodes of a Ray cluster.

    Parameters
    ----------
    job : Job
    memory : int
        Bytes: a half for the images of each actor in the cluster, a quarter for rows in this process.
    settings : dict
        Arguments of :class:`microsnoop_engine.Embedder`: ``model``, ``precision``, ``batch_size``.
    timeout : float
        Seconds without progress after which the calls under way are given up and retried.
    address : str, optional
        Address of the cluster (see :func:`.ray_cluster.connect`).

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    DeviceError
        If the cluster does not answer, or no worker starts in it.
    WeightsError, InputError
        If no worker can measure anything.
    """

    def __init__(
        self, job: Job, memory: int, settings: dict[str, Any], timeout: float, address: str | None = None
    ) -> None:
        super().__init__(timeout)
        self._ray = import_ray()
        self._job, self._memory, self._settings, self._address = job, memory, settings, address
        self._folder = str(Path.cwd())
        self._calls = RemoteCalls(self._ray)
        self._actors: ActorPool | None = None
        self._connected = False

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Measure image sets (see :class:`.executor.Executor`)."""
        assert self._actors is not None
        schedule = Schedule(image_sets, self._memory // 4, IN_FLIGHT[0] * len(self._actors))
        run = _Run(self._ray, self._calls, self._actors, schedule, self._job, self._memory // 2, self._folder)
        progress = time.monotonic()
        while True:
            for image_set, outcome in schedule.ready():
                yield image_set, outcome
                progress = time.monotonic()
            if schedule.finished:
                return
            self._actors.look_for_nodes()
            run.hand_out()
            if self._handle_event():
                progress = time.monotonic()
            elif time.monotonic() - progress > self._timeout:
                run.retry_all(f"no progress for {self._timeout:.0f} s")
                progress = time.monotonic()

    def _start(self) -> None:
        if not self._ray.is_initialized():
            connect(self._ray, self._address)
            self._connected = True
        arguments = (self._settings, self._job, self._memory // 4, self._folder)
        self._actors = ActorPool(self._ray, self._calls, arguments, self._actor_is_ready)
        if not self._actors:
            raise DeviceError("the Ray cluster has no free CPU: add nodes with 'ray start --address=HOST:6379'")

    def _actor_is_ready(self, actors: ActorPool, card: Card, precision: str) -> None:
        self._worker_is_ready(card, precision, str(actors))

    def _stop(self) -> None:
        if self._actors is not None:
            self._actors.kill()
        self._calls.cancel_tasks()
        if self._connected:
            self._ray.shutdown()

    def _handle_event(self) -> bool:
        return self._calls.handle_next(min(_TICK, self._timeout))


class _Run:
    """Hand the image sets of one run to reading tasks, and groups of read ones to actors."""

    def __init__(
        self,
        ray: Any,
        calls: RemoteCalls,
        actors: ActorPool,
        schedule: Schedule,
        job: Job,
        memory: int,
        folder: str,
    ) -> None:
        self._ray, self._calls, self._actors, self._schedule, self._memory = ray, calls, actors, schedule, memory
        self._reader = ClusterReader(ray, calls, schedule, job, folder)
        self._recent_crops: deque[int] = deque(maxlen=100)
        """Crops of the image sets measured last."""

    def hand_out(self) -> None:
        """Start to read as many image sets as the cluster's memory takes, and to embed those that were read."""
        fitting = self._memory // self._reader.largest if self._reader.largest else 0
        most = min(max(fitting, IN_FLIGHT[0]), IN_FLIGHT[1]) * len(self._actors)
        while len(self._reader) + self._actors.held < most:
            suspects = self._schedule.has_suspects
            image_set = self._schedule.next_suspect() if suspects else self._schedule.next()
            if image_set is None:
                break
            self._reader.read(image_set)
        # every actor gets a first group before any actor gets a second one
        for groups in (0, 1):
            for actor in self._actors.ready:
                if self._reader.ready and len(actor.groups) == groups:
                    self._embed(actor, self._next_group())

    def retry_all(self, reason: str) -> None:
        """Give up everything under way and retry it, after a long time in which no call ended."""
        if not self._actors.ready:
            raise DeviceError(f"no worker is left in the Ray cluster: {reason}")
        self._reader.cancel(reason)
        for actor in self._actors:
            if actor.groups:
                reference, group = next(iter(actor.groups.items()))
                del actor.groups[reference]
                self._calls.forget(reference)
                self._lose(actor, group, reason)

    def _next_group(self) -> Group:
        """Take read image sets for one call: an equal share for each actor, a suspect alone."""
        ready = self._reader.ready
        size = max(min(self._group_size(), -(-len(ready) // len(self._actors.ready))), 1)
        group = [ready.popleft()]
        alone = self._schedule.is_suspect(group[0][0])
        while len(group) < size and ready and not alone and not self._schedule.is_suspect(ready[0][0]):
            group.append(ready.popleft())
        return group

    def _group_size(self) -> int:
        """Estimate the image sets that fill ``GROUP_BATCHES`` batches of crops."""
        if not self._recent_crops:
            return 1
        mean = max(sum(self._recent_crops), 1) / len(self._recent_crops)
        return max(int(GROUP_BATCHES * self._actors.batch_size / mean), 1)

    def _embed(self, actor: Actor, group: Group) -> None:
        image_sets, pixels = [image_set for image_set, _ in group], [reference for _, reference in group]
        outcomes = actor.handle.measure.remote(image_sets, *pixels)
        actor.groups[outcomes] = group
        self._calls.add(outcomes, partial(self._finish, actor, outcomes))

    def _finish(self, actor: Actor, reference: Any, outcomes: list[Outcome], failure: Exception | None) -> None:
        group = actor.groups.pop(reference)
        if failure is None:
            for (image_set, _), outcome in zip(group, outcomes, strict=True):
                self._schedule.put(image_set, outcome)
                if isinstance(outcome, ImageSetResult):
                    self._recent_crops.append(outcome.crops)
        elif isinstance(failure, (self._ray.exceptions.RayActorError, self._ray.exceptions.RayTaskError)):
            self._lose(actor, group, reason_of(failure))
        else:  # the pixels were lost, not the actor
            self._schedule.lose([image_set for image_set, _ in group], reason_of(failure))

    def _lose(self, actor: Actor, group: Group, reason: str) -> None:
        """Replace an actor; the group it worked on counts a loss, the next one waits for another actor."""
        self._schedule.lose([image_set for image_set, _ in group], reason)
        self._reader.ready.extendleft(reversed(self._actors.replace(actor, reason)))

"""The engine of a Ray cluster: tasks read and segment where there are cores, an actor per GPU (or per node) embeds.

Plain tasks and actors, not Ray Data, which repeats without end what kills its worker. Ray's own retries are off:
:class:`.schedule.Schedule` counts what each image set cost, and a lost actor is started anew from here.
"""

from __future__ import annotations

import logging
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from ...errors import DeviceError, MicrosnoopError, first_line
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from ..assembly import ImageSetResult, Outcome
from ..job import Job
from .machine import exit_on_sigterm
from .ray_cluster import READING_CPUS, ActorSlot, actor_slots, connect, has_gpus, import_ray
from .ray_worker import Embedding, read_task
from .schedule import ATTEMPTS, PATIENCE, Schedule, check_same_precision

log = logging.getLogger(__name__)

IN_FLIGHT = (2, 256)
"""Image sets per actor that are being read, or wait in the cluster's memory: at least, at most."""
GROUP_BATCHES = 8
"""An actor gets image sets of about so many batches of crops at a time, and a second such group to go on with."""
LOOK_SECONDS = 15.0
"""After which nodes that were added are looked for."""
_TICK = 1.0


class RayExecutor:
    """Measures image sets on the nodes of a Ray cluster.

    Parameters
    ----------
    job : Job
    memory : int
        Bytes that the images of an actor may take in the cluster (a half), and rows in this process (a quarter).
    address : str, optional
        Of the cluster, as :func:`ray.init` takes it. By default that in ``RAY_ADDRESS``; else Ray is started here.
    settings : dict, optional
        Of the :class:`.embedder.Embedder`: ``model``, ``precision``, ``batch_size``.
    patience : float
        Seconds in which something must arrive from the cluster; after that what is under way is tried again.

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
        self,
        job: Job,
        memory: int,
        address: str | None = None,
        settings: dict[str, Any] | None = None,
        patience: float = PATIENCE,
    ):
        self._ray = import_ray()
        self._job, self._memory, self._patience = job, memory, patience
        self._address, self._settings = address, settings or {}
        self._folder = os.getcwd()
        self._connected = False
        self._actors: list[_Actor] = []
        self._pending: dict[Any, tuple] = {}
        """What is under way, by the reference that answers for it: ``(handler, *what it needs)``."""
        self._read: deque[tuple[ImageSet, Any]] = deque()
        """Image sets that wait in the cluster's memory for an actor."""
        self._largest = 0
        self._failed_starts: Counter[str] = Counter()
        self._looked = 0.0
        self._crops_of: list[int] = []
        self.card: Card | None = None
        self.precision = ""

    def __enter__(self) -> RayExecutor:
        if not self._ray.is_initialized():
            connect(self._ray, self._address)
            self._connected = True
        self._restore = exit_on_sigterm()
        try:
            self._read_task = self._ray.remote(
                num_cpus=READING_CPUS, max_retries=0, num_returns=2, scheduling_strategy="SPREAD"
            )(read_task)
            self._on_gpus = has_gpus(self._ray.nodes())
            self._man_nodes()
            if not self._actors:
                raise DeviceError("the Ray cluster has no CPU to compute on: add nodes with 'ray start --address=..'")
            waited = time.monotonic()
            while self.card is None:
                if not self._handle_one(None) and time.monotonic() - waited > self._patience:
                    raise DeviceError(f"no worker started in the Ray cluster for {self._patience:.0f} s: is it busy?")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for actor in self._actors:
            self._ray.kill(actor.handle)
        for reference, (handler, *_) in self._pending.items():
            if handler == self._was_read:
                self._ray.cancel(reference, force=True)
        if self._connected:
            self._ray.shutdown()
        self._restore()

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Every image set with what became of it, in order."""
        schedule = Schedule(image_sets, self._memory // 4, IN_FLIGHT[0] * len(self._actors))
        heard = time.monotonic()
        while True:
            for image_set, outcome in schedule.ready():
                yield image_set, outcome
                heard = time.monotonic()
            if schedule.finished:
                return
            if time.monotonic() - self._looked > LOOK_SECONDS:
                self._man_nodes()
            self._hand_out(schedule)
            if self._handle_one(schedule):
                heard = time.monotonic()
            elif time.monotonic() - heard > self._patience:
                self._give_up_waiting(schedule)
                heard = time.monotonic()

    def _hand_out(self, schedule: Schedule) -> None:
        """Let as much be read as may wait in memory, and give to the actors what was read."""
        fitting = self._memory // 2 // self._largest if self._largest else 0
        most = min(max(fitting, IN_FLIGHT[0]), IN_FLIGHT[1]) * len(self._actors)
        reading = sum(handler == self._was_read for handler, *_ in self._pending.values())
        held = reading + len(self._read) + sum(len(group) for actor in self._actors for group in actor.groups.values())
        while held < most:
            image_set = schedule.next_suspect() if schedule.has_suspects else schedule.next()
            if image_set is None:
                break
            note, pixels = self._read_task.remote(image_set, self._job, self._folder)
            self._pending[note] = (self._was_read, image_set, pixels)
            held += 1
        for second in (False, True):
            for actor in self._actors:
                if self._read and actor.ready and len(actor.groups) == second:
                    self._embed(actor, schedule)

    def _embed(self, actor: _Actor, schedule: Schedule) -> None:
        ready = sum(actor.ready for actor in self._actors)
        size = max(min(self._group_size, -(-len(self._read) // ready)), 1)
        group = [self._read.popleft()]
        while (
            len(group) < size
            and self._read
            and not any(schedule.is_suspect(one) for one, _ in (group[0], self._read[0]))
        ):
            group.append(self._read.popleft())
        reference = actor.handle.measure.remote([image_set for image_set, _ in group], *(pixels for _, pixels in group))
        actor.groups[reference] = group
        self._pending[reference] = (self._was_embedded, actor, reference)

    @property
    def _group_size(self) -> int:
        if not self._crops_of:
            return 1
        return max(int(GROUP_BATCHES * self._batch_size * len(self._crops_of) / max(sum(self._crops_of), 1)), 1)

    def _handle_one(self, schedule: Schedule | None) -> bool:
        """Wait a moment for something to arrive, and act upon it; whether there was something."""
        if not self._pending:
            time.sleep(_TICK)
            return False
        arrived, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=min(_TICK, self._patience))
        for reference in arrived:
            handler, *values = self._pending.pop(reference)
            try:
                answer, problem = self._ray.get(reference), None
            except self._ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, MicrosnoopError):
                    raise cause from None
                answer, problem = None, error
            handler(schedule, answer, problem, *values)
        return bool(arrived)

    def _was_read(
        self, schedule: Schedule, answer: Any, problem: Exception | None, image_set: ImageSet, pixels: Any
    ) -> None:
        if problem is not None:
            schedule.lose([image_set], _reason(problem))
        elif isinstance(answer, MicrosnoopError):
            schedule.put(image_set, answer)
        else:
            self._largest = max(self._largest, answer)
            self._read.append((image_set, pixels))

    def _was_embedded(
        self, schedule: Schedule, answer: Any, problem: Exception | None, actor: _Actor, reference: Any
    ) -> None:
        group = actor.groups.pop(reference)
        if problem is None:
            for (image_set, _), outcome in zip(group, answer, strict=True):
                schedule.put(image_set, outcome)
                if isinstance(outcome, ImageSetResult):
                    self._crops_of = [*self._crops_of[-99:], outcome.crops]
            return
        schedule.lose([image_set for image_set, _ in group], _reason(problem))
        if isinstance(problem, self._ray.exceptions.RayActorError | self._ray.exceptions.RayTaskError):
            self._replace(actor, _reason(problem))

    def _has_started(self, schedule: Schedule | None, answer: Any, problem: Exception | None, actor: _Actor) -> None:
        if problem is None:
            card, precision, self._batch_size = answer
            actor.ready = True
            self._failed_starts.pop(actor.node, None)
            if self.card is None:
                self.card, self.precision = card, precision
                log.info("%s on Ray, %d x %s, %s", card.name, len(self._actors), actor.device, precision)
            check_same_precision(self.precision, precision, "the nodes")
            return
        self._failed_starts[actor.node] += 1
        self._replace(actor, _reason(problem))
        if not self._actors:
            raise DeviceError(f"no worker starts in the Ray cluster: {_reason(problem)}")

    def _man_nodes(self) -> None:
        """Start the actors that are missing on the nodes that are there; a lost node is none of them, a new one is."""
        self._looked = time.monotonic()
        there = Counter(actor.node for actor in self._actors)
        for node, wanted in actor_slots(self._ray.nodes(), self._on_gpus).items():
            if self._failed_starts[node] < ATTEMPTS:
                for place in wanted[there[node] :]:
                    self._start(node, place)

    def _start(self, node: str, place: ActorSlot) -> None:
        at_node = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        remote = self._ray.remote(
            num_cpus=place.cpus, num_gpus=place.gpus, max_restarts=0, max_task_retries=0, scheduling_strategy=at_node
        )(Embedding)
        handle = remote.remote(place.device, place.threads, self._settings, self._job, self._memory // 4, self._folder)
        actor = _Actor(handle, node, place.device)
        self._actors.append(actor)
        self._pending[handle.start.remote()] = (self._has_started, actor)

    def _replace(self, actor: _Actor, reason: str) -> None:
        """Do without a lost actor; what it had not begun is there for all of them again, and so is its place."""
        log.warning("worker lost (%s): its image sets are tried again", reason)
        self._ray.kill(actor.handle)
        self._actors.remove(actor)
        for reference, group in actor.groups.items():
            del self._pending[reference]
            self._read.extendleft(reversed(group))
        self._man_nodes()

    def _give_up_waiting(self, schedule: Schedule) -> None:
        """Try what is under way anew, after a long time in which nothing arrived."""
        reason = f"no sign of life for {self._patience:.0f} s"
        if not any(actor.ready for actor in self._actors):
            raise DeviceError(f"no worker is left in the Ray cluster, {reason}")
        for reference, (handler, *values) in list(self._pending.items()):
            if handler == self._was_read:
                del self._pending[reference]
                self._ray.cancel(reference, force=True)
                schedule.lose(values[:1], reason)
        for actor in [actor for actor in self._actors if actor.groups]:
            reference, group = next(iter(actor.groups.items()))
            del self._pending[reference], actor.groups[reference]
            schedule.lose([image_set for image_set, _ in group], reason)
            self._replace(actor, reason)


@dataclass(eq=False)
class _Actor:
    """An actor, seen from the driver."""

    handle: Any
    node: str
    device: str
    ready: bool = False
    groups: dict[Any, list[tuple[ImageSet, Any]]] = field(default_factory=dict)
    """What it is to embed, by the reference to the outcomes; it works on the first."""


def _reason(error: Exception) -> str:
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {first_line(cause)}"

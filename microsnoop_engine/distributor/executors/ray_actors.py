"""Start, replace and stop the actors of a Ray cluster."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ...errors import DeviceError
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from .ray_calls import RemoteCalls, reason_of
from .ray_cluster import ActorSlot, actor_slots, has_gpus
from .ray_worker import Embedding
from .schedule import ATTEMPTS

log = logging.getLogger(__name__)

LOOK_SECONDS = 15.0
"""Time between two looks for added nodes."""

Group = list[tuple[ImageSet, Any]]
"""Image sets that an actor embeds together, with the references to their pixels."""


@dataclass(eq=False)
class Actor:
    """An actor as the main process sees it.

    Attributes
    ----------
    handle : ray.actor.ActorHandle
    node, device : str
    ready : bool
        True once its network is loaded.
    groups : dict of ray.ObjectRef to list
        Groups that it has to embed, by the reference to their outcomes; it works on the first.
    """

    handle: Any
    node: str
    device: str
    ready: bool = False
    groups: dict[Any, Group] = field(default_factory=dict)


class ActorPool:
    """Keep one actor running in every slot of a cluster.

    Parameters
    ----------
    ray : module
    calls : RemoteCalls
    arguments : tuple
        Arguments of :class:`.ray_worker.Embedding` after device and threads.
    on_ready : callable
        Takes the pool, and card and precision of an actor that is ready.

    Attributes
    ----------
    batch_size : int
        Crops in a batch of the actor that became ready last.
    """

    def __init__(
        self,
        ray: Any,
        calls: RemoteCalls,
        arguments: tuple[Any, ...],
        on_ready: Callable[[ActorPool, Card, str], None],
    ) -> None:
        self.batch_size = 1
        self._ray, self._calls, self._arguments, self._on_ready = ray, calls, arguments, on_ready
        self._actors: list[Actor] = []
        self._failed_starts: Counter[str] = Counter()
        self._on_gpus = has_gpus(ray.nodes())
        self.fill_slots()

    def __iter__(self) -> Iterator[Actor]:
        return iter(list(self._actors))

    def __len__(self) -> int:
        return len(self._actors)

    def __str__(self) -> str:
        return f"{len(self._actors)} Ray actors ({'cuda' if self._on_gpus else 'cpu'})"

    @property
    def ready(self) -> list[Actor]:
        """Actors whose network is loaded."""
        return [actor for actor in self._actors if actor.ready]

    @property
    def held(self) -> int:
        """Number of image sets that the actors have to embed."""
        return sum(len(group) for actor in self._actors for group in actor.groups.values())

    def fill_slots(self) -> None:
        """Start one actor per free slot on every live node, new nodes included."""
        self._looked = time.monotonic()
        running = Counter(actor.node for actor in self._actors)
        for node, slots in actor_slots(self._ray.nodes(), self._on_gpus).items():
            if self._failed_starts[node] < ATTEMPTS:
                for slot in slots[running[node] :]:
                    self._start(node, slot)

    def look_for_nodes(self) -> None:
        """Fill the slots of added nodes, at most every ``LOOK_SECONDS``."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self.fill_slots()

    def replace(self, actor: Actor, reason: str) -> Group:
        """Start another actor for a lost one.

        Parameters
        ----------
        actor : Actor
        reason : str
            For the log.

        Returns
        -------
        list of (ImageSet, ray.ObjectRef)
            The image sets of its groups, which it had not begun.
        """
        log.warning("worker lost (%s): retrying its image sets", reason)
        self._ray.kill(actor.handle)
        self._actors.remove(actor)
        for reference in actor.groups:
            self._calls.forget(reference)
        self.fill_slots()
        return [read for group in actor.groups.values() for read in group]

    def kill(self) -> None:
        """End all actors."""
        for actor in self._actors:
            self._ray.kill(actor.handle)

    def _start(self, node: str, slot: ActorSlot) -> None:
        at_node = self._ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False)
        remote = self._ray.remote(
            num_cpus=slot.cpus, num_gpus=slot.gpus, max_restarts=0, max_task_retries=0, scheduling_strategy=at_node
        )(Embedding)
        actor = Actor(remote.remote(slot.device, slot.threads, *self._arguments), node, slot.device)
        self._actors.append(actor)
        self._calls.add(actor.handle.start.remote(), partial(self._finish_start, actor))

    def _finish_start(self, actor: Actor, loaded: tuple[Card, str, int], failure: Exception | None) -> None:
        if failure is None:
            card, precision, self.batch_size = loaded
            actor.ready = True
            self._failed_starts.pop(actor.node, None)
            self._on_ready(self, card, precision)
            return
        self._failed_starts[actor.node] += 1
        self.replace(actor, reason_of(failure))
        if not self._actors:
            raise DeviceError(f"no worker starts in the Ray cluster: {reason_of(failure)}")

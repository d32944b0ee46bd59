"""The engine of one machine with several devices: a process for each, which reads, segments and embeds by itself.

Only image sets (paths) go to a process, only rows come back, each process through a pipe of its own: so one that is
killed leaves no lock behind and costs no more than the image sets that it had in hand.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from types import TracebackType
from typing import Any

from ...errors import DeviceError, InputError
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from ..assembly import Outcome
from ..job import Job
from ..reading import how_many_fit, warn_of_size
from .machine import can_pin, exit_on_sigterm, usable_cores, without_interrupts
from .process_worker import DeviceSlot, serve
from .schedule import PATIENCE, Schedule, check_same_precision

log = logging.getLogger(__name__)

_TICK = 1.0
_LAST_WAIT = 10.0
"""A process that was killed may stay for as long as a file server does not answer it: then it is left to itself."""


class ProcessExecutor:
    """Measures image sets in a process per device.

    Parameters
    ----------
    job : Job
    memory : int
        Bytes that images and rows may take, of all processes together.
    devices : sequence of str
        ``cpu``, or the number of a CUDA device, for each process.
    settings : dict, optional
        Of the :class:`.embedder.Embedder`: ``model``, ``precision``, ``batch_size``.
    threads : int, optional
        CPU threads of all processes together; by default all cores.
    patience : float
        Seconds without a sign of life after which a worker is killed and its image sets are tried again.

    Raises
    ------
    InputError
        If a device is none, or not there.
    WeightsError, DeviceError, MissingExtraError
        If no process can measure anything.
    """

    def __init__(
        self,
        job: Job,
        memory: int,
        devices: Sequence[str],
        settings: dict[str, Any] | None = None,
        threads: int | None = None,
        patience: float = PATIENCE,
    ):
        self._job, self._settings, self._patience = job, settings or {}, patience
        self._places = device_slots(devices, threads)
        self._images_memory = memory // 2 // len(devices)
        self._rows_memory = memory // 4
        self._events: queue.Queue[tuple[_Worker, tuple]] = queue.Queue()
        self._workers: list[_Worker] = []
        self._largest = 0
        self.card: Card | None = None
        self.precision = ""

    def __enter__(self) -> ProcessExecutor:
        self._restore = exit_on_sigterm()
        try:
            self._workers = [self._start(place) for place in self._places]
            while self.card is None:
                self._handle_event(None)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for worker in self._workers:
            worker.kill()
        self._restore()

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Every image set with what became of it, in order."""
        schedule = Schedule(image_sets, self._rows_memory, len(self._places))
        while True:
            yield from schedule.ready()
            if schedule.finished:
                return
            for worker in self._workers:
                if worker.ready:
                    self._hand_out(worker, schedule)
            self._handle_event(schedule)

    def _start(self, place: DeviceSlot) -> _Worker:
        rows_memory = self._rows_memory // len(self._places)
        level = max(log.getEffectiveLevel(), logging.WARNING)
        return _Worker(place, (place, self._settings, self._job, rows_memory, level), self._events)

    def _hand_out(self, worker: _Worker, schedule: Schedule) -> None:
        if schedule.has_suspects:
            if not worker.in_hand:
                worker.suspected = True
                worker.send(schedule.next_suspect())
            return
        if worker.suspected and worker.in_hand:
            return
        worker.suspected = False
        while worker.unread < how_many_fit(self._images_memory, self._largest):
            image_set = schedule.next()
            if image_set is None:
                return
            worker.send(image_set)

    def _handle_event(self, schedule: Schedule | None) -> None:
        """Wait a moment for what a worker says, and act upon it; find those that say nothing any more."""
        for worker in list(self._workers):
            if worker.busy and time.monotonic() - worker.last_sign > self._patience:
                self._replace(worker, f"no sign of life for {self._patience:.0f} s", schedule)
        try:
            worker, (kind, *values) = self._events.get(timeout=min(_TICK, self._patience))
        except queue.Empty:
            return
        if worker not in self._workers:
            return
        if kind == "ready":
            self._greet(worker, *values)
        elif kind == "taken":
            number, size = values
            worker.unread -= 1
            warn_of_size(worker.in_hand[number], size, self._largest, self._images_memory)
            self._largest = max(self._largest, size)
        elif kind == "done":
            number, outcome = values
            schedule.put(worker.in_hand.pop(number), outcome)
        elif kind == "stop" and not worker.ready and isinstance(values[0], DeviceError):
            raise DeviceError(f"device '{worker.device}': {values[0]}") from values[0]
        elif kind == "stop":
            raise values[0]
        elif kind in ("fault", "lost"):
            self._replace(worker, values[0] if kind == "fault" else worker.why(), schedule)

    def _greet(self, worker: _Worker, card: Card, precision: str) -> None:
        worker.ready = True
        if self.card is None:
            self.card, self.precision = card, precision
            log.info("%s in %d processes (%s), %s", card.name, len(self._places), self._names(), precision)
        check_same_precision(self.precision, precision, f"the devices ({self._names()})")

    def _names(self) -> str:
        return ", ".join(place.device for place in self._places)

    def _replace(self, worker: _Worker, reason: str, schedule: Schedule | None) -> None:
        """A new process in the place of one that was lost; none where it did not even start."""
        worker.kill()
        self._workers.remove(worker)
        if worker.ready:
            held = ", ".join(map(str, worker.in_hand)) or "none"
            log.warning("worker on %s lost (%s) with image sets %s: starting anew", worker.device, reason, held)
            schedule.lose(worker.in_hand.values(), reason)
            self._workers.append(self._start(worker.place))
        elif self._workers:
            log.warning("the worker on %s does not start (%s): going on without it", worker.device, reason)
        else:
            raise DeviceError(f"the worker on device '{worker.device}' does not start: {reason}")


class _Worker:
    """A worker process, seen from the one that started it."""

    def __init__(self, place: DeviceSlot, arguments: tuple, events: queue.Queue):
        context = multiprocessing.get_context("spawn")
        self.place, self.device = place, place.device
        self.ready = False
        self.suspected = False
        self.in_hand: dict[int, ImageSet] = {}
        """Image sets that it was sent and has not given back, by number."""
        self.unread = 0
        """How many of them it has not read yet."""
        self.last_sign = time.monotonic()
        self._events = events
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, *arguments), name="microsnoop", daemon=True)
        with without_interrupts():
            self._process.start()
        other.close()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def busy(self) -> bool:
        """Something is to be expected of it."""
        return not self.ready or bool(self.in_hand)

    def send(self, image_set: ImageSet) -> None:
        """Hand an image set over."""
        if not self.in_hand:
            self.last_sign = time.monotonic()
        self.in_hand[image_set.number] = image_set
        self.unread += 1
        with suppress(OSError):  # a process that is gone is found by what listens to it
            self._connection.send(image_set)

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.join(_LAST_WAIT)

    def why(self) -> str:
        """What ended the process."""
        self._process.join(_LAST_WAIT)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"it ended with exit code {code}"
        return f"signal {signal.Signals(-code).name}" + (", is memory short?" if -code == 9 else "")

    def _listen(self) -> None:
        # a thread, since a process that is stopped amid a message would stop its reader with it
        try:
            while wait([self._connection, self._process.sentinel]) and self._connection.poll():
                event = self._connection.recv()
                self.last_sign = time.monotonic()
                self._events.put((self, event))
        except (EOFError, OSError):
            pass
        except Exception as error:
            self._events.put((self, ("fault", f"it says something that cannot be understood: {error}")))
        self._events.put((self, ("lost",)))


def device_slots(devices: Sequence[str], threads: int | None = None) -> list[DeviceSlot]:
    """Where each process computes; together they take ``threads`` threads, by default one per core.

    Raises
    ------
    InputError
        If a device is neither ``cpu`` nor the number of a GPU that ``CUDA_VISIBLE_DEVICES`` lets us see.
    """
    cores = usable_cores()
    share = max((threads or len(cores)) // max(len(devices), 1), 1)
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    found = []
    for number, device in enumerate(devices):
        if device == "cpu":
            own = (cores[(number * share + n) % len(cores)] for n in range(min(share, len(cores))))
            found.append(DeviceSlot("cpu", share, tuple(own) if can_pin() else ()))
        elif device.isdecimal() and (not visible or int(device) < len(visible)):
            found.append(DeviceSlot(visible[int(device)] if visible else device, share))
        else:
            seen = f" ({len(visible)} are visible here)" if visible else ""
            raise InputError(f"--devices: '{device}' is no device: give cpu or numbers of CUDA devices{seen}")
    if not found:
        raise InputError("--devices: give one or more, such as 0,1 or cpu,cpu")
    return found

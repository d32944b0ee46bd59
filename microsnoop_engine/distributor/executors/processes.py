"""Measure image sets in a process per device.

Each process reads, segments and embeds by itself. It receives image sets (paths) and returns rows through a pipe of its
own, so a killed process leaves no lock behind and costs only the image sets that it held.
"""

from __future__ import annotations

import logging
import multiprocessing
import queue
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from typing import Any

from ...errors import DeviceError, counted
from ...images.image_set import ImageSet
from ..assembly import Outcome
from ..job import Job
from ..reading import how_many_fit, warn_of_size
from .device_slots import DeviceSlot, device_slots
from .executor import WorkerExecutor
from .machine import without_interrupts
from .process_worker import serve
from .schedule import Schedule

log = logging.getLogger(__name__)

_TICK = 1.0
_LAST_WAIT = 10.0
"""Seconds to wait for a killed process, which may hang in a read from a file server."""


class ProcessExecutor(WorkerExecutor):
    """Measure image sets in a process per device.

    Parameters
    ----------
    job : Job
    memory : int
        Bytes for images and rows of all processes together.
    devices : sequence of str
        ``cpu``, or the number of a CUDA device, for each process.
    settings : dict
        Arguments of :class:`microsnoop_engine.Embedder`: ``model``, ``precision``, ``batch_size``.
    timeout : float
        Seconds without progress after which a worker is restarted and its image sets are retried.
    threads : int, optional
        CPU threads of all processes together; default: one per core.

    Raises
    ------
    InputError
        If a device does not exist.
    WeightsError, DeviceError, MissingExtraError
        If no process can measure anything.
    """

    def __init__(
        self,
        job: Job,
        memory: int,
        devices: Sequence[str],
        settings: dict[str, Any],
        timeout: float,
        threads: int | None = None,
    ) -> None:
        super().__init__(timeout)
        self._job, self._settings = job, settings
        self._slots = device_slots(devices, threads)
        self._images_memory = memory // 2 // len(devices)
        self._rows_memory = memory // 4
        self._events: queue.Queue[tuple[_Worker, tuple[Any, ...]]] = queue.Queue()
        self._workers: list[_Worker] = []
        self._schedule = Schedule([], self._rows_memory, len(self._slots))
        self._largest = 0

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Measure image sets (see :class:`.executor.Executor`)."""
        self._schedule = Schedule(image_sets, self._rows_memory, len(self._slots))
        while True:
            yield from self._schedule.ready()
            if self._schedule.finished:
                return
            for worker in self._workers:
                if worker.ready:
                    self._hand_out(worker)
            self._handle_event()

    def _start(self) -> None:
        for slot in self._slots:
            self._start_worker(slot)

    def _stop(self) -> None:
        for worker in self._workers:
            worker.kill()

    def _start_worker(self, slot: DeviceSlot) -> None:
        rows_memory = self._rows_memory // len(self._slots)
        level = max(log.getEffectiveLevel(), logging.WARNING)
        self._workers.append(_Worker(slot, (slot, self._settings, self._job, rows_memory, level), self._events))

    def _hand_out(self, worker: _Worker) -> None:
        """Send image sets to a worker: a suspect alone, else as many as fit its memory."""
        if self._schedule.has_suspects:
            if not worker.in_hand:
                worker.has_suspect = True
                worker.send(self._schedule.next_suspect())
            return
        if worker.has_suspect and worker.in_hand:
            return
        worker.has_suspect = False
        while worker.unread < how_many_fit(self._images_memory, self._largest):
            image_set = self._schedule.next()
            if image_set is None:
                return
            worker.send(image_set)

    def _handle_event(self) -> bool:
        for worker in list(self._workers):
            if worker.busy and time.monotonic() - worker.last_event > self._timeout:
                self._replace(worker, f"no progress for {self._timeout:.0f} s")
        try:
            worker, (kind, *values) = self._events.get(timeout=min(_TICK, self._timeout))
        except queue.Empty:
            return False
        if worker not in self._workers:  # the last words of a worker that was replaced
            return True
        if kind == "ready":
            worker.ready = True
            card, precision = values
            devices = ", ".join(slot.device for slot in self._slots)
            self._worker_is_ready(card, precision, f"{counted(len(self._slots), 'processes', 'process')} ({devices})")
        elif kind == "taken":
            number, size = values
            worker.unread -= 1
            warn_of_size(worker.in_hand[number], size, self._largest, self._images_memory)
            self._largest = max(self._largest, size)
        elif kind == "log":
            name, level, message = values
            logging.getLogger(name).log(level, "%s", message)
        elif kind == "done":
            number, outcome = values
            self._schedule.put(worker.in_hand.pop(number), outcome)
        elif kind == "stop" and not worker.ready and isinstance(values[0], DeviceError):
            raise DeviceError(f"device '{worker.slot.device}': {values[0]}") from values[0]
        elif kind == "stop":
            raise values[0]
        elif kind in ("fault", "lost"):
            self._replace(worker, values[0] if kind == "fault" else worker.exit_reason())
        return True

    def _replace(self, worker: _Worker, reason: str) -> None:
        """Start a new process for a lost one, unless that one did not even start."""
        worker.kill()
        self._workers.remove(worker)
        device = worker.slot.device
        if worker.ready:
            held = ", ".join(map(str, worker.in_hand)) or "none"
            log.warning("worker on %s lost (%s) with image sets %s: restarting it", device, reason, held)
            self._schedule.lose(worker.in_hand.values(), reason)
            self._start_worker(worker.slot)
        elif self._workers:
            log.warning("the worker on %s does not start (%s): continuing without it", device, reason)
        else:
            raise DeviceError(f"the worker on device '{device}' does not start: {reason}")


class _Worker:
    """A worker process as the main process sees it."""

    def __init__(
        self, slot: DeviceSlot, arguments: tuple[Any, ...], events: queue.Queue[tuple[_Worker, tuple[Any, ...]]]
    ) -> None:
        context = multiprocessing.get_context("spawn")
        self.slot = slot
        self.ready = False
        self.has_suspect = False
        self.in_hand: dict[int, ImageSet] = {}
        """Image sets that were sent to it and are not measured yet, by number."""
        self.unread = 0
        """Number of them that it has not read yet."""
        self.last_event = time.monotonic()
        self._events = events
        self._connection, other = context.Pipe()
        self._process = context.Process(target=serve, args=(other, *arguments), name="microsnoop", daemon=True)
        with without_interrupts():
            self._process.start()
        other.close()
        threading.Thread(target=self._listen, daemon=True).start()

    @property
    def busy(self) -> bool:
        """True while an event is to be expected."""
        return not self.ready or bool(self.in_hand)

    def send(self, image_set: ImageSet) -> None:
        """Hand an image set over."""
        if not self.in_hand:
            self.last_event = time.monotonic()
        self.in_hand[image_set.number] = image_set
        self.unread += 1
        with suppress(OSError):  # the listening thread notices a process that is gone
            self._connection.send(image_set)

    def kill(self) -> None:
        """End the process in any state."""
        self._process.kill()
        self._process.join(_LAST_WAIT)

    def exit_reason(self) -> str:
        """Describe how the process ended."""
        self._process.join(_LAST_WAIT)
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"exit code {code}"
        return f"signal {signal.Signals(-code).name}" + (", is memory short?" if -code == 9 else "")

    def _listen(self) -> None:
        # in a thread: a process that is stopped in the middle of a message would block its reader
        try:
            while wait([self._connection, self._process.sentinel]) and self._connection.poll():
                event = self._connection.recv()
                self.last_event = time.monotonic()
                self._events.put((self, event))
        except (EOFError, OSError):
            pass
        except Exception as error:  # noqa: BLE001 of any kind: unpickling may raise it, and the worker is replaced
            self._events.put((self, ("fault", f"its message cannot be read: {error}")))
        self._events.put((self, ("lost",)))

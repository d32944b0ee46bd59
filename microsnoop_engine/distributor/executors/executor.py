"""Define the interface of executors, and start and stop those that have workers."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from types import TracebackType
from typing import Protocol

from ...errors import DeviceError
from ...images.image_set import ImageSet
from ...model.checkpoints import Card
from ..assembly import Outcome
from ..job import Job
from .machine import exit_on_sigterm

log = logging.getLogger(__name__)


class Executor(Protocol):
    """Measure image sets.

    Attributes
    ----------
    card : Card
        Card of the weights.
    precision : str
        Precision in which the network computes.
    """

    card: Card
    precision: str

    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Measure image sets.

        Parameters
        ----------
        image_sets : sequence of ImageSet

        Yields
        ------
        image_set : ImageSet
            In the order of ``image_sets``.
        outcome : ImageSetResult or MicrosnoopError
        """


ExecutorFactory = Callable[[Job, int], AbstractContextManager[Executor]]
"""Builds an executor for a job and a number of bytes for images and rows; entering its context starts the workers."""


class WorkerExecutor(ABC):
    """Start workers, wait until one of them is ready, and stop all of them at the end.

    Parameters
    ----------
    timeout : float
        Seconds without progress after which a worker counts as hung.
    """

    card: Card
    precision: str

    def __init__(self, timeout: float) -> None:
        self._timeout = timeout
        self._has_started = False

    def __enter__(self) -> WorkerExecutor:
        with ExitStack() as stack:
            stack.callback(exit_on_sigterm())
            stack.callback(self._stop)
            self._start()
            began = time.monotonic()
            while not self._has_started:
                if not self._handle_event() and time.monotonic() - began > self._timeout:
                    raise DeviceError(f"no worker started in {self._timeout:.0f} s: are the devices busy?")
            self._exit = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._exit.close()

    @abstractmethod
    def measured(self, image_sets: Sequence[ImageSet]) -> Iterator[tuple[ImageSet, Outcome]]:
        """Measure image sets (see :class:`Executor`)."""

    @abstractmethod
    def _start(self) -> None:
        """Start the workers."""

    @abstractmethod
    def _stop(self) -> None:
        """Stop the workers, also those that only began to start."""

    @abstractmethod
    def _handle_event(self) -> bool:
        """Wait a moment for an event of any worker and handle it; False if there was none."""

    def _worker_is_ready(self, card: Card, precision: str, workers: str) -> None:
        """Take card and precision from the first worker that is ready; refuse another precision of a later one."""
        if not self._has_started:
            self._has_started = True
            self.card, self.precision = card, precision
            log.info("%s in %s, %s", card.name, workers, precision)
        if precision != self.precision:
            raise DeviceError(
                f"`precision`: the workers use different precisions ({self.precision}, {precision} in {workers}); "
                "set float32 for all of them"
            )

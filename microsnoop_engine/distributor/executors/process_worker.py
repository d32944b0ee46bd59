"""Read, segment and measure image sets in a worker process of :mod:`.processes`."""

from __future__ import annotations

import logging
import os
import queue
import signal
from concurrent.futures import Future, ThreadPoolExecutor
from multiprocessing.connection import Connection
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any

from ...errors import MicrosnoopError
from ...images.image_set import ImageSet
from ...storage.paths import quiet_stores
from ..job import Job
from ..reading import READERS, bytes_in_use, read
from .device_slots import DeviceSlot

if TYPE_CHECKING:
    from ..assembly import ImageSetBatcher


_sending = Lock()
"""Readers log, too."""


def serve(
    connection: Connection, slot: DeviceSlot, settings: dict[str, Any], job: Job, memory: int, log_level: int
) -> None:
    """Measure the image sets that arrive until the connection is closed or this process is killed.

    Sends ``("ready", card, precision)``; ``("taken", number, bytes)`` when an image set is read and the next one may
    come; ``("batch",)`` after each batch; ``("done", number, outcome)``; ``("log", name, level, message)``. Ends with
    ``("stop", error)`` if no image set can be measured, and with ``("fault", reason)`` after any other error.

    Parameters
    ----------
    connection : Connection
    slot : DeviceSlot
    settings : dict
        Arguments of :class:`microsnoop_engine.Embedder`.
    job : Job
    memory : int
        Bytes of rows that may wait for a batch to fill.
    log_level : int
        Level of the messages that are sent.
    """
    logging.basicConfig(level=log_level, format="%(message)s", handlers=[_ToMainProcess(connection)])
    quiet_stores()
    # Ctrl-C reaches every process of a terminal; the main process stops this one
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        _measure(connection, slot, settings, job, memory)
    except MicrosnoopError as error:
        _send(connection, "stop", error)
    except Exception as error:  # noqa: BLE001 of any kind: the main process decides whether to start another worker
        _send(connection, "fault", f"{type(error).__name__}: {error}")


def _measure(connection: Connection, slot: DeviceSlot, settings: dict[str, Any], job: Job, memory: int) -> None:
    device = slot.bind()
    from ...model.embedder import Embedder
    from ..assembly import ImageSetBatcher

    incoming: queue.Queue[tuple[ImageSet, Future[Any]]] = queue.Queue()
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
    embedder = Embedder(device=device, threads=slot.threads, **settings)
    segment = job.segmenter(device)
    batcher = ImageSetBatcher(embedder, job, memory, on_batch=lambda: _send(connection, "batch"))

    def receive() -> None:
        try:
            while True:
                image_set = connection.recv()
                incoming.put((image_set, pool.submit(read, image_set, job, segment)))
        except (EOFError, OSError):
            os._exit(1)  # the main process is gone; other threads may never end by themselves

    _send(connection, "ready", embedder.card, embedder.precision)
    Thread(target=receive, daemon=True).start()
    while True:
        if incoming.empty():  # no crops will arrive to fill the batches
            batcher.flush()
            _send_finished(connection, batcher)
        image_set, future = incoming.get()
        pixels = future.result()
        _send(connection, "taken", image_set.number, bytes_in_use(pixels, job))
        batcher.add(image_set, pixels)
        del pixels, future
        _send_finished(connection, batcher)


class _ToMainProcess(logging.Handler):
    """Log in the main process, which shows messages in the words of its user."""

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection

    def emit(self, record: logging.LogRecord) -> None:
        _send(self._connection, "log", record.name, record.levelno, self.format(record))


def _send(connection: Connection, *event: object) -> None:
    try:
        with _sending:
            connection.send(event)
    except OSError:
        os._exit(1)  # the main process is gone


def _send_finished(connection: Connection, batcher: ImageSetBatcher) -> None:
    for image_set, outcome in batcher.finished():
        _send(connection, "done", image_set.number, outcome)

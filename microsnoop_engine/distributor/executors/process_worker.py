"""What a worker process of :mod:`.processes` does: reads image sets by itself, measures them, sends their rows back."""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from multiprocessing.connection import Connection
from threading import Thread
from typing import Any

from ...errors import MicrosnoopError
from ...images.image_set import ImageSet
from ...storage.paths import quiet_stores
from ..job import Job
from ..reading import READERS, bytes_in_use, read


@dataclass(frozen=True)
class DeviceSlot:
    """Where a worker process computes.

    Attributes
    ----------
    device : str
        ``cpu``, or what ``CUDA_VISIBLE_DEVICES`` calls a GPU.
    threads : int
        Of the CPU.
    cores : tuple of int
        The cores that it keeps to; none: any.
    """

    device: str
    threads: int
    cores: tuple[int, ...] = ()

    def settle(self) -> str:
        """Bind this process to the place, before anything is imported that asks for cores or GPUs; its device."""
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        if self.cores:
            import psutil

            psutil.Process().cpu_affinity(list(self.cores))
        if self.device == "cpu":
            return "cpu"
        os.environ["CUDA_VISIBLE_DEVICES"] = self.device
        return "cuda"


def serve(
    connection: Connection, place: DeviceSlot, settings: dict[str, Any], job: Job, memory: int, log_level: int
) -> None:
    """Measure what comes through the connection until the other end is closed or this process is killed.

    Sends ``("ready", card, precision)``; ``("taken", number, bytes)`` when an image set is read and the next one may
    come; ``("batch",)`` as a sign of life; ``("done", number, outcome)``. Ends with ``("stop", error)`` where no image
    set can be measured, ``("fault", reason)`` at any other error.

    Parameters
    ----------
    connection : Connection
    place : Place
    settings : dict
        Of the :class:`.embedder.Embedder`.
    job : Job
    memory : int
        Bytes of rows that may wait for a batch to be filled.
    log_level : int
        Of the messages on standard error.
    """
    logging.basicConfig(level=log_level, format="%(levelname)s: %(message)s", stream=sys.stderr)
    quiet_stores()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process of a terminal; ours ends us
    try:
        _measure(connection, place, settings, job, memory)
    except MicrosnoopError as error:
        _tell(connection, "stop", error)
    except Exception as error:
        _tell(connection, "fault", f"{type(error).__name__}: {error}")


def _measure(connection: Connection, place: DeviceSlot, settings: dict[str, Any], job: Job, memory: int) -> None:
    device = place.settle()
    from ...model.embedder import Embedder
    from ..assembly import ImageSetBatcher

    incoming: queue.Queue[tuple[ImageSet, Future]] = queue.Queue()
    pool = ThreadPoolExecutor(READERS, thread_name_prefix="reader")
    embedder = Embedder(device=device, threads=place.threads, **settings)
    find_objects = job.segmenter(device)
    assembly = ImageSetBatcher(embedder, job, memory, on_batch=lambda: _tell(connection, "batch"))

    def receive() -> None:
        try:
            while True:
                image_set = connection.recv()
                incoming.put((image_set, pool.submit(read, image_set, job, find_objects)))
        except (EOFError, OSError):
            os._exit(1)  # the run is over, whatever this process is busy with

    _tell(connection, "ready", embedder.card, embedder.precision)
    Thread(target=receive, daemon=True).start()
    while True:
        if incoming.empty():  # nothing will fill the batches
            assembly.flush()
            _send_finished(connection, assembly)
        image_set, future = incoming.get()
        pixels = future.result()
        _tell(connection, "taken", image_set.number, bytes_in_use(pixels, job))
        assembly.take(image_set, pixels)
        del pixels, future
        _send_finished(connection, assembly)


def _tell(connection: Connection, *event: Any) -> None:
    try:
        connection.send(event)
    except OSError:
        os._exit(1)  # nobody is there any more


def _send_finished(connection: Connection, assembly: Any) -> None:
    for image_set, outcome in assembly.finished():
        _tell(connection, "done", image_set.number, outcome)

"""Answer the requests of CellProfiler, ImageJ and Appose clients from one warm process (docs: worker protocol)."""

from __future__ import annotations

import json
import logging
import os
import re
import select
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, BinaryIO

# NumPy has to be imported before a thread waits on standard input: on Windows its import would hang.
import numpy  # noqa: F401

from ..errors import Cancelled, InputError, MicrosnoopError
from ..model.embedder import Embedder
from .arrays import ArrayTransport
from .leftovers import sweep
from .tasks import Tasks

log = logging.getLogger(__name__)

LONGEST_LINE = 16 << 20
"""Bytes of a request."""
LAST_SECONDS = 1
"""Time in which a host that has closed its end may take the arrays of its last tasks, which go with the worker."""


class Worker:
    """Read requests from one stream and answer on another.

    One thread reads, so that a request to cancel is seen while the main thread works on a task.

    Parameters
    ----------
    requests, responses : binary file
    tasks : Tasks
    exchange : ArrayTransport
        Holds the arrays of the tasks.
    leave : callable
        Ends the process; called when the requests end.
    """

    def __init__(
        self,
        requests: BinaryIO,
        responses: BinaryIO,
        tasks: Tasks,
        exchange: ArrayTransport,
        leave: Callable[[], None],
    ) -> None:
        self._requests = requests
        self._responses = responses
        self._tasks = tasks
        self._exchange = exchange
        self._leave = leave
        self._sending = threading.Lock()
        self._changed = threading.Condition()
        self._waiting: dict[str, tuple[str, dict[str, Any]]] = {}
        self._cancelled: set[str] = set()
        self._running: str | None = None
        self._working = False
        self._count = 0

    def run(self) -> None:
        """Work on tasks, one after the other, until the requests end."""
        threading.Thread(target=self._read, name="requests", daemon=True).start()
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting)
                task = next(iter(self._waiting))
                script, inputs = self._waiting.pop(task)
                self._running = task
                self._working = True
                self._exchange.release(self._count)
            self._send(task, "LAUNCH")
            response_type, values = self._result(task, script, inputs)
            with self._changed:
                self._running = None
                self._cancelled.discard(task)
                # requests that follow the response come from a host that may have read it
                requests = self._count
            self._send(task, response_type, **values)
            with self._changed:
                self._exchange.mark_sent(requests)
                self._working = False
                self._changed.notify_all()

    def _result(self, task: str, script: str, inputs: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Run a task; return the type and the values of the response that ends it."""

        def on_batch(current: int, maximum: int) -> None:
            if task in self._cancelled:
                raise Cancelled("cancelled")
            self._send(task, "UPDATE", message=script, current=current, maximum=maximum)

        try:
            return "COMPLETION", {"outputs": self._tasks.run(script, inputs, on_batch)}
        except Cancelled:
            return "CANCELATION", {}
        except MicrosnoopError as error:
            return "FAILURE", {"error": plain_words(str(error))}
        except Exception as error:  # the host must get an answer, and the worker stay usable
            log.exception("task %s", task)
            return "FAILURE", {"error": f"unexpected {type(error).__name__}: {error}"}

    def _send(self, task: str | None, response_type: str, **values: Any) -> None:
        """Write a response; a host that no longer reads ends the worker."""
        from appose.util import message

        line = message.encode({"task": task, "responseType": response_type, **values}) + "\n"
        try:
            with self._sending:
                self._responses.write(line.encode())
                self._responses.flush()
        except OSError:
            self._leave()

    def _read(self) -> None:
        """Accept requests until they end, then end the worker."""
        while line := self._requests.readline(LONGEST_LINE):
            if not line.endswith(b"\n") and len(line) == LONGEST_LINE:
                while not line.endswith(b"\n") and (line := self._requests.readline(LONGEST_LINE)):
                    pass
                self._send(None, "FAILURE", error=f"a line has more than {LONGEST_LINE >> 20} MB: pass arrays as files")
            elif line.strip():
                self._accept(line)
        self._finish()

    def _finish(self) -> None:
        """End the worker when its tasks are done, or at once if the host is gone and reads no results."""
        with self._changed:
            late = self._working or bool(self._waiting)
            while (self._working or self._waiting) and not reader_gone(self._responses):
                self._changed.wait(0.1)
        deadline = time.monotonic() + LAST_SECONDS
        while late and not reader_gone(self._responses) and time.monotonic() < deadline:
            time.sleep(0.05)
        self._leave()

    def _accept(self, line: bytes) -> None:
        """Put a request among those that wait, or answer why it cannot be used."""
        task = None
        try:
            request = json.loads(line)
            if not isinstance(request, dict):
                raise InputError("the line is not a JSON object")
            task = request.get("task") if isinstance(request.get("task"), str) else None
            if task is None:
                raise InputError("'task' must be a text that no other task has")
            kind = request.get("requestType")
            if kind == "CANCEL":
                self._cancel(task)
            elif kind == "EXECUTE":
                inputs = request.get("inputs") or {}
                self._tasks.check(request.get("script"), inputs)
                with self._changed:
                    if task in self._waiting or task == self._running:
                        raise InputError(f"there is a task '{task}' already: use another text")
                    self._waiting[task] = (request["script"], inputs)
                    self._count += 1
                    self._changed.notify()
            else:
                raise InputError(f"requestType is {kind!r:.100}: it must be EXECUTE or CANCEL")
        except InputError as error:
            self._send(task, "FAILURE", error=plain_words(str(error)))
        except (ValueError, RecursionError) as error:
            start = line[:80].decode(errors="replace")
            self._send(task, "FAILURE", error=f"this line is not JSON ({error}): {start!r}")

    def _cancel(self, task: str) -> None:
        """Drop a task that waits, and mark one that runs to stop at its next batch."""
        with self._changed:
            if task == self._running:
                self._cancelled.add(task)
            waiting = self._waiting.pop(task, None)
        if waiting:
            self._send(task, "CANCELATION")


def plain_words(message: str) -> str:
    """Turn the backticked parameter names of an error into words that a host can show.

    Examples
    --------
    >>> plain_words("`rescale_constant` is 50: it must be a number from 0.1 to 20")
    'rescale constant is 50: it must be a number from 0.1 to 20'
    """
    return re.sub(r"`(\w+)`", lambda name: name[1].replace("_", " "), message)


def reader_gone(stream: BinaryIO) -> bool:
    """Return whether nobody reads any more what is written to a pipe; on Windows, which cannot tell, always true."""
    if sys.platform == "win32":
        return True
    poll = select.poll()
    poll.register(stream, 0)
    return bool(poll.poll(0))


def serve(make_embedder: Callable[[], Embedder], memory: int) -> None:
    """Run a worker on the standard streams of this process; does not return.

    Parameters
    ----------
    make_embedder : callable
        Makes the embedder when the first task needs it.
    memory : int
        Bytes of the largest array that is accepted.
    """
    requests, responses = take_over_standard_streams()
    sweep()
    exchange = ArrayTransport(memory)
    leaving = threading.Lock()

    def leave(*_: Any) -> None:
        # os._exit ends the process even in the middle of a batch, where no exception would get through
        if leaving.acquire(blocking=False):
            exchange.close()
            os._exit(0)

    for name in ("SIGTERM", "SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), leave)
    Worker(requests, responses, Tasks(exchange, make_embedder), exchange, leave).run()


def take_over_standard_streams() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output for the protocol alone.

    Returns
    -------
    requests, responses : binary file
        The streams of the host. From now on whatever prints goes to standard error, and reads get nothing.
    """
    sys.stdout.flush()
    requests = os.fdopen(os.dup(0), "rb")
    responses = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return requests, responses

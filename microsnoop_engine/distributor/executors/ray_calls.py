"""Keep track of remote calls to a Ray cluster and hand their results to handlers."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from ...errors import MicrosnoopError, first_line

Handler = Callable[[Any, Exception | None], None]
"""Takes the result of a remote call, or None and the error of Ray."""


class RemoteCalls:
    """Wait for remote calls, each with a handler for its result.

    Parameters
    ----------
    ray : module
    """

    def __init__(self, ray: Any) -> None:
        self._ray = ray
        self._handlers: dict[Any, Handler] = {}
        self._tasks: set[Any] = set()

    def add(self, reference: Any, handler: Handler, is_task: bool = False) -> None:
        """Wait for a call.

        Parameters
        ----------
        reference : ray.ObjectRef
        handler : callable
        is_task : bool
            True for a task, which can be canceled; an actor's method ends with its actor.
        """
        self._handlers[reference] = handler
        if is_task:
            self._tasks.add(reference)

    def forget(self, reference: Any) -> None:
        """Do not wait for a call any more; a task is canceled."""
        del self._handlers[reference]
        if reference in self._tasks:
            self._tasks.remove(reference)
            self._ray.cancel(reference, force=True)

    def cancel_tasks(self) -> None:
        """Cancel all tasks under way."""
        for reference in list(self._tasks):
            self.forget(reference)

    def handle_next(self, seconds: float) -> bool:
        """Wait for one call to end and run its handler.

        Parameters
        ----------
        seconds : float
            Longest wait.

        Returns
        -------
        bool
            False if no call ended.

        Raises
        ------
        MicrosnoopError
            If the call raised one.
        """
        if not self._handlers:
            time.sleep(seconds)
            return False
        ended, _ = self._ray.wait(list(self._handlers), num_returns=1, timeout=seconds)
        for reference in ended:
            handler = self._handlers.pop(reference)
            self._tasks.discard(reference)
            result, failure = None, None
            try:
                result = self._ray.get(reference)
            except self._ray.exceptions.RayError as error:
                cause = getattr(error, "cause", None)
                if isinstance(cause, MicrosnoopError):
                    raise cause from None
                failure = error
            handler(result, failure)
        return bool(ended)


def reason_of(error: Exception) -> str:
    """Describe an error of Ray in one line, by its cause where it has one."""
    cause = getattr(error, "cause", None) or error
    return f"{type(cause).__name__}: {first_line(cause)}"

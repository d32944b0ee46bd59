"""A Ray cluster: joining it, and what to ask of its nodes."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import DeviceError, MissingExtraError, first_line
from .machine import usable_cores

READING_CPUS = 0.5
"""Of a reading task, which spends part of its time waiting for the store."""
ANSWER_SECONDS = 10.0
"""In which the address of a cluster has to answer."""


@dataclass(frozen=True)
class ActorSlot:
    """What an actor asks of a node."""

    device: str
    cpus: float
    gpus: int
    threads: int


def has_gpus(nodes: Sequence[dict[str, Any]]) -> bool:
    """Whether any of the nodes, as :func:`ray.nodes` gives them, has a GPU."""
    return any(node["Alive"] and node["Resources"].get("GPU", 0) >= 1 for node in nodes)


def actor_slots(nodes: Sequence[dict[str, Any]], on_gpus: bool) -> dict[str, list[ActorSlot]]:
    """Where actors are to be, by the id of the node: one per GPU, or one per node with all of its cores but one.

    There are always cores left for tasks that read, on a node with a single one a half of it.

    Parameters
    ----------
    nodes : sequence of dict
        As :func:`ray.nodes` gives them.
    on_gpus : bool
        Whether the network computes on GPUs.
    """
    found = {}
    for node in nodes:
        if not node["Alive"]:
            continue
        cores, gpus = int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0))
        if on_gpus and gpus:
            found[node["NodeID"]] = [ActorSlot("cuda", 1 - READING_CPUS, 1, 1)] * gpus
        elif not on_gpus and cores:
            found[node["NodeID"]] = [ActorSlot("cpu", max(cores - 1, 1 - READING_CPUS), 0, max(cores - 1, 1))]
    return found


def connect(ray: Any, address: str | None) -> None:
    """Join the cluster at an address; by default that in ``RAY_ADDRESS``, else start Ray here.

    Raises
    ------
    DeviceError
        If nothing answers there, or not within two minutes like a cluster of this version of Ray.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == "local":
        options |= {"num_cpus": len(usable_cores()), "include_dashboard": False}
    elif address != "auto":
        _knock(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except (Exception, SystemExit) as error:  # Ray ends the process where something else answers
        said = first_line(error) if isinstance(error, Exception) else "what answers is no Ray cluster"
        raise DeviceError(f"Ray at '{address}': {said}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own would write of it to the terminal


def _knock(address: str) -> None:
    """Raise DeviceError if nothing answers at ``HOST:PORT``; Ray itself waits for minutes."""
    if address.startswith("ray://"):
        raise DeviceError(f"'{address}' is of Ray Client: run on a node of the cluster, with --ray-address auto")
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise DeviceError(f"--ray-address '{address}': give HOST:6379 or auto")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise DeviceError(f"no Ray cluster answers at '{address}' ({first_line(error)}): is it started?") from None


def import_ray() -> Any:
    """Ray, which is not to report its use, nor to write to our terminal.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # it prints what a lost worker was on standard output
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise MissingExtraError("ray", "cluster", "--engine ray") from None
    return ray

"""Join a Ray cluster and place actors on its nodes."""

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
"""CPUs of a reading task, which spends part of its time waiting for the store."""
ANSWER_SECONDS = 10.0
"""Time in which the address of a cluster has to answer."""


@dataclass(frozen=True)
class ActorSlot:
    """Name the device and the resources of one actor.

    Attributes
    ----------
    device : {'cpu', 'cuda'}
    cpus : float
    gpus : int
    threads : int
        CPU threads.
    """

    device: str
    cpus: float
    gpus: int
    threads: int


def has_gpus(nodes: Sequence[dict[str, Any]]) -> bool:
    """Return True if any live node has a GPU.

    Parameters
    ----------
    nodes : sequence of dict
        Result of :func:`ray.nodes`.
    """
    return any(node["Alive"] and node["Resources"].get("GPU", 0) >= 1 for node in nodes)


def actor_slots(nodes: Sequence[dict[str, Any]], on_gpus: bool) -> dict[str, list[ActorSlot]]:
    """Place actors on live nodes: one per GPU, or one per node with all of its cores but one.

    Some cores stay free for reading tasks; on a node with a single core, a half of it.

    Parameters
    ----------
    nodes : sequence of dict
        Result of :func:`ray.nodes`.
    on_gpus : bool
        True if the network computes on GPUs.

    Returns
    -------
    dict of str to list of ActorSlot
        Slots by the id of their node.
    """
    slots = {}
    for node in nodes:
        if not node["Alive"]:
            continue
        cores, gpus = int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0))
        if on_gpus and gpus:
            slots[node["NodeID"]] = [ActorSlot("cuda", 1 - READING_CPUS, 1, 1)] * gpus
        elif not on_gpus and cores:
            slots[node["NodeID"]] = [ActorSlot("cpu", max(cores - 1, 1 - READING_CPUS), 0, max(cores - 1, 1))]
    return slots


def connect(ray: Any, address: str | None) -> None:
    """Join a cluster, or start Ray on this machine.

    Parameters
    ----------
    ray : module
    address : str, optional
        ``HOST:PORT`` or ``auto``. Default: ``RAY_ADDRESS``; without it, Ray is started here.

    Raises
    ------
    DeviceError
        If nothing answers at the address, or another program or another version of Ray does.
    """
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}
    if address == "local":
        options |= {"num_cpus": len(usable_cores()), "include_dashboard": False}
    elif address != "auto":
        _check_address(address)
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, **options)
    except (Exception, SystemExit) as error:  # Ray exits where something else answers
        reason = first_line(error) if isinstance(error, Exception) else "the program that answers is no Ray cluster"
        raise DeviceError(f"Ray at '{address}': {reason}") from error
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, on_sigterm)  # Ray's own handler prints to the terminal


def _check_address(address: str) -> None:
    """Raise DeviceError if nothing answers at ``HOST:PORT``; Ray itself would wait for minutes."""
    if address.startswith("ray://"):
        raise DeviceError(
            f"'{address}' is an address of Ray Client: run on a node of the cluster, with `ray_address` auto"
        )
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise DeviceError(f"`ray_address` is '{address}': it must be HOST:6379 or auto")
    try:
        socket.create_connection((host, int(port)), ANSWER_SECONDS).close()
    except OSError as error:
        raise DeviceError(f"no Ray cluster answers at '{address}' ({first_line(error)}): is it started?") from None


def import_ray() -> Any:
    """Import Ray with its usage reports and its messages on the terminal turned off.

    Returns
    -------
    module

    Raises
    ------
    MissingExtraError
        If Ray is not installed.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # else it prints the losses of workers to standard output
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
        import ray.util.scheduling_strategies
    except ImportError:
        raise MissingExtraError("ray", "cluster", "the executor ray") from None
    return ray

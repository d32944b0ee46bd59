"""Choose the weights, the devices and the executor of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import InputError
from ..model.checkpoints import DEFAULT

if TYPE_CHECKING:
    from .executors.executor import ExecutorFactory

EXECUTORS = ("local", "ray")


@dataclass(frozen=True)
class ComputeSettings:
    """Choose the weights, the devices and the executor of a run; checked when it is built.

    Parameters
    ----------
    model : str or Path
        Name of shipped weights, or a ``.safetensors`` file.
    device : str
        Device of a single process: ``auto``, ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
    precision : {'auto', 'float32', 'bfloat16', 'float16'}
    batch_size : int, optional
        Crops per call of the network. Default: depends on the device.
    threads : int, optional
        CPU threads of all processes together. Default: one per core.
    devices : sequence of str, optional
        Start a process for each: the number of a CUDA device, or ``cpu``. Default: measure in this process.
    executor : {'local', 'ray'}
        ``ray`` measures on the nodes of a Ray cluster.
    ray_address : str, optional
        Address of the cluster: ``HOST:6379``, or ``auto`` on one of its nodes. Default: ``RAY_ADDRESS``; without it,
        Ray is started on this machine.
    worker_timeout : float
        Seconds without progress after which a worker is restarted and its image sets are retried.

    Raises
    ------
    InputError
        If settings exclude each other.

    Examples
    --------
    >>> ComputeSettings(devices=["0", "1"]).executor
    'local'
    """

    model: str | Path = DEFAULT
    device: str = "auto"
    precision: str = "auto"
    batch_size: int | None = None
    threads: int | None = None
    devices: Sequence[str] | None = None
    executor: str = "local"
    ray_address: str | None = None
    worker_timeout: float = 1800.0

    def __post_init__(self) -> None:
        on_ray = self.executor == "ray"
        if self.executor not in EXECUTORS:
            raise InputError(f"`executor` is '{self.executor}': it must be one of {', '.join(EXECUTORS)}")
        if self.ray_address and not on_ray:
            raise InputError("`ray_address` goes with `executor` ray")
        if self.devices is not None and on_ray:
            raise InputError("`devices` are those of this machine; `executor` ray uses every device of the cluster")
        if self.device != "auto" and (self.devices is not None or on_ray):
            raise InputError("`device` is for a single process; it does not go with `devices` or `executor` ray")
        if self.threads and on_ray:
            raise InputError("`threads` is for this machine; set the cores of a node with 'ray start --num-cpus N'")
        if not self.worker_timeout > 0:
            raise InputError(f"`worker_timeout` is {self.worker_timeout}: it must be above 0")

    def executor_factory(self) -> ExecutorFactory:
        """Choose the executor.

        Returns
        -------
        callable
            Takes a job and the bytes for images and rows, and returns the executor as a context manager.
        """
        settings: dict[str, Any] = {"model": self.model, "precision": self.precision, "batch_size": self.batch_size}
        if self.executor == "ray":
            from .executors.ray_executor import RayExecutor

            return partial(RayExecutor, settings=settings, timeout=self.worker_timeout, address=self.ray_address)
        if self.devices is not None:
            from .executors.processes import ProcessExecutor

            return partial(
                ProcessExecutor,
                devices=self.devices,
                settings=settings,
                timeout=self.worker_timeout,
                threads=self.threads,
            )
        from ..model.embedder import Embedder
        from .executors.local import LocalExecutor

        return lambda job, memory: LocalExecutor(
            Embedder(device=self.device, threads=self.threads, **settings), job, memory
        )

"""Assign devices, threads and cores to worker processes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from ...errors import InputError
from .machine import can_pin, usable_cores


@dataclass(frozen=True)
class DeviceSlot:
    """Name the device and the cores of one worker process.

    Attributes
    ----------
    device : str
        ``cpu``, or the name of a GPU in ``CUDA_VISIBLE_DEVICES``.
    threads : int
        CPU threads.
    cores : tuple of int
        Cores that the process is bound to; empty: any.
    """

    device: str
    threads: int
    cores: tuple[int, ...] = ()

    def bind(self) -> str:
        """Bind this process to the slot; call it before any import that looks for cores or GPUs.

        Returns
        -------
        str
            The device as the embedder takes it.
        """
        os.environ["OMP_NUM_THREADS"] = str(self.threads)
        if self.cores:
            import psutil

            psutil.Process().cpu_affinity(list(self.cores))
        if self.device == "cpu":
            return "cpu"
        os.environ["CUDA_VISIBLE_DEVICES"] = self.device
        return "cuda"


def device_slots(devices: Sequence[str], threads: int | None = None) -> list[DeviceSlot]:
    """Assign threads and cores to worker processes.

    Parameters
    ----------
    devices : sequence of str
        ``cpu``, or the number of a visible CUDA device, for each process.
    threads : int, optional
        CPU threads of all processes together; default: one per core.

    Returns
    -------
    list of DeviceSlot

    Raises
    ------
    InputError
        If a device is neither ``cpu`` nor the number of a visible GPU.
    """
    cores = usable_cores()
    share = max((threads or len(cores)) // max(len(devices), 1), 1)
    visible = [name for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name]
    slots = []
    for number, device in enumerate(devices):
        if device == "cpu":
            bound = (cores[(number * share + n) % len(cores)] for n in range(min(share, len(cores))))
            slots.append(DeviceSlot("cpu", share, tuple(bound) if can_pin() else ()))
        elif device.isdecimal() and (not visible or int(device) < len(visible)):
            slots.append(DeviceSlot(visible[int(device)] if visible else device, share))
        else:
            count = f" ({len(visible)} are visible here)" if visible else ""
            raise InputError(f"`devices`: '{device}' is no device; list cpu or numbers of CUDA devices{count}")
    if not slots:
        raise InputError("`devices` is empty: list one or more, such as 0,1 or cpu,cpu")
    return slots

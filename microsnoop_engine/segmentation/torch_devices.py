"""Find the device of a segmentation network."""

from __future__ import annotations

from typing import Any

from ..errors import DeviceError, first_line


def torch_device(name: str, program: str) -> Any:
    """Return the torch.device of a name, if it can be used.

    Parameters
    ----------
    name : str
        ``cpu``, ``cuda``, ``cuda:1`` or ``mps``.
    program : str
        Name of the program that computes there, for messages.

    Returns
    -------
    torch.device

    Raises
    ------
    DeviceError
        If PyTorch cannot use it.
    """
    import torch

    try:
        return torch.empty(0, device=name).device
    except (RuntimeError, AssertionError) as error:
        raise DeviceError(
            f"PyTorch {torch.__version__} cannot use the device '{name}' for {program} ({first_line(error)}): use cpu"
        ) from error

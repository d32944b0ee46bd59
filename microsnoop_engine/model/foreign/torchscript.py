"""Run networks that are stored as TorchScript programs."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...errors import WeightsError, first_line
from ..network import Network
from .presentation import Presentation

PROGRAM = "encoder.program"
"""Name of the bytes of the program among the tensors of weights."""
_REFUSED = re.compile(rb"\.\s*(save|from_file|rpc_\w+)\b")
"""Operators of PyTorch that reach files and other computers."""


class TorchScriptNetwork(Network):
    """A network whose weights are a TorchScript program.

    Parameters
    ----------
    dimension : int
        Numbers in an embedding; the program decides.
    decoder : bool
        Not used: there is none.
    size : int
        Length of the program in bytes.
    presentation : mapping
        Of a gray channel (see :class:`.Presentation`).
    """

    def __init__(self, dimension: int, decoder: bool, size: int, presentation: Mapping[str, Any]) -> None:
        super().__init__()
        self.presentation = Presentation(**presentation)
        self.encoder = nn.Module()
        self.encoder.register_buffer("program", torch.zeros(size, dtype=torch.uint8))

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """Open the program, which takes the place of its bytes."""
        self.encoder = open_program(state_dict[PROGRAM].numpy().tobytes())

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, dimension) of unit length of crops (n, 1, s, s)."""
        return F.normalize(self.encoder(self.presentation(x)).float())


def open_program(program: bytes) -> nn.Module:
    """Open a TorchScript program, which PyTorch runs in an interpreter of its own, without Python.

    Parameters
    ----------
    program : bytes
        The contents of a ``.pt`` file of ``torch.jit.save``.

    Returns
    -------
    Module

    Raises
    ------
    WeightsError
        If it is no such program, or calls operators that reach files or other computers.
    """
    try:
        with ZipFile(io.BytesIO(program)) as archive:
            code = b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".py"))
    except BadZipFile:
        raise WeightsError("the file is no TorchScript program: it must be one of torch.jit.save") from None
    if found := _REFUSED.search(code):
        raise WeightsError(f"the TorchScript program calls '{found[1].decode()}', which does more than compute")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # bioimage.io packages have no other format
            load: Callable[..., nn.Module] = torch.jit.load
            return load(io.BytesIO(program), map_location="cpu").eval()
    except Exception as error:  # noqa: BLE001 damaged and foreign files fail in many ways
        raise WeightsError(f"the TorchScript program cannot be opened: {first_line(error)}") from None

"""Compute embeddings with PyTorch, on a GPU or on a CPU without OpenVINO."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import DeviceError, InputError, counted, first_line
from ..architectures import ARCHITECTURES, find_architecture
from ..checkpoints import Card
from ..devices import out_of_memory
from ..network import Network
from ..registry import build
from .torch_network import for_inference

log = logging.getLogger(__name__)

COMPILE_AFTER = 200_000
"""Number of crops in batches of one shape after which the network is compiled for it, which takes tens of seconds."""


class TorchBackend:
    """The encoder with PyTorch.

    Parameters
    ----------
    state : mapping of str to array
        Tensors by name.
    card : Card
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ... or ``mps``.
    precision : {'auto', 'float32', 'bfloat16', 'float16'}
        ``auto``: float16 on CUDA for networks whose numbers fit into it, float32 elsewhere.
    threads : int, optional
        CPU threads; by default all cores.

    Attributes
    ----------
    takes_tensors : bool
        Whether crops are best cut on the device and passed to :meth:`launch`.

    Raises
    ------
    WeightsError
        If the tensors do not fit the network.
    DeviceError
        If PyTorch cannot use the device.
    InputError
        If the precision does not suit the weights.
    """

    name = "torch"

    def __init__(
        self, state: Mapping[str, NDArray[Any]], card: Card, device: str, precision: str, threads: int | None
    ) -> None:
        check_device(device)
        self.device = device
        self.precision = _choose_precision(device, precision, card, whitened="whiten.weight" in state)
        self.takes_tensors = device.startswith("cuda")
        if threads:
            torch.set_num_threads(threads)
        self._network = build(state, card)
        self._frame = card.sees
        self._networks: dict[str, Network] = {}
        self._compiled = Compiled(self._network_in(self.precision).embed)

    def embed(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, dimension), rows of unit length, of crops (n, 1, s, s)."""
        on_device = torch.from_numpy(crops).to(self.device)
        return self.fetch(on_device, self.launch(on_device))()

    def launch(self, crops: Tensor) -> Tensor:
        """Begin to compute embeddings on the device.

        Parameters
        ----------
        crops : Tensor (n, 1, s, s), float32
            Crops on the device.

        Returns
        -------
        Tensor (n, dimension), float32
            Rows of unit length, which the device may still compute. Rows whose numbers exceed float16 are not finite.
        """
        with torch.inference_mode(), _true_float32():
            return self._compiled(crops) if self.takes_tensors else self._network_in(self.precision).embed(crops)

    def fetch(self, crops: Tensor, embeddings: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Return a function that waits for launched embeddings and returns them as an array.

        It computes crops whose numbers are too large for float16 again in float32.

        Parameters
        ----------
        crops : Tensor (n, 1, s, s)
            The crops that were launched.
        embeddings : Tensor (n, dimension)
            The result of :meth:`launch`.

        Returns
        -------
        callable
            Returns an array (n, dimension), float32.
        """
        host, done = _copy_to_host(embeddings)

        def wait() -> NDArray[np.float32]:
            done()
            result: NDArray[np.float32] = host.numpy()
            lost = ~np.isfinite(result).all(1)
            if lost.any() and self.precision != "float32":
                rows = torch.from_numpy(np.flatnonzero(lost)).to(crops.device)
                with torch.inference_mode(), _true_float32():
                    result[lost] = self._network_in("float32").embed(crops[rows]).cpu().numpy()
            return result

        return wait

    def _network_in(self, precision: str) -> Network:
        """Return the network for inference in a precision, built when it is first needed."""
        if precision not in self._networks:
            network = for_inference(self._network, self._frame, getattr(torch, precision))
            self._networks[precision] = network.eval().to(self.device)
        return self._networks[precision]


class Compiled:
    """A network that is compiled for each shape of batch that is frequent, if compiling works.

    Parameters
    ----------
    embed : callable
        The network: a function of crops (n, 1, s, s) that returns embeddings (n, dimension).
    after : int
        Number of crops in batches of one shape after which it is compiled for that shape.
    """

    def __init__(self, embed: Callable[[Tensor], Tensor], after: int = COMPILE_AFTER) -> None:
        self._embed, self._after = embed, after
        self._seen: Counter[torch.Size] = Counter()
        self._ready: dict[torch.Size, Callable[[Tensor], Tensor]] = {}

    def __call__(self, crops: Tensor) -> Tensor:
        """Compute the embeddings (n, dimension) of crops (n, 1, s, s)."""
        shape = crops.shape
        if shape in self._ready:
            return self._ready[shape](crops)
        self._seen[shape] += len(crops)
        if self._seen[shape] < self._after:
            return self._embed(crops)
        self._ready[shape] = self._compile(crops)
        return self._ready[shape](crops)

    def _compile(self, crops: Tensor) -> Callable[[Tensor], Tensor]:
        """Return the compiled network if it works and agrees with the plain one on these crops, else the plain one."""
        log.info("compiling the network for batches of %s of %d pixels", counted(len(crops), "crops"), crops.shape[-1])
        expected = self._embed(crops)
        try:
            compiled: Callable[[Tensor], Tensor] = torch.compile(self._embed, dynamic=False)
            if torch.allclose(compiled(crops), expected, atol=0.02, equal_nan=True):
                return compiled
            reason = "its embeddings differ"
        except Exception as error:  # compilers fail in many ways, and the plain network is as good
            if out_of_memory(error):
                raise
            reason = first_line(error)
        log.warning("the network cannot be compiled (%s): continuing a little slower", reason)
        return self._embed


def check_device(device: str) -> None:
    """Check that PyTorch can use a device.

    Parameters
    ----------
    device : str
        ``cpu``, ``cuda``, ``cuda:1``, ... or ``mps``.

    Raises
    ------
    DeviceError
        If it cannot; the message names the devices that exist.
    """
    kind, _, index = device.partition(":")
    count = {
        "cuda": lambda: torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }.get(kind, lambda: 1)()
    if not count:
        raise DeviceError(
            f"PyTorch {torch.__version__} finds no '{device}' device here: set `device` to cpu, or install a PyTorch "
            f"build with {kind.upper()} support"
        )
    if int(index or 0) >= count:
        raise DeviceError(f"there is no device '{device}': this computer has {kind}:0 to {kind}:{count - 1}")


def _choose_precision(device: str, precision: str, card: Card, whitened: bool) -> str:
    float16, cuda = find_architecture(card.architecture).float16, device.startswith("cuda")
    if precision == "bfloat16" and whitened:
        other = "float16 (or auto)" if float16 and cuda else "float32 (or auto)"
        raise InputError(
            f"the weights '{card.name}' are whitened, which makes the rounding errors of PyTorch's bfloat16 too "
            f"large: set `precision` to {other}"
        )
    if precision == "float16" and not float16:
        networks = ", ".join(name for name, architecture in ARCHITECTURES.items() if architecture.float16)
        raise InputError(f"`precision` float16 is for the networks {networks}: '{card.name}' is a {card.architecture}")
    if precision != "auto":
        return precision
    return "float16" if cuda and float16 else "float32"


def _true_float32() -> AbstractContextManager[None]:
    """Compute convolutions in float32 without rounding to TensorFloat-32."""
    context: AbstractContextManager[None] = torch.backends.cudnn.flags(enabled=True, allow_tf32=False)
    return context


def _copy_to_host(values: Tensor) -> tuple[Tensor, Callable[[], None]]:
    """Begin to copy values to the computer's memory; return the copy and a function that waits for its end."""
    if values.device.type != "cuda":
        return values.cpu(), lambda: None
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record(torch.cuda.current_stream(values.device))
    return host, event.synchronize

"""The backend of GPUs, and of CPUs without OpenVINO: PyTorch."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ...errors import DeviceError, InputError, first_line
from ..checkpoints import Card
from ..devices import out_of_memory
from ..registry import build
from .torch_network import for_inference

log = logging.getLogger(__name__)

COMPILE_AFTER = 200_000
"""Crops in batches of one shape after which the network is compiled for that shape, which takes tens of seconds."""


class TorchBackend:
    """The encoder through PyTorch; on CUDA it also takes crops that are on the device already.

    Attributes
    ----------
    takes_tensors : bool
        Whether crops are best cut on the device and given to :meth:`launch`.
    """

    name = "torch"

    def __init__(self, state: dict[str, np.ndarray], card: Card, device: str, precision: str, threads: int | None):
        _check_device(device)
        self.device = device
        self.precision = _choose_precision(device, precision, card, whitened="whiten.weight" in state)
        self.takes_tensors = device.startswith("cuda")
        if threads:
            torch.set_num_threads(threads)
        self._network = build(state, card)
        self._frame = card.input_size
        self._networks: dict[str, torch.nn.Module] = {}
        self._compiled = Compiled(self._of(self.precision).embed)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (n, 256) of crops (n, 1, s, s)."""
        crops = torch.from_numpy(crops).to(self.device)
        return self.fetch(crops, self.launch(crops))()

    def launch(self, crops: Tensor) -> Tensor:
        """Begin to compute the embeddings (n, 256) of crops (n, 1, s, s), float32, on the device."""
        with torch.inference_mode(), _true_float32():
            return self._compiled(crops) if self.takes_tensors else self._of(self.precision).embed(crops)

    def fetch(self, crops: Tensor, embeddings: Tensor) -> Callable[[], np.ndarray]:
        """What waits for launched embeddings and returns them in the computer's memory.

        Crops whose numbers are too large for float16 are computed once more in float32.
        """
        host, done = _copy_to_host(embeddings)

        def wait() -> np.ndarray:
            done()
            result = host.numpy()
            lost = ~np.isfinite(result).all(1)
            if lost.any() and self.precision != "float32":
                chosen = torch.from_numpy(np.flatnonzero(lost)).to(crops.device)
                with torch.inference_mode(), _true_float32():
                    result[lost] = self._of("float32").embed(crops[chosen]).cpu().numpy()
            return result

        return wait

    def _of(self, precision: str) -> torch.nn.Module:
        if precision not in self._networks:
            network = for_inference(self._network, self._frame, getattr(torch, precision))
            self._networks[precision] = network.eval().to(self.device)
        return self._networks[precision]


class Compiled:
    """A network that is compiled for the shapes of batch that come often, where compiling works.

    Parameters
    ----------
    embed : callable
        The network, crops (n, 1, s, s) to embeddings.
    after : int
        Crops in batches of one shape after which it is compiled for that shape.
    """

    def __init__(self, embed: Callable[[Tensor], Tensor], after: int = COMPILE_AFTER):
        self._embed, self._after = embed, after
        self._seen: Counter[torch.Size] = Counter()
        self._ready: dict[torch.Size, Callable[[Tensor], Tensor]] = {}

    def __call__(self, crops: Tensor) -> Tensor:
        """Embeddings of crops."""
        shape = crops.shape
        if shape in self._ready:
            return self._ready[shape](crops)
        self._seen[shape] += len(crops)
        if self._seen[shape] < self._after:
            return self._embed(crops)
        self._ready[shape] = self._compile(crops)
        return self._ready[shape](crops)

    def _compile(self, crops: Tensor) -> Callable[[Tensor], Tensor]:
        """The compiled network if it starts and says of these crops what the plain one says, else the plain one."""
        log.info("compiling the network for batches of %d crops of %d pixels", len(crops), crops.shape[-1])
        wanted = self._embed(crops)
        try:
            compiled = torch.compile(self._embed, dynamic=False)
            if torch.allclose(compiled(crops), wanted, atol=0.02, equal_nan=True):
                return compiled
            reason = "its embeddings differ"
        except Exception as error:
            if out_of_memory(error):
                raise
            reason = first_line(error)
        log.warning("the network is not compiled, and a little slower (%s)", reason)
        return self._embed


def _check_device(device: str) -> None:
    kind, _, index = device.partition(":")
    found = {
        "cuda": lambda: torch.cuda.device_count() if torch.cuda.is_available() else 0,
        "mps": lambda: int(torch.backends.mps.is_available()),
    }.get(kind, lambda: 1)()
    if not found:
        raise DeviceError(
            f"PyTorch {torch.__version__} finds no '{device}' device here: use --device cpu, or install a PyTorch "
            f"build with {kind.upper()} support"
        )
    if int(index or 0) >= found:
        raise DeviceError(f"there is no device '{device}': this computer has {kind}:0 to {kind}:{found - 1}")


def _choose_precision(device: str, precision: str, card: Card, whitened: bool) -> str:
    windowed, cuda = card.architecture == "unet", device.startswith("cuda")
    if precision == "bfloat16" and whitened:
        other = "float16 (or auto)" if windowed and cuda else "float32 (or auto)"
        raise InputError(
            f"the weights '{card.name}' are whitened, which makes the rounding errors of PyTorch's bfloat16 too "
            f"large: use --precision {other}"
        )
    if precision == "float16" and not windowed:
        raise InputError(f"float16 is for the paper's network, '{card.name}' is a {card.architecture}")
    if precision != "auto" or not cuda:
        return "float32" if precision == "auto" else precision
    if windowed:
        return "float16"
    return "bfloat16" if torch.cuda.is_bf16_supported() and not whitened else "float32"


def _true_float32():
    """Convolutions in float32 are not rounded to TensorFloat-32 on the way."""
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def _copy_to_host(values: Tensor) -> tuple[Tensor, Callable[[], None]]:
    """Begin to copy values to the computer's memory; the copy, and what waits until it is there."""
    if values.device.type != "cuda":
        return values.cpu(), lambda: None
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    host.copy_(values, non_blocking=True)
    event = torch.cuda.Event()
    event.record(torch.cuda.current_stream(values.device))
    return host, event.synchronize

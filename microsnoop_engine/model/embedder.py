"""Crops in, embeddings out: one interface over OpenVINO (CPU) and PyTorch (CUDA, MPS, CPU)."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np

from ..errors import DeviceError, InputError, WeightsError
from .checkpoints import DEFAULT, Card, load_weights

if TYPE_CHECKING:
    from torch import Tensor
from .devices import best_device, device_lock, halving
from .frame import SIZES

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")


class Backend(Protocol):
    """Compute embeddings.

    Attributes
    ----------
    name, device, precision : str
    takes_tensors : bool
        Whether crops are best cut on the device; then the backend is a :class:`TensorBackend`.
    """

    name: str
    device: str
    precision: str
    takes_tensors: bool

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Compute the embeddings (n, d) of crops (n, 1, s, s)."""


class TensorBackend(Backend, Protocol):
    """Compute embeddings of crops that are on the device already."""

    def launch(self, crops: Tensor) -> Tensor:
        """Begin to compute the embeddings (n, d) of crops (n, 1, s, s), float32."""

    def fetch(self, crops: Tensor, embeddings: Tensor) -> Callable[[], np.ndarray]:
        """Begin to copy launched embeddings to the computer's memory; return the function that waits for them."""


class Embedder:
    """Turns crops into embeddings.

    Parameters
    ----------
    model : str or Path
        Name of shipped weights, or a ``.safetensors`` file.
    device : {'auto', 'cpu', 'cuda', 'cuda:0', 'cuda:1', .., 'mps'}
        ``auto`` takes a GPU where there is one.
    precision : {'auto', 'float32', 'bfloat16', 'float16'}
        ``auto`` takes bfloat16 on a CPU that computes it natively, float16 on CUDA.
    backend : {'auto', 'openvino', 'torch'}
        ``auto`` takes OpenVINO on the CPU where it is installed, PyTorch otherwise.
    batch_size : int, optional
        Crops per call of the network; by default 32 on a CPU and 256 on a GPU.
    threads : int, optional
        CPU threads; by default all cores.

    Raises
    ------
    WeightsError, DeviceError, InputError

    Examples
    --------
    >>> embedder = Embedder("microsnoop-base")
    >>> embedder.embed(np.zeros((3, 1, 224, 224), dtype=np.float32)).shape
    (3, 256)
    """

    def __init__(
        self,
        model: str | Path = DEFAULT,
        device: str = "auto",
        precision: str = "auto",
        backend: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ):
        if not re.fullmatch(r"cuda:\d+", device):
            _check_choice("device", device, DEVICES)
        _check_choice("precision", precision, PRECISIONS)
        _check_choice("backend", backend, ("auto", "openvino", "torch"))
        for name, value in (("batch size", batch_size), ("threads", threads)):
            if value is not None and value < 1:
                raise InputError(f"{name} is {value}: give 1 or more")
        state, self.card = load_weights(model)
        if self.card.input_size != SIZES[-1]:
            raise WeightsError(f"'{model}' is for crops of {self.card.input_size} pixels: crops here have {SIZES[-1]}")
        self.backend = _choose_backend(state, self.card, device, precision, backend, threads)
        self.batch_size = batch_size or (32 if self.device == "cpu" else 256)
        log.info("%s on %s, %s, %s", self.card.name, self.device, self.backend.name, self.precision)

    @property
    def device(self) -> str:
        """The device in use."""
        return self.backend.device

    @property
    def precision(self) -> str:
        """The precision in use."""
        return self.backend.precision

    @property
    def takes_tensors(self) -> bool:
        """Whether crops are cut on the device, and given to :meth:`start`."""
        return self.backend.takes_tensors

    def start(self, crops: Tensor) -> Callable[[], np.ndarray]:
        """Begin to embed crops (n, 1, s, s), float32, that are on the device; what is returned waits for the result.

        At most ``batch_size`` of them, which shrinks where memory runs out.
        """
        import torch

        backend = cast(TensorBackend, self.backend)
        with device_lock(self.device):
            embeddings, largest = halving(backend.launch, crops, torch.cat)
        if largest < len(crops):
            self.batch_size = largest
        return backend.fetch(crops, embeddings)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings of crops.

        Parameters
        ----------
        crops : array (n, 1, s, s), float32
            Normalized crops. With s < 224 (s is one of ``SIZES``) a crop stands for itself in the middle of a frame
            of zeros.

        Returns
        -------
        array (n, 256), float32
            Rows of unit length.
        """
        crops = np.ascontiguousarray(crops, dtype=np.float32)
        if crops.ndim != 4 or crops.shape[1] != 1 or crops.shape[2] != crops.shape[3] or crops.shape[3] not in SIZES:
            raise InputError(f"crops have shape {crops.shape}: give (n, 1, s, s) with s one of {SIZES}")
        result = np.empty((len(crops), self.card.dimension), np.float32)
        start = 0
        while start < len(crops):  # the batch size shrinks where memory runs out
            part = self._embed_batch(crops[start : start + self.batch_size])
            result[start : start + len(part)] = part
            start += len(part)
        return result

    def _embed_batch(self, crops: np.ndarray) -> np.ndarray:
        with device_lock(self.device):
            result, largest = halving(self.backend.embed, crops)
        if largest < len(crops):
            self.batch_size = largest
        return result


def _choose_backend(
    state: dict[str, np.ndarray], card: Card, device: str, precision: str, backend: str, threads: int | None
) -> Backend:
    if device == "auto":
        device = "cpu" if backend == "openvino" else best_device()
    if device != "cpu" and backend == "openvino":
        raise InputError("the OpenVINO backend runs on the CPU: use --device cpu")
    if backend == "openvino" and card.architecture != "unet":
        raise InputError(f"the OpenVINO backend runs the paper's network, '{card.name}' is a {card.architecture}")
    if backend == "openvino" and precision == "float16":
        raise InputError("the OpenVINO backend computes in float32 or bfloat16")
    if precision == "float16" and device == "cpu" and backend == "auto":
        raise InputError("float16 is for GPUs: use --precision auto on a CPU")
    if device == "cpu" and backend != "torch" and card.architecture == "unet":
        try:
            from .backends.openvino_backend import OpenVinoBackend

            return OpenVinoBackend(state, card, precision, threads)
        except ImportError:
            if backend == "openvino":
                raise DeviceError("OpenVINO is not installed: pip install openvino") from None
            log.warning("OpenVINO is not installed: using PyTorch, which is slower on a CPU (pip install openvino)")
    from .backends.torch_backend import TorchBackend

    return TorchBackend(state, card, device, precision, threads)


def _check_choice(setting: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{setting} is '{value}': give one of {', '.join(choices)}")

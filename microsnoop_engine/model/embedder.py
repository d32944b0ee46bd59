"""Turn crops into embeddings, with OpenVINO (CPU) or PyTorch (CUDA, MPS, CPU)."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import DeviceError, InputError, first_line, torch_needed
from .architectures import ARCHITECTURES, has_graph
from .backends.backend import Backend, TensorBackend
from .checkpoints import DEFAULT, Card, load_weights
from .devices import best_device, device_lock, halving
from .frame import Frame
from .side_by_side import SEPARATOR, SideBySide, joint_card

if TYPE_CHECKING:
    from torch import Tensor

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16", "float16")
BACKENDS = ("auto", "openvino", "torch")
CPU_BATCH, GPU_BATCH = 64, 256
"""Crops per call of the network, where the caller does not set it."""


class Embedder:
    """Turn crops into embeddings.

    Parameters
    ----------
    model : str or Path
        Name of shipped weights, or a ``.safetensors`` file; several joined by ``+`` have their numbers side by side.
    device : {'auto', 'cpu', 'cuda', 'cuda:0', 'cuda:1', ..., 'mps'}
        ``auto``: a GPU if there is one.
    precision : {'auto', 'float32', 'bfloat16', 'float16'}
        ``auto``: bfloat16 for the compact network on a CPU that computes it natively, float16 for that and the paper's
        network on CUDA, else float32.
    backend : {'auto', 'openvino', 'torch'}
        ``auto``: OpenVINO on the CPU if it is installed, PyTorch otherwise.
    batch_size : int, optional
        Crops per call of the network; by default 64 on a CPU and 256 on a GPU.
    threads : int, optional
        CPU threads; by default all cores.

    Attributes
    ----------
    card : Card
        The card of the weights.
    backend : Backend
    batch_size : int
        Crops per call of the network; it shrinks if memory runs out.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged or of another network.
    DeviceError
        If the device or backend is not available.
    InputError
        If settings are unknown or do not fit together.

    Examples
    --------
    >>> embedder = Embedder("fast")
    >>> embedder.embed(np.zeros((3, 1, 128, 128), dtype=np.float32)).shape
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
    ) -> None:
        names = [model] if isinstance(model, Path) or Path(model).is_file() else model.split(SEPARATOR)
        self._open([load_weights(name) for name in names], device, precision, backend, batch_size, threads)

    @classmethod
    def from_state(
        cls,
        state: Mapping[str, NDArray[Any]],
        card: Card,
        *,
        device: str = "auto",
        precision: str = "auto",
        backend: str = "auto",
        batch_size: int | None = None,
        threads: int | None = None,
    ) -> Embedder:
        """Create an embedder from tensors in memory.

        Parameters
        ----------
        state : mapping of str to array
            Tensors by name, as :func:`microsnoop_engine.model.checkpoints.load_weights` returns them.
        card : Card
            Their card.
        device, precision, backend, batch_size, threads
            As for the class.

        Returns
        -------
        Embedder

        Raises
        ------
        WeightsError, DeviceError, InputError
            As for the class.
        """
        embedder = cls.__new__(cls)
        embedder._open([(state, card)], device, precision, backend, batch_size, threads)
        return embedder

    def _open(
        self,
        weights: Sequence[tuple[Mapping[str, NDArray[Any]], Card]],
        device: str,
        precision: str,
        backend: str,
        batch_size: int | None,
        threads: int | None,
    ) -> None:
        if not re.fullmatch(r"cuda:\d+", device):
            _check_choice("device", device, DEVICES)
        _check_choice("precision", precision, PRECISIONS)
        _check_choice("backend", backend, BACKENDS)
        for name, value in (("batch_size", batch_size), ("threads", threads)):
            if value is not None and value < 1:
                raise InputError(f"`{name}` is {value}: the smallest value is 1")
        cards = [card for _, card in weights]
        self.card = cards[0] if len(cards) == 1 else joint_card(cards)
        backends = [_choose_backend(state, card, device, precision, backend, threads) for state, card in weights]
        self.backend: Backend = backends[0] if len(backends) == 1 else SideBySide(backends)
        self._backend_lock = threading.Lock()
        self.batch_size = batch_size or (CPU_BATCH if self.device == "cpu" else GPU_BATCH)
        log.info("%s on %s, %s, %s", self.card.name, self.device, self.backend.name, self.precision)

    @property
    def frame(self) -> Frame:
        """What the network sees of a crop."""
        return self.card.sees

    @property
    def device(self) -> str:
        """Device in use."""
        return self.backend.device

    @property
    def precision(self) -> str:
        """Precision in use."""
        return self.backend.precision

    @property
    def takes_tensors(self) -> bool:
        """Whether crops are best cut on the device and passed to :meth:`start`."""
        return self.backend.takes_tensors

    def start(self, crops: Tensor) -> Callable[[], NDArray[np.float32]]:
        """Begin to embed crops that are on the device.

        Parameters
        ----------
        crops : Tensor (n, 1, s, s), float32
            Normalized crops as for :meth:`embed`, at most ``batch_size`` of them.

        Returns
        -------
        callable
            Waits for the embeddings and returns them, (n, dimension), float32.

        Raises
        ------
        InputError
            If the backend takes arrays only.
        DeviceError
            If the device's memory is too small for a single crop.
        """
        import torch

        if not isinstance(self.backend, TensorBackend):
            raise InputError(f"the backend '{self.backend.name}' takes arrays only: use `embed`")
        with device_lock(self.device):
            embeddings, size = halving(self.backend.launch, crops, torch.cat)
        if size < len(crops):
            self.batch_size = size
        return self.backend.fetch(crops, embeddings)

    def embed(self, crops: ArrayLike) -> NDArray[np.float32]:
        """Compute the embeddings of crops.

        Parameters
        ----------
        crops : array (n, 1, s, s)
            Normalized crops: percentiles 1 and 99 of the pixels are 0 and 1 (Xun et al. 2023, Methods). s is one of
            ``frame.sizes``, in pixels. In a frame of zeros, a crop smaller than 224 is embedded as its middle.

        Returns
        -------
        array (n, dimension), float32
            Rows of unit length.

        Raises
        ------
        InputError
            If the crops have another shape.
        DeviceError
            If the device's memory is too small for a single crop.
        """
        batch = np.ascontiguousarray(crops, dtype=np.float32)
        sizes = self.frame.sizes
        if batch.ndim != 4 or batch.shape[1] != 1 or batch.shape[2] != batch.shape[3] or batch.shape[3] not in sizes:
            raise InputError(f"`crops` have shape {batch.shape}: it must be (n, 1, s, s) with s one of {sizes}")
        result = np.empty((len(batch), self.card.dimension), np.float32)
        start = 0
        while start < len(batch):  # the batch size shrinks where memory runs out
            part = batch[start : start + self.batch_size]
            # a measurement that was canceled may still run its last batch in another thread
            with device_lock(self.device), self._backend_lock:
                result[start : start + len(part)], size = halving(self.backend.embed, part)
            if size < len(part):
                self.batch_size = size
            start += len(part)
        return result


def _choose_backend(
    state: Mapping[str, NDArray[Any]], card: Card, device: str, precision: str, backend: str, threads: int | None
) -> Backend:
    if device == "auto":
        device = "cpu" if backend == "openvino" else best_device()
    if device != "cpu" and backend == "openvino":
        raise InputError(f"`backend` openvino computes on the CPU: set `device` to cpu, not {device}")
    graph = has_graph(card.architecture, card.frame)
    if backend == "openvino" and not graph:
        networks = ", ".join(name for name, architecture in ARCHITECTURES.items() if architecture.graphs)
        raise InputError(f"`backend` openvino runs the networks {networks}: '{card.name}' is a {card.architecture}")
    if backend == "openvino" and precision == "float16":
        raise InputError("`backend` openvino computes in float32 or bfloat16, not in float16")
    if precision == "float16" and device == "cpu" and backend == "auto":
        raise InputError("`precision` float16 is for GPUs: use auto on a CPU")
    if device == "cpu" and backend != "torch" and graph:
        try:
            from .backends.openvino_backend import OpenVinoBackend

            return OpenVinoBackend(state, card, precision, threads)
        except ImportError as error:
            problem = _openvino_problem(error)
            if backend == "openvino":
                raise DeviceError(problem) from None
            log.warning("%s. Using PyTorch, which is slower on a CPU", problem)
    try:
        from .backends.torch_backend import TorchBackend
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise torch_needed(f"`device` {device}" if graph else f"the network '{card.architecture}'") from None
    return TorchBackend(state, card, device, precision, threads)


def _openvino_problem(error: ImportError) -> str:
    """Describe why OpenVINO cannot be imported, and what to do."""
    try:
        installed = f"OpenVINO {version('openvino')} cannot be used ({first_line(error)})"
    except PackageNotFoundError:
        installed = "OpenVINO is not installed"
    return f"{installed}: pip install 'openvino>=2025.0'"


def _check_choice(setting: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"`{setting}` is '{value}': choose {', '.join(choices)}")

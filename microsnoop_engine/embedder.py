"""Crops in, embeddings out: one interface over OpenVINO (CPU) and PyTorch (CUDA, MPS, CPU)."""

from __future__ import annotations

import logging
import os
import platform
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Protocol

import numpy as np

from .checkpoints import DEFAULT, Card, load_weights
from .errors import DeviceError, InputError, WeightsError, first_line

log = logging.getLogger(__name__)

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "float32", "bfloat16")
SIZES = (48, 64, 80, 96, 128, 160, 224)
"""Sizes of crop for which a graph of its own pays, in pixels; a crop goes into the next larger one."""


class Backend(Protocol):
    """What computes embeddings."""

    name: str
    device: str
    precision: str

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (n, 256) of crops (n, 1, s, s)."""


class OpenVinoBackend:
    """The encoder on the CPU through OpenVINO; a graph per size of crop, compiled when it is first needed."""

    name = "openvino"
    device = "cpu"

    def __init__(self, state: dict[str, np.ndarray], card: Card, precision: str, threads: int | None):
        # otherwise OpenVINO's import reports itself to Google Analytics, from a process that it forks off this one
        sys.modules.setdefault("openvino_telemetry", None)
        import openvino as ov

        from .openvino_network import EncoderGraphs

        self._core = ov.Core()
        has_bfloat16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not has_bfloat16:
            raise DeviceError("this processor has no bfloat16 arithmetic: use --precision float32 (or auto)")
        self.precision = "bfloat16" if has_bfloat16 and precision != "float32" else "float32"
        self._config = {"INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32"}
        if threads:
            self._config["INFERENCE_NUM_THREADS"] = threads
        self._graphs = EncoderGraphs(state, card)
        names = ("whiten.weight", "whiten.bias")
        self._whitening = [state[name].astype(np.float32) for name in names if name in state]
        self._compiled: dict[int, ov.CompiledModel] = {}

    def embed(self, crops: np.ndarray) -> np.ndarray:
        size = crops.shape[-1]
        if size not in self._compiled:
            self._compiled[size] = self._core.compile_model(self._graphs.build(size), "CPU", self._config)
        embeddings = np.array(self._compiled[size](crops)[0])
        if self._whitening:
            weight, bias = self._whitening
            embeddings = embeddings @ weight.T + bias
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings


class TorchBackend:
    """The encoder through PyTorch, on the whole frame."""

    name = "torch"

    def __init__(self, state: dict[str, np.ndarray], card: Card, device: str, precision: str, threads: int | None):
        import torch

        from .architectures import build

        self._torch = torch
        if (device == "cuda" and not torch.cuda.is_available()) or (
            device == "mps" and not torch.backends.mps.is_available()
        ):
            raise DeviceError(
                f"PyTorch {torch.__version__} finds no '{device}' device here: use --device cpu, or install a PyTorch "
                f"build with {device.upper()} support"
            )
        self.device = device
        whitened = "whiten.weight" in state
        if whitened and precision == "bfloat16":
            raise InputError(
                f"the weights '{card.name}' are whitened, which makes the rounding errors of PyTorch's bfloat16 too "
                "large: use --precision float32 (or auto)"
            )
        if precision == "auto":
            fits = device == "cuda" and torch.cuda.is_bf16_supported() and not whitened
            precision = "bfloat16" if fits else "float32"
        self.precision = precision
        if threads:
            torch.set_num_threads(threads)
        self._frame = card.input_size
        self._model = build(state, card).to(device, memory_format=torch.channels_last)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        torch = self._torch
        before = (self._frame - crops.shape[-1]) // 2
        after = self._frame - crops.shape[-1] - before
        autocast = torch.autocast(self.device, torch.bfloat16) if self.precision == "bfloat16" else nullcontext()
        with torch.inference_mode(), autocast:
            x = torch.from_numpy(crops).to(self.device)
            x = torch.nn.functional.pad(x, (before, after, before, after))
            x = x.contiguous(memory_format=torch.channels_last)
            return self._model.embed(x).float().cpu().numpy()


class Embedder:
    """Turns crops into embeddings.

    Parameters
    ----------
    model : str or Path
        Name of shipped weights, or a ``.safetensors`` file.
    device : {'auto', 'cpu', 'cuda', 'mps'}
        ``auto`` takes a GPU where there is one.
    precision : {'auto', 'float32', 'bfloat16'}
        ``auto`` takes bfloat16 where the device computes it natively.
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

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings of crops.

        Parameters
        ----------
        crops : array (n, 1, s, s), float32
            Normalised crops. With s < 224 (s is one of ``SIZES``) a crop stands for itself in the middle of a frame
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


def halving(embed: Callable[[np.ndarray], np.ndarray], crops: np.ndarray) -> tuple[np.ndarray, int]:
    """``embed(crops)``, in halves (quarters, ..) where memory runs out; also the largest part that fitted.

    Raises
    ------
    DeviceError
        If not even one crop fits.
    """
    parts, start, size = [], 0, len(crops)
    while start < len(crops):
        part = crops[start : start + size]
        try:
            parts.append(embed(part))
            start += size
            continue
        except Exception as error:
            if not _out_of_memory(error):
                raise
            reason = first_line(error)
        # outside of the handler, where the error's traceback no longer holds the failed attempt's memory
        if len(part) == 1:
            raise DeviceError(f"not even one crop fits into the device's memory: close other programs ({reason})")
        size = len(part) // 2
        log.warning("out of memory with %d crops at once: going on with %d", len(part), size)
    return np.concatenate(parts), size


_MEMORY_SIGNS = ("out of memory", "can't allocate memory", "not enough memory", "bad_alloc", "bad allocation")


def _out_of_memory(error: Exception) -> bool:
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(sign in text for sign in _MEMORY_SIGNS)
    )


def device_lock(device: str):
    """A lock between processes, held while a GPU works, so that several workers share its memory in turn."""
    if device == "cpu":
        return nullcontext()
    import tempfile

    from filelock import FileLock

    owner = os.getuid() if hasattr(os, "getuid") else "user"
    return FileLock(Path(tempfile.gettempdir()) / f"microsnoop-{device}-{owner}.lock")


def _choose_backend(
    state: dict[str, np.ndarray], card: Card, device: str, precision: str, backend: str, threads: int | None
) -> Backend:
    if device == "auto":
        device = "cpu" if backend == "openvino" else best_device()
    if device != "cpu" and backend == "openvino":
        raise InputError("the OpenVINO backend runs on the CPU: use --device cpu")
    if backend == "openvino" and card.architecture != "unet":
        raise InputError(f"the OpenVINO backend runs the paper's network, '{card.name}' is a {card.architecture}")
    if device == "cpu" and backend != "torch" and card.architecture == "unet":
        try:
            return OpenVinoBackend(state, card, precision, threads)
        except ImportError:
            if backend == "openvino":
                raise DeviceError("OpenVINO is not installed: pip install openvino") from None
            log.warning("OpenVINO is not installed: using PyTorch, which is slower on a CPU (pip install openvino)")
    return TorchBackend(state, card, device, precision, threads)


def best_device() -> str:
    """CUDA or MPS where PyTorch can use it; PyTorch is not even imported where no such device is to be expected."""
    if sys.platform == "darwin" and platform.machine() == "arm64":
        import torch

        return "mps" if torch.backends.mps.is_available() else "cpu"
    nvidia = (
        Path("/dev/nvidiactl"),
        Path("/dev/dxg"),
        Path(os.environ.get("SYSTEMROOT", "/none"), "System32/nvcuda.dll"),
    )
    if any(path.exists() for path in nvidia):
        import torch

        return "cuda" if torch.cuda.is_available() else "cpu"
    return "cpu"


def _check_choice(setting: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{setting} is '{value}': give one of {', '.join(choices)}")

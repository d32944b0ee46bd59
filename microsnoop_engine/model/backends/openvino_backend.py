"""Compute embeddings on a CPU with OpenVINO."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ..checkpoints import Card

if TYPE_CHECKING:
    import openvino as ov


STABLE_IN_BFLOAT16 = ("compact",)
"""Architectures whose cells move by less than 0.05 of their standard deviations (benchmarks/results/precision.md)."""


class Graphs(Protocol):
    """Build the graphs of an encoder."""

    def build(self, size: int) -> ov.Model:
        """Build the graph of crops (n, 1, size, size)."""
        ...

    def finish(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, dimension) of unit length of what a graph returns."""
        ...


class OpenVinoBackend:
    """The encoder as OpenVINO graphs, one per size of crop, each compiled when it is first needed.

    Parameters
    ----------
    state : mapping of str to array
        Tensors by name.
    card : Card
    precision : {'auto', 'float32', 'bfloat16'}
        ``auto``: bfloat16 if the CPU computes it natively and the embeddings stay where they are in float32.
    threads : int, optional
        By default all cores.

    Raises
    ------
    WeightsError
        If tensors of the encoder are missing.
    DeviceError
        If the CPU has no bfloat16 arithmetic.
    """

    name = "openvino"
    device = "cpu"
    takes_tensors = False

    def __init__(self, state: Mapping[str, NDArray[Any]], card: Card, precision: str, threads: int | None) -> None:
        # otherwise OpenVINO's import reports itself to Google Analytics, from a process that it forks off this one
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        import openvino as ov

        from .openvino_compact import CompactGraphs
        from .openvino_unet import UnetGraphs

        self._core = ov.Core()
        has_bfloat16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not has_bfloat16:
            raise DeviceError("this CPU has no bfloat16 arithmetic: set `precision` to auto or float32")
        stable = card.architecture in STABLE_IN_BFLOAT16
        rounded = has_bfloat16 and (precision == "bfloat16" or (precision == "auto" and stable))
        self.precision = "bfloat16" if rounded else "float32"
        self._config: dict[str, str | int] = {
            "INFERENCE_PRECISION_HINT": "bf16" if self.precision == "bfloat16" else "f32"
        }
        if threads:
            self._config["INFERENCE_NUM_THREADS"] = threads
        graphs: dict[str, Callable[..., Graphs]] = {"unet": UnetGraphs, "compact": CompactGraphs}
        self._graphs = graphs[card.architecture](state, card)
        names = ("whiten.weight", "whiten.bias")
        self._whitening = [state[name].astype(np.float32) for name in names if name in state]
        self._compiled: dict[int, ov.CompiledModel] = {}

    def embed(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, dimension), rows of unit length, of crops (n, 1, s, s)."""
        size = crops.shape[-1]
        if size not in self._compiled:
            self._compiled[size] = self._core.compile_model(self._graphs.build(size), "CPU", self._config)
        embeddings = self._graphs.finish(np.array(self._compiled[size](crops)[0]))
        if self._whitening:
            weight, bias = self._whitening
            embeddings = embeddings @ weight.T + bias
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings

"""Compute embeddings on a CPU with OpenVINO."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...errors import DeviceError
from ..architectures import find_architecture
from ..checkpoints import Card
from ..frame import LARGEST

if TYPE_CHECKING:
    import openvino as ov


class Graphs(Protocol):
    """Build the graphs of an encoder.

    Attributes
    ----------
    bfloat16_limit : int
        Height and width in pixels of the largest crops whose features bfloat16 keeps as they are in float32: the mean
        of cells within 0.05 of their standard deviation, the cosine at least 0.999, also where all pixels outside an
        object are zero (benchmarks/precision.py).
    """

    bfloat16_limit: int

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
        ``auto``: bfloat16 if the CPU computes it natively and it keeps the features (see :class:`Graphs`), for crops
        of each size by themselves.
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

        self._core = ov.Core()
        has_bfloat16 = "BF16" in self._core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if precision == "bfloat16" and not has_bfloat16:
            raise DeviceError("this CPU has no bfloat16 arithmetic: set `precision` to auto or float32")
        self._config: dict[str, str | int] = {"INFERENCE_NUM_THREADS": threads} if threads else {}
        self._graphs: Graphs = find_architecture(card.architecture).load_graphs()(state, card)
        limits = {"auto": self._graphs.bfloat16_limit if has_bfloat16 else 0, "bfloat16": LARGEST, "float32": 0}
        self._bfloat16_limit = limits[precision]
        self.precision = "bfloat16" if self._bfloat16_limit else "float32"
        names = ("whiten.weight", "whiten.bias")
        self._whitening = [state[name].astype(np.float32) for name in names if name in state]
        self._queues: dict[int, ov.AsyncInferQueue] = {}

    def embed(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, dimension), rows of unit length, of crops (n, 1, s, s)."""
        embeddings = self._graphs.finish(self._run(np.asarray(crops)))
        if self._whitening:
            weight, bias = self._whitening
            embeddings = embeddings @ weight.T + bias
            embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        return embeddings

    def _run(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute a graph's result for crops, which its streams share."""
        queue = self._queue(crops.shape[-1])
        parts = np.array_split(crops, min(len(queue), len(crops)))
        results: list[NDArray[np.float32]] = [np.empty(0, np.float32)] * len(parts)

        def keep(request: ov.InferRequest, place: int) -> None:
            results[place] = np.array(request.get_output_tensor().data)

        queue.set_callback(keep)
        for place, part in enumerate(parts):
            queue.start_async(part, place)
        queue.wait_all()
        return np.concatenate(results)

    def _queue(self, size: int) -> ov.AsyncInferQueue:
        """Return the streams of a size of crop; cores that work by themselves never wait for each other."""
        import openvino as ov

        if size not in self._queues:
            precision = "bf16" if size <= self._bfloat16_limit else "f32"
            config = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT", **self._config}
            self._queues[size] = ov.AsyncInferQueue(self._core.compile_model(self._graphs.build(size), "CPU", config))
        return self._queues[size]

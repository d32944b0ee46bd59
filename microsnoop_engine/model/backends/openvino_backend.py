"""The backend of CPUs: OpenVINO."""

from __future__ import annotations

import sys

import numpy as np

from ...errors import DeviceError
from ..checkpoints import Card


class OpenVinoBackend:
    """The encoder on the CPU through OpenVINO; a graph per size of crop, compiled when it is first needed."""

    name = "openvino"
    device = "cpu"
    takes_tensors = False

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

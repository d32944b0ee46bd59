"""Build the compact encoder as OpenVINO graphs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as op

from ...errors import WeightsError, counted
from ..checkpoints import Card


class CompactGraphs:
    """Build the graph of :class:`microsnoop_engine.model.compact.Compact` for each size of crop.

    Parameters
    ----------
    state : mapping of str to array
        The encoder's tensors.
    card : Card
        Their card.

    Raises
    ------
    WeightsError
        If tensors of the encoder are missing.
    """

    bfloat16_limit = 160

    def __init__(self, state: Mapping[str, NDArray[Any]], card: Card) -> None:
        self._weights = {key: np.asarray(value, dtype=np.float32) for key, value in state.items()}
        stages = {int(key.split(".")[2]) for key in state if key.startswith("encoder.stages.")}
        self._stages = 1 + max(stages, default=0)
        blocks = [f"encoder.stages.{n}.{k}" for n in range(self._stages) for k in range(2)]
        norms = ["encoder.stem.norm", "encoder.norm", *(f"{block}.norm{k}" for block in blocks for k in (1, 2))]
        convs = ["encoder.stem.conv1", "encoder.stem.conv2", *(f"{block}.conv{k}" for block in blocks for k in (1, 2))]
        expected = [f"{name}.{part}" for name in norms for part in ("weight", "bias", "running_mean", "running_var")]
        expected += [f"{name}.weight" for name in (*convs, "encoder.out")] + ["encoder.out.bias"]
        if missing := [key for key in expected if key not in state]:
            raise WeightsError(
                f"the weights '{card.name}' lack {counted(len(missing), 'tensors')}, such as {missing[0]}"
            )

    def build(self, size: int) -> ov.Model:
        """Build the graph from crops (n, 1, size, size) to the means of the deepest maps (n, width).

        The linear layer is not part of it (see :meth:`finish`): with bfloat16, OpenVINO computes what follows the last
        convolution in float32, and another product here would round the means to bfloat16.

        Parameters
        ----------
        size : int
            Height and width of the crops in pixels.

        Returns
        -------
        openvino.Model
        """
        crops = op.parameter([-1, 1, size, size], np.float32, name="crops")
        x = self._convolve("encoder.stem.conv1", crops, stride=2, norm="encoder.stem.norm")
        x = self._convolve("encoder.stem.conv2", op.relu(x), stride=2)
        for n in range(self._stages):
            if n:
                x = op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
            for k in range(2):
                x = self._block(f"encoder.stages.{n}.{k}", x)
        mean = op.reduce_mean(op.relu(self._normalize("encoder.norm", x)), [2, 3])
        return ov.Model([op.result(mean)], [crops], f"microsnoop-compact-{size}")

    def finish(self, means: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, dimension) of unit length of the means (n, width) that a graph returns."""
        embeddings = means @ self._weights["encoder.out.weight"].T + self._weights["encoder.out.bias"]
        norms: NDArray[np.float32] = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return np.asarray(embeddings / np.maximum(norms, 1e-12), np.float32)

    def _block(self, name: str, x: ov.Node) -> ov.Node:
        y = op.relu(self._normalize(f"{name}.norm1", x))
        y = op.relu(self._convolve(f"{name}.conv1", y, norm=f"{name}.norm2"))
        y = self._convolve(f"{name}.conv2", y)
        project = f"{name}.proj"
        return op.add(self._convolve(project, x) if f"{project}.weight" in self._weights else x, y)

    def _convolve(self, name: str, x: ov.Node, stride: int = 1, norm: str | None = None) -> ov.Node:
        """Convolve, with the BatchNorm that follows folded into the kernels."""
        kernel = self._weights[f"{name}.weight"]
        if norm:
            gain, shift = self._affine(norm)
            kernel = kernel * gain[:, None, None, None]
        pads = [kernel.shape[2] // 2] * 2
        x = op.convolution(x, kernel, [stride, stride], pads, pads, [1, 1])
        return op.add(x, shift.reshape(1, -1, 1, 1)) if norm else x

    def _normalize(self, name: str, x: ov.Node) -> ov.Node:
        gain, shift = self._affine(name)
        return op.add(op.multiply(x, gain.reshape(1, -1, 1, 1)), shift.reshape(1, -1, 1, 1))

    def _affine(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return gain and shift (width,) of a BatchNorm."""
        weight, bias, mean, variance = (
            self._weights[f"{name}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = weight / np.sqrt(variance + np.float32(1e-5))
        return gain, bias - mean * gain

"""Build the paper's encoder as OpenVINO graphs that compute only what a crop changes in the frame of zeros around it.

:mod:`.receptive_field` says which part of each stage that is. The result equals that of the whole frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset15 as op

from ...errors import WeightsError, counted
from ..checkpoints import Card
from .receptive_field import StageWindow, stage_windows


class UnetGraphs:
    """Build the graph of the encoder for each size of crop.

    Parameters
    ----------
    state : mapping of str to array
        The encoder's tensors (see :func:`microsnoop_engine.model.checkpoints.load_weights`).
    card : Card
        Their card.

    Raises
    ------
    WeightsError
        If tensors of the encoder are missing.
    """

    bfloat16_limit = 0

    def __init__(self, state: Mapping[str, NDArray[Any]], card: Card) -> None:
        self._weights = {key: np.asarray(value, dtype=np.float32) for key, value in state.items()}
        self._stages = 1 + max((int(key.split(".")[1]) for key in state if key.startswith("encoder.")), default=0)
        self._frame = card.sees
        parts = ("proj", *(f"convs.{k}" for k in range(4)))
        tensors = ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "conv.weight", "conv.bias")
        expected = [f"encoder.{n}.{part}.{tensor}" for n in range(self._stages) for part in parts for tensor in tensors]
        if missing := [key for key in expected if key not in state]:
            raise WeightsError(
                f"the weights '{card.name}' lack {counted(len(missing), 'tensors')}, such as {missing[0]}"
            )
        self._backgrounds: list[NDArray[np.float32]] | None = None

    def build(self, size: int) -> ov.Model:
        """Build the graph from crops (n, 1, size, size) to embeddings (n, dimension).

        Crops are seen in the middle of a frame of zeros or by themselves, as the card says. Whitening is not part of
        it: with bfloat16, OpenVINO computes what follows the last convolution or product in float32. With another
        product here the means would be rounded to bfloat16, where that matters most.

        Parameters
        ----------
        size : int
            Height and width of the crops in pixels, even.

        Returns
        -------
        openvino.Model
        """
        crops = op.parameter([-1, 1, size, size], np.float32, name="crops")
        deepest, edge = self._window(crops, size)
        total = op.reduce_sum(deepest, [2, 3])
        if edge:
            outside = self._background()[-1].copy()
            _inner(outside, edge)[:] = 0
            total = op.add(total, outside.sum((2, 3)))
        mean = op.divide(total, np.float32((self._side(size) >> (self._stages - 1)) ** 2))
        unit = op.normalize_l2(mean, op.constant([1]), 1e-24, "max")
        return ov.Model([op.result(unit)], [crops], f"microsnoop-{size}")

    def finish(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the embeddings, which a graph computes completely."""
        return values

    def _side(self, size: int) -> int:
        """Return the height and width of all that the network sees with a crop."""
        return self._frame.size if self._frame.zeros else size

    def _background(self) -> list[NDArray[np.float32]]:
        """Compute the input of each stage, then the output of the last one, for a frame of zeros."""
        if self._backgrounds is None:
            side = self._frame.size
            frame = op.parameter([1, 1, side, side], np.float32)
            maps, x = [], frame
            for n, window in enumerate(stage_windows(side, side, self._stages)):
                maps.append(x if n == 0 else _pool(x))
                x = self._stage(n, maps[-1], window)
            model = ov.Model([op.result(node) for node in (*maps, x)], [frame], "background")
            compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            zeros = np.zeros((1, 1, side, side), np.float32)
            self._backgrounds = [np.array(value) for value in compiled(zeros).values()]
        return self._backgrounds

    def _window(self, x: ov.Node, size: int) -> tuple[ov.Node, int]:
        """Compute the deepest map where it differs from the background, and that square's distance from the edge."""
        windows = stage_windows(size, self._side(size), self._stages)
        for n, window in enumerate(windows):
            x = self._stage(n, self._surround(n, x, window), window)
            if n < self._stages - 1:
                x = _pool(x)
        return x, windows[-1].edges[-1]

    def _surround(self, n: int, x: ov.Node, window: StageWindow) -> ov.Node:
        """Surround what the crop changed with background, up to the part of the stage's input that is read."""
        width = window.changed - window.edges[0]
        if not width:
            return x
        ring = _inner(self._background()[n], window.edges[0]).copy()
        ring[:, :, width:-width, width:-width] = 0
        x = op.pad(x, [0, 0, width, width], [0, 0, width, width], "constant", np.float32(0))
        return op.add(x, ring) if ring.any() else x

    def _stage(self, n: int, x: ov.Node, window: StageWindow) -> ov.Node:
        name, edges, pads = f"encoder.{n}", window.edges, window.padding
        c = [f"{name}.convs.{k}" for k in range(4)]
        h = self._norm_conv(c[1], self._norm_conv(c[0], x, pads[0]), pads[1])
        x = op.add(self._norm_conv(f"{name}.proj", _cut(x, edges[2] - edges[0]), relu=False), h)
        h = self._norm_conv(c[3], self._norm_conv(c[2], x, pads[2]), pads[3])
        return op.add(_cut(x, edges[4] - edges[2]), h)

    def _norm_conv(self, name: str, x: ov.Node, padding: int = 0, relu: bool = True) -> ov.Node:
        w = self._weights
        gain = w[f"{name}.norm.weight"] / np.sqrt(w[f"{name}.norm.running_var"] + 1e-5)
        shift = w[f"{name}.norm.bias"] - w[f"{name}.norm.running_mean"] * gain
        x = op.add(op.multiply(x, gain.reshape(1, -1, 1, 1)), shift.reshape(1, -1, 1, 1))
        pad = [padding] * 2
        x = op.convolution(op.relu(x) if relu else x, w[f"{name}.conv.weight"], [1, 1], pad, pad, [1, 1])
        return op.add(x, w[f"{name}.conv.bias"].reshape(1, -1, 1, 1))


def _pool(x: ov.Node) -> ov.Node:
    return op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)


def _cut(x: ov.Node, edge: int) -> ov.Node:
    """Cut ``edge`` pixels off each side of a map."""
    return op.slice(x, [edge, edge], [-edge, -edge], [1, 1], [2, 3]) if edge else x


def _inner(x: NDArray[np.float32], edge: int) -> NDArray[np.float32]:
    """Return a view without ``edge`` pixels at each side of a map."""
    return x[:, :, edge:-edge, edge:-edge] if edge else x

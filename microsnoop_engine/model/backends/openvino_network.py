"""The encoder as OpenVINO graphs, computed only where a crop differs from the zeros around it.

See :mod:`.receptive_field` for which part of each stage that is. The result equals that of the whole frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset15 as op

from ...errors import WeightsError
from ..checkpoints import Card
from .receptive_field import StageWindow, stage_windows


class EncoderGraphs:
    """Builds the graph of the encoder for each size of crop.

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

    def __init__(self, state: Mapping[str, np.ndarray], card: Card):
        self._weights = {key: np.asarray(value, dtype=np.float32) for key, value in state.items()}
        self._stages = 1 + max((int(key.split(".")[1]) for key in state if key.startswith("encoder.")), default=0)
        self._frame = card.input_size
        parts = ("proj", *(f"convs.{k}" for k in range(4)))
        tensors = ("norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "conv.weight", "conv.bias")
        wanted = [f"encoder.{n}.{part}.{tensor}" for n in range(self._stages) for part in parts for tensor in tensors]
        if missing := [key for key in wanted if key not in state]:
            raise WeightsError(f"the weights '{card.name}' lack {len(missing)} tensors: {', '.join(missing[:5])}, ..")
        self._backgrounds: list[np.ndarray] | None = None

    def build(self, size: int) -> ov.Model:
        """The graph from crops (n, 1, size, size), in the middle of a zero frame, to embeddings (n, 256).

        Whitening is not in it: with bfloat16, OpenVINO keeps what follows the last convolution or product in float32,
        and a product here would end that where it matters most.
        """
        crops = op.parameter([-1, 1, size, size], np.float32, name="crops")
        deepest, edge = self._window(crops, size)
        total = op.reduce_sum(deepest, [2, 3])
        if edge:
            outside = self._background()[-1].copy()
            _inner(outside, edge)[:] = 0
            total = op.add(total, outside.sum((2, 3)))
        mean = op.divide(total, np.float32((self._frame >> (self._stages - 1)) ** 2))
        unit = op.normalize_l2(mean, op.constant([1]), 1e-24, "max")
        return ov.Model([op.result(unit)], [crops], f"microsnoop-{size}")

    def _background(self) -> list[np.ndarray]:
        """What each stage receives, then what the last one answers, of a frame of zeros."""
        if self._backgrounds is None:
            frame = op.parameter([1, 1, self._frame, self._frame], np.float32)
            maps, x = [], frame
            for n, place in enumerate(stage_windows(self._frame, self._frame, self._stages)):
                maps.append(x if n == 0 else _pool(x))
                x = self._stage(n, maps[-1], place)
            model = ov.Model([op.result(node) for node in (*maps, x)], [frame], "background")
            compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            zeros = np.zeros((1, 1, self._frame, self._frame), np.float32)
            self._backgrounds = [np.array(value) for value in compiled(zeros).values()]
        return self._backgrounds

    def _window(self, x: ov.Node, size: int) -> tuple[ov.Node, int]:
        """The deepest map where it differs from the background, and how far that is from the map's edge."""
        places = stage_windows(size, self._frame, self._stages)
        for n, place in enumerate(places):
            x = self._stage(n, self._surround(n, x, place), place)
            if n < self._stages - 1:
                x = _pool(x)
        return x, places[-1].edges[-1]

    def _surround(self, n: int, x: ov.Node, place: StageWindow) -> ov.Node:
        """The part of a stage's input that is read: what the crop changed, within the background."""
        width = place.changed - place.edges[0]
        if not width:
            return x
        ring = _inner(self._background()[n], place.edges[0]).copy()
        ring[:, :, width:-width, width:-width] = 0
        x = op.pad(x, [0, 0, width, width], [0, 0, width, width], "constant", np.float32(0))
        return op.add(x, ring) if ring.any() else x

    def _stage(self, n: int, x: ov.Node, place: StageWindow) -> ov.Node:
        name, edges, pads = f"encoder.{n}", place.edges, place.padding
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
    """A map without that many pixels at each edge."""
    return op.slice(x, [edge, edge], [-edge, -edge], [1, 1], [2, 3]) if edge else x


def _inner(x: np.ndarray, edge: int) -> np.ndarray:
    return x[:, :, edge:-edge, edge:-edge] if edge else x

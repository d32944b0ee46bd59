"""The encoder as OpenVINO graphs, computed only where a crop differs from the zeros around it.

A crop of s < 224 pixels stands in the middle of a frame of zeros. Away from the crop every stage answers with a fixed
background map that depends on the weights alone, and each stage (four 3x3 convolutions) carries the crop's influence
4 pixels further. So a stage is computed on the changed window plus 8 pixels of background on each side, of which the
outer 4, spoiled by the cut, are dropped again. The result equals the computation over the whole frame.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import openvino as ov
from openvino import opset15 as op

from .checkpoints import Card
from .errors import WeightsError

REACH = 4
"""Pixels by which the four 3x3 convolutions of a stage spread a change."""


class EncoderGraphs:
    """Builds the graph of the encoder for each size of crop.

    Parameters
    ----------
    state : mapping of str to array
        The encoder's tensors (see :func:`microsnoop_engine.checkpoints.load_weights`).
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
        start, stop = (self._frame - size) // 2, (self._frame + size) // 2
        if size == self._frame:
            deepest = self._maps(crops)[-1]
            total = op.reduce_sum(deepest, [2, 3])
        else:
            deepest, start, stop = self._window(crops, start, stop)
            outside = self._background()[-1].copy()
            outside[:, :, start:stop, start:stop] = 0
            total = op.add(op.reduce_sum(deepest, [2, 3]), outside.sum((2, 3)))
        mean = op.divide(total, np.float32((self._frame >> (self._stages - 1)) ** 2))
        unit = op.normalize_l2(mean, op.constant([1]), 1e-24, "max")
        return ov.Model([op.result(unit)], [crops], f"microsnoop-{size}")

    def _maps(self, x: ov.Node) -> list[ov.Node]:
        """What each stage receives, then what the last one answers, over the whole frame."""
        maps = []
        for n in range(self._stages):
            maps.append(x)
            x = self._stage(n, x)
            if n < self._stages - 1:
                x = _pool(x)
        return [*maps, x]

    def _background(self) -> list[np.ndarray]:
        """:meth:`_maps` of a frame of zeros."""
        if self._backgrounds is None:
            frame = op.parameter([1, 1, self._frame, self._frame], np.float32)
            model = ov.Model([op.result(x) for x in self._maps(frame)], [frame], "background")
            compiled = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
            zeros = np.zeros((1, 1, self._frame, self._frame), np.float32)
            self._backgrounds = [np.array(value) for value in compiled(zeros).values()]
        return self._backgrounds

    def _window(self, x: ov.Node, start: int, stop: int) -> tuple[ov.Node, int, int]:
        """The deepest map where it differs from the background, and where that is."""
        for n in range(self._stages):
            background = self._background()[n]
            length = background.shape[-1]
            # the window that the stage changes; its edges are even so that pooling sees whole pairs
            new_start, new_stop = max(start - REACH, 0), min(stop + REACH, length)
            new_start, new_stop = new_start - new_start % 2, new_stop + new_stop % 2
            patch_start, patch_stop = max(new_start - REACH, 0), min(new_stop + REACH, length)
            ring = background[:, :, patch_start:patch_stop, patch_start:patch_stop].copy()
            inner = slice(start - patch_start, stop - patch_start)
            ring[:, :, inner, inner] = 0
            before, after = start - patch_start, patch_stop - stop
            x = op.pad(x, [0, 0, before, before], [0, 0, after, after], "constant", np.float32(0))
            if ring.any():
                x = op.add(x, ring)
            x = self._stage(n, x)
            low, high = new_start - patch_start, new_stop - patch_start
            x = op.slice(x, [low, low], [high, high], [1, 1], [2, 3])
            start, stop = new_start, new_stop
            if n < self._stages - 1:
                x, start, stop = _pool(x), start // 2, stop // 2
        return x, start, stop

    def _stage(self, n: int, x: ov.Node) -> ov.Node:
        name = f"encoder.{n}"
        c = [f"{name}.convs.{k}" for k in range(4)]
        x = op.add(self._norm_conv(f"{name}.proj", x, relu=False), self._norm_conv(c[1], self._norm_conv(c[0], x)))
        return op.add(x, self._norm_conv(c[3], self._norm_conv(c[2], x)))

    def _norm_conv(self, name: str, x: ov.Node, relu: bool = True) -> ov.Node:
        w = self._weights
        gain = w[f"{name}.norm.weight"] / np.sqrt(w[f"{name}.norm.running_var"] + 1e-5)
        shift = w[f"{name}.norm.bias"] - w[f"{name}.norm.running_mean"] * gain
        x = op.add(op.multiply(x, gain.reshape(1, -1, 1, 1)), shift.reshape(1, -1, 1, 1))
        kernel = w[f"{name}.conv.weight"]
        pad = [kernel.shape[-1] // 2] * 2
        x = op.convolution(op.relu(x) if relu else x, kernel, [1, 1], pad, pad, [1, 1])
        return op.add(x, w[f"{name}.conv.bias"].reshape(1, -1, 1, 1))


def _pool(x: ov.Node) -> ov.Node:
    return op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)

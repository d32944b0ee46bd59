"""The ImageNet network MobileNetV1 (Howard et al. 2017; Keras weights) as an OpenVINO graph: 1024 numbers per channel.

The embedding is the global average pool of the twelfth block, of one channel repeated three times, as is usual where
natural-image networks look at microscopy. As in Keras every convolution is 'same': one of stride 2 on an even size pads
only after the image.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from get_data import DATA

WEIGHTS = DATA / "peers" / "mobilenet_v1_1.0_224_imagenet_partial.npz"
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2)
"""Of the blocks 1 to 12."""
FRAME = 224


class MobileNet:
    """The network, compiled for the CPU; stands where the engine's embedder stands.

    Parameters
    ----------
    weights : Path
        An ``.npz`` file with the tensors under their Keras names, "/" written as "__".
    threads : int
        0 for all cores.
    """

    batch_size = 32
    takes_tensors = False
    dimension = 1024

    def __init__(self, weights: Path = WEIGHTS, threads: int = 0):
        sys.modules.setdefault("openvino_telemetry", None)  # see microsnoop_engine.model.embedder
        import openvino as ov

        with np.load(weights) as tensors:
            model = build(dict(tensors))
        config = {"INFERENCE_NUM_THREADS": threads} if threads else {}
        self._network = ov.Core().compile_model(model, "CPU", config)

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (n, 1024) of crops (n, 1, s, s), clipped to 0..1; smaller ones stand in the middle of zeros."""
        before = (FRAME - crops.shape[-1]) // 2
        margin = (before, FRAME - crops.shape[-1] - before)
        images = np.pad(crops.clip(0, 1), ((0, 0), (0, 0), margin, margin))
        return np.array(self._network(np.repeat(2 * images - 1, 3, axis=1).astype(np.float32))[0])


def build(tensors: dict[str, np.ndarray], outputs: list[str] | None = None):
    """The graph from images (n, 3, 224, 224), -1 to 1, to embeddings (n, 1024).

    Parameters
    ----------
    tensors : dict of str to array
    outputs : list of str, optional
        Convolutions ('conv1', 'conv_dw_1', ..) whose maps, not yet normalized, the graph gives as well.
    """
    import openvino as ov
    from openvino import opset15 as op

    maps = {}

    def normalize(name: str, x):
        maps[name] = x
        gamma, beta, mean, variance = (
            tensors[f"{name}_bn__{part}"] for part in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        gain = gamma / np.sqrt(variance + 1e-3)
        x = op.add(op.multiply(x, gain.reshape(1, -1, 1, 1)), (beta - mean * gain).reshape(1, -1, 1, 1))
        return op.clamp(x, 0.0, 6.0)

    def convolve(name: str, x, kernel: np.ndarray, stride: int):
        pads = {(1, 1): (0, 0), (3, 1): (1, 1), (3, 2): (0, 1)}[kernel.shape[-1], stride]
        function = op.group_convolution if kernel.ndim == 5 else op.convolution
        return normalize(name, function(x, kernel, [stride] * 2, [pads[0]] * 2, [pads[1]] * 2, [1, 1]))

    images = op.parameter([-1, 3, 224, 224], np.float32, name="images")
    x = convolve("conv1", images, tensors["conv1__kernel"].transpose(3, 2, 0, 1), 2)
    for n, stride in enumerate(STRIDES, start=1):
        depthwise = tensors[f"conv_dw_{n}__depthwise_kernel"].transpose(2, 3, 0, 1)[:, :, None]
        x = convolve(f"conv_dw_{n}", x, depthwise, stride)
        x = convolve(f"conv_pw_{n}", x, tensors[f"conv_pw_{n}__kernel"].transpose(3, 2, 0, 1), 1)
    results = [op.reduce_mean(x, [2, 3]), *(maps[name] for name in outputs or [])]
    return ov.Model([op.result(x) for x in results], [images], "mobilenet")

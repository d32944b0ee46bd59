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

from microsnoop_engine.model.frame import Frame

WEIGHTS = DATA / "peers" / "mobilenet_v1_1.0_224_imagenet_partial.npz"
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2)
"""Of the blocks 1 to 12."""
PEER_FRAME = Frame(128, zeros=False)
"""How networks of photographs see a crop: by itself, with 128 pixels where it is to fill the frame."""


class MobileNet:
    """The network, compiled for the CPU at each size of crop; stands where the engine's embedder stands.

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
    frame = PEER_FRAME

    def __init__(self, weights: Path = WEIGHTS, threads: int = 0):
        with np.load(weights) as tensors:
            self._tensors = dict(tensors)
        self._config = {"INFERENCE_NUM_THREADS": threads} if threads else {}
        self._compiled: dict = {}

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (n, 1024) of crops (n, 1, s, s), clipped to 0..1; s even."""
        sys.modules.setdefault("openvino_telemetry", None)  # see microsnoop_engine.model.backends.openvino_backend
        import openvino as ov

        size = crops.shape[-1]
        if size not in self._compiled:
            model = build(self._tensors, size=size)
            self._compiled[size] = ov.Core().compile_model(model, "CPU", self._config)
        images = np.repeat(2 * crops.clip(0, 1) - 1, 3, axis=1)
        return np.array(self._compiled[size](images.astype(np.float32))[0])


def build(tensors: dict[str, np.ndarray], outputs: list[str] | None = None, size: int = 224):
    """The graph from images (n, 3, size, size), -1 to 1, to embeddings (n, 1024).

    Parameters
    ----------
    tensors : dict of str to array
    outputs : list of str, optional
        Convolutions ('conv1', 'conv_dw_1', ...) whose maps, not yet normalized, the graph gives as well.
    size : int
        Even.
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

    images = op.parameter([-1, 3, size, size], np.float32, name="images")
    x = convolve("conv1", images, tensors["conv1__kernel"].transpose(3, 2, 0, 1), 2)
    for n, stride in enumerate(STRIDES, start=1):
        depthwise = tensors[f"conv_dw_{n}__depthwise_kernel"].transpose(2, 3, 0, 1)[:, :, None]
        x = convolve(f"conv_dw_{n}", x, depthwise, stride)
        x = convolve(f"conv_pw_{n}", x, tensors[f"conv_pw_{n}__kernel"].transpose(3, 2, 0, 1), 1)
    results = [op.reduce_mean(x, [2, 3]), *(maps[name] for name in outputs or [])]
    return ov.Model([op.result(x) for x in results], [images], "mobilenet")

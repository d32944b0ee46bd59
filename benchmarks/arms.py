"""The ways to turn cells into numbers that are compared: each takes images (n, c, h, w) and returns (n, p)."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import microsnoop_engine
from microsnoop_engine.model.checkpoints import DEFAULT, Card, find_weights, load_weights, save_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.resizing import resize
from microsnoop_engine.modes.settings import CropSettings

MODES = {
    "resize": CropSettings(mode="image"),
    "pad": CropSettings(mode="single-cell"),
    "resize 128": CropSettings(mode="single-cell", resize=128),
}
CROPPING = ("modes/measure.py", "modes/batcher.py", "modes/crops.py", "modes/regions.py", "modes/normalization.py")
"""Files of the engine whose change changes what a network is given."""


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
    """

    name: str
    key: str
    embed: Callable[[np.ndarray], np.ndarray]

    def features(self, images: np.ndarray, folder: Path) -> tuple[np.ndarray, float]:
        """Features (n, p) of images (n, c, h, w) and the seconds they took, from the cache folder if known there."""
        content = hashlib.sha256(images.tobytes() + self.key.encode()).hexdigest()[:20]
        path = folder / f"{content}.npz"
        if path.exists():
            with np.load(path) as known:
                return known["features"], float(known["seconds"])
        began = time.perf_counter()
        features = self.embed(images)
        seconds = time.perf_counter() - began
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
            np.savez(file, features=features, seconds=seconds)
        Path(file.name).replace(path)
        return features, seconds


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
    open : callable
        Returns an object with ``embed``, ``batch_size`` and ``takes_tensors``, as an Embedder has.
    """

    name: str
    key: str
    dimension: int
    open: Callable[[], Any]

    def arm(self, mode: str) -> Arm:
        """The arm that gives every cell to the network: resized to 224 pixels, padded, or resized to 128 and padded."""
        return Arm(
            f"{self.name}, {mode}",
            f"{self.key} {mode} {source_key(*CROPPING)}",
            lambda images: self.cells(images, mode),
        )

    def cells(self, images: np.ndarray, mode: str) -> np.ndarray:
        """Embeddings (n, c * dimension) of images (n, c, h, w); the others' mean where a crop cannot be normalized."""
        batcher = Batcher(self.open())
        parts = [start_measurement(batcher, image, None, MODES[mode], self.dimension) for image in images]
        batcher.flush()
        features = np.concatenate([part.features for part in parts])
        return np.where(np.isnan(features), np.nanmean(features, axis=0), features)


def microsnoop(weights: str | Path = DEFAULT, threads: int = 0, name: str = "") -> Network:
    """The package's own network with the weights of that name or file."""
    path = find_weights(weights)
    card = load_weights(path)[1]
    opened = cache(lambda: Embedder(path, device="cpu", threads=threads or None))
    key = f"{card.sha256} {source_key('model/backends/openvino_unet.py')}"
    return Network(name or Path(weights).stem, key, card.dimension, opened)


def untrained(folder: Path, threads: int = 0, seed: int = 0) -> Network:
    """The same network as it was before any training; its weights are written to the folder."""
    import torch

    from microsnoop_engine.model.unet import Microsnoop

    torch.manual_seed(seed)
    state = Microsnoop(decoder=False).state_dict()
    state = {key: value.numpy() for key, value in state.items() if not key.endswith("num_batches_tracked")}
    path = folder / "untrained.safetensors"
    save_weights(state, Card("untrained"), path)
    return microsnoop(path, threads)


def imagenet(threads: int = 0) -> Network:
    """MobileNetV1 trained on ImageNet, each channel as a gray image."""
    from mobilenet import MobileNet

    return Network("ImageNet MobileNet", "mobilenet", MobileNet.dimension, cache(lambda: MobileNet(threads=threads)))


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

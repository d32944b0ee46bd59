"""The ways to turn cells into numbers that are compared: each takes images (n, c, h, w) and returns (n, p)."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import microsnoop_engine
from microsnoop_engine.checkpoints import DEFAULT, Card, find_weights, load_weights, save_weights
from microsnoop_engine.embedder import Embedder
from microsnoop_engine.measuring import Batcher, start_measurement
from microsnoop_engine.modes import CropSettings
from microsnoop_engine.windows import resize

MODES = {"resize": CropSettings(mode="image"), "pad": CropSettings(mode="single-cell")}
INFLUENCES = ("measuring.py", "modes.py", "openvino_network.py", "windows.py")
"""Files of the engine whose change changes embeddings."""


@dataclass(frozen=True)
class Arm:
    """One way.

    Attributes
    ----------
    name : str
        In tables.
    key : str
        Changes whenever its numbers would; empty where they are not worth keeping.
    embed : callable
        Images (n, c, h, w) to features (n, p).
    """

    name: str
    key: str
    embed: Callable[[np.ndarray], np.ndarray]

    def features(self, images: np.ndarray, cache: Path | None) -> np.ndarray:
        """Features (n, p) of images (n, c, h, w), read from the cache where they are known."""
        if not self.key or cache is None:
            return self.embed(images)
        content = hashlib.sha256(images.tobytes() + self.key.encode()).hexdigest()[:20]
        path = cache / f"{content}.npy"
        if path.exists():
            return np.load(path)
        features = self.embed(images)
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=cache, delete=False) as file:
            np.save(file, features)
        Path(file.name).replace(path)
        return features


def microsnoop_arm(weights: str | Path = DEFAULT, mode: str = "resize", name: str = "", threads: int = 0) -> Arm:
    """The package's own network with the weights of that name or file; the cell resized to 224 pixels or padded."""
    path = find_weights(weights)
    embedder: list[Embedder] = []  # built when first needed: cached features need none

    def embed(images: np.ndarray) -> np.ndarray:
        if not embedder:
            embedder.append(Embedder(path, device="cpu", threads=threads or None))
        return embed_cells(embedder[0], images, MODES[mode])

    return Arm(f"{name or Path(weights).stem}, {mode}", f"{load_weights(path)[1].sha256} {mode} {_engine()}", embed)


def untrained_arm(folder: Path, mode: str = "resize", seed: int = 0, threads: int = 0) -> Arm:
    """The same network as it was before any training; its weights are written to the folder."""
    import torch

    from microsnoop_engine.model import Microsnoop

    torch.manual_seed(seed)
    state = Microsnoop(decoder=False).state_dict()
    state = {key: value.numpy() for key, value in state.items() if not key.endswith("num_batches_tracked")}
    path = folder / "untrained.safetensors"
    save_weights(state, Card("untrained"), path)
    return microsnoop_arm(path, mode, "untrained", threads)


def embed_cells(embedder: Embedder, images: np.ndarray, settings: CropSettings) -> np.ndarray:
    """Embeddings (n, c * 256) of images (n, c, h, w), each one crop; zeros where a channel cannot be normalised."""
    batcher = Batcher(embedder)
    parts = [start_measurement(batcher, image, None, settings, embedder.card.dimension) for image in images]
    batcher.flush()
    return np.nan_to_num(np.concatenate([part.features for part in parts]))


def pixels_arm(size: int = 32) -> Arm:
    """The pixels themselves, scaled down."""

    def embed(images: np.ndarray) -> np.ndarray:
        small = [[resize(plane, (size, size)) for plane in image] for image in images]
        return np.asarray(small).reshape(len(images), -1)

    return Arm("raw pixels", "", embed)


def _engine() -> str:
    folder = Path(microsnoop_engine.__file__).parent
    return hashlib.sha256(b"".join((folder / name).read_bytes() for name in INFLUENCES)).hexdigest()

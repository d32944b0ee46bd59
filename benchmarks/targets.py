"""Targets for `microsnoop train --set targets=FILE`: places of the training images, and embeddings by other networks.

Every place is a square as large as a cell, enlarged to 224 pixels and turned at random. Its target is the shipped
weights' embedding beside the ImageNet network's, each whitened on the training images and of unit length.

    python benchmarks/targets.py --places 24000 --out out/targets.npz
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import torch
from arms import imagenet, microsnoop
from representation import REPOSITORY

from microsnoop_engine.checkpoints import find_weights, read_card
from microsnoop_engine.pool import read_pool
from microsnoop_engine.targets import Targets
from microsnoop_engine.training_batches import Batches
from microsnoop_engine.training_config import make_config
from microsnoop_engine.whitening import AS_SHOWN, BATCH, FRAME, LARGEST, SMALLEST

POOL = REPOSITORY.parent / "shared" / "data" / "pool"
IMAGENET = "MobileNetV1 1.0/224 of Keras, trained on ImageNet, 12th block averaged"
KEPT = 256
"""Principal components of the ImageNet embedding that are kept."""
REGULARISATION = 0.3
"""Added to their variances, as a share of the mean of all."""


def main() -> None:
    """Draw the places, embed them, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=24000)
    parser.add_argument("--weights", default="microsnoop-base")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "targets.npz")
    options = parser.parse_args()
    scales = {"scale_low": FRAME / LARGEST, "scale_high": FRAME / SMALLEST}
    config = make_config("contrast", {**AS_SHOWN, **scales, "candidates": 2, "seed": options.seed})
    pool = read_pool(POOL)
    batches = Batches(pool, config, torch.device("cpu"))
    networks = [microsnoop(options.weights, options.threads).open(), imagenet(options.threads).open()]
    began, places, embeddings = time.monotonic(), [], [[] for _ in networks]
    for step in range(options.places // BATCH):
        drawn = batches.places(step)
        crops = batches.crops(drawn).numpy()
        keep = crops.max((1, 2, 3)) > 0
        places.append(np.column_stack([drawn.plane, drawn.center, FRAME / drawn.scale])[keep])
        for found, network in zip(embeddings, networks, strict=True):
            found.append(network.embed(crops[keep]))
        if step % 50 == 49:
            print(f"{(step + 1) * BATCH} places, {time.monotonic() - began:.0f} s", flush=True)
    own, other = (np.concatenate(found) for found in embeddings)
    target = np.hstack([own, whitened(other)]).astype(np.float16)
    plane, y, x, side = np.concatenate(places).T
    card = read_card(find_weights(options.weights))
    says = (f"{card.name}, sha256 {card.sha256}", IMAGENET)
    targets = Targets(plane.astype(np.int32), np.column_stack([y, x]).astype(np.float32), side, target, says)
    targets.save(options.out, pool)


def whitened(embeddings: np.ndarray) -> np.ndarray:
    """The leading principal components (n, 256), nearly of equal variance, each row of unit length."""
    centered = embeddings - embeddings.mean(0)
    values, vectors = np.linalg.eigh(centered.T @ centered / len(centered))
    deviation = np.sqrt(values[-KEPT:] + REGULARISATION * values.mean())
    result = centered @ (vectors[:, -KEPT:] / deviation)
    return result / np.linalg.norm(result, axis=1, keepdims=True)


if __name__ == "__main__":
    main()

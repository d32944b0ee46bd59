"""Whiten an encoder on crops of the training images, and write it with its card.

    python benchmarks/whiten_weights.py compact-gpu.safetensors compact 160 fast.safetensors --training card.json

The encoder is a safetensors file of bare tensors. The whitening is fitted at the size at which the weights are used.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

import numpy as np
import torch
from eval_sets import FOLDER
from safetensors.numpy import load_file

from microsnoop_engine.model.checkpoints import Card, save_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.trainer.batches import Batches
from microsnoop_engine.trainer.config import make_config
from microsnoop_engine.trainer.pool import read_pool
from microsnoop_engine.trainer.whitening import crops_like_cells, fit_whitening

CROPS = 2048
STEM = {
    "encoder.stem.0.": "encoder.stem.conv1.",
    "encoder.stem.1.": "encoder.stem.norm.",
    "encoder.stem.3.": "encoder.stem.conv2.",
}


def main() -> None:
    """Read, whiten and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoder", type=Path, help="safetensors file of the encoder's tensors")
    parser.add_argument("architecture")
    parser.add_argument("size", type=int, help="height and width of the crops, in pixels")
    parser.add_argument("out", type=Path, help="the new .safetensors file; its name is that of the weights")
    parser.add_argument("--training", type=Path, help="JSON file with the card's account of the training")
    parser.add_argument("--pool", type=Path, default=FOLDER.parent / "pool")
    options = parser.parse_args()
    state = {renamed(key): value for key, value in load_file(options.encoder).items() if "num_batches" not in key}
    card = Card(
        options.out.stem,
        options.architecture,
        input_size=options.size,
        frame="crop",
        training=json.loads(options.training.read_text()) if options.training else {},
        license="BSD-3-Clause",
    )
    batches = Batches(read_pool(options.pool), make_config("base"), torch.device("cpu"))
    embedder = Embedder.from_state(state, card, device="cpu", precision="float32")
    crops = crops_like_cells(batches, CROPS, card.sees)
    weight, bias = fit_whitening(np.concatenate([embedder.embed(part.numpy()) for part in crops]))
    save_weights(state | {"whiten.weight": weight, "whiten.bias": bias}, card, options.out)
    print(options.out, card.architecture, card.input_size)


def renamed(key: str) -> str:
    """Name a tensor of the prototype as the package does."""
    for old, new in STEM.items():
        key = key.replace(old, new)
    return re.sub(r"\.([nc])([12])\.", lambda match: f".{'norm' if match[1] == 'n' else 'conv'}{match[2]}.", key)


if __name__ == "__main__":
    main()

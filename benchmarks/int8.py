"""Whether the network can be computed in 8-bit integers: neighbors on every set before and after, and the speed.

Quantized after training by NNCF, on crops of the training images; needs `pip install nncf`, which the engine does not.

    python benchmarks/int8.py --out benchmarks/results
"""

from __future__ import annotations

import argparse
from functools import cache
from pathlib import Path

import nncf
import numpy as np
import openvino as ov
import torch
from arms import Network, microsnoop
from eval_sets import PROTOCOLS, read_set
from get_data import DATA
from representation import REPOSITORY, predict, predict_within
from throughput import machine, rate

from microsnoop_engine.evaluation.scores import score_predictions
from microsnoop_engine.model.backends.openvino_unet import UnetGraphs
from microsnoop_engine.model.checkpoints import DEFAULT, find_weights, load_weights
from microsnoop_engine.trainer.batches import Batches
from microsnoop_engine.trainer.config import make_config
from microsnoop_engine.trainer.pool import read_pool
from microsnoop_engine.trainer.whitening import crops_like_cells

FRAME, CALIBRATION, ALLOWED = 224, 320, 0.5
POOL = DATA / "pool"
HEAD = "| set | bfloat16 | int8 | difference |\n|---|---|---|---|"


class Quantized:
    """The network in 8-bit integers on whole frames; stands where the embedder stands."""

    batch_size = 32
    takes_tensors = False

    def __init__(self, weights: Path):
        state, card = load_weights(weights)
        pool = read_pool(POOL)
        crops = crops_like_cells(Batches(pool, make_config("base"), torch.device("cpu")), CALIBRATION, card.sees)
        samples = nncf.Dataset([part.numpy() for part in crops])
        model = nncf.quantize(UnetGraphs(state, card).build(FRAME), samples, subset_size=CALIBRATION // 32)
        self._network = ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "bf16"})
        self._weight, self._bias = (state[f"whiten.{name}"].astype(np.float32) for name in ("weight", "bias"))

    def embed(self, crops: np.ndarray) -> np.ndarray:
        """Embeddings (n, 256) of crops (n, 1, s, s)."""
        before = (FRAME - crops.shape[-1]) // 2
        margin = (before, FRAME - crops.shape[-1] - before)
        embeddings = np.array(self._network(np.pad(crops, ((0, 0), (0, 0), margin, margin)))[0])
        embeddings = embeddings @ self._weight.T + self._bias
        return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def main() -> None:
    """Embed, score, print, and write int8.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", default=DEFAULT)
    parser.add_argument("--limit", type=int, default=600, help="cells per set")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "out" / "representation")
    parser.add_argument("--out", type=Path, help="folder for int8.md")
    options = parser.parse_args()
    ours = microsnoop(options.weights)
    quantized = Quantized(find_weights(options.weights))
    eight = Network("int8", f"int8 {ours.key}", ours.dimension, cache(lambda: quantized))
    lines, differences = [], []
    for mode in ("224", "none"):
        for name in PROTOCOLS:
            cells = read_set(name, options.limit)
            found = [
                neighbors(network.arm(mode).features(cells.images, options.cache)[0], cells)
                for network in (ours, eight)
            ]
            differences.append(found[1] - found[0])
            lines.append(f"| {name}, {mode} | {found[0]:.1f} | {found[1]:.1f} | {differences[-1]:+.1f} |")
            print(lines[-1], flush=True)
    frames = np.random.default_rng(0).random((64, 1, FRAME, FRAME), np.float32)
    speed = rate(quantized.embed, frames, 3) / rate(ours.open().embed, frames, 3)
    largest = max(map(abs, differences))
    verdict = "within" if largest < ALLOWED else "beyond"
    text = (
        f"# 8-bit integers\n\n`python benchmarks/int8.py --out benchmarks/results`, {machine()}, NNCF "
        f"{nncf.__version__}, {CALIBRATION} crops of the training images. Balanced accuracy (%) of neighbors, about "
        f"{options.limit} cells a set. On whole frames int8 is {speed:.2f} times as fast as bfloat16.\n\n{HEAD}\n"
        + "\n".join(lines)
        + f"\n\nThe largest change is {largest:.1f} points, {verdict} the {ALLOWED} that were allowed.\n"
    )
    print(text)
    if options.out:
        (options.out / "int8.md").write_text(text)


def neighbors(features: np.ndarray, cells) -> float:
    """Balanced accuracy in % under the set's protocol; for white blood cells the mean with that within laboratories."""
    found = [predict("knn", features, cells)]
    if cells.protocol.within:
        found.append(predict_within(features, cells))
    scores = [score_predictions(cells.labels, x, cells.groups)["balanced_accuracy"].value for x in found]
    return 100 * float(np.mean(scores))


if __name__ == "__main__":
    main()

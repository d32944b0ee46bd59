"""Compare crops normalized before and after the zeros around them are added, on the labeled sets.

    python benchmarks/normalization.py --out benchmarks/results

Weights that see crops in a frame of zeros, cells padded as they are. Protocols as in representation.py.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from eval_sets import read_set
from representation import predict

from microsnoop_engine import CropSettings, Embedder
from microsnoop_engine.evaluation.scores import score_predictions
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.settings import NORMALIZATIONS

SETS = (
    "mitocheck_phenotype",
    "yeast_protein",
    "wbc_multibatch",
    "cric_papsmear",
    "chula_rbc12",
    "hepg2_huh7_nuclei",
)
SCORES = ("knn", "linear")


def main() -> None:
    """Measure, print, and write normalization.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="a file of weights that see crops in a frame of zeros")
    parser.add_argument("--limit", type=int, default=300, help="cells per set")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for normalization.md")
    options = parser.parse_args()
    embedder = Embedder(options.weights, device="cpu", threads=options.threads or None)
    lines = [
        "# Normalize a crop before or after the zeros around it",
        "",
        f"`python benchmarks/normalization.py`: balanced accuracy (%) by neighbors / linear probe, "
        f"{options.limit} cells per set, {embedder.card.name}, cells padded as they are.",
        "",
        f"| set | {' | '.join(NORMALIZATIONS)} |",
        "|---" * (1 + len(NORMALIZATIONS)) + "|",
    ]
    means: dict[str, list[list[float]]] = {name: [] for name in NORMALIZATIONS}
    for name in SETS:
        cells = read_set(name, options.limit)
        for normalize in NORMALIZATIONS:
            features = embed(embedder, cells.images, normalize)
            means[normalize].append([score(features, cells, kind) for kind in SCORES])
        lines.append(f"| {name} | " + " | ".join(shown(means[kind][-1]) for kind in NORMALIZATIONS) + " |")
        print(lines[-1], flush=True)
    lines.append("| mean | " + " | ".join(shown(np.mean(means[kind], axis=0)) for kind in NORMALIZATIONS) + " |")
    print(lines[-1])
    if options.out:
        (options.out / "normalization.md").write_text("\n".join(lines) + "\n")


def embed(embedder: Embedder, images: np.ndarray, normalize: str) -> np.ndarray:
    """Embed cells (n, c, h, w); a crop that cannot be normalized gets the mean of the others."""
    batcher, settings = Batcher(embedder), CropSettings(mode="single-cell", scale="none", normalize=normalize)
    parts = [start_measurement(batcher, image, None, settings, embedder.card.dimension) for image in images]
    batcher.flush()
    features = np.concatenate([part.features for part in parts])
    return np.where(np.isnan(features), np.nanmean(features, axis=0), features)


def score(features: np.ndarray, cells, kind: str) -> float:
    """Return the balanced accuracy in percent."""
    predicted = predict(kind, features, cells)
    return 100 * score_predictions(cells.labels, predicted, cells.groups)["balanced_accuracy"].value


def shown(values) -> str:
    """Write the scores of one cell of the table."""
    return " / ".join(f"{value:.1f}" for value in values)


if __name__ == "__main__":
    main()

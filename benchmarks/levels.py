"""Does it help to normalize crops by the levels of their field or data set, instead of each by its own?

    python benchmarks/levels.py --out benchmarks/results
    python benchmarks/levels.py --weights FILE.safetensors

A crop's own percentiles 1 and 99 become 0 and 1 (the paper), or those of all cells of its field (well, laboratory), or
those of the whole set.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import numpy as np
from arms import microsnoop
from eval_sets import EvalSet, read_set
from representation import predict

from microsnoop_engine.evaluation.scores import score_predictions
from microsnoop_engine.model.checkpoints import DEFAULT, find_weights, read_card
from microsnoop_engine.modes.resizing import resize

FIELDS = {
    "mitocheck_phenotype": ("plate", "well"),
    "yeast_protein": ("field",),
    "wbc_multibatch": ("batch",),
    "chula_rbc12": ("field",),
    "hepg2_huh7_nuclei": ("field",),
}
LEVELS = ("crop", "field", "data set")
HOW = (
    "`python benchmarks/levels.py {arguments}`. Balanced accuracy (%) by nearest neighbors, protocols as "
    "in representation.md, {limit} cells per set resized to 224 pixels. The levels (percentiles 1 "
    "and 99 of each channel) that become 0 and 1 are those of the crop, of all cells of its field (MitoCheck: well; "
    "white blood cells: laboratory), or of all cells of the set."
)


def main() -> None:
    """Measure and print, and write levels.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", action="append", default=[], help="instead of the shipped ones; may be repeated")
    parser.add_argument("--limit", type=int, default=300, help="cells per set")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--out", type=Path, help="folder for levels.md")
    options = parser.parse_args()
    how = HOW.format(arguments=shlex.join(sys.argv[1:]), limit=options.limit)
    parts = ["# Levels of crop, field and data set", how]
    for weights in options.weights or [DEFAULT]:
        parts += [f"## {read_card(find_weights(weights)).name}", measure(weights, options.limit, options.threads)]
        print("\n\n".join(parts[-2:]), flush=True)
    if options.out:
        (options.out / "levels.md").write_text("\n\n".join(parts) + "\n")


def measure(weights: str, limit: int, threads: int) -> str:
    """The table of one network."""
    embedder = microsnoop(weights, threads).open()
    lines = ["| set | " + " | ".join(LEVELS) + " |", "|---" * (1 + len(LEVELS)) + "|"]
    every = []
    for name in FIELDS:
        cells, whole = read_set(name, limit), read_set(name)
        scores = []
        for kind in LEVELS:
            frames = normalized(cells, whole, kind)
            features = embedder.embed(frames.reshape(-1, 1, 224, 224)).reshape(len(frames), -1)
            found = score_predictions(cells.labels, predict("knn", features, cells), cells.groups)
            scores.append(100 * found["balanced_accuracy"].value)
        every.append(scores)
        lines.append(f"| {name} | " + " | ".join(f"{score:.1f}" for score in scores) + " |")
    lines.append("| mean | " + " | ".join(f"{score:.1f}" for score in np.mean(every, axis=0)) + " |")
    return "\n".join(lines)


def normalized(cells: EvalSet, whole: EvalSet, kind: str) -> np.ndarray:
    """Cells (n, c, 224, 224), normalized by levels of that kind."""
    frames = np.array([[resize(plane, (224, 224)) for plane in image] for image in cells.images])
    if kind == "crop":
        low, high = np.percentile(frames, (1, 99), axis=(2, 3), keepdims=True)
    else:
        own, every = (fields(x) if kind == "field" else np.zeros(len(x.labels)) for x in (cells, whole))
        found = {
            field: np.percentile(whole.images[every == field], (1, 99), axis=(0, 2, 3)) for field in np.unique(own)
        }
        low, high = np.array([found[field] for field in own]).transpose(1, 0, 2)[..., None, None]
    return ((frames - low) / np.maximum(high - low, 1e-6)).astype(np.float32)


def fields(cells: EvalSet) -> np.ndarray:
    """The field of each cell."""
    columns = [cells.columns[name].astype(str) for name in FIELDS[cells.name]]
    return np.array([" ".join(values) for values in zip(*columns, strict=True)])


if __name__ == "__main__":
    main()

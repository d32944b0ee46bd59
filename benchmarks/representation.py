"""How good the representation is: our weights beside an untrained network, an ImageNet network, classical features
and raw pixels, on every labelled set with its own protocol.

    python benchmarks/representation.py --scores knn,linear,mlp --out benchmarks/results
    python benchmarks/representation.py --arms microsnoop --weights X.safetensors --sets yeast_protein --limit 500

The first is `make bench-representation`, the second a quick check of a candidate. Without --out the table is printed only. Embeddings are cached by content in --cache.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from arms import Arm, microsnoop_arm, pixels_arm, untrained_arm
from eval_sets import PROTOCOLS, EvalSet, read_set

from microsnoop_engine.evaluation import cross_validated_predict, knn_predict
from microsnoop_engine.scores import Score, score_predictions

REPOSITORY = Path(__file__).resolve().parents[1]
ARMS = ("microsnoop", "pad", "untrained", "pixels")
SCORES = ("knn", "linear", "mlp")


def main() -> None:
    """Embed, score, print, and write the results."""
    options = parse_options()
    arms = make_arms(options)
    rows = []
    for name in options.sets:
        cells = read_set(name, options.limit)
        for arm in arms:
            rows += measure(arm, cells, options)
    print("\n" + as_markdown(rows))


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=choices(tuple(PROTOCOLS)), default=list(PROTOCOLS))
    parser.add_argument("--arms", type=choices(ARMS), default=list(ARMS))
    parser.add_argument("--scores", type=choices(SCORES), default=["knn"])
    parser.add_argument("--weights", action="append", default=[], help="instead of the shipped ones; may be repeated")
    parser.add_argument("--limit", type=int, default=1000, help="cells per set, a stratified subsample; 0 for all")
    parser.add_argument("--threads", type=int, default=0, help="of the network; by default all cores")
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "out" / "representation")
    parser.add_argument("--out", type=Path, help="folder for representation.md, .json and .png")
    return parser.parse_args(arguments)


def choices(known: tuple[str, ...]):
    """Reads a comma-separated list of known names."""

    def read(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"'{unknown[0]}' is not one of {', '.join(known)}")
        return names

    return read


def make_arms(options: argparse.Namespace) -> list[Arm]:
    """The arms that were asked for; those of our network once per weights file."""
    weights = options.weights or ["microsnoop-base"]
    makers = {
        "microsnoop": lambda: [microsnoop_arm(w, "resize", threads=options.threads) for w in weights],
        "pad": lambda: [microsnoop_arm(w, "pad", threads=options.threads) for w in weights],
        "untrained": lambda: [untrained_arm(options.cache, threads=options.threads)],
        "pixels": lambda: [pixels_arm()],
    }
    return [arm for name in options.arms for arm in makers[name]()]


def measure(arm: Arm, cells: EvalSet, options: argparse.Namespace) -> list[dict]:
    """One row per task and classifier."""
    began = time.perf_counter()
    features = arm.features(cells.images, options.cache)
    embedding = time.perf_counter() - began
    began = time.perf_counter()
    found = {(cells.name, score): predict(score, features, cells) for score in options.scores}
    if cells.protocol.within:
        found[f"{cells.name}, within {cells.protocol.within}", "knn"] = predict_within(features, cells)
    print(
        f"{cells.name:20s} {arm.name:28s} {len(features):5d} cells, {embedding:6.1f} s to embed, "
        f"{time.perf_counter() - began:5.1f} s to score",
        flush=True,
    )
    rows = []
    for (task, score), predictions in found.items():
        values = score_predictions(cells.labels, predictions, cells.groups)
        rows.append({"task": task, "arm": arm.name, "score": score, "cells": len(features), **values})
    return rows


def predict(score: str, features: np.ndarray, cells: EvalSet) -> np.ndarray:
    """Predicted labels under the set's protocol."""
    if score != "knn":
        return cross_validated_predict(features, cells.labels, cells.groups, score)
    if not cells.protocol.group:
        apart = [stratified_folds(cells.labels)]
    else:
        apart = [cells.columns[name] for name in (cells.protocol.group, *cells.protocol.also_apart)]
    return knn_predict(features, cells.labels, apart, cells.protocol.k)


def predict_within(features: np.ndarray, cells: EvalSet) -> np.ndarray:
    """Predicted labels from neighbours of the same batch."""
    batches = cells.columns[cells.protocol.within]
    predictions = np.empty_like(cells.labels)
    for batch in np.unique(batches):
        rows = batches == batch
        predictions[rows] = knn_predict(features[rows], cells.labels[rows], k=cells.protocol.k)
    return predictions


def stratified_folds(labels: np.ndarray, folds: int = 5, seed: int = 0) -> np.ndarray:
    """The number of each row's fold."""
    from sklearn.model_selection import StratifiedKFold

    fold = np.zeros(len(labels), int)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(splitter.split(labels, labels)):
        fold[rows] = number
    return fold


def as_markdown(rows: list[dict]) -> str:
    """A table per classifier: tasks in rows, arms in columns; balanced accuracy and accuracy, %."""
    arms = list(dict.fromkeys(row["arm"] for row in rows))
    parts = []
    for score in dict.fromkeys(row["score"] for row in rows):
        here = {(row["task"], row["arm"]): row for row in rows if row["score"] == score}
        for measure_name in ("balanced_accuracy", "accuracy"):
            lines = [
                f"### {score}: {measure_name.replace('_', ' ')}, % (95 % interval)",
                "",
                "| set | cells | " + " | ".join(arms) + " |",
                "|---|---|" + "---|" * len(arms),
            ]
            for task in dict.fromkeys(task for task, _ in here):
                scores: list[Score] = [here[task, arm][measure_name] for arm in arms]
                lines.append(f"| {task} | {here[task, arms[0]]['cells']} | " + " | ".join(map(str, scores)) + " |")
            means = [np.mean([row[measure_name].value for (_, a), row in here.items() if a == arm]) for arm in arms]
            lines.append("| **mean** | | " + " | ".join(f"**{100 * mean:.1f}**" for mean in means) + " |")
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()

"""Compare features on every labeled set, each by its own protocol.

Our weights, the same network untrained, an ImageNet network, classical features and raw pixels.

    python benchmarks/representation.py --scores knn,linear,mlp,separation --out benchmarks/results
    python benchmarks/representation.py --arms microsnoop --weights X.safetensors --sets yeast_protein --limit 500

The first is `make bench-representation`, the second a quick check of candidates. Without --out the tables are printed
only. Embeddings are kept in --cache, by the content of images, weights and code.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import time
from pathlib import Path

import numpy as np
from arms import Arm, imagenet, microsnoop, pixels_arm, untrained
from classical import classical_arm
from eval_sets import BENCHMARK_CELLS, PROTOCOLS, EvalSet, read_set
from plate import measure_plate
from report_representation import TITLES, pivot, plain_table, write

from microsnoop_engine import __version__
from microsnoop_engine.evaluation.metrics import (
    cross_validated_predict,
    knn_predict,
    mean_average_precision,
    nearest,
    silhouettes,
)
from microsnoop_engine.evaluation.scores import score_predictions

REPOSITORY = Path(__file__).resolve().parents[1]
PLATE = "bbbc013_translocation"
SETS = (*PROTOCOLS, PLATE)
ARMS = ("microsnoop", "pad", "resize 128", "untrained", "imagenet", "classical", "pixels")
SCORES = ("knn", "linear", "mlp", "separation")


def main() -> None:
    """Embed, score, print, and write the results."""
    options = parse_options()
    began = time.perf_counter()
    result = {"classification": [], "separation": [], "plate": []}
    arms = make_arms(options)
    for name in [name for name in options.sets if name != PLATE]:
        cells = read_set(name, options.limit)
        for arm in arms:
            measure(arm, cells, options, result)
    if PLATE in options.sets:
        result["plate"] = list(measure_plate(plate_networks(options), options.cells_per_well, options.cache))
    for score in [score for score in TITLES if score in options.scores and result["classification"]]:
        print(f"\n{score}, balanced accuracy\n" + pivot(result["classification"], score, "balanced_accuracy"))
        print(f"\n{score}, accuracy\n" + pivot(result["classification"], score, "accuracy"))
    for table in (result["separation"], result["plate"]):
        if table:
            print("\n" + plain_table(table))
    if options.out:
        write(options.out, {"how": how(options, time.perf_counter() - began), **result})


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=choices(SETS), default=list(SETS))
    parser.add_argument("--arms", type=choices(ARMS), default=list(ARMS))
    parser.add_argument("--scores", type=choices(SCORES), default=["knn"])
    parser.add_argument("--weights", action="append", default=[], help="instead of the shipped ones; may be repeated")
    parser.add_argument(
        "--limit", type=int, default=BENCHMARK_CELLS, help="cells per set, a stratified subsample; 0 for all"
    )
    parser.add_argument("--cells-per-well", type=int, default=16, help="of the plate; 0 for all")
    parser.add_argument("--threads", type=int, default=0, help="by default all cores")
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
    threads = options.threads
    ours = [microsnoop(weights, threads) for weights in options.weights or ["microsnoop-base"]]
    makers = {
        "microsnoop": lambda: [network.arm("resize") for network in ours],
        "pad": lambda: [network.arm("pad") for network in ours],
        "resize 128": lambda: [network.arm("resize 128") for network in ours],
        "untrained": lambda: [untrained(options.cache, threads).arm("resize")],
        "imagenet": lambda: [imagenet(threads).arm("resize")],
        "classical": lambda: [classical_arm(threads)],
        "pixels": lambda: [pixels_arm()],
    }
    return [arm for name in options.arms for arm in makers[name]()]


def plate_networks(options: argparse.Namespace) -> list:
    """The networks that the plate is measured with."""
    makers = {
        "microsnoop": lambda: [microsnoop(w, options.threads) for w in options.weights or ["microsnoop-base"]],
        "untrained": lambda: [untrained(options.cache, options.threads)],
        "imagenet": lambda: [imagenet(options.threads)],
    }
    return [network for name, make in makers.items() if name in options.arms for network in make()]


def measure(arm: Arm, cells: EvalSet, options: argparse.Namespace, result: dict) -> None:
    """Append the arm's scores on one set to the result."""
    features, seconds = arm.features(cells.images, options.cache)
    began = time.perf_counter()
    found = {(cells.name, s): predict(s, features, cells) for s in options.scores if s != "separation"}
    if cells.protocol.within and "knn" in options.scores:
        found[f"{cells.name}, within {cells.protocol.within}", "knn"] = predict_within(features, cells)
    for (task, score), predictions in found.items():
        row = {"task": task, "arm": arm.name, "score": score, "cells": len(features), "seconds": seconds}
        result["classification"].append(row | score_predictions(cells.labels, predictions, cells.groups))
    if "separation" in options.scores:
        result["separation"].append({"set": cells.name, "arm": arm.name, **separation(features, cells)})
    print(
        f"{cells.name:20s} {arm.name:28s} {len(features):5d} cells, {seconds:6.1f} s to embed, "
        f"{time.perf_counter() - began:5.1f} s to score",
        flush=True,
    )


def predict(score: str, features: np.ndarray, cells: EvalSet) -> np.ndarray:
    """Predicted labels under the set's protocol."""
    if score != "knn":
        folds = 5 if cells.groups is None else min(5, len(np.unique(cells.groups)))
        return cross_validated_predict(features, cells.labels, cells.groups, score, folds)
    if not cells.protocol.group:
        apart = [stratified_folds(cells.labels)]
    else:
        apart = [cells.columns[name] for name in (cells.protocol.group, *cells.protocol.also_apart)]
    return knn_predict(features, cells.labels, apart, cells.protocol.k)


def predict_within(features: np.ndarray, cells: EvalSet) -> np.ndarray:
    """Predicted labels from neighbors of the same batch."""
    batches = cells.columns[cells.protocol.within]
    predictions = np.empty_like(cells.labels)
    for batch in np.unique(batches):
        rows = batches == batch
        predictions[rows] = knn_predict(features[rows], cells.labels[rows], k=cells.protocol.k)
    return predictions


def separation(features: np.ndarray, cells: EvalSet) -> dict[str, float]:
    """Silhouette of the labels, mean average precision across groups, and how well batches mix.

    Mixing is the share of the nearest neighbors that come from other groups, over the share that they have of all
    cells: 1 where the group cannot be told, 0 where cells only lie beside their own group.
    """
    precision = mean_average_precision(features, cells.labels, cells.groups)
    separation = float(silhouettes(features, cells.labels).mean())
    found = {"silhouette": separation, "map": float(np.nanmean(list(precision.values())))}
    if cells.groups is None:
        return found | {"mixing": float("nan")}
    groups = np.unique(cells.groups, return_inverse=True)[1]
    others = (groups[nearest(features, cells.protocol.k)] != groups[:, None]).mean()
    expected = 1 - (np.bincount(groups)[groups] - 1).mean() / (len(groups) - 1)
    return found | {"mixing": float(others / expected)}


def stratified_folds(labels: np.ndarray, folds: int = 5, seed: int = 0) -> np.ndarray:
    """The number of each row's fold."""
    from sklearn.model_selection import StratifiedKFold

    fold = np.zeros(len(labels), int)
    splitter = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for number, (_, rows) in enumerate(splitter.split(labels, labels)):
        fold[rows] = number
    return fold


def how(options: argparse.Namespace, seconds: float) -> str:
    """What was done, in words."""
    some = f"about {options.limit} of each set (stratified, at least 20 of a label)"
    limit = some if options.limit else "all of each set"
    return (
        f"`python benchmarks/representation.py {shlex.join(sys.argv[1:])}`, microsnoop {__version__}, "
        f"{seconds / 60:.0f} minutes on {os.cpu_count()} cores (embeddings known from an earlier run are not computed "
        f"again). Cells: {limit}; labels with fewer than 20 cells are left out. More cells give "
        "higher figures (each has more of its kind around): compare only those of equal --limit. "
        "Probes: five folds of whole groups (four for the four laboratories). Neighbors by cosine, 11 (white blood "
        "cells 5), never of the cell's own plate and well (MitoCheck), field (yeast, Chula, HepG2) or laboratory "
        "(white blood cells; 'within batch': neighbors of the same laboratory only); CRIC has no groups: five "
        "stratified folds. Intervals: bootstrap over the groups. Cells are resized to 224 pixels, padded to them, or "
        "resized to 128 pixels and padded; ImageNet MobileNetV1 sees the channels resized to 224. Classical: "
        "cp_measure in the cell's Otsu mask, standardized. Separation: silhouette of the labels, mean average "
        "precision across groups, mixing of groups (1: cannot be told apart). The plate: controls told apart leaving "
        "their row out, Spearman's correlation of dose and of activity (the way from the negative to the positive "
        "controls of other rows), Z' of that activity; "
        f"{options.cells_per_well or 'all'} cells per well."
    )


if __name__ == "__main__":
    main()

"""Compare features on every labeled set, each by its own protocol.

Our weights, the same networks untrained, networks of photographs (ImageNet), classical features and raw pixels.

    python benchmarks/representation.py --scores knn,own,linear,mlp,separation --out benchmarks/results
    python benchmarks/representation.py --arms microsnoop --weights X.safetensors --sets yeast_protein --limit 500

The first is `make bench-representation` (efficientnet.py says how to install its two peers), the second a quick check
of candidates. Without --out the tables are printed only. Embeddings are kept in --cache, by the content of images,
weights and code.
"""

from __future__ import annotations

import argparse
import hashlib
import inspect
import os
import shlex
import sys
import time
from itertools import chain
from pathlib import Path

import numpy as np
from arms import PRESENTATIONS, Arm, Network, imagenet, microsnoop, pixels_arm, untrained
from classical import classical_arm
from eval_sets import BENCHMARK_CELLS, PROTOCOLS, EvalSet, read_set
from plate import measure_plate
from report_representation import TITLES, Difference, pivot, plain_table, task_groups, write

from microsnoop_engine import __version__
from microsnoop_engine.evaluation.metrics import (
    cross_validated_predict,
    knn_predict,
    mean_average_precision,
    nearest,
    silhouettes,
)
from microsnoop_engine.evaluation.scores import FEW_UNITS, balanced_accuracy, score_predictions
from microsnoop_engine.model.embedder import PRECISIONS
from microsnoop_engine.model.frame import LARGEST

REPOSITORY = Path(__file__).resolve().parents[1]
PLATE = "bbbc013_translocation"
SETS = (*PROTOCOLS, PLATE)
SHIPPED = ("fast", "base", "fast+base")
SUITS = {"fast": ("fit", "224", "twice"), "fast+base": ("fit",)}
"""Presentations of single networks; the others have those that suit their size."""
ARMS = ("microsnoop", "untrained", "imagenet", "classical", "pixels")
SCORES = ("knn", "own", "linear", "mlp", "separation")
OWN = 64
"""Numbers per channel that a set's own whitening keeps."""


def main() -> None:
    """Embed, score, print, and write the results."""
    options = parse_options()
    began = time.perf_counter()
    result = {"classification": [], "differences": [], "separation": [], "plate": []}
    outcomes = Outcomes()
    networks = make_networks(options)
    arms = make_arms(options, networks)
    for name in [name for name in options.sets if name != PLATE]:
        cells = read_set(name, options.limit)
        for arm in arms:
            measure(arm, cells, options, result, outcomes)
    result["differences"] = outcomes.differences()
    if PLATE in options.sets:
        chosen = [
            network
            for network in chain(*networks.values())
            if not options.plate or network.name in options.plate.split(",")
        ]
        result["plate"] = list(measure_plate(chosen, options.cells_per_well, options.cache))
    for score in [score for score in TITLES if score in options.scores and result["classification"]]:
        for measured in ("balanced_accuracy", "accuracy"):
            print(f"\n{score}, {measured}\n" + pivot(result["classification"], score, measured))
    for table in (result["differences"], result["separation"], result["plate"]):
        if table:
            print("\n" + plain_table(table))
    if options.out:
        write(options.out, {"how": how(options, time.perf_counter() - began), **result})


def parse_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=choices(SETS), default=list(SETS))
    parser.add_argument("--arms", type=choices(ARMS), default=list(ARMS))
    parser.add_argument(
        "--presentations", type=choices(tuple(PRESENTATIONS)), default=list(PRESENTATIONS), help="of each cell"
    )
    parser.add_argument("--without", action="append", default=[], help="name of an arm to leave out; may be repeated")
    parser.add_argument("--precision", choices=PRECISIONS, default="auto", help="of our networks")
    parser.add_argument("--scores", type=choices(SCORES), default=["knn"])
    parser.add_argument(
        "--weights",
        action="append",
        default=[],
        help="further files, in a frame of zeros at 224 and none; may be repeated",
    )
    parser.add_argument(
        "--limit", type=int, default=BENCHMARK_CELLS, help="cells per set, a stratified subsample; 0 for all"
    )
    parser.add_argument("--plate", help="names of the networks that measure the plate; by default all")
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


def make_networks(options: argparse.Namespace) -> dict[str, list[Network]]:
    """The networks that were asked for, by the name of their arm: ours are the shipped ones and --weights."""
    threads = options.threads
    makers = {
        "microsnoop": lambda: [
            microsnoop(weights, threads, precision=options.precision) for weights in (*SHIPPED, *options.weights)
        ],
        "untrained": lambda: [
            untrained(name, options.cache, threads, options.precision) for name in ("compact", "unet")
        ],
        "imagenet": lambda: imagenet(threads),
    }
    return {name: make() for name, make in makers.items() if name in options.arms}


def make_arms(options: argparse.Namespace, networks: dict[str, list[Network]]) -> list[Arm]:
    """The arms that were asked for: networks at each presentation that suits them."""
    arms = []
    for name, members in networks.items():
        for network in members:
            usual = ("fit",) if name == "untrained" else ("fit", "224") if network.size < LARGEST else ("224", "none")
            suits = SUITS.get(network.name, usual)
            arms += [network.arm(shown) for shown in suits if shown in options.presentations]
    if "classical" in options.arms:
        arms.append(classical_arm(options.threads))
    arms += [pixels_arm()] if "pixels" in options.arms else []
    return [arm for arm in arms if arm.name not in options.without]


class Outcomes:
    """Which cells each arm predicts rightly, to compare arms cell by cell."""

    def __init__(self) -> None:
        self._right: dict[tuple[str, Arm], dict[str, np.ndarray]] = {}
        self._sets: dict[str, EvalSet] = {}

    def add(self, score: str, arm: Arm, task: str, cells: EvalSet, predictions: np.ndarray) -> None:
        """Keep an arm's predictions of a task."""
        self._right.setdefault((score, arm), {})[task] = predictions == cells.labels
        self._sets[task] = cells

    def differences(self) -> list[dict]:
        """Balanced accuracy over that of the best ImageNet network (by the mean), in points, by score and arm.

        Ours are also compared with the first of ours, which shows what more sizes or networks bring.

        The intervals are of a paired bootstrap: both arms are scored on the same draws of groups, or of cells where a
        set has fewer than five groups.
        """
        rows = []
        for score in dict.fromkeys(score for score, _ in self._right):
            drawn = {arm: self._drawn(right) for (of, arm), right in self._right.items() if of == score}
            peers = [arm for arm in drawn if arm.kind == "ImageNet"]
            if not peers:
                continue
            best = max(peers, key=lambda arm: np.mean([values[0] for values in drawn[arm].values()]))
            ours = [arm for arm in drawn if arm.kind == "microsnoop"]
            for arm, base in [*((arm, best) for arm in drawn), *((arm, ours[0]) for arm in ours[1:])]:
                row = {"score": score, "arm": arm.name, "against": base.name}
                for name, tasks in task_groups(drawn[arm]).items():
                    gap = 100 * np.mean([drawn[arm][task] - drawn[base][task] for task in tasks], axis=0)
                    row[name] = Difference(float(gap[0]), *np.percentile(gap[1:], (2.5, 97.5)).tolist())
                rows.append(row)
        return rows

    def _drawn(self, right: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Balanced accuracies by task: that of all cells, and those of 1,000 draws."""
        found = {}
        for number, (task, correct) in enumerate(right.items()):
            cells = self._sets[task]
            names, labels = np.unique(cells.labels, return_inverse=True)
            groups = np.arange(len(labels)) if cells.groups is None else np.unique(cells.groups, return_inverse=True)[1]
            if groups.max() + 1 < FEW_UNITS:
                groups = np.arange(len(labels))
            members, hits = np.zeros((2, groups.max() + 1, len(names)))
            np.add.at(members, (groups, labels), 1)
            np.add.at(hits, (groups, labels), correct)
            units = len(members)
            times = np.random.default_rng(number).multinomial(units, np.full(units, 1 / units), size=1000)
            times = np.concatenate([np.ones((1, units)), times])
            found[task] = balanced_accuracy(times @ hits, times @ members)
        return found


def measure(arm: Arm, cells: EvalSet, options: argparse.Namespace, result: dict, outcomes: Outcomes) -> None:
    """Append the arm's scores on one set to the result."""
    features, seconds = arm.features(cells.images, options.cache)
    began = time.perf_counter()
    found = {
        (cells.name, s): known_predictions(s, features, cells, options.cache) for s in options.scores if s in TITLES
    }
    if cells.protocol.within and "knn" in options.scores:
        found[f"{cells.name}, within {cells.protocol.within}", "knn"] = predict_within(features, cells)
    for (task, score), predictions in found.items():
        row = {"task": task, "arm": arm.name, "kind": arm.kind, "score": score, "cells": len(features)}
        row |= {"crops": len(features) * cells.images.shape[1], "cpu_seconds": seconds}
        result["classification"].append(row | score_predictions(cells.labels, predictions, cells.groups))
        outcomes.add(score, arm, task, cells, predictions)
    if "separation" in options.scores:
        result["separation"].append({"set": cells.name, "arm": arm.name, **separation(features, cells)})
    print(
        f"{cells.name:20s} {arm.name:28s} {len(features):5d} cells, {seconds:6.1f} CPU s to embed, "
        f"{time.perf_counter() - began:5.1f} s to score",
        flush=True,
    )


def known_predictions(score: str, features: np.ndarray, cells: EvalSet, folder: Path) -> np.ndarray:
    """Predicted labels under the set's protocol, from the cache folder if known there: classifiers take long."""
    code = inspect.getsource(predict) + inspect.getsource(cross_validated_predict)
    content = f"{score} {cells.name} {cells.labels.tolist()} {code}".encode() + features.tobytes()
    path = folder / f"{hashlib.sha256(content).hexdigest()[:20]}.npy"
    if not path.exists():
        np.save(path, predict(score, features, cells))
    return np.load(path)


def predict(score: str, features: np.ndarray, cells: EvalSet) -> np.ndarray:
    """Predicted labels under the set's protocol."""
    if score == "own":
        features = whitened(features, cells.images.shape[1])
    elif score != "knn":
        folds = 5 if cells.groups is None else min(5, len(np.unique(cells.groups)))
        return cross_validated_predict(features, cells.labels, cells.groups, score, folds)
    if not cells.protocol.group:
        apart = [stratified_folds(cells.labels)]
    else:
        apart = [cells.columns[name] for name in (cells.protocol.group, *cells.protocol.also_apart)]
    return knn_predict(features, cells.labels, apart, cells.protocol.k)


def whitened(features: np.ndarray, channels: int) -> np.ndarray:
    """Features (n, at most channels * OWN) after each channel's own principal components are scaled to deviation 1.

    Features (n, p) that are not as many in each channel are whitened all together.
    """
    parts = np.split(features, channels if features.shape[1] % channels == 0 else 1, axis=1)
    scores = [np.linalg.svd(part - part.mean(0), full_matrices=False)[0][:, :OWN] for part in parts]
    return np.concatenate(scores, axis=1)


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
    named = [Path(part).name if part.endswith(".safetensors") else part for part in sys.argv[1:]]
    some = f"about {options.limit} of each set (stratified, at least 20 of a label)"
    limit = some if options.limit else "all of each set"
    return (
        f"`python benchmarks/representation.py {shlex.join(named)}`, microsnoop {__version__}, "
        f"{seconds / 60:.0f} minutes on {os.cpu_count()} cores (embeddings known from an earlier run are not computed "
        f"again). Cells: {limit}; labels with fewer than 20 cells are left out. More cells give "
        "higher figures (each has more of its kind around): compare only those of equal --limit. "
        "Probes: five folds of whole groups (four for the four laboratories). Neighbors by cosine, 11 (white blood "
        "cells 5), never of the cell's own plate and well (MitoCheck), field (yeast, Chula, HepG2) or laboratory "
        "(white blood cells; 'within batch': neighbors of the same laboratory only); CRIC has no groups: five "
        "stratified folds. Intervals: bootstrap over the groups; of differences paired, over cells where a set has "
        f"fewer than {FEW_UNITS} groups. Presentations: 'fit' resizes each image of a cell to what the weights suit "
        "best, '224' to 224 pixels, 'none' not at all (in a frame of zeros); 'and 1.75 times' shows it so and 1.75 "
        "times as large, the numbers side by side (--magnifications 1,1.75). fast+base: both networks side by side. "
        "Networks of photographs see each channel as a gray image. Own whitening: each channel's features centered and "
        "reduced to 64 principal components of "
        "deviation 1, on the set's own cells, without labels. Classical: cp_measure in the cell's Otsu mask, "
        "standardized. Separation: silhouette of the labels, mean average precision across groups, mixing of groups "
        "(1: cannot be told apart). The plate: controls told apart leaving their row out, Spearman's correlation of "
        "dose and of activity (the way from the negative to the positive controls of other rows), Z' of that "
        f"activity; {options.cells_per_well or 'all'} cells per well. Seconds are those of the CPU, cutting and "
        "resizing included."
    )


if __name__ == "__main__":
    main()

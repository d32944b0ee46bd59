"""Whitening on a set's own cells, where there are no controls: `microsnoop sphere --controls all`, on the labeled sets.

    python benchmarks/own_whitening.py --out benchmarks/results

Cells, labels and protocols are those of representation.py; 0 takes every cell. Differences are paired: both scores are
computed from the same bootstrap draws of groups (cells where a set has fewer than five groups).
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from arms import microsnoop
from eval_sets import PROTOCOLS, EvalSet, read_set
from representation import REPOSITORY, predict

from microsnoop_engine.evaluation.scores import FEW_UNITS, balanced_accuracy
from microsnoop_engine.sphering.spherize import SpheringWarning
from microsnoop_engine.sphering.table import sphere_frame
from microsnoop_engine.tables.columns import feature_columns

WAYS: dict[str, dict] = {
    "--components 32": {"components": 32},
    "--components 64": {"components": 64},
    "--components 128": {"components": 128},
    "--regularization 0.1": {"regularization": 0.1},
    "--regularization 1": {"regularization": 1.0},
    "--regularization 1 --by BATCH": {"regularization": 1.0, "by": "Metadata_Group"},
}
FEWEST_IN_GROUP = 100
"""Smallest number of cells of a group for a fit of its own."""
HEAD = """\
# Whitening on the set's own cells

`python benchmarks/own_whitening.py{limit} --out benchmarks/results`: points of balanced accuracy by neighbors that
`microsnoop sphere --controls all` adds or costs, with paired 95 % intervals, no labels used. Network: {network}, cells
resized to 128 pixels. Its features are whitened on the training images already. `BATCH`: the laboratory, the only
grouping with at least {fewest} cells in each group.
"""


def main() -> None:
    """Measure, print, and write own_whitening.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--limit", type=int, default=0, help="cells per set; 0 for all")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "out" / "representation")
    parser.add_argument("--out", type=Path, help="folder for own_whitening.md")
    options = parser.parse_args()
    network = microsnoop("fast", options.threads)
    gains: dict[str, dict[str, np.ndarray]] = {}
    raw: dict[str, float] = {}
    for name in PROTOCOLS:
        cells = read_set(name, options.limit)
        features = network.arm("fit").features(cells.images, options.cache)[0]
        before = drawn(features, cells)
        column = f"{name} ({len(features)})"
        raw[column] = 100 * before[0]
        gains[column] = {way: 100 * (drawn(rows, cells) - before) for way, rows in whitened(features, cells)}
        print(column, {way: round(float(gain[0]), 1) for way, gain in gains[column].items()}, flush=True)
    text = HEAD.format(
        limit=f" --limit {options.limit}" if options.limit else "", network=network.name, fewest=FEWEST_IN_GROUP
    )
    text += "\n" + table(raw, gains)
    print(text)
    if options.out:
        (options.out / "own_whitening.md").write_text(text)


def whitened(features: np.ndarray, cells: EvalSet):
    """Yield the name of each way and the features (n, q) after it."""
    channels = [f"C{number}" for number in range(cells.images.shape[1])]
    names = feature_columns("Cells", channels, features.shape[1] // len(channels))
    frame = pd.DataFrame(features, columns=names)
    frame["Metadata_Group"] = "all" if cells.groups is None else cells.groups
    for way, settings in WAYS.items():
        if "by" in settings and not 1 < frame["Metadata_Group"].nunique() <= len(frame) // FEWEST_IN_GROUP:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpheringWarning)
            result = sphere_frame(frame, names, "all", **settings)
        yield way, result.frame[result.features].to_numpy(np.float64)


def drawn(features: np.ndarray, cells: EvalSet) -> np.ndarray:
    """Balanced accuracies by neighbors: that of all cells, and those of 1,000 draws, the same ones for all features."""
    correct = predict("knn", features, cells) == cells.labels
    names, labels = np.unique(cells.labels, return_inverse=True)
    groups = np.arange(len(labels)) if cells.groups is None else np.unique(cells.groups, return_inverse=True)[1]
    if groups.max() + 1 < FEW_UNITS:
        groups = np.arange(len(labels))
    members, hits = np.zeros((2, groups.max() + 1, len(names)))
    np.add.at(members, (groups, labels), 1)
    np.add.at(hits, (groups, labels), correct)
    times = np.random.default_rng(len(labels)).multinomial(
        len(members), np.full(len(members), 1 / len(members)), size=1000
    )
    times = np.concatenate([np.ones((1, len(members))), times])
    return balanced_accuracy(times @ hits, times @ members)


def table(raw: dict[str, float], gains: dict[str, dict[str, np.ndarray]]) -> str:
    """Rows of ways, columns of sets, and the mean over the sets."""
    lines = [f"| way | {' | '.join(raw)} | mean |", "|---" * (len(raw) + 2) + "|"]
    lines.append(f"| as it is | {' | '.join(f'{value:.1f}' for value in raw.values())} | {mean(raw.values()):.1f} |")
    for way in WAYS:
        parts = [gains[column].get(way) for column in raw]
        words = ["" if part is None else shown(part) for part in parts]
        whole = "" if any(part is None for part in parts) else shown(np.mean(parts, axis=0))
        lines.append(f"| `{way}` | {' | '.join(words)} | {whole} |")
    return "\n".join(lines) + "\n"


def mean(values) -> float:
    """The mean of numbers."""
    return float(np.mean(list(values)))


def shown(gain: np.ndarray) -> str:
    """A difference with its interval."""
    low, high = np.percentile(gain[1:], (2.5, 97.5))
    return f"{gain[0]:+.1f} ({low:+.1f} to {high:+.1f})"


if __name__ == "__main__":
    main()

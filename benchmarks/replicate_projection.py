"""Test whether a linear projection that is learned from replicates helps treatments that it has not seen.

    python benchmarks/replicate_projection.py --out benchmarks/results

The projection whitens the differences between replicates of the training treatments (within-class covariance
normalization, Hatch et al. 2006), with the regularization that serves these treatments best. It is tested on
treatments, and where there are several also plates, that it has not seen, beside the rows as they are and their own
whitening.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from arms import microsnoop
from eval_sets import read_set
from get_data import DATA
from representation import REPOSITORY

from microsnoop_engine.evaluation.metrics import knn_correct
from microsnoop_engine.evaluation.scores import score_correct
from microsnoop_engine.sphering.spherize import SpheringWarning, Spherize

FOLDS = 5
GRID = (0.01, 0.1, 1.0, 10.0)
HEAD = """\
# A projection learned from replicates

`python benchmarks/replicate_projection.py --plate out/bbbc013/fast/aggregated.parquet --out benchmarks/results`: points
of the share of rows whose nearest row (cosine) has the same label, over the rows as they are. Only rows of treatments
that the projection has not seen are compared (five folds of treatments); paired 95 % intervals over treatments.
*Replicates*: whitening of the differences between replicates of the training treatments. *Own*: whitening of the
training rows, as `--controls all --regularization 1`.

"""


@dataclass(frozen=True)
class Screen:
    """Rows with the treatment that they replicate, the label that neighbors should share, and the plate."""

    name: str
    features: np.ndarray
    treatment: np.ndarray
    label: np.ndarray
    plate: np.ndarray


def main() -> None:
    """Measure, print, and write replicate_projection.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", type=Path, default=REPOSITORY / "out" / "representation")
    parser.add_argument("--plate", type=Path, help="aggregated.parquet of screen_bbbc013.py")
    parser.add_argument("--exports", type=Path, default=DATA / "exports")
    parser.add_argument("--out", type=Path, help="folder for replicate_projection.md")
    options = parser.parse_args()
    lines = ["| screen | rows | unseen treatments | as it is | own | replicates |", "|---|---|---|---|---|---|"]
    for screen in screens(options):
        lines.append(measured(screen))
        print(lines[-1], flush=True)
    if options.out:
        (options.out / "replicate_projection.md").write_text(HEAD + "\n".join(lines) + "\n")


def screens(options: argparse.Namespace) -> Iterator[Screen]:
    """Yield the screens at hand."""
    cells = read_set("mitocheck_phenotype", 0)
    features = microsnoop("fast").arm("fit").features(cells.images, options.cache)[0]
    wells = np.char.add(np.char.add(cells.columns["plate"].astype(str), " "), cells.columns["well"].astype(str))
    yield Screen("MitoCheck cells, wells as replicates", features, wells, cells.labels, cells.columns["plate"])
    if options.plate:
        frame = pd.read_parquet(options.plate)
        frame = frame[frame["Metadata_Role"] == "treated"]
        treatment, one = frame["Metadata_Treatment"].to_numpy(str), np.zeros(len(frame), int)
        features = frame.filter(like="_Microsnoop_").to_numpy(np.float64)
        yield Screen("BBBC013 wells, one plate", features, treatment, treatment, one)
    path = options.exports / "pycytominer.csv.gz"
    if path.exists():
        frame = pd.read_csv(path)
        frame = frame[frame["Metadata_moa"].notna()]
        features = frame.loc[:, "Cells_AreaShape_Compactness":].to_numpy(np.float64)
        compound, one = frame["Metadata_broad_sample"].to_numpy(str), np.zeros(len(frame), int)
        yield Screen("LINCS wells, doses as replicates, one plate", features, compound, compound, one)


def measured(screen: Screen) -> str:
    """A row of the table."""
    random = np.random.default_rng(0)
    names = np.unique(screen.treatment)
    fold_of = dict(zip(names, random.permutation(np.arange(len(names)) % FOLDS), strict=True))
    fold = np.array([fold_of[name] for name in screen.treatment])
    several = len(np.unique(screen.plate)) > 1
    right: dict[str, list[np.ndarray]] = {"as it is": [], "own": [], "replicates": []}
    tested = []
    for number in range(FOLDS):
        test = np.flatnonzero(fold == number)
        train = fold != number
        if several:
            train &= ~np.isin(screen.plate, np.unique(screen.plate[test]))
            if train.sum() < screen.features.shape[1]:
                train = fold != number
        names, counts = np.unique(screen.label[test], return_counts=True)
        test = test[np.isin(screen.label[test], names[counts > 1])]
        tested.append(test)
        for way, rows in projected(screen, train).items():
            apart = screen.plate[test] if several else None
            right[way].append(knn_correct(rows[test], screen.label[test], apart, k=1))
    rows = np.concatenate(tested)
    correct = {way: np.concatenate(parts) for way, parts in right.items()}
    words = []
    for way in ("own", "replicates"):
        gain = score_correct(np.zeros(len(rows)), correct[way] - correct["as it is"], screen.treatment[rows])[
            "accuracy"
        ]
        words.append(f"{100 * gain.value:+.1f} ({100 * gain.low:+.1f} to {100 * gain.high:+.1f})")
    units = len(np.unique(screen.treatment[rows]))
    start = 100 * correct["as it is"].mean()
    return f"| {screen.name} | {len(rows)} | {units} | {start:.1f} | {' | '.join(words)} |"


def projected(screen: Screen, train: np.ndarray) -> dict[str, np.ndarray]:
    """All rows as they are, whitened on the training rows, and whitened on the training replicates."""
    features = screen.features - screen.features[train].mean(0)
    within = np.concatenate([rows - rows.mean(0) for rows in _members(features[train], screen.treatment[train])])
    seen, labels = features[train], screen.treatment[train]
    best = max(GRID, key=lambda strength: _own_neighbors(_whitening(within, strength), seen, labels))
    return {
        "as it is": screen.features,
        "own": _whitening(features[train], 1.0).transform(features),
        "replicates": _whitening(within, best).transform(features),
    }


def _members(features: np.ndarray, treatment: np.ndarray) -> Iterator[np.ndarray]:
    for name in np.unique(treatment):
        rows = features[treatment == name]
        if len(rows) > 1:
            yield rows


def _whitening(rows: np.ndarray, strength: float) -> Spherize:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpheringWarning)
        return Spherize("zca", strength).fit(rows)


def _own_neighbors(sphering: Spherize, rows: np.ndarray, labels: np.ndarray) -> float:
    names, counts = np.unique(labels, return_counts=True)
    kept = np.isin(labels, names[counts > 1])
    return float(knn_correct(sphering.transform(rows[kept]), labels[kept], k=1).mean())


if __name__ == "__main__":
    main()

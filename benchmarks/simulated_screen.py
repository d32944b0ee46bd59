"""What sphering does to a screen whose truth is known: treatments, mechanisms, and batches that shift and stretch it.

python benchmarks/simulated_screen.py --out benchmarks/results
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np

from microsnoop_engine.evaluation.metrics import knn_predict, nsc
from microsnoop_engine.sphering.spherize import SpheringWarning, Spherize

FEATURES = 64
NUISANCES = 8
"""Directions in which wells differ by batch and position, not by treatment."""
HOW = (
    "`python benchmarks/simulated_screen.py --out benchmarks/results`. 12 mechanisms x 3 compounds x 3 replicates in "
    "each of 4 batches, 64 features. Batches shift wells along 8 directions in which wells of a batch differ among "
    "themselves, too (positions, staining). NSCB: share of compounds' profiles per batch whose nearest one of another "
    "compound and batch has their mechanism. Batch: share of wells whose nearest neighbor of another compound is of "
    "their batch, 25 % by chance. Effect: distance between mechanisms in units of the noise of a well. With 16 and 48 "
    "controls a batch has fewer controls than features."
)


def simulate(effect: float, controls: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Wells of a screen.

    Parameters
    ----------
    effect : float
        Length of a mechanism's shift; the noise of a well has deviation 1 in every direction.
    controls : int
        Control wells per batch.
    seed : int

    Returns
    -------
    dict of str to array
        ``features`` (n, 64); ``mechanism``, ``compound``, ``batch`` (n,); ``control`` (n,), bool.
    """
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.normal(size=(FEATURES, FEATURES)))[0]
    nuisance, signal = basis[:NUISANCES], basis[NUISANCES:]
    mechanisms = effect * _unit(random.normal(size=(12, len(signal)))) @ signal
    compounds = mechanisms.repeat(3, axis=0) + 0.3 * effect * _unit(random.normal(size=(36, len(signal)))) @ signal
    parts = []
    for batch in range(4):
        compound = np.r_[np.full(controls, -1), np.arange(36).repeat(3)]
        count = len(compound)
        features = random.normal(size=(count, FEATURES))
        features += np.where(compound[:, None] >= 0, compounds[compound], 0)
        features += (random.normal(size=NUISANCES) * 6 + random.normal(size=(count, NUISANCES)) * 4) @ nuisance
        parts.append((features, compound, np.full(count, batch)))
    features, compound, batch = (np.concatenate(part) for part in zip(*parts, strict=True))
    return {
        "features": features,
        "mechanism": compound // 3,
        "compound": compound,
        "batch": batch,
        "control": compound < 0,
    }


def judge(features: np.ndarray, screen: dict[str, np.ndarray]) -> dict[str, float]:
    """NSCB of the treatments' profiles per batch, and how far wells tell their batch."""
    treated = ~screen["control"]
    compound, batch = screen["compound"][treated], screen["batch"][treated]
    keys, rows = np.unique(np.stack([compound, batch], 1), axis=0, return_inverse=True)
    profiles = np.array([features[treated][rows.ravel() == row].mean(0) for row in range(len(keys))])
    match = nsc(profiles, keys[:, 0] // 3, keys[:, 0], keys[:, 1])
    told = knn_predict(features[treated], batch, groups=compound, k=1)
    return {"nscb": match.accuracy, "batch": float((told == batch).mean())}


def sphere(screen: dict[str, np.ndarray], by_batch: bool, regularization: str | float = "knee") -> np.ndarray:
    """Features sphered on the controls, of all batches together or of each on its own."""
    features, control = screen["features"], screen["control"]
    result = np.empty_like(features)
    for group in [screen["batch"] == batch for batch in range(4)] if by_batch else [np.ones(len(features), bool)]:
        result[group] = Spherize("zca-cor", regularization).fit(features[group & control]).transform(features[group])
    return result


def main() -> None:
    """Print the table, and write simulated_screen.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="folder for simulated_screen.md")
    options = parser.parse_args()
    warnings.simplefilter("ignore", SpheringWarning)
    ways = {
        "raw": lambda screen: screen["features"],
        "global, knee": lambda screen: sphere(screen, False),
        "global, 0.1": lambda screen: sphere(screen, False, 0.1),
        "per batch, knee": lambda screen: sphere(screen, True),
        "per batch, 0.1": lambda screen: sphere(screen, True, 0.1),
        "per batch, Ledoit-Wolf": lambda screen: sphere(screen, True, "ledoit-wolf"),
    }
    lines = ["| controls per batch | effect | " + " | ".join(ways) + " |", "|---" * (2 + len(ways)) + "|"]
    for controls in (16, 48, 200):
        for effect in (2.0, 4.0, 8.0):
            cells = []
            for way in ways.values():
                found = [judge(way(screen), screen) for screen in (simulate(effect, controls, n) for n in range(3))]
                nscb, batch = (100 * np.mean([one[key] for one in found]) for key in ("nscb", "batch"))
                cells.append(f"{nscb:.0f} / {batch:.0f}")
            lines.append(f"| {controls} | {effect:g} | " + " | ".join(cells) + " |")
            print(lines[-1], flush=True)
    if options.out:
        text = "\n\n".join(["# Sphering a simulated screen", HOW, "NSCB / batch, %:", "\n".join(lines)])
        (options.out / "simulated_screen.md").write_text(text + "\n")


def _unit(rows: np.ndarray) -> np.ndarray:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


if __name__ == "__main__":
    main()

"""Compare MUSE with images alone, genes alone and joined principal components on simulated cells.

python benchmarks/muse.py                   # fits; writes results/muse.json and results/muse.md
python benchmarks/muse.py --authors         # adds the authors' package muse-sc, in an environment with TensorFlow,
                                            # PhenoGraph, networkx and scikit-learn, with this repository on PYTHONPATH
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import time
from pathlib import Path

import numpy as np
from scipy.stats import t as student
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score

from microsnoop_engine.evaluation.clustering import graph_clusters
from microsnoop_engine.evaluation.clusters import clusters
from microsnoop_engine.multimodal.simulation import SimulatedCells, simulate_cells

RESULTS = Path(__file__).parent / "results"
CELLS, TYPES, COMPONENTS = 600, 10, 50
NOISES = (0.1, 1.0, 2.0, 3.0, 4.0)
SEEDS = range(5)
NAMES = {
    "images": "images alone",
    "genes": "genes alone",
    "joined": "PCA side by side",
    "muse": "MUSE",
    "muse_sc": "muse-sc",
}
CLUSTERINGS = {"graph": "clusters of a graph", "kmeans": "k-means, number of types known"}


def components(values: np.ndarray) -> np.ndarray:
    """Return principal components (n, 50) with mean square 1."""
    found = PCA(COMPONENTS, svd_solver="full").fit_transform(values)
    return found / found.std()


def ours(cells: SimulatedCells, seed: int) -> dict[str, np.ndarray]:
    """Return the representations (n, d) that are compared."""
    from microsnoop_engine.multimodal.estimator import MUSE

    images, genes = components(cells.images), components(cells.genes)
    joint = MUSE(seed=seed).fit_transform(cells.images, cells.genes)
    return {"images": images, "genes": genes, "joined": np.hstack([images, genes]), "muse": joint}


def authors(cells: SimulatedCells, seed: int) -> dict[str, np.ndarray]:
    """Return the representation of muse-sc with its default settings; first labels as in its demonstration."""
    np.int = int  # noqa: NPY001  # as the package spells it
    import muse_sc
    import tensorflow.compat.v1 as tf

    np.random.seed(seed)  # noqa: NPY002  # the package draws from it
    tf.reset_default_graph()
    tf.set_random_seed(seed)
    first = [graph_clusters(components(block)) for block in (cells.genes, cells.images)]
    with contextlib.redirect_stdout(io.StringIO()):
        return {"muse_sc": muse_sc.muse_fit_predict(cells.genes, cells.images, *first)[0]}


def scores(values: np.ndarray, types: np.ndarray) -> dict[str, float]:
    """Return the ARI with the true types by both clusterings."""
    found = {"graph": graph_clusters(values), "kmeans": clusters(values, TYPES)}
    return {name: float(adjusted_rand_score(types, labels)) for name, labels in found.items()}


def interval(values: np.ndarray) -> str:
    """Write the mean and its 95 % interval (Student) over simulations."""
    half = student.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.2f} ({values.mean() - half:.2f} to {values.mean() + half:.2f})"


def table(runs: list[dict], clustering: str) -> list[str]:
    """Write the rows of a table: a level of quality each."""
    known = [name for name in NAMES if any(name in run["ari"] for run in runs)]
    head = ["noise of images", *(NAMES[name] for name in known), "MUSE - better one alone", "MUSE - side by side"]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for noise in NOISES:
        here = [run["ari"] for run in runs if run["noise"] == noise]
        values = {name: np.array([ari[name][clustering] for ari in here if name in ari]) for name in known}
        alone = np.maximum(values["images"], values["genes"])
        cells = [f"{interval(found)}, n = {len(found)}" if len(found) > 1 else "" for found in values.values()]
        cells += [interval(values["muse"] - other) for other in (alone, values["joined"])]
        lines.append("| " + " | ".join([f"{noise:g}", *cells]) + " |")
    return lines


def main() -> None:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--authors", action="store_true", help="run muse-sc instead")
    parser.add_argument("--noises", type=float, nargs="*", default=NOISES)
    parser.add_argument("--seeds", type=int, nargs="*", default=SEEDS)
    options = parser.parse_args()
    file = RESULTS / "muse.json"
    runs = json.loads(file.read_text()) if file.is_file() else []
    for seed in options.seeds:
        for noise in options.noises:
            run = next((run for run in runs if (run["noise"], run["seed"]) == (noise, seed)), None)
            if run is None:
                run = {"noise": noise, "seed": seed, "ari": {}}
                runs.append(run)
            if ("muse_sc" if options.authors else "muse") in run["ari"]:
                continue  # of an earlier run
            cells = simulate_cells(CELLS, TYPES, image_noise=noise, seed=seed)
            start = time.process_time()
            found = (authors if options.authors else ours)(cells, seed)
            run["ari"] |= {name: scores(values, cells.types) for name, values in found.items()}
            print(noise, seed, f"{time.process_time() - start:.0f} s", run["ari"], flush=True)
            file.write_text(json.dumps(runs, indent=1) + "\n")
    complete = all(sum(run["noise"] == noise and "muse" in run["ari"] for run in runs) > 1 for noise in NOISES)
    if complete:
        page = RESULTS / "muse.md"
        text = page.read_text().split("<!-- tables -->")[0] if page.is_file() else "# MUSE on simulated cells\n\n"
        parts = [f"## {title.capitalize()}\n\n" + "\n".join(table(runs, name)) for name, title in CLUSTERINGS.items()]
        page.write_text(text + "<!-- tables -->\n\n" + "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()

"""Compare Harmony with the R package's published result and harmony-pytorch, on the 3,500 blood cells of harmonypy.

    python benchmarks/harmony_cells.py HARMONYPY/data --out benchmarks/results

HARMONYPY is a checkout of the repository slowkow/harmonypy. harmony-pytorch is compared where it is installed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from microsnoop_engine.evaluation.neighbors import nearest
from microsnoop_engine.sphering.harmony import Harmony

HEAD = """\
# Harmony

`python benchmarks/harmony_cells.py HARMONYPY/data --out benchmarks/results`: 3,500 blood cells of three donors, 30
principal components. *Mixing*: share of the 30 nearest cells (Euclidean) that are of another donor. Differences from
the published result of the R package, in standard deviations of the components. Seconds on a busy machine.

"""


def main() -> None:
    """Correct, compare, print, and write harmony.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder data of a checkout of harmonypy")
    parser.add_argument("--out", type=Path, help="folder for harmony.md")
    options = parser.parse_args()
    cells, published, meta = (
        pd.read_csv(options.data / f"pbmc_3500_{name}.tsv.gz", sep="\t") for name in ("pcs", "pcs_harmonized", "meta")
    )
    values, expected, donors = cells.to_numpy(), published.to_numpy(), meta["donor"].astype(str).to_numpy()
    order = np.random.default_rng(0).permutation(len(values))

    def shuffled() -> np.ndarray:
        result = np.empty_like(values)
        result[order] = Harmony().fit_transform(values[order], donors[order])
        return result

    ways: dict[str, Callable[[], np.ndarray]] = {
        "as they are": lambda: values,
        "R package": lambda: expected,
        "microsnoop": lambda: Harmony().fit_transform(values, donors),
        "microsnoop, rows shuffled": shuffled,
        "microsnoop, seed 1": lambda: Harmony(seed=1).fit_transform(values, donors),
    }
    try:
        from harmony import harmonize

        table = pd.DataFrame({"donor": donors})
        ways["harmony-pytorch"] = lambda: harmonize(values, table, "donor", use_gpu=False, verbose=False)
    except ImportError:
        print("harmony-pytorch is not installed")
    lines = ["| way | mixing | root mean square difference | largest difference | lowest correlation | seconds |"]
    lines.append("|---" * 6 + "|")
    for name, way in ways.items():
        began = time.perf_counter()
        found = way()
        seconds = time.perf_counter() - began
        near = nearest(found, 30, metric="euclidean")
        mixing = (donors[near] != donors[:, None]).mean()
        gap = (found - expected) / values.std()
        lowest = min(np.corrcoef(found[:, k], expected[:, k])[0, 1] for k in range(values.shape[1]))
        numbers = [f"{mixing:.3f}", f"{np.sqrt((gap**2).mean()):.3f}", f"{np.abs(gap).max():.2f}", f"{lowest:.3f}"]
        lines.append(f"| {name} | {' | '.join(numbers)} | {seconds:.1f} |")
        print(lines[-1], flush=True)
    if options.out:
        (options.out / "harmony.md").write_text(HEAD + "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()

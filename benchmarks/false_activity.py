"""Count treatments without effect that look active, by the correction that came before the test.

    python benchmarks/false_activity.py --out benchmarks/results

Controls and replicates are drawn from one distribution whose features share few or many directions. The correction is
fitted on the controls, as `normalize` and `sphere` do; the last one on all wells of a screen of 20 such treatments.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from microsnoop_engine.evaluation.activity import replicates_among_controls
from microsnoop_engine.sphering.normalization import Normalize
from microsnoop_engine.sphering.spherize import SpheringWarning, Spherize

CORRECTIONS: dict[str, Callable[[np.ndarray], Callable[[np.ndarray], np.ndarray]]] = {
    "none": lambda controls: lambda rows: rows,
    "normalize, mad-robust": lambda controls: Normalize("mad-robust").fit(controls).transform,
    "normalize, standardize": lambda controls: Normalize("standardize").fit(controls).transform,
    "sphere, 1": lambda controls: Spherize(regularization=1.0).fit(controls).transform,
    "sphere, 0.1": lambda controls: Spherize(regularization=0.1).fit(controls).transform,
    "sphere, knee": lambda controls: Spherize().fit(controls).transform,
}
CASES = ((16, 20), (16, 200), (64, 100), (600, 100))
FEATURES, REPLICATES, TREATMENTS = 256, 4, 20
HEAD = """\
# Treatments without effect that look active

`python benchmarks/false_activity.py --out benchmarks/results`: share of {trials} simulated treatments without effect
with p < 0.05 (right: 5 %). {replicates} replicates, {features} features; *directions*: over so many the variance falls
to a third. Every comparison is centered on the rows that it compares, as `microsnoop activity` does.

"""


def main() -> None:
    """Simulate, print, and write false_activity.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--out", type=Path, help="folder for false_activity.md")
    options = parser.parse_args()
    names = [f"{name} on controls" if name != "none" else name for name in CORRECTIONS]
    lines = [f"| controls | directions | {' | '.join(names)} | sphere, 1 on all wells |"]
    lines.append("|---" * (len(names) + 3) + "|")
    for controls, directions in CASES:
        shares = [false_share(controls, directions, fit, options.trials) for fit in CORRECTIONS.values()]
        shares.append(false_share(controls, directions, CORRECTIONS["sphere, 1"], options.trials, on_all=True))
        lines.append(f"| {controls} | {directions} | {' | '.join(f'{100 * share:.0f} %' for share in shares)} |")
        print(lines[-1], flush=True)
    if options.out:
        head = HEAD.format(trials=options.trials, replicates=REPLICATES, features=FEATURES)
        (options.out / "false_activity.md").write_text(head + "\n".join(lines) + "\n")


def false_share(controls: int, directions: int, fit: Callable, trials: int, on_all: bool = False) -> float:
    """The share of treatments without effect with p below 0.05."""
    random = np.random.default_rng(controls + directions)
    spread = np.exp(-np.arange(FEATURES) / directions / 2)
    found = 0
    for trial in range(trials):
        rows = 3 + spread * random.normal(size=(controls + REPLICATES * TREATMENTS, FEATURES))
        compared = rows[: controls + REPLICATES]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SpheringWarning)
            corrected = fit(rows if on_all else rows[:controls])(compared)
        replicates = np.arange(len(compared)) >= controls
        found += replicates_among_controls(corrected - corrected.mean(0), replicates, draws=400, seed=trial).p < 0.05
    return found / trials


if __name__ == "__main__":
    main()

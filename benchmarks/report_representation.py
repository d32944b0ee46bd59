"""The results of the representation benchmark as Markdown, JSON and a bar chart."""

from __future__ import annotations

import json
from dataclasses import astuple, is_dataclass
from pathlib import Path

import numpy as np

TITLES = {
    "knn": "Nearest neighbors of other groups (cosine)",
    "linear": "Linear probe (5 folds of whole groups)",
    "mlp": "MLP (5 folds of whole groups)",
}
MEASURES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
COLORS = {"ImageNet MobileNet, resize": "#e08214", "classical (cp_measure)": "#7fbc41", "raw pixels": "#999999"}


def write(folder: Path, result: dict) -> None:
    """Write representation.md, representation.json and representation.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "representation.md").write_text(as_markdown(result))
    text = json.dumps(result, indent=1, default=_plain)
    (folder / "representation.json").write_text(text + "\n")
    draw(result["classification"], folder / "representation.png")


def as_markdown(result: dict) -> str:
    """Everything as tables."""
    parts = ["# Representation", result["how"], "![balanced accuracy](representation.png)"]
    for score in dict.fromkeys(row["score"] for row in result["classification"]):
        for measure, title in MEASURES.items():
            parts += [
                f"## {TITLES[score]}: {title}, % (95 % interval)",
                pivot(result["classification"], score, measure),
            ]
    if result["separation"]:
        parts += ["## Separation", plain_table(result["separation"])]
    if result["plate"]:
        parts += ["## A plate: BBBC013", plain_table(result["plate"])]
    return "\n\n".join(parts) + "\n"


def pivot(rows: list[dict], score: str, measure: str) -> str:
    """A table with tasks in rows and arms in columns, the best of each row in bold."""
    arms, tasks, values = _grid(rows, score, measure)
    lines = ["| set | cells | " + " | ".join(arms) + " |", "|---|---" + "|---" * len(arms) + "|"]
    for task, (cells, scores) in zip(tasks, values, strict=True):
        best = max(value.value for value in scores)
        cols = [f"**{value}**" if value.value == best else str(value) for value in scores]
        lines.append(f"| {task} | {cells} | " + " | ".join(cols) + " |")
    means = np.array([[value.value for value in scores] for _, scores in values]).mean(0)
    cols = [f"**{100 * mean:.1f}**" if mean == means.max() else f"{100 * mean:.1f}" for mean in means]
    return "\n".join([*lines, "| mean | | " + " | ".join(cols) + " |"])


def plain_table(rows: list[dict]) -> str:
    """A table with a column per key."""
    lines = ["| " + " | ".join(key.replace("_", " ") for key in rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """Balanced accuracy by nearest neighbors: a group of bars per task, a color per arm, blue for our network."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    arms, tasks, values = _grid(rows, "knn", "balanced_accuracy")
    figure, axes = plt.subplots(figsize=(12, 5), layout="constrained")
    width = 0.84 / len(arms)
    ours = [arm for arm in arms if arm not in COLORS]
    colors = COLORS | dict(zip(ours, plt.get_cmap("Blues")(np.linspace(0.9, 0.45, len(ours))), strict=True))
    for n, arm in enumerate(arms):
        scores = [scores[n] for _, scores in values]
        heights = np.array([100 * score.value for score in scores])
        spread = [heights - [100 * s.low for s in scores], [100 * s.high for s in scores] - heights]
        places = np.arange(len(tasks)) + (n - (len(arms) - 1) / 2) * width
        axes.bar(places, heights, width, label=arm, color=colors[arm])
        axes.errorbar(places, heights, np.maximum(spread, 0), fmt="none", ecolor="#333333", elinewidth=0.8, capsize=1.5)
    axes.set_xticks(range(len(tasks)), [_wrapped(task) for task in tasks], fontsize=9)
    axes.set_ylabel("balanced accuracy, % (95 % interval)")
    axes.set_title("Labels of cells by their nearest neighbors in other plates, fields or laboratories")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(ncols=len(arms), fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _grid(rows: list[dict], score: str, measure: str):
    """Arms, tasks, and for each task its number of cells and the arms' scores."""
    here = {(row["task"], row["arm"]): row for row in rows if row["score"] == score}
    arms = list(dict.fromkeys(arm for _, arm in here))
    tasks = list(dict.fromkeys(task for task, _ in here))
    return arms, tasks, [(here[t, arms[0]]["cells"], [here[t, arm][measure] for arm in arms]) for t in tasks]


def _wrapped(task: str) -> str:
    return task.replace(", ", "\n").replace("_", "\n", 1)


def _plain(value):
    return astuple(value) if is_dataclass(value) else value.item()

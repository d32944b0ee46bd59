"""The results of the representation benchmark as Markdown, JSON and a bar chart."""

from __future__ import annotations

import json
from dataclasses import astuple, dataclass, is_dataclass
from pathlib import Path

import numpy as np

TITLES = {
    "knn": "Nearest neighbors of other groups (cosine)",
    "own": "Nearest neighbors after the set's own whitening",
    "linear": "Linear probe (5 folds of whole groups)",
    "mlp": "MLP (5 folds of whole groups)",
}
MEASURES = {"balanced_accuracy": "balanced accuracy", "accuracy": "accuracy"}
COLORS = {"microsnoop": "Blues", "ImageNet": "Oranges", "other": "Greys"}
WBC = "wbc_multibatch"
MEANS = ("mean", "without WBC")


@dataclass(frozen=True)
class Difference:
    """A difference of two arms in points, with its interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:+.1f} ({self.low:+.1f} to {self.high:+.1f})"


def task_groups(tasks) -> dict[str, list[str]]:
    """The tasks that the two means and each task are over."""
    without = [task for task in tasks if not task.startswith(WBC)]
    return {MEANS[0]: list(tasks), MEANS[1]: without or list(tasks), **{task: [task] for task in tasks}}


def write(folder: Path, result: dict) -> None:
    """Write representation.md, representation.json and representation.png."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "representation.md").write_text(as_markdown(result))
    text = json.dumps(result, indent=1, default=_plain)
    (folder / "representation.json").write_text(text + "\n")
    if {row["score"] for row in result["classification"]} >= {"knn", "linear"}:
        draw(result["classification"], folder / "representation.png")


def as_markdown(result: dict) -> str:
    """Everything as tables."""
    parts = ["# Representation", result["how"], "![quality and cost, and balanced accuracy by set](representation.png)"]
    for score in dict.fromkeys(row["score"] for row in result["classification"]):
        for measure, title in MEASURES.items():
            parts += [
                f"## {TITLES[score]}: {title}, % (95 % interval)",
                pivot(result["classification"], score, measure),
            ]
    if result["differences"]:
        parts.append(
            "## Balanced accuracy minus that of the best ImageNet network (by the mean); of ours, also minus our "
            "first, points"
        )
    for score in dict.fromkeys(row["score"] for row in result["differences"]):
        rows = [row for row in result["differences"] if row["score"] == score]
        parts += [f"### {TITLES[score]}", plain_table([dict(list(row.items())[1:]) for row in rows])]
    if result["separation"]:
        parts += ["## Separation", plain_table(result["separation"])]
    if result["plate"]:
        parts += ["## A plate: BBBC013", plain_table(result["plate"])]
    return "\n\n".join(parts) + "\n"


def pivot(rows: list[dict], score: str, measure: str) -> str:
    """A table with arms in rows, and tasks and means in columns, the best of each column in bold."""
    arms, tasks, values = _grid(rows, score, measure)
    columns = []
    for _, scores in values:
        best = max(value.value for value in scores)
        columns.append([f"**{value}**" if value.value == best else str(value) for value in scores])
    for members in list(task_groups(tasks).values())[: len(MEANS)]:
        means = np.mean([[v.value for v in values[tasks.index(task)][1]] for task in members], axis=0)
        columns.append([f"**{100 * mean:.1f}**" if mean == means.max() else f"{100 * mean:.1f}" for mean in means])
    heads = [f"{task} ({cells})" for task, (cells, _) in zip(tasks, values, strict=True)]
    lines = ["| features | " + " | ".join([*heads, *MEANS]) + " |", "|---" * (len(columns) + 1) + "|"]
    lines += [f"| {arm} | " + " | ".join(cells) + " |" for arm, *cells in zip(arms, *columns, strict=True)]
    return "\n".join(lines)


def plain_table(rows: list[dict]) -> str:
    """A table with a column per key."""
    lines = ["| " + " | ".join(key.replace("_", " ") for key in rows[0]) + " |", "|---" * len(rows[0]) + "|"]
    for row in rows:
        cells = [f"{value:.2f}" if isinstance(value, float) else str(value) for value in row.values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(rows: list[dict], path: Path) -> None:
    """Quality against cost, and balanced accuracy by nearest neighbors: a group of bars per task, a color per arm."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    arms, tasks, values = _grid(rows, "knn", "balanced_accuracy")
    kinds = {row["arm"]: row["kind"] for row in rows}
    colors = {}
    for kind, name in COLORS.items():
        members = [arm for arm in arms if kinds[arm] == kind]
        colors |= dict(zip(members, plt.get_cmap(name)(np.linspace(0.9, 0.4, len(members))), strict=True))
    figure, panels = plt.subplot_mosaic(
        [["left", "right"], ["bars", "bars"]], figsize=(13, 10), dpi=110, layout="constrained"
    )
    left, right, axes = panels["left"], panels["right"], panels["bars"]
    points = {}
    for panel, score, title in ((left, "knn", "nearest neighbors"), (right, "linear", "linear probe")):
        points[panel] = _draw_cost(panel, rows, score, title, colors)
    width = 0.84 / len(arms)
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
    axes.legend(ncols=5, fontsize=8, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.14))
    figure.canvas.draw()
    for panel, named in points.items():
        _label(panel, named)
    figure.savefig(path)
    plt.close(figure)


def _draw_cost(axes, rows: list[dict], score: str, title: str, colors: dict) -> dict[str, tuple[float, float]]:
    """The mean balanced accuracy of each arm against the crops that it embeds in a second of one core; its points."""
    arms, tasks, values = _grid(rows, score, "balanced_accuracy")
    points = {}
    for n, arm in enumerate(arms):
        mean = 100 * np.mean([scores[n].value for _, scores in values])
        here = [row for row in rows if row["arm"] == arm and row["score"] == score and row["task"] in tasks]
        spent = {(row["crops"], row["cpu_seconds"]) for row in here}
        rate = sum(crops for crops, _ in spent) / max(sum(seconds for _, seconds in spent), 1e-9)
        points[arm] = (rate, mean)
        axes.plot(rate, mean, "o", color=colors[arm])
    axes.set_xscale("log")
    axes.set_xlabel("crops per second of CPU time, cutting and resizing included")
    axes.set_ylabel("mean balanced accuracy, %")
    axes.set_title(f"Quality and cost: {title}")
    axes.spines[["top", "right"]].set_visible(False)
    rates = [rate for rate, _ in points.values()]
    axes.set_xlim(min(rates) / 4, max(rates) * 4)
    axes.margins(y=0.08)
    return points


def _label(axes, points: dict[str, tuple[float, float]]) -> None:
    """Name the points, each name at the first place near its point where it meets no other name and no point."""
    from matplotlib.text import Text
    from matplotlib.transforms import Bbox

    renderer = axes.figure.canvas.get_renderer()
    centers = axes.transData.transform(list(points.values()))
    taken = [Bbox.from_bounds(x - 5, y - 5, 10, 10) for x, y in centers]
    places = [(up, side) for away in range(0, 60, 6) for side in ("left", "right") for up in {away, -away}]
    for (arm, point), own in zip(points.items(), list(taken), strict=True):
        for up, side in places:
            text = axes.annotate(
                arm.removeprefix("ImageNet "),
                point,
                xytext=(6 if side == "left" else -6, up),
                textcoords="offset points",
                fontsize=7,
                ha=side,
                va="center",
                arrowprops={"arrowstyle": "-", "lw": 0.4, "color": "#999999"} if up else None,
            )
            text.update_positions(renderer)
            box = Text.get_window_extent(text, renderer)  # without the line to the point
            inside = axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1)
            if inside and not any(box.overlaps(other) for other in taken if other is not own):
                taken.append(box)
                break
            text.remove()


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

"""Draw reconstructions (Xun et al. 2023, Figure 2) and write the report of a training run."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ..errors import counted
from ..storage.atomic import atomic_path, write_atomic
from .batches import patch_mask
from .config import as_yaml
from .curves import draw_curves
from .judge import mean_scores, read_scores
from .pool import Pool
from .trainer import LOG, LOSSES, SCORES, Trainer

GAP = 4
REPORT = "report.md"
PLOT = "judge.svg"


@torch.no_grad()
def draw_reconstructions(trainer: Trainer, pool: Pool, path: Path) -> None:
    """Draw the reconstruction of the first crop of each category: masked input, reconstruction and target in a row.

    A network that does not reconstruct (contrast alone) has no picture, and no file is written.

    Parameters
    ----------
    trainer : Trainer
    pool : Pool
        Images to draw.
    path : Path
        The ``.png`` file to write.
    """
    if not trainer.config.reconstruction_weight:
        return
    trainer.model.eval()
    batches = trainer.batches_of(pool)
    rows = []
    for step in range(len(batches.categories)):
        target = batches.crops(batches.draw(step)[:1])
        mask = patch_mask(trainer.config, step, trainer.device)[:1]
        output = trainer.model(target, mask)
        rows.append([plane[0, 0].float().cpu().numpy() for plane in (target * (1 - mask), output, target)])
    with atomic_path(path) as temporary:
        Image.fromarray(sheet(rows)).save(temporary, format="PNG")


def sheet(rows: list[list[NDArray[np.floating[Any]]]]) -> NDArray[np.uint8]:
    """Lay out planes in rows on a white sheet.

    Parameters
    ----------
    rows : list of list of array (s, s)
        Planes of values from 0 to 1, the same number in each row.

    Returns
    -------
    array (h, w), uint8
    """
    size = rows[0][0].shape[0]
    height, width = (n * (size + GAP) - GAP for n in (len(rows), len(rows[0])))
    result = np.full((height, width), 255, np.uint8)
    for y, row in enumerate(rows):
        for x, plane in enumerate(row):
            top, left = y * (size + GAP), x * (size + GAP)
            result[top : top + size, left : left + size] = np.rint(plane.clip(0, 1) * 255)
    return result


def epoch_losses(folder: Path) -> list[dict[str, float]]:
    """Return the mean losses of each epoch in a run's log, with the number of images seen at its end."""
    with (folder / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    epochs: dict[int, list[dict[str, str]]] = {}
    for row in rows:
        epochs.setdefault(int(row["epoch"]), []).append(row)
    names = [name for name in LOSSES if rows and rows[0][name]]
    return [
        {"epoch": epoch + 1, "images": int(part[-1]["images"])}
        | {name: sum(float(row[name]) for row in part) / len(part) for name in names}
        for epoch, part in epochs.items()
    ]


def write_report(trainer: Trainer, pool: Pool, validation: dict[str, float] | None, notes: Sequence[str] = ()) -> Path:
    """Write ``report.md`` into the run's folder.

    Parameters
    ----------
    trainer : Trainer
    pool : Pool
        The training images.
    validation : dict of str to float, optional
        Losses on the validation images by name.
    notes : sequence of str
        Further sentences on the validation images and the labeled cells.

    Returns
    -------
    Path
        The report.
    """
    config, images = trainer.config, trainer.step * trainer.config.batch
    lines = [
        "# Training report",
        "",
        f"{counted(images, 'images')} seen in {trainer.seconds / 3600:.2f} hours on {trainer.device} "
        f"({images / max(trainer.seconds, 1e-9):.1f} per second); step {trainer.step} of {config.steps}.",
        "",
    ]
    if validation:
        losses = ", ".join(f"{name} {value:.5f}" for name, value in validation.items())
        lines += [f"On the validation images: {losses}.", ""]
    for note in notes:
        lines += [f"{note[:1].upper()}{note[1:]}.", ""]
    epochs = epoch_losses(trainer.folder)
    if epochs:
        lines += ["| " + " | ".join(epochs[0]) + " |", "|" + "---|" * len(epochs[0])]
        lines += [
            "| " + " | ".join(f"{v:.5f}" if isinstance(v, float) else str(v) for v in epoch.values()) + " |"
            for epoch in epochs
        ]
        lines.append("")
    lines += _judged(trainer.folder)
    for picture in sorted(trainer.folder.glob("reconstruction-*.png")):
        lines += [f"![masked input, reconstruction, target]({picture.name})", ""]
    lines += [f"{counted(len(pool.planes), 'training images')}:", ""]
    lines += [f"- {count} of {source}" for source, count in sorted(pool.sources.items(), key=lambda item: -item[1])]
    if pool.skipped:
        lines += ["", f"{len(pool.skipped)} could not be read:", "", *(f"- {line}" for line in pool.skipped)]
    lines += ["", "```yaml", as_yaml(config).rstrip(), "```", ""]
    write_atomic(trainer.folder / REPORT, "\n".join(lines).encode())
    return trainer.folder / REPORT


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Return the lines of a table of scores in percent, by the names of its rows."""
    body = ((name, *(f"{100 * scores[score]:.1f}" for score in SCORES)) for name, scores in rows.items())
    lines = [(title, *SCORES), ["---"] * (1 + len(SCORES)), *body]
    return [*(f"| {' | '.join(line)} |" for line in lines), ""]


def _judged(folder: Path) -> list[str]:
    """Return the lines of the report on scores of labeled cells, in percent, and draw their curves."""
    rows = read_scores(folder)
    if not rows:
        return []
    means = mean_scores(rows)
    curves = {name: [100 * mean[name] for mean in means] for name in SCORES}
    title = "balanced accuracy, %"
    write_atomic(folder / PLOT, draw_curves([m["crops"] for m in means], curves, "crops seen", title).encode())
    last = [row for row in rows if row["crops"] == means[-1]["crops"]]
    return [
        f"Labeled cells, {title} of nearest neighbors and of a linear probe, mean of the sets:",
        "",
        *_table("crops", {f"{mean['crops']:,.0f}": mean for mean in means}),
        f"![scores of labeled cells]({PLOT})",
        "",
        f"By set, after {counted(last[0]['crops'], 'crops')}:",
        "",
        *_table("set", {row["set"]: row for row in last}),
    ]

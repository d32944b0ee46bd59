"""Draw docs/images/scales.png: the same nuclei as the network sees them at three scales.

python scripts/pictures/scales.py
"""

from __future__ import annotations

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.model.frame import Frame
from microsnoop_engine.modes.crops import crops
from microsnoop_engine.modes.measure import typical_sides, with_diameter
from microsnoop_engine.modes.regions import longer_sides, object_bounds, regions_of
from microsnoop_engine.modes.settings import CropSettings

FRAME = Frame(128, zeros=False)
ROWS = {"none": "none: as they are", "auto": "auto: one factor for all", "each": "each: every box fits"}


def main() -> None:
    """Cut the crops of a small, a typical and a large nucleus, and draw them in one square of 224 pixels each."""
    image, labels = render_field("control", 0.5, np.random.default_rng(0), (900, 900), 60)
    sides = longer_sides(object_bounds(labels)[1])
    boxes = regions_of(labels.shape, labels, CropSettings(scale="none"), FRAME).box
    inside = np.flatnonzero((boxes[:, 2:] - boxes[:, :2] == 4 * sides[:, None]).all(1))
    order = inside[np.argsort(sides[inside])]
    chosen = [order[0], order[len(order) // 2], order[-1]]
    figure, axes = plt.subplots(3, 3, figsize=(6.4, 6.6))
    for row, (scale, title) in zip(axes, ROWS.items(), strict=True):
        settings = CropSettings(scale=scale)
        settings = with_diameter(settings, typical_sides(image, labels, settings))
        regions = regions_of(labels.shape, labels, settings, FRAME)
        windows = {int(part.indices[0]): part.windows[0] for part in crops(image[1:2], regions, settings, None, FRAME)}
        for axis, index in zip(row, chosen, strict=True):
            window = windows[index]
            canvas = np.full((224, 224), 0.25)
            start = (224 - len(window)) // 2
            canvas[start : start + len(window), start : start + len(window)] = window
            axis.imshow(canvas, cmap="gray", vmin=0, vmax=1)
            axis.set_title(f"{sides[index]:.0f} px wide", fontsize=9)
            axis.set_xticks([])
            axis.set_yticks([])
        row[0].set_ylabel(title, fontsize=9)
    figure.tight_layout()
    figure.savefig(Path(__file__).parents[2] / "docs/images/scales.png", dpi=110)


if __name__ == "__main__":
    main()

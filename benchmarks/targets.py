"""Write targets for `microsnoop train --set targets=FILE`: crops of the training images with classical features.

The features are CellProfiler's (cp_measure) of the object in each crop. Nobody labels or outlines anything.

Most places are squares around an object that Otsu's threshold finds near a random point, 1.2 to 2.6 times as large as
it; the others are random. A target is the classical features' principal components, nearly of equal variance, of unit
length.

    python benchmarks/targets.py --places 40000 --out out/targets.npz
"""

from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from classical import measure_cell, otsu_mask, standardized
from get_data import DATA
from representation import REPOSITORY
from scipy import ndimage

from microsnoop_engine.trainer.batches import Batches, CropBatch
from microsnoop_engine.trainer.config import make_config
from microsnoop_engine.trainer.pool import read_pool
from microsnoop_engine.trainer.targets import Targets

POOL = DATA / "pool"
FRAME, BATCH = 64, 256
"""Pixels of the squares that are measured; squares at a time."""
SMALLEST, LARGEST = 24, 128
"""Sides of the squares in pixels of the training images."""
MARGINS = 1.2, 2.6
"""Side of a square in units of its object's longer side."""
OBJECT = 0.02, 0.6
"""Share of a square that an object covers, if it is one."""
SOLID = 0.4
"""Least share of its bounding box that an object covers."""
WITHOUT_OBJECT = 0.15
"""Share of the random places without an object that are kept."""
KEPT = 96
"""Principal components."""
REGULARIZATION = 0.3
"""Added to their variances, as a share of the mean of all."""
STEADY = 0.8
"""Least correlation of a feature of squares with that of the same squares turned: others say how a cell lies."""


def main() -> None:
    """Find the places, measure them, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--places", type=int, default=40000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--out", type=Path, default=REPOSITORY / "out" / "targets.npz")
    options = parser.parse_args()
    changes = {"crop": FRAME, "batch": BATCH, "crops_per_image": 1, "seed": options.seed}
    scales = {"scale_low": FRAME / LARGEST, "scale_high": FRAME / SMALLEST}
    pool = read_pool(POOL)
    batches = Batches(pool, make_config("base", changes | scales), torch.device("cpu"))
    random = np.random.default_rng(options.seed)
    began, step, found, tables, turned = time.monotonic(), 0, [], [], []
    with ProcessPoolExecutor(options.threads) as workers:
        while sum(map(len, tables)) < options.places:
            places = around_objects(batches, batches.draw(step), random)
            crops = batches.crops(places).numpy()
            varied = crops.max((1, 2, 3)) > 0
            places, crops = places[varied], crops[varied].clip(0, 1)
            found.append(np.column_stack([places.plane, places.center, FRAME / places.scale]))
            tables.append(np.array(list(workers.map(measure_cell, crops, chunksize=8))))
            if len(turned) < 8:
                turned.append(np.array(list(workers.map(measure_cell, np.rot90(crops, axes=(2, 3)), chunksize=8))))
            step += 1
            if step % 20 == 0:
                print(f"{sum(map(len, tables))} places, {time.monotonic() - began:.0f} s", flush=True)
    table = np.concatenate(tables)
    steady = same_when_turned(np.concatenate(tables[:8]), np.concatenate(turned))
    print(f"{steady.sum()} of {len(steady)} features do not depend on how a cell lies")
    target = components(standardized(table[:, steady], limit=5)).astype(np.float16)
    plane, y, x, side = np.concatenate(found).T
    says = (f"cp_measure's features ({steady.sum()} that do not depend on how a cell lies) in the object's Otsu mask",)
    center = np.column_stack([y, x]).astype(np.float32)
    Targets(plane.astype(np.int32), center, side.astype(np.float32), target, says).save(options.out, pool)


def around_objects(batches: Batches, places: CropBatch, random: np.random.Generator) -> CropBatch:
    """The places moved onto the objects near their middles and made as large as suits them; few without an object."""
    upright = replace(places, angle=np.zeros(len(places.plane)), flip=np.zeros(len(places.plane), bool))
    center, scale = places.center.copy(), places.scale.copy()
    keep = np.ones(len(scale), bool)
    for n, crop in enumerate(batches.cut(upright).numpy()):
        y, x = middle_piece(otsu_mask(crop))
        if not is_object(y, x):
            keep[n] = random.random() < WITHOUT_OBJECT
            continue
        middle = np.array([y.min() + y.max(), x.min() + x.max()]) / 2
        center[n] += (middle - (FRAME - 1) / 2) / scale[n]
        side = max(np.ptp(y), np.ptp(x)) / scale[n] * random.uniform(*MARGINS)
        scale[n] = FRAME / np.clip(side, SMALLEST, LARGEST)
    return replace(places, center=batches.inside(center, places.plane, scale), scale=scale)[keep]


def middle_piece(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of the piece of a mask (h, w) that is nearest to its middle."""
    pieces = ndimage.label(mask)[0]
    y, x = np.nonzero(pieces)
    nearest = np.argmin((y - mask.shape[0] / 2) ** 2 + (x - mask.shape[1] / 2) ** 2)
    return np.nonzero(pieces == pieces[y[nearest], x[nearest]])


def is_object(y: np.ndarray, x: np.ndarray) -> bool:
    """Whether pixels of a square could be all of one object: off the border, neither tiny nor large, and solid."""
    inside = min(y.min(), x.min()) > 0 and max(y.max(), x.max()) < FRAME - 1
    solid = len(y) >= SOLID * (np.ptp(y) + 1) * (np.ptp(x) + 1)
    return bool(inside and solid and OBJECT[0] < len(y) / FRAME**2 < OBJECT[1])


def same_when_turned(table: np.ndarray, turned: np.ndarray) -> np.ndarray:
    """Which columns are about the same in two tables (n, p) of the same squares."""
    table, turned = (np.where(np.isfinite(x), x, 0) for x in (table, turned))
    ranks = [x.argsort(0).argsort(0) for x in (table, turned)]
    return np.array([np.corrcoef(a, b)[0, 1] > STEADY for a, b in zip(ranks[0].T, ranks[1].T, strict=True)])


def components(table: np.ndarray) -> np.ndarray:
    """The leading principal components (n, 96), nearly of equal variance, each row of unit length."""
    centered = table - table.mean(0)
    values, vectors = np.linalg.eigh(centered.T @ centered / len(centered))
    deviation = np.sqrt(values[-KEPT:] + REGULARIZATION * values.mean())
    result = centered @ (vectors[:, -KEPT:] / deviation)
    return result / np.linalg.norm(result, axis=1, keepdims=True)


if __name__ == "__main__":
    main()

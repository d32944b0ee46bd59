"""Classical features of CellProfiler (cp_measure): intensity, texture, granularity, radial distribution, shape."""

from __future__ import annotations

import os
import warnings
from concurrent.futures import ProcessPoolExecutor

import numpy as np
from arms import Arm
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.segmentation import clear_border
from threadpoolctl import threadpool_limits

SHAPE = ("sizeshape", "zernike", "feret")
"""Measured once; all others once per channel."""
SMALLEST = 16
"""Pixels of a mask; where it is smaller, the whole crop is the object."""


def classical_arm(processes: int = 0) -> Arm:
    """Each cell's Otsu mask as the object; features standardized over the set, missing ones set to the mean."""

    def embed(images: np.ndarray) -> np.ndarray:
        with ProcessPoolExecutor(processes or os.cpu_count()) as pool:
            table = np.array(list(pool.map(measure_cell, images, chunksize=16)))
        return standardized(table)

    return Arm("classical (cp_measure)", "cp_measure 3", embed)


def measure_cell(image: np.ndarray) -> np.ndarray:
    """All features (p,) of an image (c, h, w)."""
    from cp_measure.bulk import get_core_measurements

    planes = image / (np.iinfo(image.dtype).max if image.dtype.kind in "ui" else max(float(image.max()), 1e-6))
    mask = otsu_mask(planes)
    values = []
    with warnings.catch_warnings(), threadpool_limits(1):  # threads cost 40 times more than the small products do
        warnings.simplefilter("ignore")  # empty rings and the like: they come back as NaN
        for name, function in get_core_measurements().items():
            for plane in planes[:1] if name in SHAPE else planes:
                values += [np.ravel(value)[0] for value in function(mask, plane).values()]
    return np.array(values, dtype=np.float64)


def otsu_mask(planes: np.ndarray) -> np.ndarray:
    """The cell (h, w) of 0 and 1 in planes (c, h, w).

    Otsu's threshold of the mean channel parts the crop in two sides; the cell is on the one that the middle is on more
    than the border. Pieces that touch the border are neighbors, unless they are the one nearest to the middle.
    """
    low, high = planes.min((1, 2), keepdims=True), planes.max((1, 2), keepdims=True)
    mean = ((planes - low) / np.maximum(high - low, 1e-9)).mean(0)
    mask = mean > threshold_otsu(mean)
    height, width = mask.shape
    middle = mask[height // 3 : -(height // 3), width // 3 : -(width // 3)].mean()
    if np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]]).mean() > middle:
        mask = ~mask
    pieces = ndimage.label(ndimage.binary_fill_holes(mask))[0]
    y, x = np.nonzero(pieces)
    if len(y) == 0:
        return np.ones(mask.shape, np.int32)
    nearest = np.argmin((y - height / 2) ** 2 + (x - width / 2) ** 2)
    cell = (clear_border(pieces) > 0) | (pieces == pieces[y[nearest], x[nearest]])
    return (cell if cell.sum() >= SMALLEST else np.ones_like(cell)).astype(np.int32)


def standardized(table: np.ndarray, limit: float = 10.0) -> np.ndarray:
    """Columns with mean 0 and deviation 1, clipped at ``limit``; constant ones dropped, missing numbers 0."""
    table = np.where(np.isfinite(table), table, np.nan)
    known = ~np.isnan(table).all(0)
    table = table[:, known]
    deviation = np.nanstd(table, axis=0)
    varied = deviation > 1e-12
    table = (table[:, varied] - np.nanmean(table[:, varied], axis=0)) / deviation[varied]
    return np.nan_to_num(table).clip(-limit, limit)

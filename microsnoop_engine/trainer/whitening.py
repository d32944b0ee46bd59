"""Embeddings whose numbers vary equally and independently over the training images (not in the paper).

An untransformed embedding spends most of its length on what all crops share. The transform is fitted once, when a
training ends, and is part of the weights; it is not the sphering on a screen's own controls.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch import Tensor

from .batches import Batches

FRAME = 224
BATCH = 32
AS_SHOWN = {"crop": FRAME, "batch": BATCH, "crops_per_image": 1, "padding": 0.0}
SMALLEST, LARGEST = 40, 130
"""Height and width of cells in pixels of the training images."""
REGULARIZATION = 3e-3
"""Added to the variances, as a share of their mean."""


def fit_whitening(embeddings: np.ndarray, regularization: float = REGULARIZATION) -> tuple[np.ndarray, np.ndarray]:
    """Matrix and offset that turn embeddings into uncorrelated ones of equal variance (ZCA).

    Parameters
    ----------
    embeddings : array (n, d)
    regularization : float
        Added to the variances, as a share of their mean.

    Returns
    -------
    matrix : array (d, d), float32
        Symmetric.
    offset : array (d,), float32
        ``embeddings @ matrix + offset`` has mean 0.
    """
    embeddings = np.asarray(embeddings, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(embeddings.T))
    matrix = vectors / np.sqrt(values.clip(min=0) + regularization * values.mean()) @ vectors.T
    return matrix.astype(np.float32), (-embeddings.mean(0) @ matrix).astype(np.float32)


def crops_like_cells(batches: Batches, count: int) -> Iterator[Tensor]:
    """Crops (32, 1, 224, 224) of training images, as inference shows cells: one batch enlarged, one padded, .."""
    enlarged = batches.with_changes(scale_low=FRAME / LARGEST, scale_high=FRAME / SMALLEST, **AS_SHOWN)
    padded = batches.with_changes(scale_low=1.0, scale_high=1.0, **AS_SHOWN)
    random = np.random.default_rng(batches.config.seed)
    for step in range(-(-count // BATCH)):
        source = padded if step % 2 else enlarged
        places = source.draw(step // 2)
        if source is padded:
            places.window = random.uniform(SMALLEST, LARGEST, BATCH) / FRAME
        yield source.crops(places)

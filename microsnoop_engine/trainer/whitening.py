"""Fit a whitening, after which the numbers of embeddings have equal variances without correlations (not in the paper).

Otherwise most of an embedding's length is what all crops have in common. The whitening is fitted on training images
when a training ends and is part of the weights. Sphering on the controls of a screen is another step.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from ..model.frame import Frame
from .batches import Batches

BATCH = 32
SMALLEST, LARGEST = 40, 130
"""Range of the height and width of cells in pixels of the training images."""
REGULARIZATION = 3e-3


def fit_whitening(
    embeddings: NDArray[np.floating[Any]], regularization: float = REGULARIZATION
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Fit the linear map after which embeddings are uncorrelated and of equal variance (ZCA whitening).

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
    rows = np.asarray(embeddings, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(rows.T))
    matrix = vectors / np.sqrt(values.clip(min=0) + regularization * values.mean()) @ vectors.T
    return matrix.astype(np.float32), (-rows.mean(0) @ matrix).astype(np.float32)


def crops_like_cells(batches: Batches, count: int, frame: Frame) -> Iterator[Tensor]:
    """Draw crops of training images of the size of cells, as inference shows cells to the network.

    Parameters
    ----------
    batches : Batches
        Source of the crops.
    count : int
        Least number of crops in all.
    frame : Frame
        What the network sees of a crop.

    Yields
    ------
    Tensor (32, 1, s, s)
        Cells enlarged to ``frame.size`` pixels: every second batch of a frame of zeros padded instead, a quarter of the
        crops in others.
    """
    as_in_inference = {"crop": frame.size, "batch": BATCH, "crops_per_image": 1, "percentile_step": 1}
    enlarged = batches.with_changes(
        scale_low=frame.size / LARGEST,
        scale_high=frame.size / SMALLEST,
        padding=0.0 if frame.zeros else 0.25,
        **as_in_inference,
    )
    padded = batches.with_changes(scale_low=1.0, scale_high=1.0, padding=0.0, **as_in_inference)
    random = np.random.default_rng(batches.config.seed)
    for step in range(-(-count // BATCH)):
        if not frame.zeros:
            yield enlarged.crops(enlarged.draw(step))
            continue
        source = padded if step % 2 else enlarged
        batch = source.draw(step // 2)
        if source is padded:
            batch.window = random.uniform(SMALLEST, LARGEST, BATCH) / frame.size
        yield source.crops(batch)

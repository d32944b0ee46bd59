"""Measure objects that are given as boxes with masks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..images.outlines import label_planes, split_masks
from ..model.embedder import Embedder
from .measure import CropFailure, Measurement, measure
from .regions import Regions
from .settings import CropSettings
from .validation import check_image

OUTSIDE = "no pixels inside the image"
PLANE_BYTES = 256 << 20
"""What the label planes of outlines that are measured together may take."""


def measure_rois(
    embedder: Embedder,
    image: np.ndarray,
    boxes: np.ndarray,
    masks: np.ndarray,
    settings: CropSettings | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Measurement:
    """The embeddings of outlines that may overlap and reach out of the image.

    Parameters
    ----------
    embedder : Embedder
    image : array (c, h, w) or (h, w)
    boxes, masks
        See :func:`split_masks`.
    settings : CropSettings, optional
        Of mode ``cells``.
    on_batch : callable, optional
        Called after each batch with the crops done and their number in all; may raise to stop.

    Returns
    -------
    Measurement
        One row per box, in their order; a box without pixels in the image is NaN.

    Raises
    ------
    InputError
    """
    image = check_image(image)
    split = split_masks(boxes, masks)
    count, channels = len(split), len(image)
    features = np.full((count, channels * embedder.card.dimension), np.nan, np.float32)
    regions = Regions(
        np.arange(1, count + 1, dtype=np.int32),
        np.zeros((count, 4), np.int32),
        np.full((count, 2), np.nan, np.float32),
        np.zeros(count, bool),
    )
    problems: list[CropFailure] = []
    done = 0

    def report(current: int, _: int) -> None:
        if on_batch:
            on_batch(done + current, count * channels)

    most = max(1, min(16, PLANE_BYTES // (4 * image.shape[1] * image.shape[2])))
    for labels in label_planes(boxes, split, image.shape[1:], most):
        part = measure(embedder, image, labels, settings, report)
        rows = part.regions.object_number - 1
        features[rows] = part.features
        regions.box[rows], regions.center[rows] = part.regions.box, part.regions.center
        regions.border[rows] = part.regions.border
        problems += part.problems
        done += len(rows) * channels
    outside = np.flatnonzero(np.isnan(regions.center[:, 0])) + 1
    problems += [CropFailure(int(number), channel, OUTSIDE) for number in outside for channel in range(channels)]
    return Measurement(regions, features, problems)

"""Measure objects that are given as boxes with masks."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..images.outlines import split_masks
from ..model.embedder import Embedder
from .batcher import Batcher
from .masks import OutlineMasks
from .measure import Measurement, OnBatch, check_frame, embed_regions, with_diameter
from .regions import box_limit, longer_sides, outline_bounds, outline_regions
from .resizing import without_offset
from .settings import CropSettings
from .validation import check_image


def measure_rois(
    embedder: Embedder,
    image: ArrayLike,
    boxes: NDArray[Any],
    masks: NDArray[Any],
    settings: CropSettings | None = None,
    on_batch: OnBatch | None = None,
) -> Measurement:
    """Measure the embeddings of outlines, which may overlap and reach out of the image.

    Parameters
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1 of each outline, half-open.
    masks : array (sum of h * w,), integer or bool
        The pixels of the outlines in their boxes one after the other, row by row; everything but 0 is inside.
    settings : CropSettings, optional
        Of mode ``cells``.
    embedder, image, on_batch
        See :func:`.measure`.

    Returns
    -------
    Measurement
        One row per outline, numbered from 1 in their order, NaN for one without pixels in the image;
        ``drop_border`` leaves out the rows of outlines that touch the edge.

    Raises
    ------
    InputError
        If boxes and masks do not go together, or the settings are of another mode.
    DeviceError
        If the device has no memory for one crop.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((1, 90, 90))
    >>> boxes = np.array([[10, 10, 40, 40], [30, 20, 50, 60]])
    >>> measure_rois(Embedder(device="cpu"), image, boxes, np.ones(30 * 30 + 20 * 40, bool)).features.shape
    (2, 256)
    """
    settings = settings or CropSettings()
    if settings.mode != "cells":
        raise InputError(f"`mode` is '{settings.mode}': outlines are measured in mode cells")
    pixels = check_image(image)
    outlines = split_masks(boxes, masks)
    height, width = pixels.shape[1:]
    if settings.needs_diameter:
        sides = longer_sides(outline_bounds(boxes, outlines, (height, width))[0])
        settings = with_diameter(settings, sides[sides > 0])
    check_frame(settings, embedder.frame)
    limit = box_limit(settings.factor(embedder.frame))
    regions = outline_regions(boxes, outlines, (height, width), settings.rescale_constant, limit)
    if settings.drop_border:
        regions = regions[~regions.border]
    inside = OutlineMasks(boxes, outlines, regions) if settings.masked else None
    if not settings.pad_first:
        pixels = without_offset(pixels)
    dimension = embedder.card.dimension
    with Batcher(embedder) as batcher:
        measurement = embed_regions(batcher, pixels, regions, inside, settings, dimension, on_batch=on_batch)
        batcher.flush()
    return measurement

"""Measure objects that are given as boxes with masks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import InputError
from ..images.outlines import split_masks
from ..model.embedder import Embedder
from .batcher import Batcher
from .masks import OutlineMasks
from .measure import Measurement, OnBatch, embed_regions
from .regions import outline_regions, unscale_regions
from .resizing import resize_labels, scale_image, without_offset
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
    scaled = scale_image(pixels if settings.pad_first else without_offset(pixels), settings.scale)
    (height, width), (scaled_height, scaled_width) = pixels.shape[1:], scaled.shape[1:]
    shape = (scaled_height, scaled_width)
    regions = outline_regions(boxes, outlines, (height, width), settings.rescale_constant, shape)
    if settings.drop_border:
        regions = regions[~regions.border]
    inside = None
    if settings.masked:
        rows = resize_labels(np.arange(height)[:, None], (scaled_height, 1))[:, 0]
        columns = resize_labels(np.arange(width)[None], (1, scaled_width))[0]
        inside = OutlineMasks(boxes, outlines, regions, rows, columns)
    batcher = Batcher(embedder)
    dimension = embedder.card.dimension
    measurement = embed_regions(batcher, scaled, regions, inside, settings, dimension, on_batch=on_batch)
    batcher.flush()
    measurement.regions = unscale_regions(regions, shape, pixels.shape[1:])
    return measurement

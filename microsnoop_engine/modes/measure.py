"""Crops of one or many images to embeddings, in full batches."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ..images.labels import check_labels
from ..model.embedder import Embedder
from .crops import Crops, crops, unresized
from .regions import Regions, regions_of
from .settings import CropSettings

if TYPE_CHECKING:
    pass
from .batcher import Batcher
from .validation import check_image


@dataclass
class CropFailure:
    """A crop that could not be measured."""

    object_number: int
    channel: int
    reason: str


@dataclass
class Measurement:
    """The embeddings of one image.

    Attributes
    ----------
    regions : Regions
        One per row of ``features``; of the image's own pixels, whatever the scale.
    features : array (n, c * 256), float32
        Channel after channel; NaN where a crop could not be measured.
    problems : list of Problem
    """

    regions: Regions
    features: np.ndarray
    problems: list[CropFailure] = field(default_factory=list)


def start_measurement(
    batcher: Batcher,
    image: np.ndarray,
    labels: np.ndarray | None,
    settings: CropSettings,
    dimension: int,
    owner: Hashable = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Measurement:
    """Hand all crops of an image (c, h, w) to the batcher; the features are there once nothing of ``owner`` pends.

    Parameters
    ----------
    on_batch : callable, optional
        Called after each batch with the crops handed over so far and their number in all; may raise to stop.
    """
    scaled_image, scaled_labels = _rescale(image, labels, settings.scale)
    regions = regions_of(scaled_image.shape[1:], labels, settings)
    count = len(regions) * len(image)
    features = np.full((len(regions), len(image) * dimension), np.nan, np.float32)
    measurement = Measurement(_unscale(regions, scaled_image.shape[1:], image.shape[1:]), features)
    flat, done, problems = features.reshape(count, dimension), 0, []
    if batcher.cropper and unresized(regions, settings):
        found = batcher.cropper.crops(scaled_image, regions, settings, scaled_labels, batcher.batch_size)
    else:
        found = _one_by_one(scaled_image, regions, settings, scaled_labels)
    for part in found:
        problems += part.problems
        done += len(part.places) + len(part.problems)
        if len(part.places) and batcher.add(part.windows, flat, part.places, owner) and on_batch:
            on_batch(done, count)
    for place, reason in sorted(problems):
        row, channel = divmod(place, len(image))
        measurement.problems.append(CropFailure(int(regions.object_number[row]), channel, reason))
    return measurement


def _one_by_one(
    image: np.ndarray, regions: Regions, settings: CropSettings, labels: np.ndarray | None
) -> Iterator[Crops]:
    for crop in crops(image, regions, settings, labels):
        place = crop.row * len(image) + crop.channel
        if crop.window is None:
            yield Crops(None, [], [(place, crop.problem)])
        else:
            yield Crops(crop.window[None], [place])


def measure(
    embedder: Embedder,
    image: np.ndarray,
    labels: np.ndarray | None = None,
    settings: CropSettings | None = None,
    on_batch: Callable[[int, int], None] | None = None,
) -> Measurement:
    """The embeddings of one image.

    Parameters
    ----------
    embedder : Embedder
    image : array (c, h, w) or (h, w)
        Any numbers; each crop of each channel is normalized by itself.
    labels : array (h, w) or (p, h, w), optional
        Objects, for mode ``cells``; several planes where objects overlap.
    settings : CropSettings, optional
    on_batch : callable, optional
        Called after each batch with the crops done and their number in all; may raise to stop.

    Returns
    -------
    Measurement
        One row per object in mode ``cells``, per tile in mode ``tile``, else one.

    Raises
    ------
    InputError
        If image and labels do not fit together.

    Examples
    --------
    >>> measure(Embedder(), np.random.rand(2, 300, 300), settings=CropSettings(mode="image")).features.shape
    (1, 512)
    """
    settings = settings or CropSettings()
    image = check_image(image)
    if labels is not None:
        labels = check_labels(labels, image.shape[1:])
    batcher = Batcher(embedder)
    result = start_measurement(batcher, image, labels, settings, embedder.card.dimension, on_batch=on_batch)
    batcher.flush()
    return result


def mean_of_rows(measurement: Measurement) -> Measurement:
    """The tiles of an image as one row: the mean of those that could be measured, NaN where none could."""
    shape = tuple(measurement.regions.box[:, 2:].max(0).tolist())
    features = measurement.features
    known = np.isfinite(features)
    total = np.where(known, features, 0).sum(0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean = (total / known.sum(0)).astype(np.float32)
    return Measurement(regions_of(shape, None, CropSettings(mode="image")), mean[None], measurement.problems)


def _rescale(image: np.ndarray, labels: np.ndarray | None, scale: float):
    if scale == 1:
        return image, labels
    from .resizing import resize, resize_labels

    shape = tuple(max(round(length * scale), 1) for length in image.shape[1:])
    image = np.stack([resize(plane, shape) for plane in image])
    if labels is not None:
        planes = labels.reshape(-1, *labels.shape[-2:])
        labels = np.stack([resize_labels(plane, shape) for plane in planes])
    return image, labels


def _unscale(regions: Regions, scaled: tuple[int, int], shape: tuple[int, int]) -> Regions:
    if scaled == shape:
        return regions
    product = regions.box * np.array([*shape, *shape], np.int64)
    box = np.hstack([product[:, :2] // scaled, -(-product[:, 2:] // scaled)])
    center = (regions.center + 0.5) * np.array(shape) / scaled - 0.5
    return Regions(regions.object_number, box.astype(np.int32), center.astype(np.float32), regions.border)

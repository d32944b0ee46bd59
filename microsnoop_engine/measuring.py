"""Crops of one or many images to embeddings, in full batches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field

import numpy as np

from .embedder import Embedder
from .errors import InputError
from .modes import CropSettings, Regions, crops, regions_of


class Batcher:
    """Collects windows of equal size until a batch is full, and writes each embedding where it belongs.

    Parameters
    ----------
    embedder : Embedder
    """

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self._waiting: dict[int, list[tuple[np.ndarray, np.ndarray, Hashable]]] = {}
        self.pending: Counter[Hashable] = Counter()
        """Windows that still wait, by owner."""

    def add(self, window: np.ndarray, target: np.ndarray, owner: Hashable = None) -> bool:
        """Take a window (s, s) whose embedding goes into ``target`` (256,); True if that filled and ran a batch."""
        waiting = self._waiting.setdefault(len(window), [])
        waiting.append((window, target, owner))
        self.pending[owner] += 1
        if len(waiting) < self._embedder.batch_size:
            return False
        self._run(len(window))
        return True

    def flush(self) -> None:
        """Embed what still waits."""
        for size in list(self._waiting):
            self._run(size)

    def _run(self, size: int) -> None:
        waiting = self._waiting.pop(size)
        embeddings = self._embedder.embed(np.stack([window for window, _, _ in waiting])[:, None])
        for (_, target, owner), embedding in zip(waiting, embeddings, strict=True):
            target[:] = embedding
            self.pending[owner] -= 1


@dataclass
class Problem:
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
    problems: list[Problem] = field(default_factory=list)


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
    for done, crop in enumerate(crops(scaled_image, regions, settings, scaled_labels), start=1):
        if crop.window is None:
            number = int(regions.object_number[crop.row])
            measurement.problems.append(Problem(number, crop.channel, crop.problem))
            continue
        columns = slice(crop.channel * dimension, (crop.channel + 1) * dimension)
        if batcher.add(crop.window, features[crop.row, columns], owner) and on_batch:
            on_batch(done, count)
    return measurement


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
        Any numbers; each crop of each channel is normalised by itself.
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


def check_image(image: np.ndarray) -> np.ndarray:
    """The image as (c, h, w).

    Raises
    ------
    InputError
        If it is not an array of numbers of such a shape.
    """
    image = np.asarray(image)
    image = image[None] if image.ndim == 2 else image
    if image.ndim != 3 or image.dtype.kind not in "uifb" or not image.size:
        raise InputError(
            f"image is {image.dtype} of shape {image.shape}: give numbers of shape (channels, height, width)"
        )
    return image


def check_labels(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The labels, if they are whole numbers from 0 and fit an image of ``shape`` (h, w).

    Raises
    ------
    InputError
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "ui" or labels.ndim not in (2, 3) or not labels.size:
        raise InputError(f"labels are {labels.dtype} of shape {labels.shape}: give integers (h, w) or (planes, h, w)")
    if labels.shape[-2:] != tuple(shape):
        raise InputError(
            f"labels are {labels.shape[-1]} x {labels.shape[-2]}, but the image is {shape[1]} x {shape[0]} pixels"
        )
    if labels.min() < 0 or labels.max() > np.iinfo(np.int32).max:
        raise InputError(f"labels run from {labels.min()} to {labels.max()}: give 0 (background) to 2147483647")
    return labels


def _rescale(image: np.ndarray, labels: np.ndarray | None, scale: float):
    if scale == 1:
        return image, labels
    from .windows import resize, resize_labels

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

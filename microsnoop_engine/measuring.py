"""Crops of one or many images to embeddings, in full batches."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from .errors import InputError
from .model.embedder import Embedder
from .modes import Crops, CropSettings, Regions, as_they_are, crops, regions_of

if TYPE_CHECKING:
    from torch import Tensor

    from .device_crops import DeviceCropper


@dataclass(frozen=True)
class _Block:
    """Windows (n, s, s), and where their embeddings go: rows ``places`` of ``features`` (m, 256)."""

    windows: np.ndarray | Tensor
    features: np.ndarray
    places: Sequence[int] | np.ndarray
    owner: Hashable

    def split(self, count: int) -> tuple[_Block, _Block]:
        parts = (slice(None, count), slice(count, None))
        first, rest = (replace(self, windows=self.windows[part], places=self.places[part]) for part in parts)
        return first, rest


class Batcher:
    """Collects windows of equal size until a batch is full, and writes each embedding where it belongs.

    Windows on a device are embedded while the next ones are cut: their embeddings come one batch later.

    Parameters
    ----------
    embedder : Embedder
    """

    def __init__(self, embedder: Embedder):
        self._embedder = embedder
        self._waiting: dict[tuple[int, type], deque[_Block]] = {}
        self._count: Counter[tuple[int, type]] = Counter()
        self._started: deque[tuple[Callable[[], np.ndarray], list[_Block]]] = deque()
        self.pending: Counter[Hashable] = Counter()
        """Windows that still wait, by owner."""
        self.cropper: DeviceCropper | None = None
        """What cuts crops, where that is done on the device."""
        if getattr(embedder, "takes_tensors", False):
            from .device_crops import DeviceCropper

            self.cropper = DeviceCropper(embedder.device)

    @property
    def batch_size(self) -> int:
        """Windows of a full batch."""
        return self._embedder.batch_size

    def add(
        self,
        windows: np.ndarray | Tensor,
        features: np.ndarray,
        places: Sequence[int] | np.ndarray,
        owner: Hashable = None,
    ) -> bool:
        """Take windows (n, s, s); their embeddings go into rows ``places`` (n,) of ``features`` (m, 256).

        Returns
        -------
        bool
            Whether that filled and ran a batch.
        """
        key = (windows.shape[-1], type(windows))
        self._waiting.setdefault(key, deque()).append(_Block(windows, features, places, owner))
        self._count[key] += len(places)
        self.pending[owner] += len(places)
        if self._count[key] < self.batch_size:
            return False
        while self._count[key] >= self.batch_size:
            self._run(key)
        return True

    def flush(self) -> None:
        """Embed what still waits."""
        for key in list(self._waiting):
            while self._count[key]:
                self._run(key)
        while self._started:
            self._finish()

    def _run(self, key: tuple[int, type]) -> None:
        blocks = self._take(key, self.batch_size)
        windows = [block.windows for block in blocks]
        if isinstance(windows[0], np.ndarray):
            self._deliver(self._embedder.embed(np.concatenate(windows)[:, None]), blocks)
            return
        import torch

        self._started.append((self._embedder.start(torch.cat(windows)[:, None]), blocks))
        if len(self._started) > 1:
            self._finish()

    def _take(self, key: tuple[int, type], count: int) -> list[_Block]:
        taken, waiting = [], self._waiting[key]
        while count and waiting:
            block = waiting.popleft()
            if len(block.places) > count:
                block, rest = block.split(count)
                waiting.appendleft(rest)
            taken.append(block)
            count -= len(block.places)
        self._count[key] -= sum(len(block.places) for block in taken)
        return taken

    def _finish(self) -> None:
        wait, blocks = self._started.popleft()
        self._deliver(wait(), blocks)

    def _deliver(self, embeddings: np.ndarray, blocks: list[_Block]) -> None:
        start = 0
        for block in blocks:
            block.features[block.places] = embeddings[start : start + len(block.places)]
            start += len(block.places)
            self.pending[block.owner] -= len(block.places)


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
    flat, done, problems = features.reshape(count, dimension), 0, []
    if batcher.cropper and as_they_are(regions, settings):
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
        measurement.problems.append(Problem(int(regions.object_number[row]), channel, reason))
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

"""Measure the embeddings of an image."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from threadpoolctl import ThreadpoolController

from ..errors import InputError
from ..images.labels import check_labels
from ..model.embedder import Embedder
from ..model.frame import Frame
from .batcher import Batcher
from .crops import Crops, crops
from .masks import LabelMasks, ObjectMasks
from .regions import Regions, longer_sides, object_bounds, regions_of, resized_shapes
from .resizing import without_offset
from .settings import CropSettings
from .validation import check_image

OnBatch = Callable[[int, int], None]


@cache
def _libraries() -> ThreadpoolController:
    return ThreadpoolController()


@dataclass
class CropFailure:
    """Name a crop that could not be measured.

    Attributes
    ----------
    object_number : int
        The object, tile or outline.
    channel : int
        From 0.
    reason : str
    """

    object_number: int
    channel: int
    reason: str


@dataclass
class Measurement:
    """Hold the embeddings of one image.

    Attributes
    ----------
    regions : Regions
        One per row of ``features``.
    features : array (n, c * m * d), float32
        Channel after channel, d numbers each (the dimension of the weights) for each of m magnifications; NaN where a
        crop could not be measured.
    problems : list of CropFailure
        The crops that could not be measured.
    classical : array (n, q), float32, or None
        Handcrafted features, see :func:`.measure_classical`; None where they are not measured.
    quality : array (n, r), float32, or None
        Quality of the objects, see :func:`.object_quality`; None where it is not measured.
    """

    regions: Regions
    features: NDArray[np.float32]
    problems: list[CropFailure] = field(default_factory=list)
    classical: NDArray[np.float32] | None = None
    quality: NDArray[np.float32] | None = None


def measure(
    embedder: Embedder,
    image: ArrayLike,
    labels: ArrayLike | None = None,
    settings: CropSettings | None = None,
    on_batch: OnBatch | None = None,
    reduce: Literal["mean"] | None = "mean",
) -> Measurement:
    """Measure the embeddings of one image.

    Parameters
    ----------
    embedder : Embedder
    image : array (c, h, w) or (h, w)
        Any numbers; each crop of each channel is normalized by itself.
    labels : array (h, w) or (p, h, w), integer, optional
        The objects of mode ``cells``: 0 is background. Objects that overlap lie in several planes.
    settings : CropSettings, optional
        With ``scale='auto'`` and no ``diameter``, that of this image's objects counts: to compare images, set it.
    on_batch : callable, optional
        Called after each batch with the crops done and the number of all crops; may raise to stop.
    reduce : {'mean', None}
        In mode ``tile``, return the mean of the tiles as the embedding of the image (as in Xun et al. 2023), or one
        row per tile. The other modes have nothing to reduce.

    Returns
    -------
    Measurement
        One row per object in mode ``cells``, per tile in mode ``tile`` with ``reduce=None``, else one.

    Raises
    ------
    InputError
        If image and labels do not go together, or mode ``cells`` has no labels.
    DeviceError
        If the device has no memory for one crop.

    Examples
    --------
    >>> image = np.random.default_rng(0).random((2, 300, 300))
    >>> embedder = Embedder(device="cpu")
    >>> measure(embedder, image, settings=CropSettings(mode="tile")).features.shape
    (1, 512)
    >>> measure(embedder, image, settings=CropSettings(mode="tile"), reduce=None).features.shape
    (4, 512)
    """
    if reduce not in ("mean", None):
        raise InputError(f"`reduce` is {reduce!r}: it must be 'mean' or None")
    settings = settings or CropSettings()
    pixels = check_image(image)
    objects = None if labels is None else check_labels(labels, pixels.shape[1:])
    settings = with_diameter(settings, typical_sides(pixels, objects, settings))
    with Batcher(embedder) as batcher:
        measurement = start_measurement(batcher, pixels, objects, settings, embedder.card.dimension, on_batch=on_batch)
        batcher.flush()
    return mean_of_rows(measurement) if settings.mode == "tile" and reduce == "mean" else measurement


def start_measurement(
    batcher: Batcher,
    image: NDArray[Any],
    labels: NDArray[Any] | None,
    settings: CropSettings,
    dimension: int,
    owner: Hashable = None,
    on_batch: OnBatch | None = None,
) -> Measurement:
    """Hand all crops of an image to a batcher.

    Parameters
    ----------
    batcher : Batcher
    image : array (c, h, w)
    labels : array (h, w) or (p, h, w), integer, or None
    settings : CropSettings
    dimension : int
        Numbers of an embedding.
    owner : hashable, optional
        Counts the crops that wait in ``batcher.pending``.
    on_batch : callable, optional
        See :func:`measure`.

    Returns
    -------
    Measurement
        One row per object or tile. Its features are complete once ``batcher.pending[owner]`` is 0.

    Raises
    ------
    InputError
        If mode ``cells`` has no labels, or an object lies in several planes.
    """
    check_frame(settings, batcher.frame)
    pixels = image if settings.pad_first else without_offset(image)
    height, width = image.shape[1:]
    regions = regions_of((height, width), labels, settings, batcher.frame)
    masks = None
    if settings.masked and labels is not None:
        masks = LabelMasks(labels.reshape(-1, height, width), regions)
    return embed_regions(batcher, pixels, regions, masks, settings, dimension, owner, on_batch)


def typical_sides(image: NDArray[Any], labels: NDArray[Any] | None, settings: CropSettings) -> NDArray[Any]:
    """Return the sizes by which a typical diameter is found, if the settings need one.

    Parameters
    ----------
    image : array (c, h, w)
    labels : array (h, w) or (p, h, w), integer, or None
    settings : CropSettings

    Returns
    -------
    array (n,)
        In mode ``cells`` the longer sides of the objects, in mode ``single-cell`` that of the image, in pixels.
    """
    if not settings.needs_diameter:
        return np.empty(0)
    if settings.mode == "single-cell":
        return np.array([max(image.shape[1:])])
    return np.empty(0) if labels is None else longer_sides(object_bounds(labels)[1])


def with_diameter(settings: CropSettings, sides: NDArray[Any]) -> CropSettings:
    """Complete settings that need a typical diameter by the median of sizes.

    Parameters
    ----------
    settings : CropSettings
    sides : array (n,)
        See :func:`typical_sides`. Without any, crops are not resized.

    Returns
    -------
    CropSettings
    """
    if not settings.needs_diameter:
        return settings
    return replace(settings, diameter=float(np.median(sides))) if len(sides) else replace(settings, scale="none")


def check_frame(settings: CropSettings, frame: Frame) -> None:
    """Check that settings suit what the network sees.

    Raises
    ------
    InputError
        If zeros around the crop are to count, but the network sees the crop alone.
    """
    if settings.pad_first and not frame.zeros:
        raise InputError(
            "`normalize` pad-first goes with weights that see crops in a frame of zeros, as the paper's do: these see "
            "the crop alone; use crop-first"
        )


def embed_regions(
    batcher: Batcher,
    image: NDArray[Any],
    regions: Regions,
    masks: ObjectMasks | None,
    settings: CropSettings,
    dimension: int,
    owner: Hashable = None,
    on_batch: OnBatch | None = None,
) -> Measurement:
    """Hand the crops of regions to a batcher.

    Parameters
    ----------
    image : array (c, h, w)
    regions : Regions
    masks : LabelMasks or OutlineMasks, or None
        The pixels to keep.
    batcher, settings, dimension, owner, on_batch
        See :func:`start_measurement`.

    Returns
    -------
    Measurement
        One row per region. Its features are complete once ``batcher.pending[owner]`` is 0.
    """
    channels, shown = len(image), len(settings.magnifications)
    count = len(regions) * channels
    features = np.full((len(regions), channels * shown * dimension), np.nan, np.float32)
    by_crop, done = features.reshape(count * shown, dimension), 0
    problems: dict[int, str] = {}
    with _libraries().limit(limits=1, user_api="blas"):  # threads for small products wait more than they compute
        for number, magnification in enumerate(settings.magnifications):
            for part in _cut(batcher, image, regions, masks, settings, magnification):
                problems |= dict(part.problems)
                done += len(part.indices) + len(part.problems)
                rows = part.indices * shown + number
                if len(rows) and batcher.add(part.windows, by_crop, rows, owner) and on_batch:
                    on_batch(done, count * shown)
    failures = [
        CropFailure(int(regions.object_number[index // channels]), index % channels, reason)
        for index, reason in sorted(problems.items())
    ]
    return Measurement(regions, features, failures)


def _cut(
    batcher: Batcher,
    image: NDArray[Any],
    regions: Regions,
    masks: ObjectMasks | None,
    settings: CropSettings,
    magnification: float,
) -> Iterator[Crops]:
    """Cut crops where that is fastest: those that are not resized on a device that does it."""
    if batcher.cropper:
        shapes = resized_shapes(regions, settings, batcher.frame, magnification)
        if (shapes == regions.box[:, 2:] - regions.box[:, :2]).all():
            return batcher.cropper.crops(image, regions, settings, masks, batcher.batch_size)
    return crops(image, regions, settings, masks, batcher.frame, magnification)


def mean_of_rows(measurement: Measurement) -> Measurement:
    """Reduce the tiles of an image to one row.

    Parameters
    ----------
    measurement : Measurement
        One row per tile.

    Returns
    -------
    Measurement
        The mean of the tiles that could be measured, NaN where none could, and the problems of the tiles.
    """
    shape = tuple(measurement.regions.box[:, 2:].max(0).tolist())
    features = measurement.features
    known = np.isfinite(features)
    total = np.where(known, features, 0).sum(0, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        mean = (total / known.sum(0)).astype(np.float32)
    return Measurement(regions_of(shape, None, CropSettings(mode="image")), mean[None], measurement.problems)

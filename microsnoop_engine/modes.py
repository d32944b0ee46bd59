"""From an image (and labels) to crops: single cells, cell regions, tiles, whole images (Xun et al. 2023, Methods)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import InputError
from .model.frame import FRAME
from .windows import resize_longer_side, square_and_resize, window

MODES = ("cells", "single-cell", "tile", "image")
MASKS = ("box", "object")
NORMALISATIONS = ("pad-then-normalise", "normalise-then-pad")

RESCALE_CONSTANT_HELP = (
    "half width of the crop in units of the object's longer side: 2.0 (the default) suits nuclei and takes in the cell "
    "around them, 0.6 suits whole cells"
)


@dataclass(frozen=True)
class CropSettings:
    """How crops are taken; checked when it is built.

    Parameters
    ----------
    mode : {'cells', 'single-cell', 'tile', 'image'}
    rescale_constant : float
        Half width of the box in units of the object's longer side: 2.0 suits nuclei, 0.6 whole cells.
    mask : {'box', 'object'}
        The crop as it is, or with everything outside the object set to zero.
    normalise : {'pad-then-normalise', 'normalise-then-pad'}, optional
        Whether the percentiles are those of the zero-padded crop (as in the paper) or of the crop alone. By default
        the first; the second for ``mask='object'``, where a small object would be lost among the zeros.
    drop_border : bool
        Leave out objects that touch the edge of the image.
    scale : float
        Factor by which the field is resized before it is cropped.
    resize : int, optional
        Height and width, 48 to 224 pixels, that crops of the modes ``cells`` and ``single-cell`` are resized to before
        they are set into the frame, the longer side filling it: an object's size no longer counts.

    Raises
    ------
    InputError
    """

    mode: str = "cells"
    rescale_constant: float = 2.0
    mask: str = "box"
    normalise: str | None = None
    drop_border: bool = False
    scale: float = 1.0
    resize: int | None = None

    def __post_init__(self) -> None:
        for setting, choices in (("mode", MODES), ("mask", MASKS), ("normalise", NORMALISATIONS)):
            value = getattr(self, setting)
            if value not in choices and (setting, value) != ("normalise", None):
                raise InputError(f"{setting} is '{value}': give one of {', '.join(choices)}")
        for setting, low, high in (("rescale_constant", 0.1, 20.0), ("scale", 0.01, 16.0)):
            value = getattr(self, setting)
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"{setting} is {value!r}: give a number from {low} to {high}")

        if self.resize is not None:
            if self.mode not in ("cells", "single-cell"):
                raise InputError(f"resize goes with the modes cells and single-cell, not with '{self.mode}'")
            if isinstance(self.resize, bool) or not isinstance(self.resize, int) or not 48 <= self.resize <= FRAME:
                raise InputError(f"resize is {self.resize!r}: give a whole number from 48 to {FRAME}")

    @property
    def pad_first(self) -> bool:
        """Whether a crop is padded with zeros before it is normalised."""
        return (self.normalise or NORMALISATIONS[self.mask == "object"]) == "pad-then-normalise"


@dataclass(frozen=True)
class Regions:
    """Where crops come from, one row per crop.

    Attributes
    ----------
    object_number : array (n,), int32
        The label; 1 for a whole image; 1, 2, .. for tiles.
    box : array (n, 4), int32
        y0, x0, y1, x1 in pixels, half-open, inside the image.
    center : array (n, 2), float32
        y, x of the object's centroid (of the box for tiles and images).
    border : array (n,), bool
        The object touches the edge of the image.
    """

    object_number: np.ndarray
    box: np.ndarray
    center: np.ndarray
    border: np.ndarray

    def __len__(self) -> int:
        return len(self.object_number)

    def __getitem__(self, rows: np.ndarray) -> Regions:
        return Regions(self.object_number[rows], self.box[rows], self.center[rows], self.border[rows])


def cell_regions(labels: np.ndarray, rescale_constant: float = 2.0, shape: tuple[int, int] | None = None) -> Regions:
    """A crop around every labelled object (cell-region cropping).

    With the object's width w and height h and the middle m of its box, the crop is
    m +- min(max(w, h) * rescale_constant, 112), at least one pixel, clipped to the image.

    Parameters
    ----------
    labels : array (h, w) or (p, h, w), integer
        0 is background; numbers may have gaps; objects that overlap lie in several planes, each in one of them.
    rescale_constant : float
    shape : tuple of int, optional
        Height and width of the image that the crops are for, if it was resized. The labels need not be: so no object
        is lost, however small it becomes.

    Returns
    -------
    Regions
        In the order of the object numbers, in pixels of the image.

    Raises
    ------
    InputError
        If an object lies in more than one plane.
    """
    from scipy import ndimage

    parts = []
    height, width = labels.shape[-2:]
    for plane in labels.reshape(-1, height, width):
        numbers, compact = _compact(plane)
        found = ndimage.find_objects(compact)
        bounds = np.array([[y.start, x.start, y.stop, x.stop] for y, x in found], dtype=np.int64).reshape(-1, 4)
        parts.append((numbers, bounds, _centroids(compact, len(numbers))))
    numbers, bounds, centers = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(numbers, kind="stable")
    numbers, bounds, centers = numbers[order], bounds[order], centers[order]
    if (twice := numbers[1:][numbers[1:] == numbers[:-1]]).size:
        raise InputError(f"object {twice[0]} lies in several planes of the labels: give each object one plane")
    border = (bounds[:, :2] == 0).any(1) | (bounds[:, 2:] == (height, width)).any(1)
    limit = np.array(shape or (height, width))
    factor = limit / (height, width)
    bounds, centers = bounds * np.tile(factor, 2), (centers + 0.5) * factor - 0.5
    longer = np.maximum(bounds[:, 2] - bounds[:, 0], bounds[:, 3] - bounds[:, 1])
    side = np.rint(2 * np.minimum(longer * rescale_constant, FRAME / 2)).astype(np.int64).clip(1)
    start = np.floor((bounds[:, :2] + bounds[:, 2:] - side[:, None] + 1) / 2).astype(np.int64)
    box = np.hstack([start.clip(0), np.minimum(start + side[:, None], limit)])
    return Regions(numbers.astype(np.int32), box.astype(np.int32), centers.astype(np.float32), border)


def _compact(plane: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The object numbers of a label plane, and the plane with them replaced by 1, 2, .. in order."""
    highest = int(plane.max(initial=0))
    if highest <= plane.size:
        present = np.bincount(plane.ravel().astype(np.int64), minlength=1) > 0
        present[0] = False
        numbers = np.flatnonzero(present)
        lookup = np.zeros(len(present), np.int32)
        lookup[numbers] = np.arange(1, len(numbers) + 1)
        return numbers, lookup[plane]
    numbers, compact = np.unique(plane, return_inverse=True)
    compact = compact.reshape(plane.shape).astype(np.int32)
    if numbers[0] != 0:
        return numbers, compact + 1
    return numbers[1:], compact


def _centroids(compact: np.ndarray, count: int) -> np.ndarray:
    y, x = np.nonzero(compact)
    label = compact[y, x]
    area = np.bincount(label, minlength=count + 1)[1:]
    sums = [np.bincount(label, weights=axis, minlength=count + 1)[1:] for axis in (y, x)]
    return np.stack(sums, axis=1) / area[:, None]


def tile_regions(shape: tuple[int, int], size: int = FRAME, overlap: float = 0.1) -> Regions:
    """Evenly spaced tiles that cover an image of ``shape`` (h, w) and overlap by at least that share of their size."""
    starts = [_tile_starts(length, size, overlap) for length in shape]
    corners = np.array([(y, x) for y in starts[0] for x in starts[1]])
    box = np.hstack([corners, np.minimum(corners + size, shape)]).astype(np.int32)
    return _plain_regions(box)


def _tile_starts(length: int, size: int, overlap: float) -> np.ndarray:
    if length <= size:
        return np.zeros(1, np.int64)
    gaps = -(-(length - size) // int(size * (1 - overlap)))
    return np.arange(gaps + 1) * (length - size) // gaps


def whole_region(shape: tuple[int, int]) -> Regions:
    """One crop: the whole image of ``shape`` (h, w)."""
    return _plain_regions(np.array([[0, 0, *shape]], np.int32))


def _plain_regions(box: np.ndarray) -> Regions:
    center = (box[:, :2] + box[:, 2:] - 1) / 2
    return Regions(np.arange(1, len(box) + 1, dtype=np.int32), box, center.astype(np.float32), np.zeros(len(box), bool))


def regions_of(shape: tuple[int, int], labels: np.ndarray | None, settings: CropSettings) -> Regions:
    """The crops of an image of ``shape`` (h, w) under the settings; labels may have the size it had before resizing."""
    if settings.mode == "tile":
        return tile_regions(shape)
    if settings.mode != "cells":
        return whole_region(shape)
    if labels is None:
        raise InputError("mode 'cells' needs labels: give label images or a segmentation")
    regions = cell_regions(labels, settings.rescale_constant, shape)
    return regions[~regions.border] if settings.drop_border else regions


def as_they_are(regions: Regions, settings: CropSettings) -> bool:
    """Whether all crops are taken pixel by pixel: none is empty or resized."""
    sides = regions.box[:, 2:] - regions.box[:, :2]
    return (
        settings.mode != "image" and not settings.resize and sides.min(initial=1) > 0 and sides.max(initial=0) <= FRAME
    )


@dataclass(frozen=True)
class Crop:
    """One crop of one channel, ready for the network, or the reason why there is none.

    Attributes
    ----------
    row, channel : int
        Row in the :class:`Regions` and channel of the image.
    window : array (s, s) float32, or None
    problem : str
    """

    row: int
    channel: int
    window: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True)
class Crops:
    """Crops of one size, and what is wrong with others; a place is a row x channels of the image + a channel.

    Attributes
    ----------
    windows : array or Tensor (n, s, s), float32, or None
    places : sequence of int
        Whose they are.
    problems : sequence of (int, str)
        Place and reason of crops for which there is no window.
    """

    windows: Any
    places: Sequence[int] | np.ndarray
    problems: Sequence[tuple[int, str]] = ()


def crops(
    image: np.ndarray, regions: Regions, settings: CropSettings, labels: np.ndarray | None = None
) -> Iterator[Crop]:
    """Every crop of every channel, region after region.

    Parameters
    ----------
    image : array (c, h, w)
    regions : Regions
    settings : CropSettings
    labels : array (h, w) or (p, h, w), optional
        Needed for ``mask='object'``.
    """
    for row, (y0, x0, y1, x1) in enumerate(regions.box.tolist()):
        outside = None
        if settings.mask == "object" and labels is not None and settings.mode == "cells":
            here = labels[..., y0:y1, x0:x1].reshape(-1, y1 - y0, x1 - x0)
            outside = ~(here == regions.object_number[row]).any(0)
        for channel in range(len(image)):
            crop = image[channel, y0:y1, x0:x1].astype(np.float32)
            if outside is not None:
                crop[outside] = 0
            if settings.resize and crop.size:
                crop = resize_longer_side(crop, settings.resize)
            elif settings.mode == "image" or max(crop.shape) > FRAME:
                crop = square_and_resize(crop)
            pixels, problem = window(crop, settings.pad_first)
            yield Crop(row, channel, pixels, problem)

"""Turn labels, tiles or a whole image into regions to crop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from ..model.frame import FRAME
from .settings import CropSettings


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
    """A crop around every labeled object (cell-region cropping).

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

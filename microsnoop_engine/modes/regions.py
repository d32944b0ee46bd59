"""Turn labels, outlines, tiles or a whole image into regions to crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.frame import FRAME
from .settings import CropSettings


@dataclass(frozen=True)
class Regions:
    """Hold the regions of an image to crop, one per row.

    Attributes
    ----------
    object_number : array (n,), int32
        The label; 1 for a whole image; 1, 2, ... for tiles and outlines.
    box : array (n, 4), int32
        y0, x0, y1, x1 in pixels, half-open, inside the image; all 0 for an outline without pixels in the image.
    center : array (n, 2), float32
        y, x of the object's centroid in pixels, of the box for tiles and images; NaN for an outline without pixels.
    border : array (n,), bool
        The object touches the edge of the image.
    """

    object_number: NDArray[np.int32]
    box: NDArray[np.int32]
    center: NDArray[np.float32]
    border: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.object_number)

    def __getitem__(self, rows: NDArray[Any]) -> Regions:
        return Regions(self.object_number[rows], self.box[rows], self.center[rows], self.border[rows])


def cell_regions(labels: NDArray[Any], rescale_constant: float = 2.0, shape: tuple[int, int] | None = None) -> Regions:
    """Find the crop around every labeled object (cell-region cropping, Xun et al. 2023, Methods).

    With the object's width w and height h and the middle m of its box, the crop is
    m +- min(max(w, h) * rescale_constant, 112), at least one pixel, clipped to the image.

    Parameters
    ----------
    labels : array (h, w) or (p, h, w), integer
        0 is background; numbers may have gaps; objects that overlap lie in several planes, each in one of them.
    rescale_constant : float
        Half width of the crop in units of the object's longer side.
    shape : tuple of int, optional
        Height and width of the image that the crops are for, if it was resized. The labels keep their own size, so
        that no object is lost, however small it becomes.

    Returns
    -------
    Regions
        In the order of the object numbers, in pixels of the image.

    Raises
    ------
    InputError
        If an object lies in more than one plane.

    Examples
    --------
    >>> labels = np.zeros((100, 100), int)
    >>> labels[40:50, 60:68] = 7
    >>> cell_regions(labels, rescale_constant=1.0).box.tolist()
    [[35, 54, 55, 74]]
    """
    from scipy import ndimage

    parts = []
    height, width = labels.shape[-2:]
    for plane in labels.reshape(-1, height, width):
        numbers, compact = _compact(plane)
        slices = ndimage.find_objects(compact)
        bounds = np.array([[y.start, x.start, y.stop, x.stop] for y, x in slices], dtype=np.int64).reshape(-1, 4)
        parts.append((numbers, bounds, _centroids(compact, len(numbers))))
    numbers, bounds, centers = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(numbers, kind="stable")
    numbers, bounds, centers = numbers[order], bounds[order], centers[order]
    if (repeated := numbers[1:][numbers[1:] == numbers[:-1]]).size:
        raise InputError(f"`labels`: object {repeated[0]} lies in several planes; draw each object in one plane only")
    return _regions_around(numbers, bounds, centers, (height, width), rescale_constant, shape)


def outline_regions(
    boxes: NDArray[Any],
    masks: Sequence[NDArray[np.bool_]],
    labels_shape: tuple[int, int],
    rescale_constant: float = 2.0,
    shape: tuple[int, int] | None = None,
) -> Regions:
    """Find the crop around every outline, as :func:`cell_regions` does for an object of the same pixels.

    Parameters
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1 of each outline, half-open; may reach out of the image.
    masks : sequence of array (y1 - y0, x1 - x0), bool
        The pixels of each outline in its box.
    labels_shape : tuple of int
        Height and width of the image that the outlines were drawn in.
    rescale_constant, shape
        As in :func:`cell_regions`.

    Returns
    -------
    Regions
        In the order of the outlines, numbered from 1, in pixels of the image.
    """
    height, width = labels_shape
    bounds = np.zeros((len(masks), 4), np.int64)
    centers = np.full((len(masks), 2), np.nan)
    for row, ((top, left, _, _), mask) in enumerate(zip(boxes.tolist(), masks, strict=True)):
        visible = mask[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
        y, x = np.nonzero(visible)
        if y.size:
            y, x = y + max(top, 0), x + max(left, 0)
            bounds[row] = y.min(), x.min(), y.max() + 1, x.max() + 1
            centers[row] = y.mean(), x.mean()
    numbers = np.arange(1, len(masks) + 1)
    regions = _regions_around(numbers, bounds, centers, labels_shape, rescale_constant, shape)
    empty = np.isnan(centers[:, 0])
    regions.box[empty], regions.border[empty] = 0, False
    return regions


def _regions_around(
    numbers: NDArray[Any],
    bounds: NDArray[np.int64],
    centers: NDArray[np.float64],
    labels_shape: tuple[int, int],
    rescale_constant: float,
    shape: tuple[int, int] | None,
) -> Regions:
    """Find the crops around objects whose bounds (n, 4) and centers (n, 2) are known in pixels of the labels."""
    border = (bounds[:, :2] == 0).any(1) | (bounds[:, 2:] == labels_shape).any(1)
    limit = np.array(shape or labels_shape)
    factor = limit / labels_shape
    extent, centers = bounds * np.tile(factor, 2), (centers + 0.5) * factor - 0.5
    longer = np.maximum(extent[:, 2] - extent[:, 0], extent[:, 3] - extent[:, 1])
    side = np.rint(2 * np.minimum(longer * rescale_constant, FRAME / 2)).astype(np.int64).clip(1)
    start = np.floor((extent[:, :2] + extent[:, 2:] - side[:, None] + 1) / 2).astype(np.int64)
    box = np.hstack([start.clip(0), np.minimum(start + side[:, None], limit)])
    return Regions(numbers.astype(np.int32), box.astype(np.int32), centers.astype(np.float32), border)


def _compact(plane: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
    """Find the object numbers of a label plane, and replace them by 1, 2, ... in order."""
    highest = int(plane.max(initial=0))
    if highest <= plane.size:
        present = np.bincount(plane.ravel().astype(np.int64), minlength=1) > 0
        present[0] = False
        numbers = np.flatnonzero(present)
        lookup = np.zeros(len(present), np.int32)
        lookup[numbers] = np.arange(1, len(numbers) + 1)
        return numbers, lookup[plane]
    numbers, inverse = np.unique(plane, return_inverse=True)
    compact = inverse.reshape(plane.shape).astype(np.int32)
    if numbers[0] != 0:
        return numbers, compact + np.int32(1)
    return numbers[1:], compact


def _centroids(compact: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Compute y, x (count, 2) of the centroids of the objects 1 to ``count``."""
    y, x = np.nonzero(compact)
    label = compact[y, x]
    area = np.bincount(label, minlength=count + 1)[1:]
    sums = [np.bincount(label, weights=axis, minlength=count + 1)[1:] for axis in (y, x)]
    centroids: NDArray[np.float64] = np.stack(sums, axis=1) / area[:, None]
    return centroids


def tile_regions(shape: tuple[int, int], size: int = FRAME, overlap: float = 0.1) -> Regions:
    """Space tiles evenly over an image.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    size : int
        Height and width of a tile, in pixels.
    overlap : float
        Least overlap of neighboring tiles, as a share of their size.

    Returns
    -------
    Regions
        As few tiles as cover the image, numbered from 1, row after row.

    Examples
    --------
    >>> tile_regions((224, 400)).box.tolist()
    [[0, 0, 224, 224], [0, 176, 224, 400]]
    """
    starts = [_tile_starts(length, size, overlap) for length in shape]
    corners = np.array([(y, x) for y in starts[0] for x in starts[1]])
    box = np.hstack([corners, np.minimum(corners + size, shape)]).astype(np.int32)
    return _plain_regions(box)


def _tile_starts(length: int, size: int, overlap: float) -> NDArray[np.int64]:
    """Compute the first pixels of the tiles along an axis."""
    if length <= size:
        return np.zeros(1, np.int64)
    gaps = -(-(length - size) // int(size * (1 - overlap)))
    return np.arange(gaps + 1) * (length - size) // gaps


def whole_region(shape: tuple[int, int]) -> Regions:
    """Make one region of a whole image of ``shape`` (h, w)."""
    return _plain_regions(np.array([[0, 0, *shape]], np.int32))


def _plain_regions(box: NDArray[np.int32]) -> Regions:
    """Make regions of boxes that hold no object."""
    center = (box[:, :2] + box[:, 2:] - 1) / 2
    return Regions(np.arange(1, len(box) + 1, dtype=np.int32), box, center.astype(np.float32), np.zeros(len(box), bool))


def regions_of(shape: tuple[int, int], labels: NDArray[Any] | None, settings: CropSettings) -> Regions:
    """Find the regions of an image under the settings.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image, resized by ``settings.scale``.
    labels : array (h, w) or (p, h, w), integer, or None
        The objects of mode ``cells``, of the size that the image had before it was resized.
    settings : CropSettings

    Returns
    -------
    Regions

    Raises
    ------
    InputError
        If mode ``cells`` has no labels, or an object lies in several planes.
    """
    if settings.mode == "tile":
        return tile_regions(shape)
    if settings.mode != "cells":
        return whole_region(shape)
    if labels is None:
        raise InputError("`mode` 'cells' needs the objects: pass label images or choose a segmentation")
    regions = cell_regions(labels, settings.rescale_constant, shape)
    return regions[~regions.border] if settings.drop_border else regions


def unscale_regions(regions: Regions, scaled: tuple[int, int], shape: tuple[int, ...]) -> Regions:
    """Express the regions of an image that was resized from ``shape`` to ``scaled`` in pixels of ``shape``."""
    if scaled == shape:
        return regions
    product = regions.box * np.array([*shape, *shape], np.int64)
    box = np.hstack([product[:, :2] // scaled, -(-product[:, 2:] // scaled)])
    center = (regions.center + 0.5) * np.array(shape) / scaled - 0.5
    return Regions(regions.object_number, box.astype(np.int32), center.astype(np.float32), regions.border)

"""Turn labels, outlines, tiles or a whole image into regions to crop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from ..model.frame import LARGEST, PAPER, Frame
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


def cell_regions(labels: NDArray[Any], rescale_constant: float = 2.0, limit: float = LARGEST / 2) -> Regions:
    """Find the crop around every labeled object (cell-region cropping, Xun et al. 2023, Methods).

    With the object's width w and height h and the middle m of its box, the crop is
    m +- min(max(w, h) * rescale_constant, limit), at least one pixel, clipped to the image.

    Parameters
    ----------
    labels : array (h, w) or (p, h, w), integer
        0 is background; numbers may have gaps; objects that overlap lie in several planes, each in one of them.
    rescale_constant : float
        Half width of the crop in units of the object's longer side.
    limit : float
        Largest half width of a crop in pixels: 112 in the paper.

    Returns
    -------
    Regions
        In the order of the object numbers.

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
    numbers, bounds, centers = object_bounds(labels)
    return _regions_around(numbers, bounds, centers, labels.shape[-2:], rescale_constant, limit)


def object_bounds(labels: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int64], NDArray[np.float64]]:
    """Find the boxes and centroids of the labeled objects.

    Parameters
    ----------
    labels : array (h, w) or (p, h, w), integer
        As for :func:`cell_regions`, which raises the same error.

    Returns
    -------
    numbers : array (n,), integer
        The labels, ascending.
    bounds : array (n, 4), int64
        y0, x0, y1, x1 in pixels, half-open.
    centers : array (n, 2), float64
        y, x in pixels.
    """
    from scipy import ndimage

    parts = []
    height, width = labels.shape[-2:]
    for plane in labels.reshape(-1, height, width):
        numbers, compact = compact_labels(plane)
        slices = ndimage.find_objects(compact)
        bounds = np.array([[y.start, x.start, y.stop, x.stop] for y, x in slices], dtype=np.int64).reshape(-1, 4)
        parts.append((numbers, bounds, _centroids(compact, len(numbers))))
    numbers, bounds, centers = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(numbers, kind="stable")
    numbers, bounds, centers = numbers[order], bounds[order], centers[order]
    if (repeated := numbers[1:][numbers[1:] == numbers[:-1]]).size:
        raise InputError(f"`labels`: object {repeated[0]} lies in several planes; draw each object in one plane only")
    return numbers, bounds, centers


def outline_regions(
    boxes: NDArray[Any],
    masks: Sequence[NDArray[np.bool_]],
    shape: tuple[int, int],
    rescale_constant: float = 2.0,
    limit: float = LARGEST / 2,
) -> Regions:
    """Find the crop around every outline, as :func:`cell_regions` does for an object of the same pixels.

    Parameters
    ----------
    boxes : array (n, 4), integer
        y0, x0, y1, x1 of each outline, half-open; may reach out of the image.
    masks : sequence of array (y1 - y0, x1 - x0), bool
        The pixels of each outline in its box.
    shape : tuple of int
        Height and width of the image.
    rescale_constant, limit
        As in :func:`cell_regions`.

    Returns
    -------
    Regions
        In the order of the outlines, numbered from 1.
    """
    bounds, centers = outline_bounds(boxes, masks, shape)
    numbers = np.arange(1, len(masks) + 1)
    regions = _regions_around(numbers, bounds, centers, shape, rescale_constant, limit)
    empty = np.isnan(centers[:, 0])
    regions.box[empty], regions.border[empty] = 0, False
    return regions


def outline_bounds(
    boxes: NDArray[Any], masks: Sequence[NDArray[np.bool_]], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Find the boxes and centroids of outlines inside an image.

    Parameters
    ----------
    boxes, masks, shape
        As for :func:`outline_regions`.

    Returns
    -------
    bounds : array (n, 4), int64
        y0, x0, y1, x1 in pixels, half-open; all 0 for an outline without pixels in the image.
    centers : array (n, 2), float64
        y, x in pixels; NaN for an outline without pixels in the image.
    """
    height, width = shape
    bounds = np.zeros((len(masks), 4), np.int64)
    centers = np.full((len(masks), 2), np.nan)
    for row, ((top, left, _, _), mask) in enumerate(zip(boxes.tolist(), masks, strict=True)):
        visible = mask[max(-top, 0) : max(height - top, 0), max(-left, 0) : max(width - left, 0)]
        y, x = np.nonzero(visible)
        if y.size:
            y, x = y + max(top, 0), x + max(left, 0)
            bounds[row] = y.min(), x.min(), y.max() + 1, x.max() + 1
            centers[row] = y.mean(), x.mean()
    return bounds, centers


def _regions_around(
    numbers: NDArray[Any],
    bounds: NDArray[np.int64],
    centers: NDArray[np.float64],
    shape: tuple[int, ...],
    rescale_constant: float,
    limit: float,
) -> Regions:
    """Find the crops around objects whose bounds (n, 4) and centers (n, 2) are known."""
    border = (bounds[:, :2] == 0).any(1) | (bounds[:, 2:] == shape).any(1)
    side = np.rint(2 * np.minimum(longer_sides(bounds) * rescale_constant, limit)).astype(np.int64).clip(1)
    start = (bounds[:, :2] + bounds[:, 2:] - side[:, None] + 1) // 2
    box = np.hstack([start.clip(0), np.minimum(start + side[:, None], shape)])
    return Regions(numbers.astype(np.int32), box.astype(np.int32), centers.astype(np.float32), border)


def longer_sides(bounds: NDArray[Any]) -> NDArray[Any]:
    """Return the longer sides (n,) of boxes (n, 4)."""
    sides: NDArray[Any] = (bounds[:, 2:] - bounds[:, :2]).max(1, initial=0)
    return sides


def compact_labels(plane: NDArray[Any]) -> tuple[NDArray[Any], NDArray[np.int32]]:
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


def tile_regions(shape: tuple[int, int], size: int = LARGEST, overlap: float = 0.1) -> Regions:
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


def regions_of(
    shape: tuple[int, int], labels: NDArray[Any] | None, settings: CropSettings, frame: Frame = PAPER
) -> Regions:
    """Find the regions of an image under the settings.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the image.
    labels : array (h, w) or (p, h, w), integer, or None
        The objects of mode ``cells``.
    settings : CropSettings
    frame : Frame
        What the network sees.

    Returns
    -------
    Regions

    Raises
    ------
    InputError
        If mode ``cells`` has no labels, or an object lies in several planes.
    """
    factor = settings.factor(frame)
    if settings.mode == "tile":
        return tile_regions(shape, max(round(LARGEST / (factor or 1)), 1))
    if settings.mode != "cells":
        return whole_region(shape)
    if labels is None:
        raise InputError("`mode` 'cells' needs the objects: pass label images or choose a segmentation")
    regions = cell_regions(labels, settings.rescale_constant, box_limit(factor))
    return regions[~regions.border] if settings.drop_border else regions


def box_limit(factor: float | None) -> float:
    """Return the largest half width of a crop in pixels of the image, of which the network sees at most 224."""
    return np.inf if factor is None else LARGEST / 2 / factor


def resized_shapes(
    regions: Regions, settings: CropSettings, frame: Frame, magnification: float = 1.0
) -> NDArray[np.int64]:
    """Compute the shapes to which crops are resized.

    Parameters
    ----------
    regions : Regions
    settings : CropSettings
    frame : Frame
        What the network sees.
    magnification : float
        Enlarges all crops further.

    Returns
    -------
    array (n, 2), int64
        Height and width in pixels, at most 224.
    """
    sides = regions.box[:, 2:] - regions.box[:, :2]
    longer = np.maximum(longer_sides(regions.box), 1)
    factor = settings.factor(frame)
    if settings.mode == "image":
        factors = LARGEST / longer
    else:
        own = frame.size / longer if factor is None else factor
        factors = np.minimum(own * magnification, LARGEST / longer)
    shapes: NDArray[np.int64] = np.rint(sides * factors[:, None]).astype(np.int64).clip(np.minimum(sides, 1))
    return shapes

"""Read the labels of objects, and check that they are labels."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ImageError, InputError
from .image_set import PlaneSource
from .label_masks import number_objects
from .label_parts import MASK, SPLIT, check_parts, find_parts, largest_parts
from .npy_labels import read_npy
from .outline_files import IMAGEJ_SUFFIXES, is_outlines, read_outlines
from .outlines import label_planes
from .planes import read_plane
from .roi_masks import RoiError
from .roi_positions import lies_in, locate

log = logging.getLogger(__name__)

_IN_COLORS = re.compile(r"is a color picture|has \w+ colors")
LOSSY = (".jpg", ".jpeg")
MAX_LABEL = np.iinfo(np.int32).max


def read_labels(
    source: PlaneSource, objects: str, shape: tuple[int, ...] | None, channels: Sequence[PlaneSource] = ()
) -> NDArray[np.integer[Any]]:
    """Read a label image, a mask, or a file of outlines.

    Parameters
    ----------
    source : PlaneSource
        A label image of integers or whole floats, a .npy file or `_seg.npy` of Cellpose; with ``is_mask``, a
        black-and-white mask; or outlines (see :func:`.is_outlines`).
    objects : str
        The object set, for the error.
    shape : tuple of int or None
        Height and width of the image, in pixels. None for those of a label image (see :func:`has_own_shape`).
    channels : sequence of PlaneSource
        The planes of the image: outlines that lie in other planes of a stack are left out.

    Returns
    -------
    array (h, w), or (p, h, w) of outlines
        0 is background; numbers up to 2147483647 are objects. Outlines that overlap lie in different planes.

    Raises
    ------
    ImageError
        If the file is unreadable or does not hold labels of this shape.
    MissingExtraError
        If the package that reads the format is not installed.
    """
    suffix = source.path.suffix.lower()
    if source.row is None and source.level is None:
        if shape is not None and is_outlines(source):
            return _draw_outlines(source, objects, shape, channels)
        if suffix in LOSSY and not source.is_mask:
            raise ImageError(
                "is JPEG, which changes numbers: save the label image as TIFF or PNG", source.path, objects
            )
    try:
        plane = _read_file(source, objects)
        if source.is_mask:
            plane = number_objects(plane)
        elif plane.dtype == bool:
            raise InputError(f"is {MASK}: {SPLIT}")
        elif plane.dtype.kind == "f":
            if not (np.isfinite(plane).all() and (plane == np.rint(plane)).all()):
                raise InputError("does not hold whole numbers: use a label image, not intensities or a resized one")
            plane = plane.astype(np.int64)
        return check_labels(plane, plane.shape if shape is None else shape)
    except InputError as error:
        raise ImageError(str(error), source.path, objects) from None


def has_own_shape(source: PlaneSource) -> bool:
    """Return whether labels can be read without the shape of their image: all but outlines."""
    return source.row is not None or source.level is not None or not is_outlines(source)


def _read_file(source: PlaneSource, objects: str) -> NDArray[Any]:
    if source.path.suffix.lower() == ".npy":
        try:
            return read_npy(source.path)
        except ImageError as error:
            raise ImageError(str(error), source.path, objects) from None
        except OSError as error:
            raise ImageError(f"cannot be read ({error.strerror})", source.path, objects) from None
    try:
        return read_plane(source, objects, intensities=False)
    except ImageError as error:
        if _IN_COLORS.match(str(error)):
            raise ImageError(
                "is a color picture: colors are no numbers of objects, save the label image itself (16 or 32 bit)",
                source.path,
                objects,
            ) from None
        raise


def check_labels(labels: ArrayLike, shape: tuple[int, ...]) -> NDArray[np.integer[Any]]:
    """Check that an array holds labels of an image.

    Parameters
    ----------
    labels : array (h, w) or (p, h, w)
        Objects that overlap lie in different planes.
    shape : tuple of int
        Height and width of the image, in pixels.

    Returns
    -------
    array (h, w) or (p, h, w)
        0 is background, 1 to 2147483647 are objects. Of labels (h, w), without the stray pixels of objects, whose
        number is logged; see :class:`.label_parts.LabelParts`.

    Raises
    ------
    InputError
        If they are no integers from 0 to 2147483647, of another size, or (h, w) with numbers that are no objects; see
        :func:`.label_parts.check_parts`.

    Examples
    --------
    >>> check_labels([[0, 1], [2, 2]], (2, 2))
    array([[0, 1],
           [2, 2]])
    """
    labels = np.asarray(labels)
    if labels.dtype == bool:
        raise InputError(f"labels are {MASK}: {SPLIT}")
    if labels.dtype.kind not in "ui" or labels.ndim not in (2, 3) or not labels.size:
        raise InputError(f"labels are {labels.dtype} of shape {labels.shape}: give integers (h, w) or (planes, h, w)")
    if labels.shape[-2:] != tuple(shape):
        raise InputError(
            f"labels are {labels.shape[-1]} x {labels.shape[-2]}, but the image is {shape[1]} x {shape[0]} pixels: "
            f"{_remedy_of_size(labels.shape[-2:], shape)}"
        )
    if labels.min() < 0 or labels.max() > MAX_LABEL:
        raise InputError(f"labels run from {labels.min()} to {labels.max()}: give 0 (background) to {MAX_LABEL}")
    return _check_plane(labels) if labels.ndim == 2 else labels


def _remedy_of_size(own: tuple[int, ...], shape: tuple[int, ...]) -> str:
    """Return what to do with labels (h, w) of another size than their image."""
    if own == tuple(shape[::-1]):
        return "they are transposed, swap their axes"
    if abs(own[0] * shape[1] - own[1] * shape[0]) <= max(*own, *shape):
        return "resize them by the nearest neighbor, or measure the image in which they were found"
    return "are they those of another image?"


def _check_plane(plane: NDArray[np.integer[Any]]) -> NDArray[np.integer[Any]]:
    """Check that the numbers of one plane (h, w) are objects, and drop their stray pixels."""
    found = find_parts(plane)
    check_parts(plane, found)
    stray = ~found.keep
    if not stray.any():
        return plane
    numbers = np.unique(found.number[stray])
    log.warning(
        "left out %d stray pixels of %d of %d objects, such as %d: only the largest piece of an object counts",
        found.area[stray].sum(),
        numbers.size,
        np.unique(found.number).size,
        numbers[0],
    )
    return largest_parts(plane, found)


def _draw_outlines(
    source: PlaneSource, objects: str, shape: tuple[int, ...], channels: Sequence[PlaneSource]
) -> NDArray[np.int32]:
    """Draw the outlines of a file that lie in the planes of an image as label planes (p, h, w)."""
    path = source.path
    try:
        rois = read_outlines(path)
    except RoiError as error:
        raise ImageError(str(error), path, objects) from None
    except OSError as error:
        raise ImageError(f"cannot be read ({error.strerror})", path, objects) from None
    places = [locate(each) for each in channels]
    inside = [not places or any(lies_in(roi, place) for place in places) for roi in rois]
    if not all(inside):
        other = rois[inside.index(False)]
        if max(place.count for place in places) == 1:
            remedy = "export the objects of one plane"
            if path.suffix.lower() in IMAGEJ_SUFFIXES:
                remedy = "in the ROI Manager, choose More > Remove Positions"
            raise ImageError(
                f"outline '{other.name}' lies in another plane of a stack, but the image has one plane: {remedy}, or "
                "measure the stack",
                path,
                objects,
            )
        log.info("'%s': %d of %d outlines lie in other planes of the stack", path, inside.count(False), len(rois))
    boxes = np.array([roi.box for roi in rois])
    # an outline keeps its number, also if those before it lie in another plane
    masks = [roi.mask & kept for roi, kept in zip(rois, inside, strict=True)]
    planes = next(label_planes(boxes, masks, shape), None)
    size = f"{shape[1]} x {shape[0]} pixels"
    if planes is None:
        if not any(inside):
            return np.zeros((1, *shape), np.int32)
        raise ImageError(
            f"none of its {len(rois)} outlines lies in the image ({size}): are they in its pixels?", path, objects
        )
    (y0, x0, y1, x1), (height, width) = boxes.T, shape
    empty = np.array([not mask.any() for mask in masks]) | (y1 <= 0) | (x1 <= 0) | (y0 >= height) | (x0 >= width)
    outside = inside & empty
    if outside.any():
        log.warning(
            "'%s': left out %d of %d outlines without a pixel in the image (%s): are they in its pixels?",
            path,
            outside.sum(),
            len(rois),
            size,
        )
    return planes

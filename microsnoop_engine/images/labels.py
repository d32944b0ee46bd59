"""Read the labels of objects, and check that they are labels."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import ImageError, InputError, MissingExtraError
from .image_set import PlaneSource
from .outlines import label_planes
from .planes import read_plane

ROI_SUFFIXES = (".zip", ".roi")
MAX_LABEL = np.iinfo(np.int32).max
_MASK = "a black-and-white mask: every object of a label image has its own number"


def read_labels(source: PlaneSource, objects: str, shape: tuple[int, ...]) -> NDArray[np.integer[Any]]:
    """Read a label image, or the outlines of a ROI file of ImageJ.

    Parameters
    ----------
    source : PlaneSource
        A label image of integers or whole floats, or a .zip or .roi file.
    objects : str
        The object set, for the error.
    shape : tuple of int
        Height and width of the image, in pixels.

    Returns
    -------
    array (h, w), or (p, h, w) of a ROI file
        0 is background; numbers up to 2147483647 are objects. ROIs that overlap lie in different planes.

    Raises
    ------
    ImageError
        If the file is unreadable or does not hold labels of this shape.
    MissingExtraError
        If the package that reads the format is not installed.
    """
    if source.path.suffix.lower() in ROI_SUFFIXES:
        return _read_rois(source.path, objects, shape)
    plane = read_plane(source, objects, intensities=False)
    if plane.dtype == bool:
        raise ImageError(f"is {_MASK}", source.path, objects)
    if plane.dtype.kind == "f":
        if not (np.isfinite(plane).all() and (plane == np.rint(plane)).all()):
            raise ImageError("does not hold whole numbers: use a label image, not intensities", source.path, objects)
        plane = plane.astype(np.int64)
    try:
        return check_labels(plane, shape)
    except InputError as error:
        raise ImageError(str(error), source.path, objects) from None


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
        The labels, unchanged: 0 is background, 1 to 2147483647 are objects.

    Raises
    ------
    InputError
        If they are no integers from 0 to 2147483647, of another size, or a mask of 0 and 255.

    Examples
    --------
    >>> check_labels([[0, 1], [2, 2]], (2, 2))
    array([[0, 1],
           [2, 2]])
    """
    labels = np.asarray(labels)
    if labels.dtype.kind not in "ui" or labels.ndim not in (2, 3) or not labels.size:
        raise InputError(f"labels are {labels.dtype} of shape {labels.shape}: give integers (h, w) or (planes, h, w)")
    if labels.shape[-2:] != tuple(shape):
        raise InputError(
            f"labels are {labels.shape[-1]} x {labels.shape[-2]}, but the image is {shape[1]} x {shape[0]} pixels"
        )
    if labels.dtype == np.uint8 and labels.any() and np.isin(labels, (0, 255)).all():
        raise InputError(f"labels are {_MASK}")
    if labels.min() < 0 or labels.max() > MAX_LABEL:
        raise InputError(f"labels run from {labels.min()} to {labels.max()}: give 0 (background) to {MAX_LABEL}")
    return labels


def _read_rois(path: Path, objects: str, shape: tuple[int, ...]) -> NDArray[np.int32]:
    """Read the outlines of a ROI file as label planes (p, h, w)."""
    try:
        from .imagej_roi import RoiError, read_rois
    except ImportError:
        raise MissingExtraError("roifile", "fiji", f"reading '{path.name}'") from None
    try:
        rois = read_rois(path)
    except RoiError as error:
        raise ImageError(str(error), path, objects) from None
    boxes = np.array([roi.box for roi in rois])
    planes = next(label_planes(boxes, [roi.mask for roi in rois], shape), None)
    if planes is None:
        size = f"{shape[1]} x {shape[0]} pixels"
        raise ImageError(f"none of its {len(rois)} ROIs lies in the image ({size})", path, objects)
    return planes

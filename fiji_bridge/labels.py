"""Turn labels, in the forms in which ImageJ and PyImageJ hold them, into the object numbers of each plane."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from .imagej import ImageJError, image_name, is_java, java_class, pixels, stack_size

log = logging.getLogger(__name__)

TOO_LARGE = 1 << 24
"""32-bit images hold floats: from here on, neighboring whole numbers are the same."""
LARGEST_OF_16_BITS = 65535
AXES = ("t", "pln", "row", "col")
"""PyImageJ's names of the axes that labels have."""

ReadPlane = Callable[[tuple[int, int]], np.ndarray]


class Labels:
    """Hold the object numbers of an image.

    Parameters
    ----------
    read : callable
        Takes a depth and time (slice, frame), from 1; returns labels (h, w) or, of objects that overlap, (p, h, w).
    """

    task = "measure_objects"

    def __init__(self, read: ReadPlane) -> None:
        self._read = read

    def plane(self, place: tuple[int, int]) -> np.ndarray:
        """Return the numbers at a depth and time; 0 is background."""
        return _object_numbers(self._read(place))

    def inputs(self, place: tuple[int, int]) -> dict[str, np.ndarray] | None:
        """Return the arrays of the task at a depth and time; None where there are no objects."""
        labels = self.plane(place)
        return {"labels": labels} if labels.any() else None

    def columns(self, place: tuple[int, int], rows: np.ndarray) -> dict[str, list[Any]]:
        """Return number and name of the objects behind rows."""
        return {"ObjectNumber": rows.tolist(), "name": [str(number) for number in rows]}

    def nothing(self) -> str:
        """Say why nothing was measured."""
        return "the labels are empty: all are 0 (background); check the segmentation"


def find_labels(ij: Any, imp: Any, source: Any) -> Labels | None:
    """Read labels of an image.

    Parameters
    ----------
    ij : object
        The gateway, which converts objects of ImageJ2; or None.
    imp : ij.ImagePlus
        The image that is measured.
    source : object
        An array (h, w), or with a plane for each depth and time; for an image of a single plane also (p, h, w). An
        xarray.DataArray, ij.ImagePlus, ImageProcessor, Dataset, RandomAccessibleInterval or ImgLabeling.

    Returns
    -------
    Labels or None
        None if ``source`` is no labels.

    Raises
    ------
    ImageJError
        If the labels do not go with the image.
    """
    if is_java(source, "ij.process.ImageProcessor"):
        source = java_class("ij.ImagePlus")("labels", source)
    if is_java(source, "ij.ImagePlus"):
        return Labels(_planes_of_image(imp, source))
    if is_java(source, "net.imglib2.roi.labeling.ImgLabeling"):
        _refuse_overlaps(source.getMapping())
        source = source.getIndexImg()
    if is_java(source, "net.imglib2.RandomAccessibleInterval"):
        source = _from_java(ij, source)
    if hasattr(source, "dims") and hasattr(source, "transpose"):
        source = _array_of(source)
    if isinstance(source, np.ndarray) and source.dtype.kind in "uifb":
        return Labels(_planes_of_array(imp, source))
    return None


def _from_java(ij: Any, source: Any) -> Any:
    """Convert an object of ImageJ2, whole, by the gateway."""
    if not hasattr(ij, "py"):
        raise ImageJError(
            f"rois is a {type(source).__name__}, which only PyImageJ's gateway converts: pass it, measure(ij, ...)"
        )
    return ij.py.from_java(source)


def _refuse_overlaps(mapping: Any) -> None:
    """Refuse an ImgLabeling whose objects share pixels: its index image would cut them into pieces."""
    if any(int(mapping.labelsAtIndex(index).size()) > 1 for index in range(int(mapping.numSets()))):
        raise ImageJError("the objects of this ImgLabeling overlap: pass their outlines as ROIs")


def _array_of(source: Any) -> np.ndarray:
    """Return an xarray.DataArray as an array (t, z, h, w), as far as it has these axes."""
    if not {"row", "col"} <= set(source.dims):
        return np.asarray(source)
    others = [name for name in source.dims if name not in AXES]
    for name in others:
        if source.sizes[name] != 1:
            raise ImageJError(f"the labels have {source.sizes[name]} planes along '{name}': pass one of them")
    return np.asarray(source.squeeze(others).transpose(*(name for name in AXES if name in source.dims)))


def _planes_of_array(imp: Any, labels: np.ndarray) -> ReadPlane:
    """Go through the planes of labels with the depths and times of the image."""
    depths, times = stack_size(imp)
    height, width = int(imp.getHeight()), int(imp.getWidth())
    axes = {name: length for name, length in (("frame", times), ("slice", depths)) if length > 1}
    planes = tuple(length for length in labels.shape[:-2] if length > 1)
    if labels.shape[-2:] == (height, width):
        if not planes:
            return lambda place: labels.reshape(height, width)
        if planes == tuple(axes.values()):
            stack = labels.reshape(times, depths, height, width)
            return lambda place: stack[place[1] - 1, place[0] - 1]
        if not axes and labels.ndim == 3:
            return lambda place: labels
    expected = f"({height}, {width})"
    if axes:
        expected += f", or {(*axes.values(), height, width)} with a plane for each {' and '.join(axes)}"
    raise ImageJError(f"the labels have the shape {labels.shape}: for this image it must be {expected}")


def _planes_of_image(imp: Any, labels: Any) -> ReadPlane:
    """Go through the planes of a label image of ImageJ with the depths and times of the image."""
    name, channels, stack = image_name(labels), int(labels.getNChannels()), stack_size(labels)
    if int(labels.getBitDepth()) == 24:
        raise ImageJError(f"the label image '{name}' is a color picture: pass one of 8, 16 or 32 bits")
    if (labels.getWidth(), labels.getHeight()) != (imp.getWidth(), imp.getHeight()):
        raise ImageJError(
            f"the label image '{name}' is {labels.getWidth()} x {labels.getHeight()} pixels, but '{image_name(imp)}' "
            f"is {imp.getWidth()} x {imp.getHeight()}: pass the labels of this image"
        )
    single = int(labels.getStackSize()) == 1
    if channels > 1 or not (single or stack == stack_size(imp) or _in_a_row(stack, stack_size(imp))):
        raise ImageJError(
            f"the label image '{name}' has {channels} channels, {stack[0]} slices and {stack[1]} frames, but "
            f"'{image_name(imp)}' has {stack_size(imp)[0]} slices and {stack_size(imp)[1]} frames: pass one plane, or "
            "one for each slice and frame"
        )
    warn = partial(_warn_if_full, name, set())

    def read(place: tuple[int, int]) -> np.ndarray:
        if single:
            place = (1, 1)
        elif stack != stack_size(imp):
            place = (place[1], place[0])
        return warn(pixels(labels, [0], place)[0])

    return read


def _in_a_row(one: tuple[int, int], other: tuple[int, int]) -> bool:
    """Return whether one stack has slices where the other has as many frames."""
    return one == other[::-1] and 1 in one


def _warn_if_full(name: str, warned: set[str], plane: np.ndarray) -> np.ndarray:
    """Say once that a 16-bit label image holds the largest number that it can."""
    if plane.dtype == np.uint16 and name not in warned and (plane == LARGEST_OF_16_BITS).any():
        warned.add(name)
        log.warning(
            "the label image '%s' holds the largest number of a 16-bit image, %d: Analyze Particles gives that number "
            "to all further objects; pass ROIs, or a 32-bit label image",
            name,
            LARGEST_OF_16_BITS,
        )
    return plane


def _object_numbers(labels: np.ndarray) -> np.ndarray:
    """Check labels, and return floats as integers."""
    if labels.dtype.kind == "b" or (labels.dtype == np.uint8 and set(np.unique(labels)) == {0, 255}):
        raise ImageJError(
            "these labels are a black-and-white mask: all objects have the same number; Analyze Particles with Show: "
            "Count Masks, or skimage.measure.label, numbers them"
        )
    if labels.dtype.kind == "f":
        if not (labels == np.rint(labels)).all():
            raise ImageJError("the labels hold fractions or NaN: pass whole numbers, 0 for background, not intensities")
        if labels.size and labels.max() >= TOO_LARGE:
            raise ImageJError(
                f"the labels hold numbers from {TOO_LARGE}, which 32-bit images cannot tell apart: number them from 1"
            )
        labels = labels.astype(np.int32)
    if labels.size and labels.min() < 0:
        raise ImageJError(f"the labels hold the number {labels.min()}: objects have numbers from 1, the background 0")
    return np.ascontiguousarray(labels)

"""Turn pixels and outlines of original ImageJ's objects (``ij.*``) into arrays, without ImageJ2."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from microsnoop_engine.images.imagej_roi import RoiMask

_BITS = {8: np.uint8, 16: np.uint16, 32: np.float32}


class ImageJError(ValueError):
    """Refuse an image, a ROI or an option that cannot be used; the message says what to do."""


def java_class(name: str) -> Any:
    """Import a Java class by name; the Java virtual machine must run."""
    import scyjava

    if not scyjava.jvm_started():
        raise ImageJError("no ImageJ runs in this Python: start one first, for example ij = imagej.init()")
    return scyjava.jimport(name)


def check_image(imp: Any) -> Any:
    """Return the image if it is an ``ij.ImagePlus``, else raise an ImageJError."""
    if not isinstance(imp, java_class("ij.ImagePlus")):
        raise ImageJError(
            f"{type(imp).__name__} is no ij.ImagePlus: open the image with ij.IJ.openImage(path), or convert it with "
            "ij.py.to_imageplus(image)"
        )
    return imp


def channel_names(imp: Any) -> list[str]:
    """Name the channels by the labels of their slices where these differ, else C1, C2, ..."""
    if int(imp.getBitDepth()) == 24:
        return ["Red", "Green", "Blue"]
    count = int(imp.getNChannels())
    if count == 1:
        return ["Image"]
    labels = [imp.getStack().getSliceLabel(imp.getStackIndex(c + 1, 1, 1)) for c in range(count)]
    names = [_clean(str(label).split("\n")[0]) if label is not None else "" for label in labels]
    return names if all(names) and len(set(names)) == count else [f"C{c + 1}" for c in range(count)]


def _clean(name: str) -> str:
    name = re.sub(r"^(?:[czt]:\d+/\d+ ?)+(?:- )?", "", name)
    name = re.sub(r"\.(tiff?|png|jpe?g|gif|bmp)$", "", name, flags=re.IGNORECASE)
    return re.sub(r'[\s,;"\[\]]+', "_", name.strip())


def places(imp: Any, slices: str) -> list[tuple[int, int]]:
    """List the depths and times (slice, frame), from 1, to measure: ``current`` or ``all``."""
    if slices == "current":
        _, z, t = imp.convertIndexToPosition(imp.getCurrentSlice())
        return [(int(z), int(t))]
    if slices != "all":
        raise ImageJError(f"slices is {slices!r}: it must be 'current' or 'all'")
    return [(z, t) for t in range(1, int(imp.getNFrames()) + 1) for z in range(1, int(imp.getNSlices()) + 1)]


def pixels(imp: Any, channels: list[int], place: tuple[int, int]) -> np.ndarray:
    """Copy the channels (from 0) at a depth and time, (c, h, w): uint8, uint16, int16 (signed) or float32."""
    rgb = int(imp.getBitDepth()) == 24
    planes = []
    for channel in channels:
        index = imp.getStackIndex(1 if rgb else channel + 1, *place)
        processor = imp.getStack().getProcessor(index)
        values = processor.getChannel(channel + 1) if rgb else processor.getPixels()
        planes.append(plane_of(values, int(imp.getHeight()), int(imp.getWidth())))
    image = np.stack(planes)
    if imp.getCalibration().isSigned16Bit():
        return (image.astype(np.int32) - 32768).astype(np.int16)
    return image


def plane_of(values: Any, height: int, width: int) -> np.ndarray:
    """Copy a Java array as a plane (h, w)."""
    view = memoryview(values)
    return np.frombuffer(view, _BITS[8 * view.itemsize]).reshape(height, width).copy()


def outlines(imp: Any, rois: Any) -> list[tuple[int, Any]]:
    """List ROIs with their numbers from 1: those of ``manager`` or ``overlay``, or of a list of ``ij.gui.Roi``."""
    if isinstance(rois, str):
        if rois == "manager":
            found = _manager()
        elif rois == "overlay":
            found = list(imp.getOverlay().toArray()) if imp.getOverlay() is not None else []
            found = [roi for roi in found if roi.getProperty("microsnoop") is None]
        else:
            raise ImageJError(
                f"rois is '{rois}': it must be 'manager', 'overlay', labels (an array), ROIs, or None (whole image)"
            )
        if not found:
            raise ImageJError(
                f"there are no ROIs in the {rois}: add some, or pass labels, ROIs, or None for the whole image"
            )
    else:
        found = list(rois)
        if not found:
            raise ImageJError("the list of ROIs is empty")
    numbered = list(enumerate(found, start=1))
    for number, roi in numbered:
        if not isinstance(roi, java_class("ij.gui.Roi")):
            raise ImageJError(f"item {number} of the ROIs is {type(roi).__name__}, no ij.gui.Roi")
        if not roi.isArea():
            raise ImageJError(
                f"ROI {number} ('{roi_name(roi, number)}'), a {roi.getTypeAsString()}, has no area: leave it out"
            )
    return numbered


def _manager() -> list[Any]:
    import scyjava

    if scyjava.jimport("java.awt.GraphicsEnvironment").isHeadless():
        raise ImageJError("there is no ROI Manager without a window: put the ROIs into the overlay (rois='overlay')")
    manager = java_class("ij.plugin.frame.RoiManager").getInstance2()
    return list(manager.getRoisAsArray()) if manager is not None else []


def roi_name(roi: Any, number: int) -> str:
    """Return the name of a ROI, or its number where it has none."""
    name = roi.getName()
    return str(name) if name is not None and str(name).strip() else f"{number:04d}"


def at(imp: Any, roi: Any, place: tuple[int, int]) -> bool:
    """Return whether a ROI belongs to a depth and time; one without a position belongs to all."""
    z, t = int(roi.getZPosition()), int(roi.getTPosition())
    position = int(roi.getPosition())
    if not roi.hasHyperStackPosition() and 0 < position <= int(imp.getStackSize()):
        _, z, t = imp.convertIndexToPosition(position)
    return int(z) in (0, place[0]) and int(t) in (0, place[1])


def roi_masks(rois: list[tuple[int, Any]]) -> Iterator[RoiMask]:
    """Yield box and mask of every ROI, as ImageJ itself fills it."""
    for number, roi in rois:
        bounds, mask = roi.getBounds(), roi.getMask()
        y, x, height, width = (int(value) for value in (bounds.y, bounds.x, bounds.height, bounds.width))
        inside = np.ones((height, width), bool) if mask is None else plane_of(mask.getPixels(), height, width) != 0
        yield RoiMask(roi_name(roi, number), (y, x, y + height, x + width), inside)

"""Find ROIs where users keep them, and read their pixels as ImageJ fills them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import Any

import numpy as np

from microsnoop_engine.images.imagej_roi import RoiMask

from .imagej import ImageJError, headless, java_class, plane_of

DRAWN = "microsnoop"
"""Property of ROIs that were drawn into an overlay by us: they are never measured."""
SOURCES = ("auto", "manager", "overlay")


class Outlines:
    """Hold the ROIs of an image, with their numbers from 1.

    Parameters
    ----------
    imp : ij.ImagePlus
    rois : iterable of ij.gui.Roi

    Raises
    ------
    ImageJError
        If there are none, or one of them is no area.
    """

    task = "measure_rois"

    def __init__(self, imp: Any, rois: Iterable[Any]) -> None:
        self._imp = imp
        self.rois = dict(enumerate(rois, start=1))
        if not self.rois:
            raise ImageJError("the list of ROIs is empty")
        for number, roi in self.rois.items():
            if not isinstance(roi, java_class("ij.gui.Roi")):
                raise ImageJError(f"item {number} of the ROIs is {type(roi).__name__}, no ij.gui.Roi")
            if not roi.isArea():
                raise ImageJError(
                    f"ROI {number} ('{roi_name(roi, number)}'), a {roi.getTypeAsString()}, has no area: leave it out"
                )

    def at(self, place: tuple[int, int]) -> list[int]:
        """Return the numbers of the ROIs at a depth and time; a ROI without a position belongs to all."""
        return [number for number, roi in self.rois.items() if _belongs(self._imp, roi, place)]

    def inputs(self, place: tuple[int, int]) -> dict[str, np.ndarray] | None:
        """Return the arrays of the task at a depth and time; None where there are no ROIs."""
        masks = [roi_mask(self.rois[number], number) for number in self.at(place)]
        if not masks:
            return None
        return {
            "boxes": np.array([mask.box for mask in masks], np.int32),
            "masks": np.concatenate([mask.mask.ravel() for mask in masks]),
        }

    def columns(self, place: tuple[int, int], rows: np.ndarray) -> dict[str, list[Any]]:
        """Return number, name, group and properties of the ROIs behind rows, which count from 1 in a place."""
        here = self.at(place)
        numbers = [here[row - 1] for row in rows]
        columns: dict[str, list[Any]] = {
            "ObjectNumber": numbers,
            "name": [roi_name(self.rois[number], number) for number in numbers],
        }
        for column, values in self._metadata.items():
            columns[column] = [values[number] for number in numbers]
        return columns

    @cached_property
    def _metadata(self) -> dict[str, dict[int, Any]]:
        """Group and properties by column and ROI, where a ROI has any."""
        groups = {number: int(roi.getGroup()) for number, roi in self.rois.items()}
        columns: dict[str, dict[int, Any]] = {"Group": groups} if any(groups.values()) else {}
        properties = {number: roi_properties(roi) for number, roi in self.rois.items()}
        for name in dict.fromkeys(name for named in properties.values() for name in named):
            columns[f"Roi_{name}"] = {number: named.get(name) for number, named in properties.items()}
        return columns

    def nothing(self) -> str:
        """Say why nothing was measured."""
        return f"all {len(self.rois)} ROIs belong to other slices: use slices='all'"


def find_rois(imp: Any, source: str) -> list[Any]:
    """Return the ROIs of ``manager`` or ``overlay``; of ``auto`` the manager's, or the overlay's without windows."""
    if source not in SOURCES:
        raise ImageJError(
            f"rois is '{source}': it must be 'manager', 'overlay', labels, ROIs, or None (the whole image)"
        )
    if source == "manager" and headless():
        raise ImageJError("there is no ROI Manager without a window: put the ROIs into the overlay (rois='overlay')")
    in_manager = source == "manager" or (source == "auto" and not headless())
    found = _manager() if in_manager else _overlay(imp.getOverlay())
    if not found:
        raise ImageJError(
            f"there are no ROIs in the {'ROI Manager' if in_manager else 'overlay'}: add some, or pass labels or ROIs "
            "as rois, or None for the whole image"
        )
    return found


def _manager() -> list[Any]:
    manager = java_class("ij.plugin.frame.RoiManager").getInstance2()
    return list(manager.getRoisAsArray()) if manager is not None else []


def _overlay(overlay: Any) -> list[Any]:
    return [roi for roi in overlay.toArray() if roi.getProperty(DRAWN) is None] if overlay is not None else []


def roi_name(roi: Any, number: int) -> str:
    """Return the name of a ROI, or its number where it has none."""
    name = roi.getName()
    return str(name) if name is not None and str(name).strip() else f"{number:04d}"


def roi_properties(roi: Any) -> dict[str, str]:
    """Return the properties that a ROI was given, such as the class of a cell."""
    lines = str(roi.getProperties() or "").splitlines()
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {"_".join(key.split()): value.strip() for key, _, value in pairs if key.strip() != DRAWN}


def roi_mask(roi: Any, number: int) -> RoiMask:
    """Return box and mask of a ROI, as ImageJ itself fills it."""
    bounds, mask = roi.getBounds(), roi.getMask()
    y, x, height, width = (int(value) for value in (bounds.y, bounds.x, bounds.height, bounds.width))
    inside = np.ones((height, width), bool) if mask is None else plane_of(mask.getPixels(), height, width) != 0
    return RoiMask(roi_name(roi, number), (y, x, y + height, x + width), inside)


def _belongs(imp: Any, roi: Any, place: tuple[int, int]) -> bool:
    z, t = int(roi.getZPosition()), int(roi.getTPosition())
    position = int(roi.getPosition())
    if not roi.hasHyperStackPosition() and 0 < position <= int(imp.getStackSize()):
        _, z, t = imp.convertIndexToPosition(position)
    return int(z) in (0, place[0]) and int(t) in (0, place[1])

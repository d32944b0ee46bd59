"""Read the outlines of objects from the files of ImageJ, QuPath and napari."""

from __future__ import annotations

from pathlib import Path

from ..errors import MissingExtraError
from .geojson import read_geojson
from .image_set import ImageSet, PlaneSource
from .napari_shapes import read_napari_shapes
from .overlays import OVERLAY_SUFFIXES
from .roi_masks import RoiMask

IMAGEJ_SUFFIXES = (".zip", ".roi")
OUTLINE_SUFFIXES = (*IMAGEJ_SUFFIXES, ".geojson", ".json", ".csv")

OUTLINE_METADATA = ("ROI_Name", "ROI_Group")
"""Metadata of objects that are given as outlines."""


def is_outlines(source: PlaneSource) -> bool:
    """Return True for the source of objects that are given as outlines, not as a label image."""
    return source.in_image or source.path.suffix.lower() in OUTLINE_SUFFIXES


def has_outlines(image_set: ImageSet, objects: str) -> bool:
    """Return True if the objects of an image set are given as outlines.

    Parameters
    ----------
    image_set : ImageSet
    objects : str
        The object set.

    Returns
    -------
    bool
    """
    source = image_set.labels.get(objects)
    return source is not None and is_outlines(source)


def read_outlines(path: Path) -> list[RoiMask]:
    """Read the outlines of a file, in its order.

    Parameters
    ----------
    path : Path
        ROIs of ImageJ (.zip, .roi, or the overlay of a .tif), polygons of QuPath and others (.geojson, .json), or
        shapes of napari (.csv).

    Returns
    -------
    list of RoiMask

    Raises
    ------
    RoiError
        If the file cannot be read, or holds an outline that has no area or whose pixels are not known exactly.
    MissingExtraError
        If ROIs of ImageJ cannot be read because roifile is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in (".geojson", ".json"):
        return read_geojson(path)
    if suffix == ".csv":
        return read_napari_shapes(path)
    try:
        from .imagej_roi import read_overlay, read_rois
    except ImportError:
        raise MissingExtraError("roifile", "fiji", f"reading the outlines of '{path.name}'") from None
    return read_overlay(path) if suffix in OVERLAY_SUFFIXES else read_rois(path)

"""Find the outlines that ImageJ saves in an image itself: its overlay or its selection."""

from __future__ import annotations

import logging
import re
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..storage.paths import is_remote
from .image_set import ImageSet

log = logging.getLogger(__name__)

OVERLAY_SUFFIXES = (".tif", ".tiff")
_HEADER = 64
_TYPE, _SHAPE_SIZE, _SUBTYPE = 6, 36, 48
"""Places in the header of a ROI."""
_RECTANGLE = 1
_AREAS = (0, _RECTANGLE, 2, 7, 8)
"""Types of ROIs that have an area: polygon, rectangle, oval, freehand, traced; no lines, angles and points."""
_ANNOTATIONS = (1, 2, 4)
"""Subtypes of such types that have none: text, arrow, image."""
_OME_OUTLINE = re.compile(r"<(?:\w+:)?(?:Polygon|Ellipse|Mask)\b")
_SCALE_BAR = "|SB|".encode("utf-16-be")


def embedded_outlines(path: Path) -> tuple[list[bytes], int]:
    """Return the outlines that are saved in an image.

    Parameters
    ----------
    path : Path
        A TIFF file on a disk.

    Returns
    -------
    outlines : list of bytes
        The ROIs of its overlay that have an area, as ImageJ encodes them. Without an overlay, the selection, unless it
        is a rectangle, which marks a part of the image as a rule.
    left_out : int
        Number of texts, arrows, lines, points and scale bars in the overlay.
    """
    import tifffile

    with tifffile.TiffFile(path) as tiff:
        return _outlines_in(tiff)


def _outlines_in(tiff: Any) -> tuple[list[bytes], int]:
    metadata = tiff.imagej_metadata or {}
    overlay, selection = _listed(metadata.get("Overlays")), _listed(metadata.get("ROI"))
    if not overlay:
        return [roi for roi in selection if _has_area(roi) and not _is_rectangle(roi)], 0
    outlines = [roi for roi in overlay if _has_area(roi)]
    return outlines, len(overlay) - len(outlines)


def files_with_outlines(image_set: ImageSet) -> list[Path]:
    """Return the files of an image set in which outlines are saved."""
    paths = dict.fromkeys(source.path for source in image_set.channels.values() if source.level is None)
    return [path for path in paths if _count(path)[0]]


def warn_of_outlines(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning if outlines are saved in images whose objects are to be found.

    Parameters
    ----------
    image_sets : sequence of ImageSet
        Images in a store are passed over, whose headers would take too long.
    """
    sources = (source for image_set in image_sets for source in image_set.channels.values() if source.level is None)
    counts = {path: _count(path) for path in dict.fromkeys(source.path for source in sources)}
    imagej = {path: outlines for path, (outlines, _) in counts.items() if outlines}
    _warn("that ImageJ saved in the images", imagej, "set `rois` to the images themselves")
    ome_xml = {path: outlines for path, (_, outlines) in counts.items() if outlines}
    _warn("in the OME-XML of the images", ome_xml, "save them as ROI files or GeoJSON, for `rois`")


def _warn(origin: str, counts: dict[Path, int], remedy: str) -> None:
    if not counts:
        return
    first = next(iter(counts))
    others = f", and those in {len(counts) - 1} more" if len(counts) > 1 else ""
    log.warning(
        "outlines %s are not used: %d in '%s'%s. To measure them, %s; to find objects instead, choose `segment`",
        origin,
        counts[first],
        first,
        others,
        remedy,
    )


def _count(path: Path) -> tuple[int, int]:
    """Count the outlines of ImageJ and those of OME-XML in an image.

    None in one that cannot be read, which the reader of its pixels reports.
    """
    if is_remote(path) or path.suffix.lower() not in OVERLAY_SUFFIXES:
        return 0, 0
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            return len(_outlines_in(tiff)[0]), len(_OME_OUTLINE.findall(tiff.ome_metadata or ""))
    except Exception:
        log.debug("the header of '%s' cannot be read", path, exc_info=True)
        return 0, 0


def _listed(value: object) -> list[bytes]:
    """Return the ROIs of metadata, of which a single one is no list."""
    rois = value if isinstance(value, list | tuple) else [value]
    return [roi for roi in rois if isinstance(roi, bytes) and len(roi) >= _HEADER]


def _has_area(roi: bytes) -> bool:
    (subtype,) = struct.unpack_from(">h", roi, _SUBTYPE)
    return roi[_TYPE] in _AREAS and subtype not in _ANNOTATIONS and _SCALE_BAR not in roi


def _is_rectangle(roi: bytes) -> bool:
    """Return True for a rectangle; shapes of several parts have its type, too."""
    (shape_size,) = struct.unpack_from(">i", roi, _SHAPE_SIZE)
    return roi[_TYPE] == _RECTANGLE and not shape_size

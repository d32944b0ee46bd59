"""Find the pixel size that a TIFF file carries, by the metadata of its maker."""

from __future__ import annotations

import re
from typing import Any

_IMAGEJ_UNITS = {
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "\\u00b5m": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
}
_RESOLUTION_UNITS = {2: 25400.0, 3: 10000.0}
"""Micrometers of an inch and a centimeter, by the number of the unit."""
LARGEST = 20.0
"""Micrometers: larger pixels in resolution tags are those of screens and printers (72, 96, 300, 600 dpi)."""


def tiff_pixel_size(tiff: Any, page: Any) -> tuple[float | None, float | None]:
    """Return width and height of the pixels of a page without OME-XML.

    Parameters
    ----------
    tiff : tifffile.TiffFile
    page : tifffile.TiffPage

    Returns
    -------
    width, height : float or None
        In micrometers; None if the file does not say it, or gives the resolution of a screen or printer. Formats with
        one size for both have no height.
    """
    if tiff.is_lsm:
        metadata = tiff.lsm_metadata or {}
        width, height = (_positive(1e6 * float(metadata.get(f"VoxelSize{axis}", 0))) for axis in "XY")
        return width, height
    if tiff.is_svs:
        return _positive(_number(re.search(r"MPP\s*=\s*([\d.]+)", page.description))), None
    if tiff.is_micromanager:
        size = ((tiff.micromanager_metadata or {}).get("Summary") or {}).get("PixelSize_um")
        return _positive(float(size)) if isinstance(size, int | float) else None, None
    return _by_resolution(tiff, page, "XResolution"), _by_resolution(tiff, page, "YResolution")


def _by_resolution(tiff: Any, page: Any, tag: str) -> float | None:
    resolution = page.tags.get(tag)
    if resolution is None or not resolution.value or not resolution.value[0]:
        return None
    length = resolution.value[1] / resolution.value[0]
    if tiff.is_imagej:
        factor = _IMAGEJ_UNITS.get(str((tiff.imagej_metadata or {}).get("unit", "")).lower().strip())
        if factor:
            return _positive(length * factor)
    unit = page.tags.get("ResolutionUnit")
    size = length * _RESOLUTION_UNITS.get(int(unit.value) if unit is not None else 2, 0)
    return size if 0 < size <= LARGEST else None


def _number(match: re.Match[str] | None) -> float:
    return float(match[1]) if match else 0.0


def _positive(size: float) -> float | None:
    return size if size > 0 else None

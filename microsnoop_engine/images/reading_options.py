"""Options of reading an input: which image sets it has, their labels, and the planes to take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .acquisitions.layouts import AUTO
from .selection import PlaneSelection


@dataclass(frozen=True)
class ReadingOptions:
    """Describe how the image sets of an input are found.

    Parameters
    ----------
    pattern, labels, objects, level, pixel_size, rois, acquisition, layout, channel_name, allow_unmatched, \
selection, illumination
        See :func:`microsnoop_engine.find_image_sets`.
    """

    pattern: str | None = None
    labels: str | Path | None = None
    objects: str = "Nuclei"
    level: int | None = None
    pixel_size: float | None = None
    rois: str | Path | None = None
    acquisition: str | int | None = None
    layout: str = AUTO
    channel_name: str | None = None
    allow_unmatched: bool = False
    selection: PlaneSelection | None = None
    illumination: str | Path | None = None

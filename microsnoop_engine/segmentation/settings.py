"""Settings of a segmentation."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from .nuclei import MIN_CONTRAST


@dataclass(frozen=True)
class SegmentationSettings:
    """Describe the objects to find.

    Attributes
    ----------
    diameter : float, optional
        Of an object, in pixels. By default ``nuclei`` takes that of the median object, and Cellpose that of its model.
    invert : bool
        The objects are darker than the background.
    min_contrast : float
        Of ``nuclei``: see :func:`.nuclei.segment_nuclei`.
    segment_pixel_size : float, optional
        Of InstanSeg: pixel size of the planes, in micrometers.

    Raises
    ------
    InputError
        If a number is not above 0.
    """

    diameter: float | None = None
    invert: bool = False
    min_contrast: float = MIN_CONTRAST
    segment_pixel_size: float | None = None

    def __post_init__(self) -> None:
        if self.diameter is not None and not 0 < self.diameter < float("inf"):
            raise InputError(f"`diameter` is {self.diameter}: it must be a number of pixels above 0")
        if not 0 < self.min_contrast < float("inf"):
            raise InputError(f"`min_contrast` is {self.min_contrast}: it must be above 0")
        if self.segment_pixel_size is not None and not 0 < self.segment_pixel_size < float("inf"):
            raise InputError(
                f"`segment_pixel_size` is {self.segment_pixel_size}: it must be a number of micrometers above 0"
            )

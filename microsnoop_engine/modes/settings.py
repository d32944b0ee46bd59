"""Define the settings of a crop."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..model.frame import FRAME

MODES = ("cells", "single-cell", "tile", "image")
MASKS = ("box", "object")
NORMALIZATIONS = ("crop-first", "pad-first")
SMALLEST_RESIZE = 48


@dataclass(frozen=True)
class CropSettings:
    """Hold the settings of crops, checked when they are made.

    Parameters
    ----------
    mode : {'cells', 'single-cell', 'tile', 'image'}
        One crop per labeled object, the image as the crop of one cell, overlapping tiles of 224 x 224 pixels, or the
        whole image resized to 224 x 224 pixels.
    rescale_constant : float
        Half width of the box around an object, in units of the object's longer side, 0.1 to 20: 2.0 suits nuclei, 0.6
        whole cells. For mode ``cells`` (Rc of the paper).
    mask : {'box', 'object'}
        Keep all pixels of a crop, or those of the object only: all others become zero.
    normalize : {'crop-first', 'pad-first'}
        Normalize the crop before the zeros around it are added, so that a constant added to all pixels (a camera's
        offset, a background level) changes nothing, or after them (as in the paper), so that they count in the
        percentiles. With ``mask='object'`` pixels outside the object are treated as the zeros around the crop are.
    drop_border : bool
        Leave out objects that touch the edge of the image.
    scale : float
        Factor, 0.01 to 16, by which the image is resized before it is cropped.
    resize : int, optional
        Height and width, 48 to 224 pixels, that crops of the modes ``cells`` and ``single-cell`` are resized to before
        they are centered in the frame. The longer side fills it, so that an object's size no longer counts.

    Raises
    ------
    InputError
        If a setting is of the wrong type or out of range.

    Examples
    --------
    >>> CropSettings(mode="tile").normalize
    'crop-first'
    """

    mode: str = "cells"
    rescale_constant: float = 2.0
    mask: str = "box"
    normalize: str = "crop-first"
    drop_border: bool = False
    scale: float = 1.0
    resize: int | None = None

    def __post_init__(self) -> None:
        for setting, choices in (("mode", MODES), ("mask", MASKS), ("normalize", NORMALIZATIONS)):
            value = getattr(self, setting)
            if value not in choices:
                raise InputError(f"`{setting}` is '{value}': it must be one of {', '.join(choices)}")
        for setting, low, high in (("rescale_constant", 0.1, 20.0), ("scale", 0.01, 16.0)):
            value = getattr(self, setting)
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"`{setting}` is {value!r}: it must be a number from {low} to {high}")
        if self.resize is None:
            return
        if self.mode not in ("cells", "single-cell"):
            raise InputError(f"`resize` goes with the modes cells and single-cell, not with '{self.mode}'")
        whole = isinstance(self.resize, int) and not isinstance(self.resize, bool)
        if not whole or not SMALLEST_RESIZE <= self.resize <= FRAME:
            raise InputError(
                f"`resize` is {self.resize!r}: it must be a whole number from {SMALLEST_RESIZE} to {FRAME}"
            )

    @property
    def pad_first(self) -> bool:
        """Whether a crop is padded with zeros before it is normalized."""
        return self.normalize == "pad-first"

    @property
    def masked(self) -> bool:
        """Whether pixels outside the object are set to zero."""
        return self.mask == "object" and self.mode == "cells"

"""Define the settings of a crop."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InputError
from ..model.frame import FRAME

MODES = ("cells", "single-cell", "tile", "image")
MASKS = ("box", "object")
NORMALIZATIONS = ("pad-then-normalize", "normalize-then-pad")


@dataclass(frozen=True)
class CropSettings:
    """How crops are taken; checked when it is built.

    Parameters
    ----------
    mode : {'cells', 'single-cell', 'tile', 'image'}
    rescale_constant : float
        Half width of the box in units of the object's longer side: 2.0 suits nuclei, 0.6 whole cells.
    mask : {'box', 'object'}
        The crop as it is, or with everything outside the object set to zero.
    normalize : {'pad-then-normalize', 'normalize-then-pad'}, optional
        Whether the percentiles are those of the zero-padded crop (as in the paper) or of the crop alone. By default
        the first; the second for ``mask='object'``, where a small object would be lost among the zeros.
    drop_border : bool
        Leave out objects that touch the edge of the image.
    scale : float
        Factor by which the field is resized before it is cropped.
    resize : int, optional
        Height and width, 48 to 224 pixels, that crops of the modes ``cells`` and ``single-cell`` are resized to before
        they are set into the frame, the longer side filling it: an object's size no longer counts.

    Raises
    ------
    InputError
    """

    mode: str = "cells"
    rescale_constant: float = 2.0
    mask: str = "box"
    normalize: str | None = None
    drop_border: bool = False
    scale: float = 1.0
    resize: int | None = None

    def __post_init__(self) -> None:
        for setting, choices in (("mode", MODES), ("mask", MASKS), ("normalize", NORMALIZATIONS)):
            value = getattr(self, setting)
            if value not in choices and (setting, value) != ("normalize", None):
                raise InputError(f"{setting} is '{value}': give one of {', '.join(choices)}")
        for setting, low, high in (("rescale_constant", 0.1, 20.0), ("scale", 0.01, 16.0)):
            value = getattr(self, setting)
            if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
                raise InputError(f"{setting} is {value!r}: give a number from {low} to {high}")

        if self.resize is not None:
            if self.mode not in ("cells", "single-cell"):
                raise InputError(f"resize goes with the modes cells and single-cell, not with '{self.mode}'")
            if isinstance(self.resize, bool) or not isinstance(self.resize, int) or not 48 <= self.resize <= FRAME:
                raise InputError(f"resize is {self.resize!r}: give a whole number from 48 to {FRAME}")

    @property
    def pad_first(self) -> bool:
        """Whether a crop is padded with zeros before it is normalized."""
        return (self.normalize or NORMALIZATIONS[self.mask == "object"]) == "pad-then-normalize"

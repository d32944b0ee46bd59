"""Define the settings of a crop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ..errors import InputError
from ..model.frame import Frame

MODES = ("cells", "single-cell", "tile", "image")
MASKS = ("box", "object")
NORMALIZATIONS = ("crop-first", "pad-first")
SCALES = ("auto", "each", "none")


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
    scale : {'auto', 'each', 'none'} or float
        Factor by which crops are resized. ``auto``: the same for all, so that the box around an object of the typical
        diameter fills what the network sees. ``each``: every box fills it, so that an object's size no longer counts.
        ``none``: no resizing, as in the paper. A number, 0.01 to 16: that factor. Larger boxes than 224 pixels after
        resizing are cut to their middle in mode ``cells``.
    diameter : float, optional
        Typical longer side of an object in pixels, 1 to 10,000, for ``scale='auto'`` and for a segmentation. Default:
        the median of the objects, which a run finds in some of its image sets and :func:`.measure` in its image. In
        mode ``single-cell`` it is the longer side of the image. Mode ``tile`` is not resized without it.
    magnifications : tuple of float
        Each crop is shown once per magnification, 0.25 to 4, beyond ``scale``; the embeddings stand side by side. For
        the modes ``cells`` and ``single-cell``.

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
    scale: float | str = "auto"
    diameter: float | None = None
    magnifications: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        for setting, choices in (("mode", MODES), ("mask", MASKS), ("normalize", NORMALIZATIONS)):
            value = getattr(self, setting)
            if value not in choices:
                raise InputError(f"`{setting}` is '{value}': it must be one of {', '.join(choices)}")
        _check_number("rescale_constant", self.rescale_constant, 0.1, 20)
        if isinstance(self.scale, str):
            if self.scale not in SCALES:
                raise InputError(f"`scale` is '{self.scale}': it must be {', '.join(SCALES)} or a number")
        else:
            _check_number("scale", self.scale, 0.01, 16)
        if self.scale not in ("auto", "none") and self.mode == "image":
            raise InputError(
                "`scale` does not go with `mode` image, which fits the whole image into the network's view"
            )
        if self.scale == "each" and self.mode == "tile":
            raise InputError("`scale` each goes with the modes cells and single-cell: tiles have no objects")
        object.__setattr__(self, "magnifications", tuple(self.magnifications))
        if not self.magnifications or len(set(self.magnifications)) < len(self.magnifications):
            raise InputError("`magnifications` must hold one number or more, each once, such as 1, 1.75")
        for value in self.magnifications:
            _check_number("magnifications", value, 0.25, 4)
        if self.magnifications != (1.0,) and self.mode not in ("cells", "single-cell"):
            raise InputError(f"`magnifications` goes with the modes cells and single-cell, not with {self.mode}")
        if self.diameter is None:
            return
        _check_number("diameter", self.diameter, 1, 10_000)
        if self.mode == "image":
            raise InputError("`diameter` does not go with `mode` image, which fits the whole image: use `mode` tile")

    @property
    def pad_first(self) -> bool:
        """Whether a crop is padded with zeros before it is normalized."""
        return self.normalize == "pad-first"

    @property
    def masked(self) -> bool:
        """Whether pixels outside the object are set to zero."""
        return self.mask == "object" and self.mode == "cells"

    @property
    def needs_diameter(self) -> bool:
        """Whether a typical diameter is to be found before crops can be cut."""
        return self.scale == "auto" and self.diameter is None and self.mode in ("cells", "single-cell")

    def factor(self, frame: Frame) -> float | None:
        """Return the factor by which all crops are resized.

        Parameters
        ----------
        frame : Frame
            What the network sees.

        Returns
        -------
        float or None
            None with ``scale='each'``, where every crop has a factor of its own.

        Raises
        ------
        InputError
            If the typical diameter is still to be found.

        Examples
        --------
        >>> CropSettings(diameter=40).factor(Frame(160, zeros=False))
        1.0
        """
        if self.needs_diameter:
            raise InputError("`scale` auto needs the typical diameter of the objects: set `diameter`")
        if self.scale == "each":
            return None
        if self.scale == "auto" and self.diameter is not None:
            boxes = 1.0 if self.mode == "single-cell" else 2 * self.rescale_constant
            return frame.size / (boxes * self.diameter)
        return 1.0 if isinstance(self.scale, str) else float(self.scale)

    def zoomed(self, zoom: float) -> CropSettings:
        """Return the settings for an image whose pixels are to be taken as ``zoom`` times as wide as they are."""
        if zoom == 1 or self.scale == "each" or self.mode == "image":
            return self
        if self.scale == "auto" and self.diameter is not None:
            return replace(self, diameter=self.diameter / zoom)
        return replace(self, scale=zoom if isinstance(self.scale, str) else self.scale * zoom)


def _check_number(setting: str, value: Any, low: float, high: float) -> None:
    if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
        raise InputError(f"`{setting}` is {value!r}: it must be a number from {low} to {high}")

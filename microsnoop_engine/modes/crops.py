"""Cut crops from an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..model.frame import FRAME
from .normalization import normalize_crop
from .regions import Regions
from .resizing import resize_longer_side, square_and_resize
from .settings import CropSettings


def unresized(regions: Regions, settings: CropSettings) -> bool:
    """Whether all crops are taken pixel by pixel: none is empty or resized."""
    sides = regions.box[:, 2:] - regions.box[:, :2]
    return (
        settings.mode != "image" and not settings.resize and sides.min(initial=1) > 0 and sides.max(initial=0) <= FRAME
    )


@dataclass(frozen=True)
class Crop:
    """One crop of one channel, ready for the network, or the reason why there is none.

    Attributes
    ----------
    row, channel : int
        Row in the :class:`Regions` and channel of the image.
    window : array (s, s) float32, or None
    problem : str
    """

    row: int
    channel: int
    window: np.ndarray | None
    problem: str = ""


@dataclass(frozen=True)
class Crops:
    """Crops of one size, and what is wrong with others; a place is a row x channels of the image + a channel.

    Attributes
    ----------
    windows : array or Tensor (n, s, s), float32, or None
    places : sequence of int
        Whose they are.
    problems : sequence of (int, str)
        Place and reason of crops for which there is no window.
    """

    windows: Any
    places: Sequence[int] | np.ndarray
    problems: Sequence[tuple[int, str]] = ()


def crops(
    image: np.ndarray, regions: Regions, settings: CropSettings, labels: np.ndarray | None = None
) -> Iterator[Crop]:
    """Every crop of every channel, region after region.

    Parameters
    ----------
    image : array (c, h, w)
    regions : Regions
    settings : CropSettings
    labels : array (h, w) or (p, h, w), optional
        Needed for ``mask='object'``.
    """
    for row, (y0, x0, y1, x1) in enumerate(regions.box.tolist()):
        outside = None
        if settings.mask == "object" and labels is not None and settings.mode == "cells":
            here = labels[..., y0:y1, x0:x1].reshape(-1, y1 - y0, x1 - x0)
            outside = ~(here == regions.object_number[row]).any(0)
        for channel in range(len(image)):
            crop = image[channel, y0:y1, x0:x1].astype(np.float32)
            if outside is not None:
                crop[outside] = 0
            if settings.resize and crop.size:
                crop = resize_longer_side(crop, settings.resize)
            elif settings.mode == "image" or max(crop.shape) > FRAME:
                crop = square_and_resize(crop)
            pixels, problem = normalize_crop(crop, settings.pad_first)
            yield Crop(row, channel, pixels, problem)

"""Cut crops from an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.frame import FRAME
from .masks import ObjectMasks
from .normalization import normalize_crop
from .regions import Regions
from .resizing import resize_inside, resize_longer_side, square_and_resize
from .settings import CropSettings

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Crops:
    """Hold crops of one size, ready for the network, and the reasons why others are missing.

    The index of a crop is its row in the :class:`.Regions` x the channels of the image + its channel.

    Attributes
    ----------
    windows : array or Tensor (n, s, s), float32
        s is one of ``SIZES``.
    indices : array (n,), int64
        The index of each window.
    problems : sequence of (int, str)
        Index and reason of crops that cannot be measured.
    """

    windows: NDArray[np.float32] | Tensor
    indices: NDArray[np.int64]
    problems: Sequence[tuple[int, str]] = ()


NO_WINDOWS = np.empty((0, FRAME, FRAME), np.float32)


def unresized(regions: Regions, settings: CropSettings) -> bool:
    """Return whether all crops are taken pixel by pixel, so that they can be cut on a device."""
    sides = regions.box[:, 2:] - regions.box[:, :2]
    return settings.mode != "image" and not settings.resize and bool(sides.max(initial=0) <= FRAME)


def crops(
    image: NDArray[Any], regions: Regions, settings: CropSettings, masks: ObjectMasks | None = None
) -> Iterator[Crops]:
    """Cut the crops of an image, all channels of a region at once.

    Parameters
    ----------
    image : array (c, h, w)
        Any numbers.
    regions : Regions
    settings : CropSettings
    masks : LabelMasks or OutlineMasks, optional
        The pixels to keep; all others become zero, as the padding does. By default all pixels are kept.

    Yields
    ------
    Crops
        The channels of one region; several where their windows differ in size or some cannot be measured.
    """
    for row, (y0, x0, y1, x1) in enumerate(regions.box.tolist()):
        planes = image[:, y0:y1, x0:x1].astype(np.float32)
        inside = None if masks is None else masks.inside(row)
        windows: dict[int, list[NDArray[np.float32]]] = {}
        indices: dict[int, list[int]] = {}
        problems = []
        for index, plane in enumerate(planes, start=row * len(image)):
            window, problem = _window(plane, inside, settings)
            if window is None:
                problems.append((index, problem))
            else:
                windows.setdefault(len(window), []).append(window)
                indices.setdefault(len(window), []).append(index)
        for size in windows:
            yield Crops(np.stack(windows[size]), np.array(indices[size]))
        if problems:
            yield Crops(NO_WINDOWS, np.empty(0, np.int64), problems)


def _window(
    plane: NDArray[np.float32], inside: NDArray[np.bool_] | None, settings: CropSettings
) -> tuple[NDArray[np.float32] | None, str]:
    """Resize a crop (h, w) where the settings ask for it, or where it is larger than the frame, and normalize it."""
    large = settings.mode == "image" or max(plane.shape) > FRAME
    if settings.pad_first:
        if inside is not None:
            plane = np.where(inside, plane, np.float32(0))
        if settings.resize and plane.size:
            plane = resize_longer_side(plane, settings.resize)
        elif large:
            plane = square_and_resize(plane)
        return normalize_crop(plane, pad_first=True)
    side = settings.resize or (FRAME if large else None)
    if side and plane.size:
        if inside is None:
            plane = resize_longer_side(plane, side)
        elif inside.any():
            plane, inside = resize_inside(plane, inside, side)
    return normalize_crop(plane, inside)

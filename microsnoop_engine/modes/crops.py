"""Cut crops from an image."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..model.frame import LARGEST, PAPER, Frame
from .masks import ObjectMasks
from .normalization import center, normalize
from .regions import Regions, resized_shapes
from .resizing import resize
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
        s is one of the frame's sizes.
    indices : array (n,), int64
        The index of each window.
    problems : sequence of (int, str)
        Index and reason of crops that cannot be measured.
    """

    windows: NDArray[np.float32] | Tensor
    indices: NDArray[np.int64]
    problems: Sequence[tuple[int, str]] = ()


NO_WINDOWS = np.empty((0, LARGEST, LARGEST), np.float32)


def crops(
    image: NDArray[Any],
    regions: Regions,
    settings: CropSettings,
    masks: ObjectMasks | None = None,
    frame: Frame = PAPER,
    magnification: float = 1.0,
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
    frame : Frame
        What the network sees.
    magnification : float
        Enlarges all crops beyond the scale of the settings.

    Yields
    ------
    Crops
        The channels of one region; several where their windows differ in size or some cannot be measured.
    """
    shapes = resized_shapes(regions, settings, frame, magnification).tolist()
    window_of = _window_padded_first if settings.pad_first else _window
    for row, (y0, x0, y1, x1) in enumerate(regions.box.tolist()):
        inside = None if masks is None else masks.inside(row)
        windows: dict[int, list[NDArray[np.float32]]] = {}
        indices: dict[int, list[int]] = {}
        problems = []
        for index, plane in enumerate(image[:, y0:y1, x0:x1], start=row * len(image)):
            window, problem = window_of(plane, inside, tuple(shapes[row]), frame)
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
    plane: NDArray[Any], inside: NDArray[np.bool_] | None, shape: tuple[int, int], frame: Frame
) -> tuple[NDArray[np.float32] | None, str]:
    """Normalize a crop by its own pixels, resize it and center it in zeros."""
    normalized, _, problem = normalize(plane, inside)
    return (None if normalized is None else center(resize(normalized, shape), frame)), problem


def _window_padded_first(
    plane: NDArray[Any], inside: NDArray[np.bool_] | None, shape: tuple[int, int], frame: Frame
) -> tuple[NDArray[np.float32] | None, str]:
    """Resize a crop, and normalize it together with the zeros around it (Xun et al. 2023, Methods)."""
    pixels = plane.astype(np.float32) if inside is None else np.where(inside, plane, np.float32(0))
    if pixels.size and pixels.shape != shape:
        pixels = resize(_square(pixels), (max(shape), max(shape)))
    normalized, outside, problem = normalize(pixels, zeros=LARGEST**2 - pixels.size)
    return (None if normalized is None else center(normalized, frame, outside)), problem


def _square(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Pad a crop with zeros to a square."""
    side = max(pixels.shape)
    square = np.zeros((side, side), np.float32)
    top, left = ((side - length) // 2 for length in pixels.shape)
    square[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return square

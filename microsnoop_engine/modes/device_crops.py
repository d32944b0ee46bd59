"""Cut and normalize many crops at a time on a device: the same windows that :func:`.crops.crops` cuts.

An image goes to the device once, in the number type of its file. Percentiles are exact and found without sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import DeviceError
from ..model.devices import halving, out_of_memory
from ..model.frame import LARGEST, PAPER, Frame
from .crops import NO_WINDOWS, Crops
from .masks import LabelMasks, ObjectMasks, OutlineMasks
from .normalization import CONSTANT, NEARLY_CONSTANT, NO_OBJECT, NO_PIXELS, NOT_FINITE, PERCENTILES, TOO_SMALL
from .regions import Regions
from .settings import CropSettings

_PROBLEMS = ("", NOT_FINITE, CONSTANT, TOO_SMALL, NEARLY_CONSTANT, NO_OBJECT)
_LARGEST = 2**31 - 1


class DeviceCropper:
    """Cut crops on a device; on CUDA while the network computes there.

    Parameters
    ----------
    device : str
        As PyTorch names it: 'cuda:0', 'cpu'.
    frame : Frame
        What the network sees.
    """

    def __init__(self, device: str, frame: Frame = PAPER) -> None:
        self._frame = frame
        self._device = torch.device(device)
        self._stream: torch.cuda.Stream | None = None
        if self._device.type == "cuda":
            self._stream = torch.cuda.Stream(self._device, priority=-1)  # type: ignore[no-untyped-call]

    def crops(
        self,
        image: NDArray[Any],
        regions: Regions,
        settings: CropSettings,
        masks: ObjectMasks | None,
        at_once: int,
    ) -> Iterator[Crops]:
        """Cut the crops of an image, size by size.

        Parameters
        ----------
        image : array (c, h, w)
            Any numbers.
        regions : Regions
            No larger than 224 pixels, not to be resized.
        settings : CropSettings
        masks : LabelMasks or OutlineMasks, optional
            The pixels to keep; all others become zero, as the padding does.
        at_once : int
            Crops that are cut together.

        Yields
        ------
        Crops
            At most ``at_once`` of one size, their windows on the device.

        Raises
        ------
        DeviceError
            If the device has no memory for the image, or for one crop.
        """
        channels = len(image)
        sides = (regions.box[:, 2:] - regions.box[:, :2]).max(1, initial=0)
        if empty := [(int(index), NO_PIXELS) for index in np.flatnonzero(np.repeat(sides == 0, channels))]:
            yield Crops(NO_WINDOWS, np.empty(0, np.int64), empty)
        with self._beside():
            try:
                pixels = Pixels(image, self._upload)
                planes = self._upload(masks.planes.astype(np.int32)) if isinstance(masks, LabelMasks) else None
            except Exception as error:
                if not out_of_memory(error):
                    raise
                raise DeviceError("the image does not fit into the device's memory: close other programs") from None

        def cut(indices: NDArray[np.int64]) -> list[Crops]:
            rows = indices // channels
            table = np.column_stack([indices % channels, regions.box[rows]])
            size = int(sizes[rows[0]])
            with self._beside():
                inside: ObjectPixels | None = None
                if planes is not None:
                    inside = partial(_labeled, planes, self._upload(regions.object_number[rows]))
                elif isinstance(masks, OutlineMasks):
                    outlined = self._upload(_centered([masks.inside(row) for row in rows.tolist()], size))
                    inside = partial(_outlined, outlined)
                return self._cut(pixels, inside, self._upload(table), indices, size, settings.pad_first)

        sizes = np.array(self._frame.sizes)[np.searchsorted(self._frame.sizes, sides)]
        for size in np.unique(sizes[sides > 0]):
            indices = np.flatnonzero(np.repeat((sizes == size) & (sides > 0), channels))
            for start in range(0, len(indices), at_once):
                parts, _ = halving(cut, indices[start : start + at_once], lambda lists: list(chain(*lists)))
                for part in parts:
                    self._hand_over(part.windows)
                    yield part

    def _cut(
        self,
        pixels: Pixels,
        inside: ObjectPixels | None,
        table: Tensor,
        indices: NDArray[np.int64],
        size: int,
        pad_first: bool,
    ) -> list[Crops]:
        """Cut crops of one size; those whose padding is not zero after normalization come in whole frames."""
        windows, codes, outside = normalized_windows(pixels, inside, table, size, pad_first)
        code, padded = torch.stack([codes, (outside != 0).to(codes.dtype)]).cpu().numpy()
        plain, full = (np.flatnonzero((code == 0) & (padded == flag)) for flag in (0, 1))
        problems = [(int(indices[k]), _PROBLEMS[code[k]]) for k in np.flatnonzero(code)]
        chosen = windows if len(plain) == len(indices) else windows[self._upload(plain)]
        result = [Crops(chosen, indices[plain], problems)]
        if len(full):
            rows, edge = self._upload(full), (LARGEST - size) // 2
            frames = outside[rows][:, None, None].repeat(1, LARGEST, LARGEST)
            frames[:, edge : LARGEST - edge, edge : LARGEST - edge] = windows[rows]
            result.append(Crops(frames, indices[full]))
        return result

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Compute beside the network: in a stream of its own where there is one."""
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            yield

    def _hand_over(self, windows: NDArray[np.float32] | Tensor) -> None:
        """Let the network's stream wait for the windows, and their memory for the network."""
        if self._stream is not None and isinstance(windows, Tensor):
            network = torch.cuda.current_stream(self._device)
            network.wait_stream(self._stream)
            windows.record_stream(network)

    def _upload(self, values: NDArray[Any]) -> Tensor:
        """Copy values to the device; on CUDA from pinned memory, so that nothing waits for it."""
        tensor: Tensor = torch.from_numpy(np.ascontiguousarray(values))
        if self._stream is None:
            return tensor.to(self._device)
        return tensor.pin_memory().to(self._device, non_blocking=True)


ObjectPixels = Callable[[Tensor, Tensor], Tensor]
"""Finds which of the pixels y (n, s, 1), x (n, 1, s) of n crops belong to their objects: bool (n, s, s)."""


def _labeled(planes: Tensor, number: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Find the pixels of objects in label planes (p, h, w) on the device."""
    return torch.stack([plane[y, x] == number[:, None, None] for plane in planes]).any(0)


def _outlined(windows: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Return the masks of outlines, which are centered in windows as their crops are."""
    return windows


def _centered(masks: list[NDArray[np.bool_]], size: int) -> NDArray[np.bool_]:
    """Center masks (h, w) in windows (n, size, size), as their crops are."""
    windows = np.zeros((len(masks), size, size), bool)
    for window, mask in zip(windows, masks, strict=True):
        top, left = ((size - n) // 2 for n in mask.shape)
        window[top : top + mask.shape[0], left : left + mask.shape[1]] = mask
    return windows


class Pixels:
    """Hold an image on the device: 8 or 16 bits in their own type, everything else as float32.

    Parameters
    ----------
    image : array (c, h, w)
        Any numbers.
    upload : callable
        Copies an array to the device.
    """

    def __init__(self, image: NDArray[Any], upload: Callable[[NDArray[Any]], Tensor]) -> None:
        if image.dtype == np.bool_:
            image = image.view(np.uint8)
        self.bits = {"uint8": 8, "uint16": 16}.get(image.dtype.name, 32)
        if self.bits == 32:
            image = image.astype(np.float32)
        self._image = upload(image.astype(image.dtype.newbyteorder("="), copy=False).view(f"i{self.bits // 8}"))

    def gather(self, channel: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Return pixels as int32 that are ordered as the pixels are."""
        bits = self._image[channel, y, x].to(torch.int32)
        return _ordered(bits) if self.bits == 32 else bits & (2**self.bits - 1)

    def values(self, ordered: Tensor) -> Tensor:
        """Return the pixels, float32, of ordered integers."""
        return _ordered(ordered).view(torch.float32) if self.bits == 32 else ordered.to(torch.float32)

    @property
    def span(self) -> tuple[int, int]:
        """The least and the greatest ordered integer."""
        return (-(2**31), _LARGEST) if self.bits == 32 else (0, 2**self.bits - 1)


def _ordered(bits: Tensor) -> Tensor:
    """Turn the bits of float32 into integers of the same order, and such integers back into bits.

    The bits of a positive float grow with it; those of a negative one, read as an integer, fall with it: all but the
    sign are inverted.
    """
    return bits ^ ((bits >> 31) & _LARGEST)


def normalized_windows(
    pixels: Pixels, inside: ObjectPixels | None, table: Tensor, size: int, pad_first: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Normalize crops as :func:`.normalize_crop` does, but all in windows of the same size.

    Parameters
    ----------
    pixels : Pixels
    inside : callable or None
        Finds the pixels to keep (see ``ObjectPixels``); all others become zero, as the padding does.
    table : Tensor (n, 5), int64
        Channel, y0, x0, y1, x1 of each crop.
    size : int
        Height and width of the windows; no side of a crop is longer.
    pad_first : bool
        Take the percentiles of the crops padded with zeros to 224 x 224, or of the kept pixels alone.

    Returns
    -------
    windows : Tensor (n, size, size), float32
    codes : Tensor (n,), int64
        0, or the index of the reason why a crop cannot be normalized.
    outside : Tensor (n,), float32
        The padding after normalization.
    """
    channel, y0, x0, y1, x1 = table.T[:, :, None]
    (y, within_y), (x, within_x) = _axis(y0, y1, size), _axis(x0, x1, size)
    y, x = y[:, :, None], x[:, None, :]
    within = within_y[:, :, None] & within_x[:, None, :]
    ordered = pixels.gather(channel[:, :, None], y, x)
    if inside is not None and pad_first:
        ordered.masked_fill_(~inside(y, x), 0)
    elif inside is not None:
        within = within & inside(y, x)
    values = pixels.values(ordered)
    finite = (torch.isfinite(values) | ~within).flatten(1).all(1)
    ordered = ordered.masked_fill(~within, _LARGEST).flatten(1)
    count = within.flatten(1).sum(1)
    zeros = LARGEST * LARGEST - count if pad_first else count * 0
    low, high = (_percentile(pixels, ordered, count, zeros, percent) for percent in PERCENTILES)
    lowest, highest = values.masked_fill(~within, torch.inf), values.masked_fill(~within, -torch.inf)
    constant = lowest.flatten(1).amin(1) == highest.flatten(1).amax(1)
    codes = torch.where(high <= low, torch.where(zeros > 0, 3, 4), 0)
    codes = torch.where(finite, torch.where(constant, 2, codes), 1)
    codes = torch.where(count == 0, 5, codes)
    outside = torch.where(zeros > 0, (0.0 - low) / (high - low), 0.0)
    low, width = low[:, None, None], (high - low)[:, None, None]
    return torch.where(within, (values - low) / width, outside[:, None, None]), codes, outside


def _axis(start: Tensor, stop: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Find the pixels of the image (n, size) behind an axis of the windows, and which of them the crop covers.

    The crop lies in the middle; beyond its ends its last pixels are repeated, for the caller to ignore.
    """
    steps = torch.arange(size, device=start.device) - (size - (stop - start)) // 2 + start
    return torch.minimum(steps.clamp(min=0), stop - 1), (steps >= start) & (steps < stop)


def _percentile(pixels: Pixels, ordered: Tensor, count: Tensor, zeros: Tensor, percent: float) -> Tensor:
    """Compute a percentile, linear between neighbors, of each row of pixels together with zeros.

    Sorting would be slow. The pixel at the percentile's rank is found by bisection over its bits instead: each step
    counts how many pixels do not exceed the middle of the interval that is left, so that 8, 16 or 32 steps are exact.
    The rank's upper neighbor is the same pixel if it occurs again, else the least pixel above it.

    Parameters
    ----------
    pixels : Pixels
    ordered : Tensor (n, m), int32
        Ordered integers of the pixels; beyond the count of a row its greatest integers stand for no pixel.
    count : Tensor (n,), int64
        Pixels of each row.
    zeros : Tensor (n,), int64
        Zeros that are added to each row.
    percent : float

    Returns
    -------
    Tensor (n,), float32
    """
    position = percent / 100 * (count + zeros - 1).to(torch.float64)
    rank = position.floor().to(torch.int64)

    def at_most(limit: Tensor) -> Tensor:
        return (ordered <= limit[:, None]).sum(1) + zeros * (limit >= 0)

    low, high = (torch.full_like(rank, end) for end in pixels.span)
    for _ in range(pixels.bits):
        middle = (low + high) >> 1
        enough = at_most(middle.to(torch.int32)) > rank
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
    lower = low.to(torch.int32)
    above = ordered.masked_fill(ordered <= lower[:, None], _LARGEST).amin(1)
    above = torch.where((zeros > 0) & (lower < 0), above.clamp(max=0), above)
    upper = torch.where(at_most(lower) > rank + 1, lower, above)
    first, second = (pixels.values(x).to(torch.float64) for x in (lower, upper))
    return (first + (second - first) * (position - rank)).to(torch.float32)

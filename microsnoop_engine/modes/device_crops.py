"""Crops cut and normalized on the device, many at a time: the windows that :func:`.crops.crops` gives.

An image goes to the device once, as the microscope wrote it. Percentiles are exact, and found without sorting.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ..errors import DeviceError
from ..model.devices import halving, out_of_memory
from ..model.frame import FRAME, SIZES
from .crops import Crops
from .normalization import CONSTANT, NEARLY_CONSTANT, NOT_FINITE, PERCENTILES, TOO_SMALL
from .regions import Regions
from .settings import CropSettings

_PROBLEMS = ("", NOT_FINITE, CONSTANT, TOO_SMALL, NEARLY_CONSTANT)
_LARGEST = 2**31 - 1


class DeviceCropper:
    """Cuts crops on a device; on CUDA beside what the network computes there.

    Parameters
    ----------
    device : str
    """

    def __init__(self, device: str):
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(self._device, priority=-1) if self._device.type == "cuda" else None

    def crops(
        self, image: np.ndarray, regions: Regions, settings: CropSettings, labels: np.ndarray | None, at_once: int
    ) -> Iterator[Crops]:
        """Every crop of every channel, size by size.

        Parameters
        ----------
        image : array (c, h, w)
        regions : Regions
            No larger than 224 pixels (see :func:`microsnoop_engine.modes.crops.unresized`).
        settings : CropSettings
        labels : array (h, w) or (p, h, w), optional
            Needed for ``mask='object'``.
        at_once : int
            Crops that are cut together.

        Raises
        ------
        DeviceError
            If the device has no memory for the image, or for one crop.
        """
        masked = settings.mask == "object" and labels is not None and settings.mode == "cells"
        with self._beside():
            try:
                pixels = Pixels(image, self._upload)
                planes = self._upload(labels.reshape(-1, *labels.shape[-2:]).astype(np.int32)) if masked else ()
            except Exception as error:
                if not out_of_memory(error):
                    raise
                raise DeviceError("the image does not fit into the device's memory: close other programs") from None
        channels = len(image)
        sizes = np.array(SIZES)[np.searchsorted(SIZES, (regions.box[:, 2:] - regions.box[:, :2]).max(1))]

        def cut(places: np.ndarray) -> list[Crops]:
            rows = places // channels
            table = np.column_stack([places % channels, regions.object_number[rows], regions.box[rows]])
            with self._beside():
                return self._cut(pixels, planes, table, places, int(sizes[rows[0]]), settings.pad_first)

        for size in np.unique(sizes):
            places = np.flatnonzero(np.repeat(sizes == size, channels))
            for start in range(0, len(places), at_once):
                parts, _ = halving(cut, places[start : start + at_once], lambda lists: list(chain(*lists)))
                for part in parts:
                    self._hand_over(part.windows)
                    yield part

    def _cut(
        self, pixels: Pixels, planes: Tensor | tuple, table: np.ndarray, places: np.ndarray, size: int, pad_first: bool
    ) -> list[Crops]:
        """Crops among zeros; then, in whole frames, those that their normalization left among other numbers."""
        windows, codes, outside = normalized_windows(pixels, planes, self._upload(table), size, pad_first)
        codes, padded = torch.stack([codes, (outside != 0).to(codes.dtype)]).cpu().numpy()
        plain, full = (np.flatnonzero((codes == 0) & (padded == flag)) for flag in (0, 1))
        problems = [(int(places[k]), _PROBLEMS[codes[k]]) for k in np.flatnonzero(codes)]
        chosen = windows if len(plain) == len(places) else windows[self._upload(plain)]
        result = [Crops(chosen, places[plain], problems)]
        if len(full):
            rows, edge = self._upload(full), (FRAME - size) // 2
            frames = outside[rows][:, None, None].repeat(1, FRAME, FRAME)
            frames[:, edge : FRAME - edge, edge : FRAME - edge] = windows[rows]
            result.append(Crops(frames, places[full]))
        return result

    @contextmanager
    def _beside(self) -> Iterator[None]:
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            yield

    def _hand_over(self, windows: Tensor) -> None:
        """Let the network's stream wait for the windows, and their memory for the network."""
        if self._stream is not None:
            network = torch.cuda.current_stream(self._device)
            network.wait_stream(self._stream)
            windows.record_stream(network)

    def _upload(self, values: np.ndarray) -> Tensor:
        """A copy on the device; on CUDA from pinned memory, so that nothing waits for it."""
        values = torch.from_numpy(np.ascontiguousarray(values))
        return (
            values.to(self._device) if self._stream is None else values.pin_memory().to(self._device, non_blocking=True)
        )


class Pixels:
    """An image (c, h, w) on the device: 8 or 16 bits as they are, everything else as float32."""

    def __init__(self, image: np.ndarray, upload: Callable[[np.ndarray], Tensor]):
        if image.dtype == np.bool_:
            image = image.view(np.uint8)
        self.bits = {"uint8": 8, "uint16": 16}.get(image.dtype.name, 32)
        if self.bits == 32:
            image = image.astype(np.float32)
        self._image = upload(image.astype(image.dtype.newbyteorder("="), copy=False).view(f"i{self.bits // 8}"))

    def gather(self, channel: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """Integers that are ordered as the pixels are."""
        bits = self._image[channel, y, x].to(torch.int32)
        return _ordered(bits) if self.bits == 32 else bits & (2**self.bits - 1)

    def values(self, ordered: Tensor) -> Tensor:
        """The pixels, float32, of ordered integers."""
        return _ordered(ordered).view(torch.float32) if self.bits == 32 else ordered.to(torch.float32)

    @property
    def span(self) -> tuple[int, int]:
        """The least and the greatest ordered integer."""
        return (-(2**31), _LARGEST) if self.bits == 32 else (0, 2**self.bits - 1)


def _ordered(bits: Tensor) -> Tensor:
    """The bits of float32 as integers of the same order; also the way back."""
    return bits ^ ((bits >> 31) & _LARGEST)


def normalized_windows(
    pixels: Pixels, planes: Tensor | tuple, table: Tensor, size: int, pad_first: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Crops as :func:`.normalize_crop` makes them, but that all are in windows of the same size.

    Parameters
    ----------
    pixels : Pixels
    planes : Tensor (p, h, w)
        Labels, where what lies outside of the object is zero; else empty.
    table : Tensor (n, 6), int64
        Channel, object number, y0, x0, y1, x1 of each crop.
    size : int
        Of the windows; no side of a crop is longer.
    pad_first : bool

    Returns
    -------
    windows : Tensor (n, size, size), float32
    codes : Tensor (n,), int64
        0, or what is wrong.
    outside : Tensor (n,), float32
        What the padding became.
    """
    channel, number, y0, x0, y1, x1 = table.T[:, :, None]
    (y, within_y), (x, within_x) = _axis(y0, y1, size), _axis(x0, x1, size)
    y, x = y[:, :, None], x[:, None, :]
    inside = within_y[:, :, None] & within_x[:, None, :]
    ordered = pixels.gather(channel[:, :, None], y, x)
    if len(planes):
        own = torch.stack([plane[y, x] == number[:, :, None] for plane in planes]).any(0)
        ordered.masked_fill_(~own, 0)
    values = pixels.values(ordered)
    finite = (torch.isfinite(values) | ~inside).flatten(1).all(1)
    ordered = ordered.masked_fill(~inside, _LARGEST).flatten(1)
    count = ((y1 - y0) * (x1 - x0))[:, 0]
    zeros = FRAME * FRAME - count if pad_first else count * 0
    low, high = (_percentile(pixels, ordered, count, zeros, percent) for percent in PERCENTILES)
    lowest, highest = values.masked_fill(~inside, torch.inf), values.masked_fill(~inside, -torch.inf)
    constant = lowest.flatten(1).amin(1) == highest.flatten(1).amax(1)
    codes = torch.where(high <= low, torch.where(zeros > 0, 3, 4), 0)
    codes = torch.where(finite, torch.where(constant, 2, codes), 1)
    outside = torch.where(zeros > 0, (0.0 - low) / (high - low), 0.0)
    low, width = low[:, None, None], (high - low)[:, None, None]
    return torch.where(inside, (values - low) / width, outside[:, None, None]), codes, outside


def _axis(start: Tensor, stop: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Where the pixels (n, size) of a window are in the image, the crop in its middle, and which are of the crop."""
    steps = torch.arange(size, device=start.device) - (size - (stop - start)) // 2 + start
    return torch.minimum(steps.clamp(min=0), stop - 1), (steps >= start) & (steps < stop)


def _percentile(pixels: Pixels, ordered: Tensor, count: Tensor, zeros: Tensor, percent: float) -> Tensor:
    """The percentile, linear between neighbors, of rows of pixels together with zeros.

    The greatest integers of each row, beyond its count, stand for no pixel.
    """
    position = percent / 100 * (count + zeros - 1).to(torch.float64)
    rank = position.floor().to(torch.int64)

    def at_most(limit: Tensor) -> Tensor:
        return (ordered <= limit[:, None]).sum(1) + zeros * (limit >= 0)

    low, high = (torch.full_like(rank, end) for end in pixels.span)
    for _ in range(pixels.bits):  # the least integer that more than rank pixels do not exceed
        middle = (low + high) >> 1
        enough = at_most(middle.to(torch.int32)) > rank
        low, high = torch.where(enough, low, middle + 1), torch.where(enough, middle, high)
    found = low.to(torch.int32)
    above = ordered.masked_fill(ordered <= found[:, None], _LARGEST).amin(1)
    above = torch.where((zeros > 0) & (found < 0), above.clamp(max=0), above)
    following = torch.where(at_most(found) > rank + 1, found, above)
    first, second = (pixels.values(x).to(torch.float64) for x in (found, following))
    return (first + (second - first) * (position - rank)).to(torch.float32)

"""Draw batches of training crops, and cut, turn, scale, normalize and mask them on the device."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import InputError
from .config import TrainConfig
from .pool import Pool, flatten
from .targets import Targets

Floats = NDArray[np.floating[Any]]
Integers = NDArray[np.integer[Any]]

BLOCK = 32
"""Height and width in pixels of the blocks of a plane whose standard deviations are known."""
SMALLEST_WINDOW = 0.4
"""Least side of the window of a padded crop, as a share of the crop's."""

# Each kind of random numbers of a step has its own stream, [seed, step, stream], so that one does not shift another.
_VIEW, _SECOND_VIEW, _MASK, _INTENSITY, _TARGETS, _FIRST_VIEW = 0, 1, 2, 3, 5, 6


@dataclass
class CropBatch:
    """Describe where the crops of a batch lie, one crop per row.

    Batches are drawn on the host, so that every process draws the same.

    Attributes
    ----------
    plane : array (n,), int
        Index of the plane in the pool.
    center : array (n, 2), float
        y and x in pixels of the plane.
    angle : array (n,), float
        Rotation in radians.
    scale : array (n,), float
        Magnification: pixels of the crop per pixel of the plane.
    flip : array (n,), bool
        Whether the crop is mirrored.
    window : array (n,), float
        Side of the square in the middle of the crop that is shown, as a share of the crop's; the rest is zero.
    """

    plane: Integers
    center: Floats
    angle: Floats
    scale: Floats
    flip: NDArray[np.bool_]
    window: Floats

    def __getitem__(self, rows: slice | NDArray[Any]) -> CropBatch:
        return CropBatch(*(getattr(self, field.name)[rows] for field in fields(self)))


class Batches:
    """The pixels of a pool on a device, and the crops that are drawn from them step by step.

    A batch depends on the seed and the step alone: a resumed run, or one on several devices, draws the same.

    Parameters
    ----------
    pool : Pool
    config : TrainConfig
    device : torch.device
    targets : Targets, optional
        Crops with targets, which are then the only ones to be drawn; otherwise crops are drawn from everywhere.
    compiled : bool
        Use ``torch.compile`` to cut and vary crops.

    Attributes
    ----------
    config : TrainConfig
    categories : tuple of str
        Categories that are drawn in turn.

    Raises
    ------
    InputError
        If the pool lacks a category, or the targets have no image with enough crops.
    """

    def __init__(
        self,
        pool: Pool,
        config: TrainConfig,
        device: torch.device,
        targets: Targets | None = None,
        compiled: bool = False,
    ) -> None:
        if targets and np.unique(targets.plane, return_counts=True)[1].max() < config.crops_per_image:
            raise InputError(
                f"crops_per_image is {config.crops_per_image}, but no image has so many crops in the file of targets"
            )
        self.config = config
        self.categories = config.categories or tuple(pool.categories)
        self._targets = targets
        self._members = [np.array(pool.members(name)) for name in self.categories]
        pixels, starts, shapes = flatten(pool.planes)
        self._shapes = shapes
        if config.crop_candidates > 1:
            maps = [variation(plane).ravel() for plane in pool.planes]
            self._variation = np.concatenate(maps)
            self._first_blocks = np.cumsum([0, *map(len, maps[:-1])])
        self._device = device
        self._interpolate = torch.compile(interpolate) if compiled else interpolate
        self._varied = torch.compile(varied) if compiled else varied
        self._pixels = torch.from_numpy(pixels).to(device)
        self._starts = torch.from_numpy(starts).to(device)
        self._sizes = torch.from_numpy(shapes).to(device)

    def with_changes(self, **changes: Any) -> Batches:
        """Return batches of the same pixels, drawn from everywhere, with some settings changed."""
        other = copy(self)
        other._targets = None
        other.config = replace(self.config, **changes)
        return other

    def draw(self, step: int) -> CropBatch:
        """Draw the crops of a step, all of one category."""
        random = self._random(step, _VIEW)
        config = self.config
        if self._targets:
            return self._view_of_targets(self._targets, random, step, padded=0)
        members = self._members[step % len(self._members)]
        plane = random.choice(members, config.batch // config.crops_per_image).repeat(config.crops_per_image)
        scale = np.exp(random.uniform(math.log(config.scale_low), math.log(config.scale_high), config.batch))
        return self._view(random, plane, self._centers(random, plane), scale)

    def views(self, step: int) -> tuple[CropBatch, CropBatch]:
        """Draw two views of a step's places: both a little shifted, rotated, at a slightly different magnification.

        With targets the first view is enlarged, and a share of the second ones (``padding``) is padded with zeros
        instead, as far as the targets' squares fit into a crop.
        """
        place, random = self.draw(step), self._random(step, _SECOND_VIEW)
        if self._targets:
            return place, self._view_of_targets(self._targets, random, step, self.config.padding)
        first, second = (
            self._near(stream, place.plane, place.center, place.scale)
            for stream in (self._random(step, _FIRST_VIEW), random)
        )
        return first, second

    @property
    def with_targets(self) -> bool:
        """Whether the crops have targets."""
        return self._targets is not None

    def targets(self, step: int) -> Tensor:
        """Return the targets (batch, t) of a step's crops.

        Raises
        ------
        InputError
            If the crops have no targets.
        """
        if self._targets is None:
            raise InputError("these batches are drawn without targets")
        rows = _rows_of_targets(self._targets, self.config, self._random(step, _TARGETS))
        return torch.from_numpy(self._targets.target[rows].astype(np.float32)).to(self._device)

    def _random(self, step: int, stream: int) -> np.random.Generator:
        return np.random.default_rng([self.config.seed, step, stream])

    def _view_of_targets(self, targets: Targets, random: np.random.Generator, step: int, padded: float) -> CropBatch:
        """Draw a view of a step's crops with targets, a share of them padded instead of enlarged."""
        rows, crop = _rows_of_targets(targets, self.config, self._random(step, _TARGETS)), self.config.crop
        side = targets.side[rows]
        small = random.random(len(rows)) < padded
        scale = np.where(small, np.minimum(crop / side, 1), crop / side)
        view = self._near(random, targets.plane[rows], targets.center[rows], scale)
        view.window = np.where(small, np.minimum(side * view.scale / crop, 1), 1)
        return view

    def _near(self, random: np.random.Generator, plane: Integers, center: Floats, scale: Floats) -> CropBatch:
        """Draw crops near centers, of about the given magnification."""
        count, reach = len(plane), self.config.shift * self.config.crop
        jitter = math.log(self.config.scale_jitter)
        factor = np.exp(random.uniform(-jitter, jitter, count))
        shift = random.uniform(-reach, reach, (count, 2)) / scale[:, None]
        return self._view(random, plane, center + shift, scale * factor)

    def _centers(self, random: np.random.Generator, plane: Integers) -> Floats:
        """Draw several positions (y, x) per plane and keep the one whose block of pixels varies most."""
        candidates = random.random((self.config.crop_candidates, len(plane), 2)) * self._shapes[plane]
        if len(candidates) == 1:
            first: Floats = candidates[0]
            return first
        y, x = (candidates // BLOCK).astype(int).transpose(2, 0, 1)
        blocks_per_row = -(-self._shapes[plane, 1] // BLOCK)
        best = self._variation[self._first_blocks[plane] + y * blocks_per_row + x].argmax(0)
        chosen: Floats = candidates[best, np.arange(len(plane))]
        return chosen

    def _view(self, random: np.random.Generator, plane: Integers, center: Floats, scale: Floats) -> CropBatch:
        """Draw rotation, flip and padding of crops."""
        count = len(plane)
        angle, flip = random.uniform(0, 2 * math.pi, count), random.random(count) < 0.5
        padded = random.random(count) < self.config.padding
        window = np.where(padded, random.uniform(SMALLEST_WINDOW, 1, count), 1)
        return CropBatch(plane, self.inside(center, plane, scale), angle, scale, flip, window)

    def inside(self, center: Floats, plane: Integers, scale: Floats) -> Floats:
        """Move centers so that their crops lie inside their planes.

        Parameters
        ----------
        center : array (n, 2)
            y and x in pixels of the plane.
        plane : array (n,)
        scale : array (n,)

        Returns
        -------
        array (n, 2)
            The middle of the plane along sides that are shorter than the crop.
        """
        half = np.minimum(self.config.crop / scale[:, None] / 2, self._shapes[plane] / 2)
        return np.clip(center, half, self._shapes[plane] - half)

    def crops(self, batch: CropBatch) -> Tensor:
        """Cut crops (n, 1, s, s), normalized so that percentiles 1 and 99 are 0 and 1; 0 outside of the planes."""
        return normalize(self.cut(batch) * self.shown(batch), self.config.percentile_step)

    def shown(self, batch: CropBatch) -> Tensor:
        """Return masks (n, 1, s, s): 1 in the window of each crop, else 0."""
        size = self.config.crop
        distance = (torch.arange(size, device=self._device) - (size - 1) / 2).abs() * 2 / size
        inside = distance <= torch.from_numpy(batch.window).to(self._device)[:, None]
        return (inside[:, None, :, None] & inside[:, None, None, :]).float()

    def cut(self, batch: CropBatch) -> Tensor:
        """Cut crops (n, 1, s, s) in gray levels 0 to 255, with bilinear interpolation; 0 outside of the planes."""
        plane = torch.from_numpy(batch.plane).to(self._device)
        flip = np.where(batch.flip, -1, 1)
        geometry = np.column_stack([batch.center, batch.angle, batch.scale, flip]).astype(np.float32)
        return self._interpolate(
            self._pixels,
            self._starts[plane],
            self._sizes[plane],
            torch.from_numpy(geometry).to(self._device),
            self.config.crop,
        )

    def vary(self, crops: Tensor, shown: Tensor, step: int, view: int, rows: slice) -> Tensor:
        """Change gamma, blur and noise of crops at random by ``intensity``, and normalize them again.

        Parameters
        ----------
        crops : Tensor (n, 1, s, s)
            Normalized crops.
        shown : Tensor (n, 1, s, s)
            Mask of the crops' windows: 1 inside, 0 outside.
        step : int
        view : int
            0 or 1: first or second view of the step's crops.
        rows : slice
            Rows of the step's batch that the crops are.

        Returns
        -------
        Tensor (n, 1, s, s)
        """
        strength = self.config.intensity
        if not strength:
            return crops
        seed = np.random.SeedSequence((self.config.seed, step, _INTENSITY + view)).generate_state(1)[0]
        generator = torch.Generator(self._device).manual_seed(int(seed))
        count, device = self.config.batch, self._device
        amounts = torch.rand((3, count, 1, 1, 1), generator=generator, device=device)[:, rows]
        grain = torch.randn((count, *crops.shape[1:]), generator=generator, device=device)[rows]
        return normalize(self._varied(crops, shown, amounts, grain, strength), self.config.percentile_step)


def interpolate(pixels: Tensor, starts: Tensor, sizes: Tensor, geometry: Tensor, size: int) -> Tensor:
    """Cut crops from planes that lie one after the other in memory, with bilinear interpolation.

    Parameters
    ----------
    pixels : Tensor (p,), uint8
        The pixels of all planes.
    starts : Tensor (n,), int64
        Index of the first pixel of each crop's plane.
    sizes : Tensor (n, 2), int64
        Height and width of each crop's plane.
    geometry : Tensor (n, 5), float32
        y and x of each crop's center, rotation in radians, magnification, and -1 for mirrored crops, else 1.
    size : int
        Height and width of the crops.

    Returns
    -------
    Tensor (n, 1, size, size), float32
        0 outside of the planes.
    """
    axis = torch.arange(size, device=pixels.device, dtype=torch.float32) - (size - 1) / 2
    center_y, center_x, angle, scale, flip = geometry[:, :, None, None].unbind(1)
    y, x = axis[:, None] / scale, axis * flip / scale
    sine, cosine = torch.sin(angle), torch.cos(angle)
    rows = center_y - 0.5 + y * cosine - x * sine
    columns = center_x - 0.5 + y * sine + x * cosine
    top, left = rows.floor(), columns.floor()
    down, right = rows - top, columns - left
    height, width = sizes[:, :, None, None].unbind(1)
    first_row, first_column, start = top.long(), left.long(), starts[:, None, None]
    result = torch.zeros_like(rows)
    for dy in (0, 1):
        for dx in (0, 1):
            row, column = first_row + dy, first_column + dx
            inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
            index = torch.where(inside, start + row * width + column, 0)
            weight = (down if dy else 1 - down) * (right if dx else 1 - right)
            result = result + weight * pixels[index] * inside
    return result[:, None]


def varied(crops: Tensor, shown: Tensor, amounts: Tensor, grain: Tensor, strength: float) -> Tensor:
    """Change gamma, blur and noise of crops.

    Parameters
    ----------
    crops : Tensor (n, 1, s, s)
        Normalized crops.
    shown : Tensor (n, 1, s, s)
        Mask of the crops' windows: 1 inside, 0 outside.
    amounts : Tensor (3, n, 1, 1, 1)
        Gamma, blur and noise of each crop, 0 to 1.
    grain : Tensor (n, 1, s, s)
        Noise of mean 0 and variance 1.
    strength : float
        0 to 1.

    Returns
    -------
    Tensor (n, 1, s, s)
        Not normalized.
    """
    gamma, blur, noise = amounts
    crops = crops.clamp(0, 1) ** torch.exp((2 * gamma - 1) * strength)
    soft = F.avg_pool2d(F.pad(crops, (1, 1, 1, 1), mode="replicate"), 3, 1)
    crops = torch.lerp(crops, soft, (2 * blur - 1).clamp(min=0) * strength)
    result: Tensor = (crops + grain * noise.square() * 0.2 * strength).clamp(min=0) * shown
    return result


def _rows_of_targets(targets: Targets, config: TrainConfig, random: np.random.Generator) -> Integers:
    """Draw the rows of the targets for a batch, those of one image side by side."""
    count, plane = config.crops_per_image, targets.plane
    order = random.permutation(len(plane))
    order = order[np.argsort(plane[order], kind="stable")]
    _, start, size = np.unique(plane[order], return_index=True, return_counts=True)
    first = np.concatenate([np.arange(a, a + n - count + 1, count) for a, n in zip(start, size, strict=True)])
    images = config.batch // count
    chosen = random.choice(first, images, replace=len(first) < images)
    rows: Integers = order[chosen[:, None] + np.arange(count)].ravel()
    return rows


def variation(plane: NDArray[Any]) -> NDArray[np.float32]:
    """Compute the standard deviation of each block of 32 x 32 pixels of a plane.

    Parameters
    ----------
    plane : array (h, w)

    Returns
    -------
    array (ceil(h / 32), ceil(w / 32)), float32
        Blocks that reach over the edge are filled with the pixels at the edge.
    """
    height, width = (-size % BLOCK for size in plane.shape)
    padded = np.pad(plane.astype(np.float32), ((0, height), (0, width)), mode="edge")
    rows, columns = (size // BLOCK for size in padded.shape)
    deviations: NDArray[np.float32] = padded.reshape(rows, BLOCK, columns, BLOCK).std((1, 3))
    return deviations


def normalize(crops: Tensor, step: int = 1) -> Tensor:
    """Normalize crops so that percentiles 1 and 99 of each are 0 and 1.

    Parameters
    ----------
    crops : Tensor (n, 1, s, s)
    step : int
        Every n-th pixel of each side takes part in the percentiles.

    Returns
    -------
    Tensor (n, 1, s, s)
        0 where a crop is constant.
    """
    ordered = crops[..., ::step, ::step].flatten(1).sort(1).values
    last = ordered.shape[1] - 1
    low, high = (ordered[:, round(share * last)][:, None, None, None] for share in (0.01, 0.99))
    spread = high - low
    return torch.where(spread > 0, (crops - low) / spread.clamp(min=1e-6), torch.zeros_like(crops))


def patch_mask(config: TrainConfig, step: int, device: torch.device) -> Tensor:
    """Draw the masked patches of a step's crops (Xun et al. 2023, Methods).

    Parameters
    ----------
    config : TrainConfig
        Crop, patch and ``mask_ratio``.
    step : int
    device : torch.device

    Returns
    -------
    Tensor (batch, 1, s, s)
        1 in masked patches, else 0; the same number of patches in every crop.
    """
    count = config.batch
    side = config.crop // config.patch
    masked = round(config.mask_ratio * side * side)
    random = np.random.default_rng([config.seed, step, _MASK])
    order = np.argsort(random.random((count, side * side)), axis=1)
    mask = torch.from_numpy((order < masked).astype(np.float32)).view(count, 1, side, side).to(device)
    return F.interpolate(mask, scale_factor=float(config.patch), mode="nearest")

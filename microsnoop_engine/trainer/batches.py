"""Batches of training crops, cut, turned, scaled, normalized and masked on the device."""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import InputError
from .config import TrainConfig
from .pool import Pool, flatten
from .targets import Targets


@dataclass
class CropBatch:
    """Where the crops of a batch are, one row per crop; on the host, so that every process draws the same.

    Attributes
    ----------
    plane : array (n,), int
    center : array (n, 2), float
        y, x in pixels of the plane.
    angle, scale : array (n,), float
        Rotation in radians and magnification.
    flip : array (n,), bool
    window : array (n,), float
        Side of the square around the center that is shown, as a share of the crop's; the rest is zero.
    """

    plane: np.ndarray
    center: np.ndarray
    angle: np.ndarray
    scale: np.ndarray
    flip: np.ndarray
    window: np.ndarray

    def __getitem__(self, rows: slice) -> CropBatch:
        return CropBatch(*(getattr(self, field.name)[rows] for field in fields(self)))


BLOCK = 32
"""Height and width in pixels of the surroundings of which the variation is known."""
SMALLEST_WINDOW = 0.4
"""Of a crop with padding."""


class Batches:
    """The pixels of a pool on a device, and what is drawn from them step by step.

    A step's batch depends on the seed and the step alone: a resumed run, or one on several devices, sees the same.

    Parameters
    ----------
    pool : Pool
    config : TrainConfig
    device : torch.device
    targets : Targets, optional
        The places of the crops; without them crops are drawn from everywhere.
    """

    def __init__(self, pool: Pool, config: TrainConfig, device: torch.device, targets: Targets | None = None):
        self.config = config
        self._targets = targets
        if targets and np.unique(targets.plane, return_counts=True)[1].max() < config.crops_per_image:
            raise InputError(
                f"places_per_image is {config.crops_per_image}, but the targets have no image with so many places"
            )
        names = config.categories or tuple(pool.categories)
        self.categories = names
        self._members = [np.array(pool.members(name)) for name in names]
        pixels, starts, shapes = flatten(pool.planes)
        self._shapes = shapes
        if config.crop_candidates > 1:
            maps = [variation(plane).ravel() for plane in pool.planes]
            self._variation = np.concatenate(maps)
            self._blocks = np.cumsum([0, *map(len, maps[:-1])])
        self._device = device
        self._pixels = torch.from_numpy(pixels).to(device)
        self._starts = torch.from_numpy(starts).to(device)
        self._sizes = torch.from_numpy(shapes).to(device)

    def with_changes(self, **changes: Any) -> Batches:
        """The same pixels, drawn from everywhere, with some settings changed."""
        other = copy(self)
        other._targets = None
        other.config = replace(self.config, **changes)
        return other

    def draw(self, step: int) -> CropBatch:
        """The places of a step's crops, all of one category."""
        random = np.random.default_rng([self.config.seed, step, 0])
        config = self.config
        if self.with_targets:
            return self._at_targets(random, step, padded=0)
        members = self._members[step % len(self._members)]
        plane = random.choice(members, config.batch // config.crops_per_image).repeat(config.crops_per_image)
        scale = np.exp(random.uniform(math.log(config.scale_low), math.log(config.scale_high), config.batch))
        return self._view(random, plane, self._centers(random, plane), scale)

    def second_view(self, places: CropBatch, step: int) -> CropBatch:
        """The same places, a little shifted, with another rotation and a slightly different magnification.

        Of places with targets some are not magnified but padded with zeros, as far as they fit into a crop.
        """
        random = np.random.default_rng([self.config.seed, step, 1])
        if not self.with_targets:
            return self._near(random, places.plane, places.center, places.scale)
        return self._at_targets(random, step, self.config.padding)

    @property
    def with_targets(self) -> bool:
        """Whether crops are of places that have targets."""
        return self._targets is not None

    def targets(self, step: int) -> Tensor:
        """The targets (batch, t) of a step's places."""
        return torch.from_numpy(self._targets.target[self._rows(step)].astype(np.float32)).to(self._device)

    def _rows(self, step: int) -> np.ndarray:
        """The rows of a step's places among the targets, those of one image side by side."""
        random = np.random.default_rng([self.config.seed, step, 5])
        count, plane = self.config.crops_per_image, self._targets.plane
        order = random.permutation(len(plane))
        order = order[np.argsort(plane[order], kind="stable")]
        start, size = np.unique(plane[order], return_index=True, return_counts=True)[1:]
        first = np.concatenate([np.arange(a, a + n - count + 1, count) for a, n in zip(start, size, strict=True)])
        images = self.config.batch // count
        chosen = random.choice(first, images, replace=len(first) < images)
        return order[chosen[:, None] + np.arange(count)].ravel()

    def _at_targets(self, random: np.random.Generator, step: int, padded: float) -> CropBatch:
        """A view of a step's places with targets, a share of them padded instead of enlarged."""
        rows, crop = self._rows(step), self.config.crop
        side = self._targets.side[rows]
        small = random.random(len(rows)) < padded
        scale = np.where(small, np.minimum(crop / side, 1), crop / side)
        view = self._near(random, self._targets.plane[rows], self._targets.center[rows], scale)
        view.window = np.where(small, np.minimum(side * view.scale / crop, 1), 1)
        return view

    def _near(self, random: np.random.Generator, plane: np.ndarray, center: np.ndarray, scale: np.ndarray) -> CropBatch:
        """Places near the given ones, of about the given magnification."""
        count, reach = len(plane), self.config.shift * self.config.crop
        jitter = math.log(self.config.scale_jitter)
        factor = np.exp(random.uniform(-jitter, jitter, count))
        shift = random.uniform(-reach, reach, (count, 2)) / scale[:, None]
        return self._view(random, plane, center + shift, scale * factor)

    def _centers(self, random: np.random.Generator, plane: np.ndarray) -> np.ndarray:
        """For each plane the center (y, x) of several random ones around which its pixels vary most."""
        drawn = random.random((self.config.crop_candidates, len(plane), 2)) * self._shapes[plane]
        if len(drawn) == 1:
            return drawn[0]
        y, x = (drawn // BLOCK).astype(int).transpose(2, 0, 1)
        best = self._variation[self._blocks[plane] + y * -(-self._shapes[plane, 1] // BLOCK) + x].argmax(0)
        return drawn[best, np.arange(len(plane))]

    def _view(self, random: np.random.Generator, plane: np.ndarray, center: np.ndarray, scale: np.ndarray) -> CropBatch:
        count = len(plane)
        angle, flip = random.uniform(0, 2 * math.pi, count), random.random(count) < 0.5
        padded = random.random(count) < self.config.padding
        window = np.where(padded, random.uniform(SMALLEST_WINDOW, 1, count), 1)
        return CropBatch(plane, self.inside(center, plane, scale), angle, scale, flip, window)

    def inside(self, center: np.ndarray, plane: np.ndarray, scale: np.ndarray) -> np.ndarray:
        """Centers whose crops lie inside their planes; in the middle of planes that are smaller than a crop."""
        half = np.minimum(self.config.crop / scale[:, None] / 2, self._shapes[plane] / 2)
        return np.clip(center, half, self._shapes[plane] - half)

    def crops(self, places: CropBatch) -> Tensor:
        """Crops (n, 1, s, s), normalized so that percentiles 1 and 99 are 0 and 1; outside of the planes they are 0."""
        return normalize(self.cut(places) * self.shown(places))

    def shown(self, places: CropBatch) -> Tensor:
        """Masks (n, 1, s, s): 1 in the window of each place."""
        size = self.config.crop
        far = (torch.arange(size, device=self._device) - (size - 1) / 2).abs() * 2 / size
        inside = far <= torch.from_numpy(places.window).to(self._device)[:, None]
        return (inside[:, None, :, None] & inside[:, None, None, :]).float()

    def cut(self, places: CropBatch) -> Tensor:
        """Crops (n, 1, s, s) in gray levels 0 to 255, bilinear; 0 outside of the planes."""
        size, device = self.config.crop, self._device
        plane = torch.from_numpy(places.plane).to(device)
        axis = torch.arange(size, device=device, dtype=torch.float32) - (size - 1) / 2
        angle, scale = (
            torch.from_numpy(x.astype(np.float32)).to(device)[:, None, None] for x in (places.angle, places.scale)
        )
        flip = torch.from_numpy(np.where(places.flip, -1, 1).astype(np.float32)).to(device)[:, None, None]
        center = torch.from_numpy(places.center.astype(np.float32)).to(device) - 0.5
        y, x = axis[None, :, None] / scale, axis[None, None, :] * flip / scale
        sine, cosine = torch.sin(angle), torch.cos(angle)
        rows = center[:, :1, None] + y * cosine - x * sine
        columns = center[:, 1:, None] + y * sine + x * cosine
        top, left = rows.floor(), columns.floor()
        down, right = rows - top, columns - left
        result = torch.zeros_like(rows)
        for dy in (0, 1):
            for dx in (0, 1):
                weight = (down if dy else 1 - down) * (right if dx else 1 - right)
                result += weight * self._gather(plane, top.long() + dy, left.long() + dx)
        return result[:, None]

    def _gather(self, plane: Tensor, row: Tensor, column: Tensor) -> Tensor:
        height, width = (self._sizes[plane, n][:, None, None] for n in (0, 1))
        inside = (row >= 0) & (row < height) & (column >= 0) & (column < width)
        place = self._starts[plane][:, None, None] + row * width + column
        return self._pixels[torch.where(inside, place, 0)].float() * inside

    def vary(self, crops: Tensor, shown: Tensor, step: int, view: int, share: slice) -> Tensor:
        """Change gamma, blur and noise of normalized crops at random, where they are shown; by a crop's own levels they
        are normalized again.

        ``share`` says which rows of the step's batch the crops are.
        """
        strength = self.config.intensity
        if not strength:
            return crops
        generator = torch.Generator().manual_seed(int(_seeds(self.config.seed, step, 3 + view)[0]))
        count = self.config.batch
        gamma, blur, noise = torch.rand(3, count, 1, 1, 1, generator=generator)[:, share].to(crops.device)
        crops = crops.clamp(0, 1) ** torch.exp((2 * gamma - 1) * strength)
        soft = F.avg_pool2d(F.pad(crops, (1, 1, 1, 1), mode="replicate"), 3, 1)
        crops = torch.lerp(crops, soft, (2 * blur - 1).clamp(min=0) * strength)
        grain = torch.randn((count, *crops.shape[1:]), generator=generator)[share].to(crops.device)
        crops = (crops + grain * noise**2 * 0.2 * strength).clamp(min=0) * shown
        return normalize(crops)


def variation(plane: np.ndarray) -> np.ndarray:
    """Standard deviation of each block of 32 x 32 pixels of a plane (h, w); (ceil(h / 32), ceil(w / 32))."""
    height, width = (-size % BLOCK for size in plane.shape)
    padded = np.pad(plane.astype(np.float32), ((0, height), (0, width)), mode="edge")
    rows, columns = (size // BLOCK for size in padded.shape)
    return padded.reshape(rows, BLOCK, columns, BLOCK).std((1, 3))


def _seeds(*numbers: int) -> np.ndarray:
    return np.random.SeedSequence(numbers).generate_state(1)


def normalize(crops: Tensor) -> Tensor:
    """Crops (n, 1, s, s) with percentiles 1 and 99 of each as 0 and 1; constant crops become 0."""
    ordered = crops.flatten(1).sort(1).values
    last = ordered.shape[1] - 1
    low, high = (ordered[:, round(share * last)][:, None, None, None] for share in (0.01, 0.99))
    spread = high - low
    return torch.where(spread > 0, (crops - low) / spread.clamp(min=1e-6), torch.zeros_like(crops))


def patch_mask(config: TrainConfig, step: int, device: torch.device) -> Tensor:
    """Masks (batch, 1, s, s): 1 where patches are set to zero; of every crop the same number."""
    count = config.batch
    side = config.crop // config.patch
    masked = round(config.mask_ratio * side * side)
    random = np.random.default_rng([config.seed, step, 2])
    order = np.argsort(random.random((count, side * side)), axis=1)
    mask = torch.from_numpy((order < masked).astype(np.float32)).view(count, 1, side, side).to(device)
    return F.interpolate(mask, scale_factor=float(config.patch), mode="nearest")

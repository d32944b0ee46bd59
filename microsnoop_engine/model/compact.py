"""Define a compact encoder: the same numbers as the paper's network at a fraction of its cost (not in the paper).

:mod:`microsnoop_engine.model.registry` builds it with its weights.
"""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from .checkpoints import DIMENSION
from .network import Network

WIDTHS = (32, 64, 128, 256)
"""Channels of the four stages."""
STEM = 24
"""Channels of the first convolution."""


class Stem(nn.Module):
    """Two convolutions that reduce a crop to a quarter of its height and width."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, STEM, 3, stride=2, padding=1, bias=False)
        self.norm: nn.Module = nn.BatchNorm2d(STEM)
        self.conv2 = nn.Conv2d(STEM, outputs, 3, stride=2, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute maps (n, outputs, h / 4, w / 4) of crops (n, 1, h, w)."""
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 would leave 8 bits of a crop's gray levels
            x = self.conv1(x.float())
        result: Tensor = self.conv2(F.relu(self.norm(x)))
        return result


class Block(nn.Module):
    """A residual block that normalizes before it convolves (He et al. 2016, pre-activation)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.norm2: nn.Module = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.proj = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Compute maps (n, outputs, h, w) of maps (n, inputs, h, w)."""
        y = self.conv1(F.relu(self.norm1(x)))
        result: Tensor = self.proj(x) + self.conv2(F.relu(self.norm2(y)))
        return result


def make_compact(dimension: int, decoder: bool) -> Compact:
    """Create the network for embeddings of any dimension.

    Parameters
    ----------
    dimension : int
        Numbers in an embedding.
    decoder : bool
        Not used: the network has none.

    Returns
    -------
    Compact
    """
    return Compact(dimension)


class Compact(Network):
    """The network: a stem, four stages of two blocks with pooling between them, and a linear layer.

    Parameters
    ----------
    dimension : int
        Numbers in an embedding.
    widths : tuple of int
        Channels of the stages.
    """

    def __init__(self, dimension: int = DIMENSION, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        inputs = (widths[0], *widths[:-1])
        stages = [nn.Sequential(Block(a, b), Block(b, b)) for a, b in zip(inputs, widths, strict=True)]
        self.encoder = nn.ModuleDict(
            {
                "stem": Stem(widths[0]),
                "stages": nn.ModuleList(stages),
                "norm": nn.BatchNorm2d(widths[-1]),
                "out": nn.Linear(widths[-1], dimension),
            }
        )

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, dimension) of unit length of crops (n, 1, h, w)."""
        x = self.encoder["stem"](x)
        for n, stage in enumerate(cast(nn.ModuleList, self.encoder["stages"])):
            x = stage(F.max_pool2d(x, 2) if n else x)
        x = F.relu(self.encoder["norm"](x)).float().mean((2, 3))
        with torch.autocast(x.device.type, enabled=False):
            return F.normalize(self.encoder["out"](x))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Refuse to reconstruct: the network has no decoder.

        Raises
        ------
        WeightsError
            Always.
        """
        raise WeightsError("the compact network embeds only: train it by contrast (`reconstruction` 0)")

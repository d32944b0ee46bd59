"""Define the Microsnoop network, a one-channel residual U-Net whose encoder embeds crops (Xun et al. 2023, Methods).

:mod:`microsnoop_engine.model.registry` builds it with its weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from .checkpoints import DIMENSION
from .network import Network

WIDTHS = (32, 64, 128, DIMENSION)
"""Channels of the stages of the paper's network."""


class NormConv(nn.Module):
    """A convolution after BatchNorm, with an optional style offset before it and an optional ReLU after it.

    Parameters
    ----------
    inputs, outputs : int
        Channels.
    kernel : int
        Height and width of the convolution's kernel in pixels, odd.
    relu : bool
    style : int
        Numbers in the style vector; 0: no style offset.
    """

    def __init__(self, inputs: int, outputs: int, kernel: int, relu: bool = True, style: int = 0) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs, eps=1e-5)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.style = nn.Linear(style, inputs) if style else None
        self.relu = relu

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        """Compute maps (n, outputs, h, w) of maps (n, inputs, h, w), offset by styles (n, style)."""
        if self.style is not None:
            x = x + self.style(style)[:, :, None, None]
        if self.norm.num_features > 1:
            return self._convolved(x)
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 would leave 8 bits of a crop's gray levels
            return self._convolved(x)

    def _convolved(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        result: Tensor = self.conv(F.relu(x) if self.relu else x)
        return result


class DownStage(nn.Module):
    """Four 3x3 convolutions with two residual connections."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.proj = NormConv(inputs, outputs, 1, relu=False)
        self.convs = nn.ModuleList(NormConv(inputs if k == 0 else outputs, outputs, 3) for k in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """Compute maps (n, outputs, h, w) of maps (n, inputs, h, w)."""
        c0, c1, c2, c3 = self.convs
        x = self.proj(x) + c1(c0(x))
        result: Tensor = x + c3(c2(x))
        return result


class UpStage(nn.Module):
    """The mirror of a :class:`DownStage`: skip by addition, style offsets in all but the first convolution."""

    def __init__(self, inputs: int, outputs: int, style: int) -> None:
        super().__init__()
        self.proj = NormConv(inputs, outputs, 1, relu=False)
        self.convs = nn.ModuleList(
            NormConv(inputs if k == 0 else outputs, outputs, 3, style=0 if k == 0 else style) for k in range(4)
        )

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        """Compute maps (n, outputs, h, w) of maps (n, inputs, h, w), a skip (n, outputs, h, w) and styles (n, d)."""
        c0, c1, c2, c3 = self.convs
        x = self.proj(x) + c1(c0(x) + skip, style)
        result: Tensor = x + c3(c2(x, style), style)
        return result


def make_unet(dimension: int, decoder: bool) -> Microsnoop:
    """Create the paper's network for embeddings of any dimension.

    Parameters
    ----------
    dimension : int
        Numbers in an embedding.
    decoder : bool
        Include the decoder.

    Returns
    -------
    Microsnoop
    """
    return Microsnoop((*WIDTHS[:-1], dimension), decoder)


class Microsnoop(Network):
    """The network: encoder and decoder.

    Parameters
    ----------
    widths : tuple of int
        Channels of the stages; the last one is the dimension of the embedding.
    decoder : bool
        Include the decoder, which only training and reconstruction need.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, decoder: bool = True) -> None:
        super().__init__()
        self.encoder = nn.ModuleList(DownStage(a, b) for a, b in zip((1, *widths[:-1]), widths, strict=True))
        self.decoder: nn.ModuleList | None = None
        self.head: NormConv | None = None
        if decoder:
            inputs = (*widths[1:], widths[-1])
            self.decoder = nn.ModuleList(UpStage(a, b, widths[-1]) for a, b in zip(inputs, widths, strict=True))
            self.head = NormConv(widths[0], 1, 1)
        self.frozen = 0

    def freeze(self, stages: int) -> None:
        """Keep the first stages of the encoder as they are in training, with the statistics of their BatchNorms.

        Parameters
        ----------
        stages : int
            Number of stages.
        """
        self.frozen = stages
        self.encoder[:stages].eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Microsnoop:
        """Switch to training or evaluation mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self.encoder[: self.frozen].eval()
        return self

    def encode(self, x: Tensor) -> list[Tensor]:
        """Compute the maps of every stage.

        Parameters
        ----------
        x : Tensor (n, 1, h, w)

        Returns
        -------
        list of Tensor
            (n, 32, h, w), (n, 64, h / 2, w / 2), (n, 128, h / 4, w / 4), (n, 256, h / 8, w / 8).
        """
        maps: list[Tensor] = []
        for stage in self.encoder:
            x = stage(F.max_pool2d(maps[-1], 2) if maps else x)
            maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, dimension) of unit length: the means of the deepest maps (Methods)."""
        return F.normalize(self.encode(x)[-1].float().mean((2, 3)))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruct crops whose masked pixels are set to zero first (Methods).

        Parameters
        ----------
        x : Tensor (n, 1, h, w)
            Normalized crops; h and w are multiples of 8.
        mask : Tensor (n, 1, h, w), optional
            1 where pixels are set to zero, else 0.

        Returns
        -------
        Tensor (n, 1, h, w)

        Raises
        ------
        WeightsError
            If the network was built without its decoder.
        """
        if self.decoder is None or self.head is None:
            raise WeightsError("these weights hold the encoder only: they embed, but cannot reconstruct an image")
        maps = self.encode(x if mask is None else x * (1 - mask))
        style = F.normalize(maps[-1].mean((2, 3)))
        x = maps[-1]
        for n in reversed(range(len(self.decoder))):
            if n < len(self.decoder) - 1:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.decoder[n](x, maps[n], style)
        result: Tensor = self.head(x)
        return result

"""The Microsnoop network: a one-channel residual U-Net whose encoder gives 256 numbers (Xun et al. 2023, Methods).

Networks with weights come from :mod:`microsnoop_engine.model.registry`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError

WIDTHS = (32, 64, 128, 256)


class NormConv(nn.Module):
    """BatchNorm, an optional style offset before it, an optional ReLU after it, then a convolution."""

    def __init__(self, inputs: int, outputs: int, kernel: int, relu: bool = True, style: int = 0):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs, eps=1e-5)
        self.conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
        self.style = nn.Linear(style, inputs) if style else None
        self.relu = relu

    def forward(self, x: Tensor, style: Tensor | None = None) -> Tensor:
        if self.style is not None:
            x = x + self.style(style)[:, :, None, None]
        if self.norm.num_features > 1:
            return self._convolved(x)
        with torch.autocast(x.device.type, enabled=False):  # bfloat16 would leave 8 bits of a crop's gray levels
            return self._convolved(x)

    def _convolved(self, x: Tensor) -> Tensor:
        x = self.norm(x)
        return self.conv(F.relu(x) if self.relu else x)


class DownStage(nn.Module):
    """Four 3x3 convolutions with two residual connections."""

    def __init__(self, inputs: int, outputs: int):
        super().__init__()
        self.proj = NormConv(inputs, outputs, 1, relu=False)
        self.convs = nn.ModuleList(NormConv(inputs if k == 0 else outputs, outputs, 3) for k in range(4))

    def forward(self, x: Tensor) -> Tensor:
        c0, c1, c2, c3 = self.convs
        x = self.proj(x) + c1(c0(x))
        return x + c3(c2(x))


class UpStage(nn.Module):
    """The mirror of a :class:`DownStage`: skip by addition, style offsets in all but the first convolution."""

    def __init__(self, inputs: int, outputs: int, style: int):
        super().__init__()
        self.proj = NormConv(inputs, outputs, 1, relu=False)
        self.convs = nn.ModuleList(
            NormConv(inputs if k == 0 else outputs, outputs, 3, style=0 if k == 0 else style) for k in range(4)
        )

    def forward(self, x: Tensor, skip: Tensor, style: Tensor) -> Tensor:
        c0, c1, c2, c3 = self.convs
        x = self.proj(x) + c1(c0(x) + skip, style)
        return x + c3(c2(x, style), style)


class Microsnoop(nn.Module):
    """Encoder and decoder.

    Parameters
    ----------
    widths : tuple of int
        Channels of the stages; the last one is the dimension of the embedding.
    decoder : bool
        Whether to build the decoder, which only training and reconstruction need.
    """

    def __init__(self, widths: tuple[int, ...] = WIDTHS, decoder: bool = True):
        super().__init__()
        self.encoder = nn.ModuleList(DownStage(a, b) for a, b in zip((1, *widths[:-1]), widths, strict=True))
        self.decoder = self.head = None
        if decoder:
            inputs = (*widths[1:], widths[-1])
            self.decoder = nn.ModuleList(UpStage(a, b, widths[-1]) for a, b in zip(inputs, widths, strict=True))
            self.head = NormConv(widths[0], 1, 1)
        self.frozen = 0

    def freeze(self, stages: int) -> None:
        """Let the first stages of the encoder stay as they are, statistics of their BatchNorms included."""
        self.frozen = stages
        self.encoder[:stages].eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Microsnoop:
        """Training or evaluation mode; frozen stages stay in evaluation mode."""
        super().train(mode)
        self.encoder[: self.frozen].eval()
        return self

    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps of every stage, from (n, 1, h, w): (n, 32, h, w) .. (n, 256, h/8, w/8)."""
        maps = []
        for stage in self.encoder:
            x = stage(F.max_pool2d(maps[-1], 2) if maps else x)
            maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, 256) of unit length, from crops (n, 1, 224, 224) normalized to 0..1."""
        return F.normalize(self.encode(x)[-1].float().mean((2, 3)))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruction (n, 1, h, w) of crops (n, 1, h, w); h and w are multiples of 8.

        What is under the mask (1), shaped as the crops, is set to zero first (Methods).

        Raises
        ------
        WeightsError
            If the network was built without its decoder.
        """
        if self.decoder is None:
            raise WeightsError("these weights hold the encoder only: they embed, but cannot reconstruct an image")
        maps = self.encode(x if mask is None else x * (1 - mask))
        style = F.normalize(maps[-1].mean((2, 3)))
        x = maps[-1]
        for n in reversed(range(len(self.decoder))):
            if n < len(self.decoder) - 1:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.decoder[n](x, maps[n], style)
        return self.head(x)

"""The Microsnoop network: a one-channel residual U-Net whose encoder gives 256 numbers (Xun et al. 2023, Methods).

The only module that defines layers. Weights come from :mod:`microsnoop_engine.checkpoints`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .checkpoints import Card, load_weights
from .errors import WeightsError

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

    def encode(self, x: Tensor) -> list[Tensor]:
        """Maps of every stage, from (n, 1, h, w): (n, 32, h, w) .. (n, 256, h/8, w/8)."""
        maps = []
        for stage in self.encoder:
            x = stage(F.max_pool2d(maps[-1], 2) if maps else x)
            maps.append(x)
        return maps

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, 256) of unit length, from crops (n, 1, 224, 224) normalised to 0..1."""
        return F.normalize(self.encode(x)[-1].float().mean((2, 3)))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruction (n, 1, h, w) of crops (n, 1, h, w); h and w are multiples of 8.

        Raises
        ------
        WeightsError
            If the network was built without its decoder.
        """
        if self.decoder is None:
            raise WeightsError("these weights hold the encoder only: they embed, but cannot reconstruct an image")
        maps = self.encode(x)
        style = F.normalize(maps[-1].mean((2, 3)))
        x = maps[-1]
        for n in reversed(range(len(self.decoder))):
            if n < len(self.decoder) - 1:
                x = F.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.decoder[n](x, maps[n], style)
        return self.head(x)


def build(state: Mapping[str, np.ndarray], card: Card) -> Microsnoop:
    """A network in evaluation mode from a checkpoint's arrays.

    Raises
    ------
    WeightsError
        If tensors are missing, extra, of another shape or not finite; all of them are listed.
    """
    model = Microsnoop(widths=(*WIDTHS[:-1], card.dimension), decoder=any(key.startswith("decoder.") for key in state))
    wanted = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    found = {k: tuple(v.shape) for k, v in state.items()}
    problems = [f"missing: {key}" for key in wanted.keys() - found.keys()]
    problems += [f"not of this network: {key}" for key in found.keys() - wanted.keys()]
    problems += [
        f"{key}: shape {found[key]} instead of {wanted[key]}"
        for key in wanted.keys() & found.keys()
        if wanted[key] != found[key]
    ]
    problems += [f"{key}: NaN or infinite numbers" for key, value in state.items() if not np.isfinite(value).all()]
    if problems:
        raise WeightsError(f"the weights '{card.name}' do not fit the network:\n  " + "\n  ".join(sorted(problems)))
    tensors = {key: torch.from_numpy(np.asarray(value, dtype=np.float32)) for key, value in state.items()}
    model.load_state_dict(tensors, strict=False)
    return model.eval().requires_grad_(False)


def load_model(name_or_path: str | Path = "microsnoop-base") -> Microsnoop:
    """The network with the weights of that name (shipped with the package) or file, in float32, ready to embed.

    Examples
    --------
    >>> model = load_model("microsnoop-base")
    >>> model.embed(torch.zeros(1, 1, 224, 224)).shape
    torch.Size([1, 256])
    """
    return build(*load_weights(name_or_path))

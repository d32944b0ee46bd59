"""A vision transformer with masked patches left out (He et al. 2022), to compare the paper's network with."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError

PATCH = 8
HEADS = 8


class MaskedViT(nn.Module):
    """Encoder over the visible patches, small decoder over all of them.

    Parameters
    ----------
    dimension : int
        Width of the encoder and numbers of an embedding, a multiple of 32.
    depth : int
        Layers of the encoder.
    decoder : bool
        Whether to build the decoder.
    """

    def __init__(self, dimension: int = 256, depth: int = 6, decoder: bool = True):
        super().__init__()
        self.encoder = nn.ModuleDict(
            {"patches": nn.Conv2d(1, dimension, PATCH, PATCH), "layers": _layers(dimension, depth)}
        )
        self.decoder = None
        if decoder:
            width = dimension // 2
            self.decoder = nn.ModuleDict(
                {
                    "inputs": nn.Linear(dimension, width),
                    "layers": _layers(width, 2),
                    "pixels": nn.Linear(width, PATCH * PATCH),
                }
            )
            self.unseen = nn.Parameter(torch.zeros(width))

    def tokens(self, x: Tensor) -> Tensor:
        """Patches (n, h*w/64, d) with their positions, of crops (n, 1, h, w)."""
        maps = self.encoder["patches"](x)
        return maps.flatten(2).transpose(1, 2) + positions(*maps.shape[2:], maps.shape[1], x.device)

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length: the mean of the patches' tokens."""
        return F.normalize(self.encoder["layers"](self.tokens(x)).float().mean(1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruction of crops (n, 1, h, w) from the patches that the mask leaves.

        Every crop has the same number of masked patches, and a masked patch covers whole patches of 8 pixels.

        Raises
        ------
        WeightsError
            If the network was built without its decoder.
        """
        if self.decoder is None:
            raise WeightsError("these weights hold the encoder only: they embed, but cannot reconstruct an image")
        tokens = self.tokens(x)
        count, patches, _ = tokens.shape
        hidden = torch.zeros(count, patches, device=x.device) if mask is None else F.max_pool2d(mask, PATCH).flatten(1)
        order = hidden.argsort(dim=1, stable=True)[:, :, None]
        visible = order[:, : patches - int(hidden[0].sum())]
        tokens = self.decoder["inputs"](
            self.encoder["layers"](tokens.gather(1, visible.expand(-1, -1, tokens.shape[2])))
        )
        width = tokens.shape[2]
        every = self.unseen.to(tokens.dtype).expand(count, patches, width)
        every = every.scatter(1, visible.expand(-1, -1, width), tokens)
        height, columns = (size // PATCH for size in x.shape[2:])
        every = self.decoder["layers"](every + positions(height, columns, width, x.device))
        return F.pixel_shuffle(self.decoder["pixels"](every).transpose(1, 2).unflatten(2, (height, columns)), PATCH)


def _layers(width: int, depth: int) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        width, HEADS, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    return nn.TransformerEncoder(layer, depth, nn.LayerNorm(width), enable_nested_tensor=False)


def positions(height: int, width: int, dimension: int, device: torch.device) -> Tensor:
    """Sines and cosines of the rows and columns of a grid, (height * width, dimension)."""
    rates = torch.exp(-math.log(1e4) * torch.arange(dimension // 4, device=device) / (dimension // 4))
    rows, columns = (torch.arange(size, device=device)[:, None] * rates for size in (height, width))
    rows, columns = (torch.cat([x.sin(), x.cos()], 1) for x in (rows, columns))
    return torch.cat([rows.repeat_interleave(width, 0), columns.repeat(height, 1)], 1)

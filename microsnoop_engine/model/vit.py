"""Define a vision transformer that leaves out masked patches (He et al. 2022), to compare with the paper's network."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from .checkpoints import DIMENSION
from .network import Network

PATCH = 8
"""Height and width of a patch in pixels."""
HEADS = 8
"""Attention heads of a layer."""


class MaskedViT(Network):
    """The network: an encoder of the visible patches and a small decoder of all patches.

    Parameters
    ----------
    dimension : int
        Width of the encoder and numbers in an embedding, a multiple of 32.
    decoder : bool
        Include the decoder, which only training and reconstruction need.
    depth : int
        Layers of the encoder.
    """

    def __init__(self, dimension: int = DIMENSION, decoder: bool = True, depth: int = 6) -> None:
        super().__init__()
        self.encoder = nn.ModuleDict(
            {"patches": nn.Conv2d(1, dimension, PATCH, PATCH), "layers": _layers(dimension, depth)}
        )
        self.decoder: nn.ModuleDict | None = None
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
        """Compute the tokens (n, h * w / 64, d) of the patches of crops (n, 1, h, w), with their positions."""
        maps: Tensor = self.encoder["patches"](x)
        _, dimension, height, width = maps.shape
        return maps.flatten(2).transpose(1, 2) + positions(height, width, dimension, x.device)

    def embed(self, x: Tensor) -> Tensor:
        """Compute embeddings (n, d) of unit length, the means of the patches' tokens, of crops (n, 1, s, s)."""
        return F.normalize(self.encoder["layers"](self.tokens(x)).float().mean(1))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruct crops from the patches that are not masked.

        Parameters
        ----------
        x : Tensor (n, 1, h, w)
            Normalized crops; h and w are multiples of 8.
        mask : Tensor (n, 1, h, w), optional
            1 in masked pixels, else 0. It covers whole patches of 8 pixels, the same number in every crop.

        Returns
        -------
        Tensor (n, 1, h, w)

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
    """Compute position codes, sines and cosines of the rows and columns of a grid.

    Parameters
    ----------
    height, width : int
        Size of the grid in patches.
    dimension : int
        Numbers in a code, a multiple of 4.
    device : torch.device

    Returns
    -------
    Tensor (height * width, dimension)
    """
    rates = torch.exp(-math.log(1e4) * torch.arange(dimension // 4, device=device) / (dimension // 4))
    rows, columns = (torch.arange(size, device=device)[:, None] * rates for size in (height, width))
    row_codes, column_codes = (torch.cat([x.sin(), x.cos()], 1) for x in (rows, columns))
    return torch.cat([row_codes.repeat_interleave(width, 0), column_codes.repeat(height, 1)], 1)

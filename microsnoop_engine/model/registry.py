"""The networks that can be trained and used, by name; other packages can add theirs."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..errors import WeightsError
from .checkpoints import Card, load_weights
from .unet import WIDTHS, Microsnoop
from .vit import MaskedViT

GROUP = "microsnoop.architectures"
"""Entry points of this group are further networks: name = callable (dimension, decoder) -> network."""


class Network(Protocol):
    """What a network must offer, apart from being an ``nn.Module``.

    What :meth:`embed` needs has parameters whose names begin with ``encoder.``; the others are left out of weights
    that only embed.
    """

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, dimension) of unit length, from crops (n, 1, s, s) normalized to 0..1; any s in steps of 8."""

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruction (n, 1, s, s) of crops (n, 1, s, s) without what is under the mask (1), shaped as they are."""


ARCHITECTURES = {
    "unet": lambda dimension, decoder: Microsnoop((*WIDTHS[:-1], dimension), decoder),
    "vit": lambda dimension, decoder: MaskedViT(dimension=dimension, decoder=decoder),
}
"""The built-in networks: ``unet`` is the paper's."""


class Whitened(nn.Module):
    """A network whose embeddings are whitened (see :mod:`microsnoop_engine.trainer.whitening`)."""

    def __init__(self, network: nn.Module, weight: Tensor, bias: Tensor):
        super().__init__()
        self.network = network
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def embed(self, x: Tensor) -> Tensor:
        """Embeddings (n, d) of unit length."""
        embeddings = self.network.embed(x)
        with torch.autocast(x.device.type, enabled=False):  # the offset cancels most of a product
            return F.normalize(F.linear(embeddings.float(), self.weight, self.bias))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """The network's reconstruction."""
        return self.network(x, mask)


def make_network(name: str, dimension: int = 256, decoder: bool = True) -> nn.Module:
    """A network with random weights.

    Parameters
    ----------
    name : str
        One of ``ARCHITECTURES``, or an entry point of an installed package (see ``GROUP``).
    dimension : int
        Numbers of an embedding.
    decoder : bool
        Whether it must be able to reconstruct.

    Raises
    ------
    WeightsError
        If there is no network of that name.
    """
    if name in ARCHITECTURES:
        return ARCHITECTURES[name](dimension, decoder)
    installed = {point.name: point for point in entry_points(group=GROUP)}
    if name not in installed:
        names = ", ".join([*ARCHITECTURES, *installed])
        raise WeightsError(f"there is no architecture '{name}'; there are {names}. Install the package that adds it")
    return installed[name].load()(dimension, decoder)


def build(state: Mapping[str, np.ndarray], card: Card) -> nn.Module:
    """A network in evaluation mode from a checkpoint's arrays.

    Raises
    ------
    WeightsError
        If tensors are missing, extra, of another shape or not finite; all of them are listed.
    """
    decoder = any(key.startswith("decoder.") for key in state)
    model = make_network(card.architecture, card.dimension, decoder)
    wanted = {k: tuple(v.shape) for k, v in model.state_dict().items() if not k.endswith("num_batches_tracked")}
    if whitened := any(key.startswith("whiten.") for key in state):
        wanted |= {"whiten.weight": (card.dimension, card.dimension), "whiten.bias": (card.dimension,)}
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
    model.load_state_dict({key: value for key, value in tensors.items() if not key.startswith("whiten.")}, strict=False)
    if whitened:
        model = Whitened(model, tensors["whiten.weight"], tensors["whiten.bias"])
    return model.eval().requires_grad_(False)


def load_model(name_or_path: str | Path = "microsnoop-base") -> nn.Module:
    """The network with the weights of that name (shipped with the package) or file, in float32, ready to embed.

    Examples
    --------
    >>> model = load_model("microsnoop-base")
    >>> model.embed(torch.zeros(1, 1, 224, 224)).shape
    torch.Size([1, 256])
    """
    return build(*load_weights(name_or_path))

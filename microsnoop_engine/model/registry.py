"""Build networks by the name of their architecture, with random weights or those of a file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from ..errors import WeightsError, first_line
from .architectures import find_architecture
from .checkpoints import DEFAULT, DIMENSION, Card, load_weights
from .network import Network


class Whitened(Network):
    """A network whose embeddings are whitened by a linear map.

    Parameters
    ----------
    network : Network
    weight : Tensor (dimension, dimension)
    bias : Tensor (dimension,)
        See :mod:`microsnoop_engine.trainer.whitening`.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, network: Network, weight: Tensor, bias: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)

    def embed(self, x: Tensor) -> Tensor:
        """Compute whitened embeddings (n, dimension) of unit length, from crops (n, 1, s, s)."""
        embeddings = self.network.embed(x)
        with torch.autocast(x.device.type, enabled=False):  # the offset cancels most of a product
            return F.normalize(F.linear(embeddings.float(), self.weight, self.bias))

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """Reconstruct crops as the network does."""
        result: Tensor = self.network(x, mask)
        return result


def make_network(name: str, dimension: int = DIMENSION, decoder: bool = True, **options: Any) -> Network:
    """Create a network with random weights.

    Parameters
    ----------
    name : str
        Of an architecture (see :func:`.find_architecture`).
    dimension : int
        Numbers in an embedding.
    decoder : bool
        Include what reconstruction needs.
    **options
        Of the architecture, as a card has them.

    Returns
    -------
    Network

    Raises
    ------
    WeightsError
        If there is no architecture of that name, or it needs options.

    Examples
    --------
    >>> make_network("unet", dimension=32).embed(torch.zeros(1, 1, 64, 64)).shape
    torch.Size([1, 32])
    """
    architecture = find_architecture(name)
    if architecture.imported and not options:
        raise WeightsError(f"networks of the architecture '{name}' cannot be trained here: import their weights")
    network: Network = architecture.load_network()(dimension, decoder, **options)
    return network


def build(state: Mapping[str, NDArray[Any]], card: Card) -> Network:
    """Build the network of a card with the tensors of its weights, in float32 and evaluation mode.

    Parameters
    ----------
    state : mapping of str to array
        Tensors by name.
    card : Card
        Its architecture, options and dimension decide the network.

    Returns
    -------
    Network
        With a decoder and with whitening if the tensors have them.

    Raises
    ------
    WeightsError
        If tensors are missing, extra, of another shape or not finite; all of them are listed.
    """
    decoder = any(key.startswith("decoder.") for key in state)
    try:
        network = make_network(card.architecture, card.dimension, decoder, **card.options)
    except TypeError as error:
        raise WeightsError(f"the card of '{card.name}' has `options` that do not fit: {first_line(error)}") from None
    whitened = any(key.startswith("whiten.") for key in state)
    expected = {k: tuple(v.shape) for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    if whitened:
        expected |= {"whiten.weight": (card.dimension, card.dimension), "whiten.bias": (card.dimension,)}
    _check_tensors(state, expected, card)
    tensors = {key: torch.from_numpy(_computed(value)) for key, value in state.items()}
    network_tensors = {key: value for key, value in tensors.items() if not key.startswith("whiten.")}
    network.load_state_dict(network_tensors, strict=False)
    if whitened:
        network = Whitened(network, tensors["whiten.weight"], tensors["whiten.bias"])
    return network.eval().requires_grad_(False)


def _computed(values: NDArray[Any]) -> NDArray[Any]:
    """Return numbers in float32, and integers as they are."""
    return values.astype(np.float32) if values.dtype.kind == "f" else np.array(values)


def _check_tensors(state: Mapping[str, NDArray[Any]], expected: Mapping[str, tuple[int, ...]], card: Card) -> None:
    problems = [f"missing: {key}" for key in expected.keys() - state.keys()]
    problems += [f"not of this network: {key}" for key in state.keys() - expected.keys()]
    problems += [
        f"{key}: shape {state[key].shape} instead of {expected[key]}"
        for key in expected.keys() & state.keys()
        if expected[key] != state[key].shape
    ]
    problems += [f"{key}: NaN or infinite numbers" for key, value in state.items() if not np.isfinite(value).all()]
    if problems:
        raise WeightsError(f"the weights '{card.name}' do not fit the network:\n  " + "\n  ".join(sorted(problems)))


def load_model(name_or_path: str | Path = DEFAULT) -> Network:
    """Load a network with its weights, in float32, on the CPU and in evaluation mode.

    Parameters
    ----------
    name_or_path : str or Path
        Name of shipped weights, or a ``.safetensors`` file.

    Returns
    -------
    Network
        A ``torch.nn.Module`` with :meth:`~.Network.embed`.

    Raises
    ------
    WeightsError
        If the weights are missing, damaged or of another network.

    Examples
    --------
    >>> import torch
    >>> from microsnoop_engine import load_model
    >>> model = load_model("fast")
    >>> model.embed(torch.zeros(1, 1, 224, 224)).shape
    torch.Size([1, 256])
    """
    return build(*load_weights(name_or_path))

"""Start a training from other weights and freeze stages."""

from __future__ import annotations

from torch import nn

from ..errors import WeightsError
from ..model.checkpoints import Card, load_weights
from ..model.registry import build


def load_initial_weights(network: nn.Module, weights: str, architecture: str) -> Card:
    """Give a network the tensors of finished weights, but for their whitening; what they lack stays as it is.

    Parameters
    ----------
    network : nn.Module
    weights : str
        Name or file.
    architecture : str
        The network's.

    Returns
    -------
    Card
        Of the weights.

    Raises
    ------
    WeightsError
        If there are no such weights, or they are of another network.
    """
    state, card = load_weights(weights)
    if card.architecture != architecture:
        raise WeightsError(f"the weights '{weights}' are of a '{card.architecture}', not of a '{architecture}'")
    tensors = {key: value for key, value in state.items() if not key.startswith("whiten.")}
    network.load_state_dict(build(tensors, card).state_dict(), strict=False)
    return card


def freeze_stages(network: nn.Module, stages: int, architecture: str) -> None:
    """Let the first stages of a network's encoder stay as they are in a training.

    Raises
    ------
    WeightsError
        If networks of this architecture have no stages that can.
    """
    if not hasattr(network, "freeze"):
        raise WeightsError(f"a network of the architecture '{architecture}' cannot be frozen in part: set frozen to 0")
    network.freeze(stages)

"""Start a training from finished weights and freeze stages of the network."""

from __future__ import annotations

from ..errors import WeightsError
from ..model.checkpoints import Card, load_weights
from ..model.network import Network
from ..model.registry import build


def load_initial_weights(network: Network, weights: str, architecture: str) -> Card:
    """Copy the tensors of finished weights, without their whitening, into a network.

    Tensors that the weights lack, such as those of a decoder, stay as they are.

    Parameters
    ----------
    network : Network
        Changed in place.
    weights : str
        Name of shipped weights, or a ``.safetensors`` file.
    architecture : str
        Name of the network's architecture.

    Returns
    -------
    Card
        The card of the weights.

    Raises
    ------
    WeightsError
        If there are no such weights, or they are of another network.
    """
    state, card = load_weights(weights)
    if card.architecture != architecture:
        raise WeightsError(
            f"init_weights: '{weights}' are weights of a '{card.architecture}', not of a '{architecture}'"
        )
    tensors = {key: value for key, value in state.items() if not key.startswith("whiten.")}
    network.load_state_dict(build(tensors, card).state_dict(), strict=False)
    return card


def freeze_stages(network: Network, stages: int, architecture: str) -> None:
    """Keep the first stages of a network's encoder as they are in training.

    Parameters
    ----------
    network : Network
        Changed in place.
    stages : int
        Number of stages.
    architecture : str
        Name of the network's architecture.

    Raises
    ------
    WeightsError
        If networks of this architecture have no stages that can be frozen.
    """
    freeze = getattr(network, "freeze", None)
    if freeze is None:
        raise WeightsError(
            f"frozen_stages is {stages}, but stages of the architecture '{architecture}' cannot be frozen: set it to 0"
        )
    freeze(stages)

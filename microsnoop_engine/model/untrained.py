"""Write weights that nobody trained: what a network of random weights tells is the least that training must beat."""

from __future__ import annotations

from pathlib import Path

import torch

from ..errors import WeightsError
from .architectures import find_architecture
from .checkpoints import Card, find_weights, halved, read_card, save_weights
from .registry import make_network


def write_untrained(like: str | Path, path: Path, seed: int = 0) -> Card:
    """Write random weights for the network of other weights, which sees crops in the same way.

    Parameters
    ----------
    like : str or Path
        Name of shipped weights, or a ``.safetensors`` file.
    path : Path
        The ``.safetensors`` file to write.
    seed : int
        The same seed gives the same weights with one version of PyTorch.

    Returns
    -------
    Card
        With the hash of the file.

    Raises
    ------
    WeightsError
        If there are no such weights, or they are of another program, which alone knows how its networks begin.
    """
    known = read_card(find_weights(like))
    if find_architecture(known.architecture).imported:
        raise WeightsError(
            f"'{like}' is a network of another program ('{known.architecture}'), whose random weights only that "
            "program can make: import them from there"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        state = make_network(known.architecture, known.dimension, decoder=False, **known.options).state_dict()
    tensors = {
        name: halved(value.float().numpy()) for name, value in state.items() if not name.endswith("num_batches_tracked")
    }
    training = {"data": "none: random weights", "seed": seed, "network of": f"{known.name} {known.sha256}"}
    card = Card(
        path.stem,
        architecture=known.architecture,
        dimension=known.dimension,
        input_size=known.input_size,
        frame=known.frame,
        options=known.options,
        training=training,
        license="CC0-1.0",
    )
    return save_weights(tensors, card, path)

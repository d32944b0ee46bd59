"""Use several networks on the same crops, their embeddings side by side."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .backends.backend import Backend
from .checkpoints import Card

SEPARATOR = "+"
"""Joins the names of networks: ``fast+base``."""


def joint_card(cards: Sequence[Card]) -> Card:
    """Describe several networks as one.

    Parameters
    ----------
    cards : sequence of Card

    Returns
    -------
    Card
        Its dimension is the sum of theirs.

    Raises
    ------
    InputError
        If the networks do not see crops in the same way.
    """
    first = cards[0]
    for card in cards[1:]:
        if card.sees != first.sees:
            raise InputError(
                f"`model`: '{first.name}' sees crops of {first.input_size} pixels ({first.frame}), '{card.name}' of "
                f"{card.input_size} ({card.frame}): measure with each in a run of its own"
            )
    return Card(
        SEPARATOR.join(card.name for card in cards),
        SEPARATOR.join(card.architecture for card in cards),
        sum(card.dimension for card in cards),
        first.input_size,
        first.frame,
        {},
        {"parts": [card.name for card in cards]},
        "; ".join(dict.fromkeys(card.license for card in cards)),
        hashlib.sha256("".join(card.sha256 for card in cards).encode()).hexdigest(),
    )


class SideBySide:
    """Several backends on the same crops.

    Parameters
    ----------
    backends : sequence of Backend
        On the same device.
    """

    takes_tensors = False

    def __init__(self, backends: Sequence[Backend]) -> None:
        self._backends = backends
        self.name, self.device, self.precision = (
            SEPARATOR.join(dict.fromkeys(getattr(backend, field) for backend in backends))
            for field in ("name", "device", "precision")
        )

    def embed(self, crops: NDArray[np.float32]) -> NDArray[np.float32]:
        """Compute embeddings (n, sum of dimensions), rows of unit length, of crops (n, 1, s, s)."""
        parts = [backend.embed(crops) for backend in self._backends]
        return np.concatenate(parts, axis=1) / np.float32(np.sqrt(len(parts)))

"""Simulate cells whose types are seen in part by their images and in part by their genes (Bao et al. 2022, Methods)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, counted

LATENT = 30
"""Number of latent variables of each modality."""
SPREAD = 0.1
"""Variance of the latent variables within a type; the means of types lie within -0.5 and 0.5."""


@dataclass(frozen=True)
class SimulatedCells:
    """Simulated cells.

    Attributes
    ----------
    images : array (n, q), float32
        From 0 to 1.
    genes : array (n, p), float32
        From 0.
    types : array (n,), int
        The true types.
    image_types, gene_types : array (n,), int
        What each modality tells apart: types that it merges have one number.
    """

    images: NDArray[np.float32]
    genes: NDArray[np.float32]
    types: NDArray[np.intp]
    image_types: NDArray[np.intp]
    gene_types: NDArray[np.intp]


def simulate_cells(
    cells: int = 1000,
    types: int = 10,
    *,
    image_features: int = 500,
    genes: int = 500,
    merging: float = 0.7,
    image_noise: float = 0.1,
    image_dropout: float = 0.1,
    gene_noise: float = 0.1,
    gene_decay: float = 0.5,
    seed: int = 0,
) -> SimulatedCells:
    """Simulate images and genes of the same cells (after Bao et al. 2022, Methods).

    Genes cannot tell apart some types of the first half, images some of the second half. Cells of a type are normally
    distributed in the latent space of each modality. Genes are a random linear map of it without its negative part;
    small values drop out. Features of images are a random network of two layers of it; any value drops out.

    Parameters
    ----------
    cells, types : int
        Their numbers; at least two types.
    image_features, genes : int
    merging : float
        Probability that a modality merges a type of its half with the one before, from 0 to 1.
    image_noise, gene_noise : float
        Standard deviation of the noise, from 0: of images before the second layer's sigmoid.
    image_dropout : float
        Share of the features of images that are set to 0, from 0 to 1.
    gene_decay : float
        A gene of value x is set to 0 with probability exp(-gene_decay x^2); from 0, the larger the fewer.
    seed : int

    Returns
    -------
    SimulatedCells

    Raises
    ------
    InputError
        If a number is outside of its range.
    """
    shares = {"merging": merging, "image_dropout": image_dropout}
    levels = {"image_noise": image_noise, "gene_noise": gene_noise, "gene_decay": gene_decay}
    for name, value in (shares | levels).items():
        if not 0 <= value <= (1 if name in shares else np.inf):
            raise InputError(f"`{name}` is {value}: choose a number from 0{' to 1' if name in shares else ''}")
    if types < 2 or cells < types:
        raise InputError(
            f"{counted(cells, 'cells')} of {types} types: choose two types or more, and at least as many cells"
        )
    random = np.random.default_rng(seed)
    of_cell = random.integers(types, size=cells)
    gene_types = _merge(types, range(1, types // 2), merging, random)[of_cell]
    image_types = _merge(types, range(types // 2 + 1, types), merging, random)[of_cell]

    latent = _latent(gene_types, types, random)
    clean = np.maximum(latent @ random.uniform(-0.5, 0.5, (LATENT, genes)), 0)
    expression = np.maximum(clean + gene_noise * random.normal(size=clean.shape), 0)
    expression[random.random(clean.shape) < np.exp(-gene_decay * clean**2)] = 0

    latent = _latent(image_types, types, random)
    layer = _sigmoid(latent @ random.uniform(-0.5, 0.5, (LATENT, image_features)))
    layer = layer @ random.uniform(-0.5, 0.5, (image_features, image_features))
    features = _sigmoid(layer + image_noise * random.normal(size=layer.shape))
    features[random.random(features.shape) < image_dropout] = 0
    return SimulatedCells(features.astype(np.float32), expression.astype(np.float32), of_cell, image_types, gene_types)


def _merge(types: int, candidates: range, merging: float, random: np.random.Generator) -> NDArray[np.intp]:
    """Return the number (types,) that a modality sees of each type: some candidates look like the type before."""
    seen = np.arange(types)
    for number in candidates:
        if random.random() < merging:
            seen[number] = seen[number - 1]
    return seen


def _latent(seen: NDArray[np.intp], types: int, random: np.random.Generator) -> NDArray[np.float64]:
    means = random.uniform(-0.5, 0.5, (types, LATENT))
    return np.asarray(means[seen] + np.sqrt(SPREAD) * random.normal(size=(len(seen), LATENT)))


def _sigmoid(values: NDArray[Any]) -> NDArray[Any]:
    return np.asarray(1 / (1 + np.exp(-values)))

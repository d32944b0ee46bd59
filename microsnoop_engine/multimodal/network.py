"""The network of MUSE and the terms of its loss (Bao et al. 2022, Methods)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

HIDDEN = 128
"""Width of the hidden layers."""
FAR = 0.2
"""Share of the pairs of cells that count as near, and as far, for the margin."""
SAMPLE = 2000
"""Number of cells that the margin is estimated on."""
_TINY = 1e-12


class JointAutoencoder(nn.Module):
    """Two encoders, one joint representation, two decoders (Bao et al. 2022, Methods).

    Each encoder has two dense layers: ``h = tanh(W2 elu(W1 x))``. The joint representation is linear in both:
    ``z = W [h_images, h_genes] + b``. Each decoder sees ``z`` through a square selection matrix, whose rows belong to
    the dimensions of ``z``.

    Parameters
    ----------
    inputs : sequence of int
        Number of columns of each modality.
    dimension : int
        Dimension of ``z``.
    hidden : int
        Width of the hidden layers.
    """

    def __init__(self, inputs: tuple[int, int], dimension: int, hidden: int = HIDDEN) -> None:
        super().__init__()
        self.encoders = nn.ModuleList(
            nn.Sequential(nn.Linear(count, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.Tanh()) for count in inputs
        )
        self.joint = nn.Linear(len(inputs) * hidden, dimension)
        self.selections = nn.ParameterList(
            torch.eye(dimension) + 0.01 * torch.randn(dimension, dimension) for _ in inputs
        )
        self.decoders = nn.ModuleList(
            nn.Sequential(
                nn.Linear(dimension, hidden), nn.ELU(), nn.Linear(hidden, hidden), nn.Tanh(), nn.Linear(hidden, count)
            )
            for count in inputs
        )

    def encode(self, blocks: tuple[Tensor, Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Return the joint representation (n, dimension), and that of each modality alone (n, hidden)."""
        alone = [encoder(block) for encoder, block in zip(self.encoders, blocks, strict=True)]
        return self.joint(torch.cat(alone, dim=1)), alone

    def decode(self, z: Tensor) -> list[Tensor]:
        """Reconstruct each modality (n, p) from joint representations (n, dimension)."""
        return [decoder(z @ matrix) for decoder, matrix in zip(self.decoders, self.selections, strict=True)]


def reconstruction_loss(decoded: Tensor, block: Tensor, observed: Tensor | None = None) -> Tensor:
    """Compute the self-reconstruction term of a modality: the mean squared error of its entries.

    Parameters
    ----------
    decoded, block : Tensor (n, p)
    observed : Tensor (n, p), bool, optional
        Entries that count: of genes those that are not zero, as a zero may be a dropout (Methods). By default all.

    Returns
    -------
    Tensor ()
    """
    squares = (decoded - block) ** 2
    return squares.mean() if observed is None else (squares * observed).sum() / observed.sum().clamp(min=1)


def selection_penalty(matrix: Tensor) -> Tensor:
    """Compute the sparsity term of a modality: the mean length of the rows of its selection matrix.

    A group penalty: it shrinks what the decoder of the modality takes from whole dimensions of the joint
    representation.

    Parameters
    ----------
    matrix : Tensor (d, d)
        Row i is what the decoder takes from dimension i.

    Returns
    -------
    Tensor ()
    """
    return (matrix.square().sum(1) + _TINY).sqrt().mean()


def triplet_loss(z: Tensor, clusters: Tensor, margin: float) -> Tensor:
    """Compute the self-supervised term of a modality: the batch-hard triplet loss (Hermans et al. 2017).

    A row, its farthest row of the same cluster (p) and its nearest row of another one (n) cost
    ``max(|z - z_p| - |z - z_n| + margin, 0)``.

    Parameters
    ----------
    z : Tensor (n, d)
    clusters : Tensor (n,)
        The pseudo-labels of one modality.
    margin : float

    Returns
    -------
    Tensor ()
        Mean over the rows that have both partners in the batch; 0 if there are none.
    """
    squares = z.square().sum(1)
    distances = (squares[:, None] + squares[None, :] - 2 * z @ z.T).clamp(min=_TINY).sqrt()
    same = clusters[:, None] == clusters[None, :]
    other = ~same
    positive = same & ~torch.eye(len(z), dtype=torch.bool)
    anchors = positive.any(1) & other.any(1)
    if not anchors.any():
        return z.sum() * 0
    farthest = distances.masked_fill(~positive, 0).amax(1)
    nearest = distances.masked_fill(~other, torch.inf).amin(1)
    return (farthest - nearest + margin)[anchors].clamp(min=0).mean()


def triplet_margin(z: Tensor) -> float:
    """Return how much farther apart far cells are than near ones.

    Parameters
    ----------
    z : Tensor (n, d)

    Returns
    -------
    float
        Difference of the medians of the farthest and of the nearest fifth of distances between cells, above 0.
    """
    distances = torch.pdist(z[torch.randperm(len(z))[:SAMPLE]]).sort().values
    count = max(int(FAR * len(distances)), 1)
    return max(float(distances[-count:].median() - distances[:count].median()), 1e-6)


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Compute on one core, so that sums have one order, with random numbers of a seed; the caller's stay."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)

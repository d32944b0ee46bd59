"""MUSE, an estimator that joins two modalities of the same cells (Bao et al. 2022)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.decomposition import PCA
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..errors import InputError, counted
from ..evaluation.clustering import graph_clusters
from .network import (
    JointAutoencoder,
    reconstruction_loss,
    seeded,
    selection_penalty,
    triplet_loss,
    triplet_margin,
)

FEWEST = 10
"""Smallest number of cells that can be joined."""
Blocks = tuple[Tensor, Tensor]
_NETWORK = "network."


class MUSE(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Multi-modal structured embedding of images and genes (Bao et al. 2022, Methods).

    Both modalities are encoded into one joint representation, which minimizes the sum of

    - *self-reconstruction*: the mean squared error with which it reconstructs each modality. Of genes without negative
      values only those above zero count, as a zero may be a dropout;
    - *sparsity*: ``sparsity`` times a group penalty on the matrices by which each decoder selects from it;
    - *self-supervision*: ``supervision`` times batch-hard triplet losses. Cells of one cluster of images, and of one
      cluster of genes, shall be near each other, and far from those of other clusters.

    The clusters are pseudo-labels: communities of the graph of neighbors (PhenoGraph), first of the principal
    components of each modality, then of what its encoder makes of it, found again every ``renewal`` epochs.

    Parameters
    ----------
    dimension : int
        Dimension of the joint representation.
    image_components : int
        Number of principal components of the images that enter (Xun et al. 2023 reduce images by PCA first); as many as
        there are, if there are fewer.
    sparsity, supervision : float
        Weights of the terms, from 0.
    warmup, epochs : int
        Epochs without, and with self-supervision.
    renewal : int
        Epochs between two clusterings.
    neighbors : int
        Of the clusterings, see :func:`.graph_clusters`.
    learning_rate : float
        Of Adam.
    batch_size : int
    seed : int
        The same input and seed have the same result, on the CPU and on one machine.

    Attributes
    ----------
    joint_ : array (n, dimension), float32
        The joint representation of the cells.
    image_clusters_, gene_clusters_ : array (n,), int32
        The last pseudo-labels.
    margin_ : float
        Margin of the triplet losses: how much farther apart far cells are than near ones after the warm-up (medians of
        the farthest and of the nearest fifth of pairs).
    losses_ : list of dict of str to float
        Mean of each term in each epoch: ``images``, ``genes``, ``sparsity``, ``image_triplets``, ``gene_triplets``.
    network_ : JointAutoencoder

    Notes
    -----
    Terms are means over entries and dimensions, and triplet losses are shares of the margin, so that weights do not
    depend on the numbers of genes and cells; they are not on the scale of the authors' program.
    """

    def __init__(
        self,
        dimension: int = 100,
        image_components: int = 50,
        sparsity: float = 0.1,
        supervision: float = 1.0,
        warmup: int = 50,
        epochs: int = 100,
        renewal: int = 50,
        neighbors: int = 30,
        learning_rate: float = 5e-4,
        batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        self.dimension = dimension
        self.image_components = image_components
        self.sparsity = sparsity
        self.supervision = supervision
        self.warmup = warmup
        self.epochs = epochs
        self.renewal = renewal
        self.neighbors = neighbors
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.seed = seed

    def fit(self, images: ArrayLike, genes: ArrayLike) -> MUSE:
        """Fit on cells.

        Parameters
        ----------
        images : array (n, q)
            Features of images.
        genes : array (n, p)
            Expression of genes of the same cells, as logarithms of normalized counts.

        Returns
        -------
        MUSE

        Raises
        ------
        InputError
            If numbers are missing, the modalities differ in their number of cells, there are fewer than ten, a
            modality is constant, or a setting is out of its range.
        """
        self._check_settings()
        pictures, expression = _checked(images, genes)
        if len(pictures) < FEWEST:
            raise InputError(
                f"{counted(len(pictures), 'cells are', 'cell is')} in both modalities: {FEWEST} are needed, better "
                "hundreds"
            )
        for name, block in (("images", pictures), ("genes", expression)):
            if not np.ptp(block, axis=0).any():
                raise InputError(f"`{name}` are equal in all cells: there is nothing to join")
        self.n_features_in_ = pictures.shape[1], expression.shape[1]
        self._pca = PCA(min(self.image_components, len(pictures) - 1, pictures.shape[1]), random_state=self.seed)
        observed = expression != 0 if expression.min() >= 0 else np.ones(expression.shape, bool)
        self._gene_means = (expression * observed).sum(0) / observed.sum(0).clip(1)
        self._scales = (
            _spread(self._pca.fit_transform(pictures)),
            _spread((expression - self._gene_means)[observed]),
        )
        with seeded(self.seed):
            self._fit(self._blocks(pictures, expression), torch.from_numpy(observed))
        return self

    def fit_transform(self, images: ArrayLike, genes: ArrayLike) -> NDArray[np.float32]:
        """Fit on cells and return their joint representation (n, dimension); see :meth:`fit`."""
        joint: NDArray[np.float32] = self.fit(images, genes).joint_
        return joint

    def transform(self, images: ArrayLike, genes: ArrayLike) -> NDArray[np.float32]:
        """Compute the joint representation of further cells, measured and normalized like those of the fit.

        Parameters
        ----------
        images : array (n, q)
        genes : array (n, p)

        Returns
        -------
        array (n, dimension), float32

        Raises
        ------
        InputError
            If numbers are missing, or there are other features than in the fit.
        """
        check_is_fitted(self, "network_")
        pictures, expression = _checked(images, genes)
        if (found := (pictures.shape[1], expression.shape[1])) != self.n_features_in_:
            raise InputError(f"features of images and genes are {found}: the fit had {self.n_features_in_}")
        with seeded(self.seed), torch.no_grad():
            return self.network_.encode(self._blocks(pictures, expression))[0].numpy()

    def spread(self, images: NDArray[Any]) -> float:
        """Return how far features of images (n, q) lie from the mean of the fit: root mean square, about 1 there."""
        check_is_fitted(self, "network_")
        return float(np.sqrt(np.square(self._pca.transform(images) / self._scales[0]).mean()))

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays that :meth:`transform` computes with, by name."""
        check_is_fitted(self, "network_")
        network = {f"{_NETWORK}{name}": value.numpy() for name, value in self.network_.state_dict().items()}
        return network | {
            "image_mean": self._pca.mean_,
            "image_components": self._pca.components_,
            "gene_means": self._gene_means,
            "scales": np.array(self._scales),
        }

    def with_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> MUSE:
        """Take the arrays of a fit, instead of fitting.

        Parameters
        ----------
        arrays : mapping of str to array
            Result of :meth:`arrays` of an estimator with the same ``dimension``.

        Returns
        -------
        MUSE
        """
        components = arrays["image_components"]
        self._pca = PCA(len(components))
        self._pca.mean_, self._pca.components_ = arrays["image_mean"], components
        self._gene_means = arrays["gene_means"]
        first, second = arrays["scales"].tolist()
        self._scales = first, second
        self.n_features_in_ = components.shape[1], len(self._gene_means)
        network = JointAutoencoder((len(components), len(self._gene_means)), self.dimension)
        state = {name: value for name, value in arrays.items() if name.startswith(_NETWORK)}
        network.load_state_dict(
            {name.removeprefix(_NETWORK): torch.from_numpy(np.array(value)) for name, value in state.items()}
        )
        self.network_ = network
        return self

    def _check_settings(self) -> None:
        for name, value in self.get_params().items():
            least = 0 if name in ("sparsity", "supervision", "warmup", "epochs", "seed") else 1
            if name == "learning_rate":
                if not 0 < value < 1:
                    raise InputError(f"`learning_rate` is {value}: choose a number between 0 and 1")
            elif not least <= value < np.inf:
                raise InputError(f"`{name}` is {value}: choose a number from {least}")

    def _blocks(self, pictures: NDArray[np.float64], expression: NDArray[np.float64]) -> Blocks:
        """Return what is encoded and reconstructed: the observed entries of each modality have variance 1."""
        blocks = self._pca.transform(pictures), expression - self._gene_means
        first, second = (
            torch.tensor(block / scale, dtype=torch.float32) for block, scale in zip(blocks, self._scales, strict=True)
        )
        return first, second

    def _fit(self, blocks: Blocks, observed: Tensor) -> None:
        inputs = blocks[0].shape[1], blocks[1].shape[1]
        network = self.network_ = JointAutoencoder(inputs, self.dimension)
        optimizer = torch.optim.Adam(network.parameters(), self.learning_rate)
        self.losses_: list[dict[str, float]] = []
        for _ in range(self.warmup):
            self._epoch(optimizer, blocks, observed)
        with torch.no_grad():
            self.margin_ = triplet_margin(network.encode(blocks)[0])
        clusters = self._cluster(_leading(blocks))
        for epoch in range(self.epochs):
            if epoch and epoch % self.renewal == 0:
                clusters = self._cluster(self._alone(blocks))
            self._epoch(optimizer, blocks, observed, clusters)
        self.image_clusters_, self.gene_clusters_ = (labels.numpy() for labels in clusters)
        with torch.no_grad():
            self.joint_ = network.encode(blocks)[0].numpy()

    def _epoch(
        self, optimizer: torch.optim.Optimizer, blocks: Blocks, observed: Tensor, clusters: tuple[Tensor, ...] = ()
    ) -> None:
        """Train on all cells once, in random batches."""
        network, names = self.network_, ("image_triplets", "gene_triplets")
        totals: dict[str, float] = {}
        batches = torch.randperm(len(blocks[0])).chunk(max(round(len(blocks[0]) / self.batch_size), 1))
        for rows in batches:
            images, genes = (block[rows] for block in blocks)
            z, _ = network.encode((images, genes))
            decoded = network.decode(z)
            terms = {
                "images": reconstruction_loss(decoded[0], images),
                "genes": reconstruction_loss(decoded[1], genes, observed[rows]),
                "sparsity": sum((selection_penalty(matrix) for matrix in network.selections), torch.zeros(())),
            }
            loss = terms["images"] + terms["genes"] + self.sparsity * terms["sparsity"]
            for name, labels in zip(names, clusters, strict=False):
                terms[name] = triplet_loss(z, labels[rows], self.margin_) / self.margin_
                loss = loss + self.supervision * terms[name]
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + term.item() * len(rows) / len(blocks[0])
        self.losses_.append(totals)

    def _alone(self, blocks: Blocks) -> list[NDArray[Any]]:
        with torch.no_grad():
            return [alone.numpy() for alone in self.network_.encode(blocks)[1]]

    def _cluster(self, views: list[NDArray[Any]]) -> tuple[Tensor, Tensor]:
        images, genes = (torch.from_numpy(graph_clusters(view, self.neighbors, self.seed)) for view in views)
        return images, genes


def _checked(images: ArrayLike, genes: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return both modalities as numbers, if they are complete and of as many cells."""
    blocks = {"images": np.asarray(images, np.float64), "genes": np.asarray(genes, np.float64)}
    for name, block in blocks.items():
        if block.ndim != 2 or not block.size:
            raise InputError(f"`{name}` have shape {block.shape}: they must be (cells, features)")
        if not (finite := np.isfinite(block)).all():
            row, column = np.argwhere(~finite)[0]
            raise InputError(f"`{name}` have a missing or infinite number in row {row}, column {column}: leave it out")
    if len(blocks["images"]) != len(blocks["genes"]):
        counts = " and ".join(str(len(block)) for block in blocks.values())
        raise InputError(f"`images` and `genes` differ in rows ({counts}): row i of both must be of one cell")
    return blocks["images"], blocks["genes"]


def _spread(values: NDArray[np.float64]) -> float:
    """Return the standard deviation, 1 if there is none."""
    return float(values.std()) or 1.0


def _leading(blocks: Blocks) -> list[NDArray[Any]]:
    """Return the components of the images, and as many of the genes."""
    images, genes = (block.numpy() for block in blocks)
    count = min(images.shape[1], genes.shape[1], len(genes) - 1)
    return [images, PCA(count, svd_solver="randomized", random_state=0).fit_transform(genes)]

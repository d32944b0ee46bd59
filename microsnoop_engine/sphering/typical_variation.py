"""Normalize to the typical variation of controls: whitening, then the same covariance of the controls of each batch."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError, counted
from .spherize import Spherize

Aligned = tuple[NDArray[np.float64], NDArray[np.float64]]


class TypicalVariation(BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Typical variation normalization, TVN (Ando et al. 2017).

    Features are whitened on the controls of all batches. Then each batch is centered on its controls, and their
    covariance C is brought near that of all controls by CORAL (Sun et al. 2016): x (C_batch + I)^-1/2 (C_all + I)^1/2.

    Parameters
    ----------
    regularization : {'knee', 'ledoit-wolf'} or float
        Of the whitening; see :class:`.Spherize`.

    Attributes
    ----------
    sphering_ : Spherize
    batches_ : dict
        By batch, the mean (p,) of its controls after whitening, and the matrix (p, p) of CORAL.
    """

    def __init__(self, regularization: str | float = "knee") -> None:
        self.regularization = regularization

    def fit(self, X: ArrayLike, batches: ArrayLike) -> TypicalVariation:
        """Fit on the rows of controls.

        Parameters
        ----------
        X : array (n, p)
        batches : array (n,)

        Returns
        -------
        TypicalVariation
            Itself.

        Raises
        ------
        InputError
            If a batch has fewer than two rows, or :class:`.Spherize` cannot be fitted.

        Warns
        -----
        SpheringWarning
            If there are no more rows than columns.
        """
        batches = np.asarray(batches)
        self.sphering_ = Spherize(regularization=self.regularization).fit(X)
        whitened = self.sphering_.transform(X).astype(np.float64)
        self.batches_: dict[Any, Aligned] = {}
        centered = np.empty_like(whitened)
        for batch, count in zip(*np.unique(batches, return_counts=True), strict=True):
            if count < 2:
                raise InputError(f"batch '{batch}' has {counted(count, 'controls')}: two are needed at least")
            rows = batches == batch
            centered[rows] = whitened[rows] - whitened[rows].mean(0)
        target = _root(_covariance(centered), 0.5)
        for batch in np.unique(batches):
            rows = batches == batch
            self.batches_[batch] = whitened[rows].mean(0), _root(_covariance(centered[rows]), -0.5) @ target
        return self

    def transform(self, X: ArrayLike, batches: ArrayLike) -> NDArray[np.float64]:
        """Normalize rows.

        Parameters
        ----------
        X : array (n, p)
        batches : array (n,)
            Those of the fit.

        Returns
        -------
        array (n, p), float64

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        InputError
            If a batch was not in the fit, or values are missing.
        """
        check_is_fitted(self)
        batches = np.asarray(batches)
        whitened = self.sphering_.transform(X).astype(np.float64)
        result = np.empty_like(whitened)
        for batch in np.unique(batches):
            if batch not in self.batches_:
                raise InputError(f"batch '{batch}' has no controls: TVN needs two of each batch")
            mean, matrix = self.batches_[batch]
            rows = batches == batch
            result[rows] = (whitened[rows] - mean) @ matrix
        return result


def _covariance(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the covariance (p, p) of centered rows (n, p)."""
    return np.asarray(rows.T @ rows / (len(rows) - 1))


def _root(covariance: NDArray[np.float64], power: float) -> NDArray[np.float64]:
    """Return a power of a covariance (p, p) plus the identity."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * (values.clip(min=0) + 1) ** power) @ vectors.T)

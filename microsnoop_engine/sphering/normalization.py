"""Normalize features column by column: standardization, robust z-scores, and ranks turned to a normal distribution."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError, counted, listing
from .handcrafted import MAD_TO_DEVIATION

SCALES = ("standardize", "mad-robust")


class Normalize(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn is untyped
    """Express features as distances from the center of reference rows, in units of their spread.

    Parameters
    ----------
    method : {'standardize', 'mad-robust'}
        ``standardize``: mean and standard deviation (of the rows themselves, divided by n). ``mad-robust``: median and
        median absolute deviation times 1.4826, which is the standard deviation of a normal distribution; the standard
        deviation where the median absolute deviation is 0.

    Attributes
    ----------
    center_, scale_ : array (p,), float64
    without_mad_ : array (p,), bool
        Columns whose median absolute deviation is 0; none with ``standardize``.

    Examples
    --------
    >>> Normalize("mad-robust").fit([[1.0], [2.0], [3.0]]).transform([[12.0]]).round(3)
    array([[6.745]])
    """

    def __init__(self, method: str = "standardize") -> None:
        self.method = method

    def fit(self, X: ArrayLike, y: object = None) -> Normalize:
        """Fit on the reference rows, such as control wells.

        Parameters
        ----------
        X : array (n, p)
            NaN are passed over.
        y : None
            Ignored.

        Returns
        -------
        Normalize
            Itself.

        Raises
        ------
        InputError
            If the method is unknown, there are fewer than two rows, or columns are constant or have no numbers.
        """
        X = np.asarray(X, np.float64)
        if self.method not in SCALES:
            raise InputError(f"`method` is '{self.method}': choose one of {', '.join(SCALES)}")
        if X.ndim != 2 or len(X) < 2:
            raise InputError(f"`X` has shape {X.shape}: two reference rows are needed at least")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # columns without numbers are refused below
            self.center_ = np.nanmean(X, 0) if self.method == "standardize" else np.nanmedian(X, 0)
            scale = np.zeros(X.shape[1])
            if self.method == "mad-robust":
                scale = MAD_TO_DEVIATION * np.nanmedian(np.abs(X - self.center_), 0)
            without_mad = scale == 0
            scale[without_mad] = np.nanstd(X[:, without_mad], 0)
            self.scale_, self.without_mad_ = scale, without_mad & (self.method == "mad-robust")
        constant = np.flatnonzero(~(self.scale_ > 1e-12 * np.abs(self.center_)))
        if len(constant):
            raise InputError(f"columns {listing(constant)} are constant over the reference rows: drop them")
        self.n_features_in_ = X.shape[1]
        return self

    def transform(self, X: ArrayLike) -> NDArray[np.float64]:
        """Normalize rows.

        Parameters
        ----------
        X : array (n, p)

        Returns
        -------
        array (n, p), float64
            NaN stay NaN.

        Raises
        ------
        NotFittedError
            Before :meth:`fit`.
        InputError
            If the number of columns differs.
        """
        check_is_fitted(self)
        X = np.asarray(X, np.float64)
        if X.shape[1:] != self.center_.shape:
            raise InputError(
                f"`X` has shape {X.shape}: {counted(len(self.center_), 'columns are', 'column is')} needed, as in the "
                "fit"
            )
        result = X - self.center_
        result /= self.scale_
        return np.asarray(result)


def rank_to_normal(values: ArrayLike) -> NDArray[np.float64]:
    """Replace each column by the normal quantiles of its ranks (rank-based inverse normal transformation; Blom 1958).

    Parameters
    ----------
    values : array (n, p)
        NaN take no part.

    Returns
    -------
    array (n, p), float64
        The quantile of (rank - 3/8) / (n + 1/4); equal values share their mean rank.

    Examples
    --------
    >>> rank_to_normal([[10.0], [1000.0], [20.0]]).round(3).ravel()
    array([-0.869,  0.869,  0.   ])
    """
    from scipy.stats import norm, rankdata

    values = np.asarray(values, np.float64)
    ranks = rankdata(values, axis=0, nan_policy="omit")
    return np.asarray(norm.ppf((ranks - 0.375) / (np.isfinite(values).sum(0) + 0.25)))

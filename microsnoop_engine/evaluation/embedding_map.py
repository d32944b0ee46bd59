"""Profiles as points of a plane: principal components, and UMAP where it is installed."""

from __future__ import annotations

import warnings

import numpy as np

from ..errors import InputError, MissingExtraError

SEED = 0


def principal_components(values: np.ndarray, count: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates along the directions in which rows vary most.

    Parameters
    ----------
    values : array (n, p)
        Without NaN.
    count : int

    Returns
    -------
    coordinates : array (n, count), float64
        Each direction's sign such that its largest entry is positive.
    share : array (count,)
        Of the variance in each.

    Raises
    ------
    InputError
        If there are not more rows than components, or missing values.
    """
    if len(values) <= count or not np.isfinite(values).all():
        raise InputError(f"a map needs more than {count} rows with all features, there are {len(values)}")
    from sklearn.decomposition import PCA
    from sklearn.utils.extmath import svd_flip

    fitted = PCA(count, random_state=SEED).fit(values)
    coordinates = fitted.transform(values)
    _, flipped = svd_flip(coordinates.copy(), fitted.components_.copy(), u_based_decision=False)
    signs = np.sign((flipped * fitted.components_).sum(1))
    return coordinates * signs, fitted.explained_variance_ratio_


def umap(values: np.ndarray) -> np.ndarray:
    """Coordinates (n, 2), float32, in which near neighbors by cosine stay near (McInnes et al. 2018).

    Parameters
    ----------
    values : array (n, p)
        Without NaN; at least 4 rows.

    Raises
    ------
    MissingExtraError
        If umap-learn is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it asks for TensorFlow, which this does not need
            from umap import UMAP
    except ImportError:
        raise MissingExtraError("umap-learn", "umap", "a UMAP") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = UMAP(n_neighbors=min(15, len(values) - 1), metric="cosine", random_state=SEED)
        return fitted.fit_transform(values.astype(np.float32))

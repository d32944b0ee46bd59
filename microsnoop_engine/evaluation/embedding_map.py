"""Project profiles to two dimensions, by principal components or UMAP."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtraError, counted

SEED = 0


def principal_components(values: NDArray[Any], count: int = 2) -> tuple[NDArray[Any], NDArray[Any]]:
    """Project rows onto the directions in which they vary most.

    Parameters
    ----------
    values : array (n, p)
        Without NaN.
    count : int
        Number of components.

    Returns
    -------
    coordinates : array (n, count), float64
        Signs are such that the largest entry of each direction is positive.
    share : array (count,)
        Share of the variance in each, from 0 to 1.

    Raises
    ------
    InputError
        If there are not more rows than components, fewer features, or missing values.
    """
    if values.shape[1] < count:
        raise InputError(f"a map needs {counted(count, 'features')}, there are {values.shape[1]}")
    if len(values) <= count or not np.isfinite(values).all():
        raise InputError(f"a map needs more than {counted(count, 'rows')} with all features, there are {len(values)}")
    from sklearn.decomposition import PCA
    from sklearn.utils.extmath import svd_flip

    fitted = PCA(count, random_state=SEED).fit(values)
    coordinates = fitted.transform(values)
    _, flipped = svd_flip(coordinates.copy(), fitted.components_.copy(), u_based_decision=False)
    signs = np.sign((flipped * fitted.components_).sum(1))
    return coordinates * signs, fitted.explained_variance_ratio_


def umap(values: NDArray[Any]) -> NDArray[Any]:
    """Map rows so that near neighbors by cosine stay near (McInnes et al. 2018).

    Parameters
    ----------
    values : array (n, p)
        Without NaN; at least 4 rows.

    Returns
    -------
    array (n, 2), float32

    Raises
    ------
    MissingExtraError
        If umap-learn is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about TensorFlow, which is not needed here
            from umap import UMAP
    except ImportError:
        raise MissingExtraError("umap-learn", "umap", "a UMAP") from None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reducer = UMAP(n_neighbors=min(15, len(values) - 1), metric="cosine", random_state=SEED)
        return np.asarray(reducer.fit_transform(values.astype(np.float32)))

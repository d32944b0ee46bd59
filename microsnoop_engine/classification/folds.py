"""Split labeled rows into folds that keep whole groups, such as wells, together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

FOLDS = 5
"""Largest number of folds."""
_DRAWS = 20
"""Numbers of splits that are tried until every class is in the training part of each."""

Split = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Rows to train on, and rows to test on."""


def group_folds(codes: NDArray[np.intp], groups: NDArray[Any] | None, seed: int = 0) -> list[Split]:
    """Split rows into up to five folds, such that each class is trained on in every one.

    Parameters
    ----------
    codes : array (n,), int
        Class of each row, from 0.
    groups : array (n,), optional
        Rows of a group lie in one fold. By default each row is a group.
    seed : int

    Returns
    -------
    list of (array, array)
        Training and test rows of each fold; empty if a class lies in a single group.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    units = np.arange(len(codes)) if groups is None else np.unique(groups, return_inverse=True)[1]
    count = min(len(np.unique(units[codes == code])) for code in np.unique(codes))
    for folds in range(min(count, FOLDS), 1, -1):
        for draw in range(_DRAWS):
            splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed + draw)
            splits = list(splitter.split(codes[:, None], codes, units))
            classes = len(np.unique(codes))
            if all(len(test) and len(np.unique(codes[train])) == classes for train, test in splits):
                return splits
    return []


def choose_groups(labels: NDArray[Any], kinds: Mapping[str, NDArray[Any]]) -> tuple[str, NDArray[Any] | None]:
    """Choose the first kind of group by which every class can be tested on groups that it was not trained on.

    Parameters
    ----------
    labels : array (n,)
    kinds : mapping of str to array (n,)
        Groups by the name of their kind, the largest first: wells, images.

    Returns
    -------
    name : str
        ``cells`` where no kind has two groups of each class.
    groups : array (n,) or None

    Raises
    ------
    InputError
        If there are fewer than two classes, or a class has a single row.
    """
    names, codes, counts = np.unique(labels, return_inverse=True, return_counts=True)
    if len(names) < 2:
        raise InputError(f"all labeled cells are '{names[0]}': label cells of two or more classes")
    if counts.min() < 2:
        raise InputError(f"only one cell is labeled '{names[counts.argmin()]}': label two or more, better twenty")
    for name, groups in kinds.items():
        if group_folds(codes, groups):
            return name, groups
    return "cells", None

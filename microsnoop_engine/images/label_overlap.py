"""Find which labels of two label images of the same field belong together, by the pixels that they share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError


def find_parents(
    children: NDArray[np.integer[Any]], parents: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Find for each child the parent that it shares most pixels with, as RelateObjects of CellProfiler does.

    Parameters
    ----------
    children, parents : array (h, w)
        Label images; 0 is background.

    Returns
    -------
    child, parent, pixels : array (n,), int
        The labels, by rising child, and the number of pixels that both share. Of parents that share equally many, the
        one of the smallest label. Children without a parent are left out.

    Raises
    ------
    InputError
        If the images differ in size.

    Examples
    --------
    >>> children = np.array([[1, 1, 1, 0], [2, 2, 0, 3]])
    >>> parents = np.array([[4, 4, 5, 5], [6, 0, 5, 0]])
    >>> [each.tolist() for each in find_parents(children, parents)]
    [[1, 2], [4, 6], [2, 1]]
    """
    if children.shape != parents.shape:
        raise InputError(f"the label images differ in size: {_size(children)} and {_size(parents)} pixels")
    both = (children > 0) & (parents > 0)
    base = int(parents.max(initial=0)) + 1
    codes, pixels = np.unique(children[both].astype(np.int64) * base + parents[both], return_counts=True)
    child, parent = np.divmod(codes, base)
    order = np.lexsort((parent, -pixels, child))
    child, parent, pixels = child[order], parent[order], pixels[order]
    _, first = np.unique(child, return_index=True)
    return child[first], parent[first], pixels[first]


def match_labels(
    first: NDArray[np.integer[Any]], second: NDArray[np.integer[Any]]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Match the labels of two images one to one: of the children of a label, the one that shares most pixels with it.

    Parameters
    ----------
    first, second : array (h, w)
        Label images, such as of cells and of nuclei.

    Returns
    -------
    first, second : array (n,), int
        Matched labels, by rising label of the first.

    Raises
    ------
    InputError
        If the images differ in size.

    Examples
    --------
    >>> cells, nuclei = np.array([[1, 1, 1, 2]]), np.array([[5, 5, 6, 0]])
    >>> [each.tolist() for each in match_labels(cells, nuclei)]
    [[1], [5]]
    """
    child, parent, pixels = find_parents(second, first)
    order = np.lexsort((child, -pixels, parent))
    _, places = np.unique(parent[order], return_index=True)
    return parent[order][places], child[order][places]


def _size(labels: NDArray[Any]) -> str:
    return " x ".join(map(str, labels.shape[::-1]))

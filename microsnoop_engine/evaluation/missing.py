"""Choose the rows and features of a table that can be scored where numbers are missing."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

MOST_MISSING = 0.2
"""Share of the rows that a feature may lack; with more, the feature is left out instead of the rows."""


def complete_part(values: NDArray[Any]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Find rows and columns without missing or infinite numbers.

    Parameters
    ----------
    values : array (n, p)

    Returns
    -------
    rows : array (n,), bool
        Rows with all numbers of the columns that are kept.
    columns : array (p,), bool
        All columns but those that more than a fifth of the rows lack. Rows without any number (wells without objects)
        do not count.

    Examples
    --------
    >>> rows, columns = complete_part(np.array([[1, np.nan], [2, np.nan], [np.nan, np.nan], [3, 1]]))
    >>> rows.tolist(), columns.tolist()
    ([True, True, False, True], [True, False])
    """
    finite = np.isfinite(values)
    some = finite.any(1)
    missing = 1 - finite[some].mean(0) if some.any() else np.zeros(values.shape[1])
    columns = missing <= MOST_MISSING
    return finite[:, columns].all(1) & some, columns

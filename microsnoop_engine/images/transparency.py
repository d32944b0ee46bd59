"""Leave out the samples of transparency (alpha) of a picture, unless they hold a channel."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, counted

MAX_BETWEEN = 0.5
"""Share of the pixels that may be neither opaque nor transparent."""


def without_alpha(samples: NDArray[Any], count: int, path: Path) -> NDArray[Any]:
    """Return the first samples of a picture, and check that the others are transparency.

    Libraries call the fourth of four channels alpha where nobody says what they are.

    Parameters
    ----------
    samples : array (s, h, w)
    count : int
        Number of samples that are not said to be alpha.
    path : Path
        For the error.

    Returns
    -------
    array (count, h, w)

    Raises
    ------
    ImageError
        If most pixels of another sample are neither 0 nor its largest value.

    Examples
    --------
    >>> opaque = np.full((1, 2, 2), 255, np.uint8)
    >>> without_alpha(np.concatenate([np.zeros((3, 2, 2), np.uint8), opaque]), 3, Path("a.png")).shape
    (3, 2, 2)
    """
    for number, sample in enumerate(samples[count:], start=count + 1):
        between = np.count_nonzero((sample != 0) & (sample != sample.max()))
        if between > MAX_BETWEEN * sample.size:
            raise ImageError(
                f"says that its sample {number} is transparency (alpha), but it holds an image: write the "
                f"{counted(len(samples), 'channels')} as gray planes (OME-TIFF), or remove the transparency",
                path,
            )
    return samples[:count]

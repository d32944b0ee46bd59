"""Mean intensities of image sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from .image_set import ImageSet
from .planes import read_channels


def mean_intensities(
    image_sets: Mapping[int, ImageSet], channels: Sequence[str], numbers: Iterable[int] | None = None
) -> tuple[dict[int, NDArray[np.float64]], dict[int, str]]:
    """Compute the mean of each channel of image sets, one image set in memory at a time.

    Parameters
    ----------
    image_sets : mapping of int to ImageSet
        By number.
    channels : sequence of str
    numbers : iterable of int, optional
        Those to read; by default all.

    Returns
    -------
    means : dict of int to array (c,)
        By number, in gray levels of the files.
    failed : dict of int to str
        Numbers of image sets that cannot be read, with the reason.
    """
    means: dict[int, NDArray[np.float64]] = {}
    failed: dict[int, str] = {}
    for number in image_sets if numbers is None else numbers:
        try:
            planes = read_channels(image_sets[number], channels)
        except (ImageError, KeyError) as error:
            failed[number] = str(error)
            continue
        means[number] = planes.mean((1, 2), dtype=np.float64)
    return means, failed

"""Choose image sets by their metadata."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pandas as pd

from ..errors import InputError, counted
from ..images.image_set import ImageSet
from ..tables.columns import IMAGE_NUMBER, METADATA
from ..tables.queries import select_rows

log = logging.getLogger(__name__)


def choose_image_sets(image_sets: Sequence[ImageSet], query: str) -> list[ImageSet]:
    """Keep the image sets that a query describes, with their numbers.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    query : str
        Compares ``Metadata_`` columns and ImageNumber (see :func:`.select_rows`).

    Returns
    -------
    list of ImageSet

    Raises
    ------
    InputError
        If the query cannot be read, names another column, or describes no image set.
    """
    frame = pd.DataFrame(
        {f"{METADATA}{name}": value for name, value in each.metadata.items()} | {IMAGE_NUMBER: each.number}
        for each in image_sets
    )
    chosen = [each for each, keep in zip(image_sets, select_rows(frame, query), strict=True) if keep]
    if not chosen:
        raise InputError(f'`where`: none of the {counted(len(image_sets), "image sets")} satisfies the query "{query}"')
    log.info("%d of %d image sets are left out by the query", len(image_sets) - len(chosen), len(image_sets))
    return chosen

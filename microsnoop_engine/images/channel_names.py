"""Notice files whose names hold a channel, where every file is read as an image set of its own."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

_STAINS = (
    "dapi|hoechst|draq5|fitc|gfp|yfp|cfp|rfp|mcherry|tritc|texas ?red|txred|cy[357]|alexa(?: ?fluor)? ?[0-9]{3}|"
    "af[0-9]{3}|dna|rna|agp|mito|actin|tubulin|phalloidin|phase|bright ?field|green|red|blue"
)
# ch1, w2DAPI, DAPI, _c1, and d0 of A01f00d0; C01 and D1 may be wells
_CHANNEL = re.compile(
    rf"(?<![a-z])(?:(?:ch(?:annel)?|wv)[ _-]?\d{{1,3}}|{_STAINS})(?![a-z0-9])|(?<=[_ ])w\d{{1,2}}(?!\d)[^_/.]*"
    r"|(?<=\d)[cdw]\d(?!\d)|(?-i:(?<=_)c\d{1,2}(?![\da-z]))",
    re.IGNORECASE,
)


def files_of_one_field(paths: Sequence[PurePath]) -> list[PurePath]:
    """Return the first files whose names differ in a channel alone.

    Parameters
    ----------
    paths : sequence of PurePath

    Returns
    -------
    list of PurePath
        Two or more, or none.

    Examples
    --------
    >>> names = ["A01f00d0.tif", "A01f00d1.tif", "A02f00d0.tif", "A02f00d1.tif"]
    >>> [str(path) for path in files_of_one_field([PurePath(name) for name in names])]
    ['A01f00d0.tif', 'A01f00d1.tif']
    """
    by_rest: dict[str, list[PurePath]] = {}
    for path in paths:
        by_rest.setdefault(_CHANNEL.sub("?", path.as_posix()), []).append(path)
    return next((group for rest, group in by_rest.items() if "?" in rest and len(group) > 1), [])

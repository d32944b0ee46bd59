"""Prepare the quality of images for the report."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pandas as pd

from ..storage.paths import path_kind
from ..tables.columns import IMAGE_NUMBER, PLATE
from ..tables.csv_files import open_csv
from ..tables.image_flags import FLAGS
from ..tables.selection import IMAGE_QUALITY
from ..tables.source import read_frame
from .panels import Panel


def image_quality(profiles: Path | None) -> Panel | None:
    """Count the image sets that ``microsnoop qc`` flagged.

    Parameters
    ----------
    profiles : Path, optional
        Results folder of :func:`microsnoop_engine.profile`.

    Returns
    -------
    dict or None
        ``image_sets``, how many are ``flagged``, and by ``flags`` and plate their count and ImageNumbers; None where
        there is no ``quality.csv``.
    """
    if profiles is None or path_kind(profiles / IMAGE_QUALITY) != "file":
        return None
    images = read_frame(open_csv(profiles / IMAGE_QUALITY))
    plates = images[PLATE].astype(str) if PLATE in images else pd.Series("", images.index)
    flagged = images[FLAGS].notna() & (images[FLAGS] != "")
    found: Counter[tuple[str, str]] = Counter()
    numbers: dict[tuple[str, str], list[int]] = {}
    for row in images.index[flagged]:
        for flag in str(images.loc[row, FLAGS]).split("; "):
            key = flag, plates[row]
            found[key] += 1
            numbers.setdefault(key, []).append(int(images.loc[row, IMAGE_NUMBER]))
    return {
        "image_sets": len(images),
        "flagged": int(flagged.sum()),
        "flags": [
            {"flag": flag, "plate": plate, "count": count, "images": numbers[flag, plate]}
            for (flag, plate), count in sorted(found.items())
        ],
    }

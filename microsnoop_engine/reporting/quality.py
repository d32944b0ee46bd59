"""Prepare the quality of images for the report."""

from __future__ import annotations

from pathlib import Path

from ..storage.paths import path_kind
from ..tables.csv_files import open_csv
from ..tables.image_flags import flagged_numbers
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
    numbers = flagged_numbers(images)
    return {
        "image_sets": len(images),
        "flagged": len({number for members in numbers.values() for number in members}),
        "flags": [
            {"flag": flag, "plate": plate, "count": len(members), "images": members}
            for (flag, plate), members in numbers.items()
        ],
    }

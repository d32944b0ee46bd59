"""Prepare the quality of images and objects for the report."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from ..storage.paths import path_kind
from ..tables.columns import PLATE
from ..tables.csv_files import open_csv
from ..tables.file_names import FLAGGED_OBJECTS, IMAGE_QUALITY
from ..tables.image_flags import flagged_numbers
from ..tables.object_flags import count_object_flags, read_flagged_objects
from ..tables.source import read_frame
from .panels import Panel


def quality(profiles: Path | None) -> Panel | None:
    """Count the image sets and objects that ``microsnoop qc`` flagged.

    Parameters
    ----------
    profiles : Path, optional
        Results folder of :func:`microsnoop_engine.profile`.

    Returns
    -------
    dict or None
        ``image_sets``, how many are ``flagged``, and by ``flags`` and plate their count and ImageNumbers; ``objects``
        (see :func:`object_quality`). None where there is no ``quality.csv``.
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
        "objects": object_quality(profiles / FLAGGED_OBJECTS, images),
    }


def object_quality(flags: Path, images: pd.DataFrame) -> Panel | None:
    """Count the flagged objects.

    Parameters
    ----------
    flags : Path
        ``object_flags.csv``.
    images : DataFrame
        The image sets with their ``Rows``.

    Returns
    -------
    dict or None
        ``total`` and ``flagged`` objects, and by ``flags`` and plate the count and all objects of the plate. None where
        there is no such file.
    """
    if path_kind(flags) != "file":
        return None
    flagged = read_flagged_objects(flags)
    totals = images["Rows"].groupby(images[PLATE].astype(str) if PLATE in images else [""] * len(images)).sum()
    return {
        "total": int(totals.sum()),
        "flagged": len(flagged),
        "flags": [
            {"flag": flag, "plate": plate, "count": count, "of": int(totals[plate])}
            for flag, plates in count_object_flags(flagged).items()
            for plate, count in plates.items()
        ],
    }

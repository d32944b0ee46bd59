"""Flag image sets whose quality differs from the rest of their plate."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from .columns import IMAGE_NUMBER, PLATE
from .plate_deviations import group_numbers, robust_deviations

FLAGS = "Metadata_QC_Flags"
THRESHOLD = 5.0
SATURATED = 0.5
"""Per cent of the pixels at the maximum above which a plane is saturated."""
MIN_GROUP = 8
"""Image sets that a plate needs, to tell which of them differ."""
MIN_SPREAD = 0.05
"""Smallest spread, in natural logarithms: image sets of a plate that are nearly equal do not differ."""
_COLUMN = re.compile(r"^Image_QC_(?P<name>[^_]+)_(?P<channel>.+)$")


def quality_channels(columns: Iterable[str]) -> list[str]:
    """Return the channels whose quality a table has, in its order."""
    return list(dict.fromkeys(match["channel"] for name in columns if (match := _COLUMN.match(name))))


def flag_images(images: pd.DataFrame, by: Sequence[str] = (), threshold: float = THRESHOLD) -> pd.DataFrame:
    """Flag image sets of poor quality, channel by channel.

    A value is compared with the others of the plate by its distance from their median, in units of their median
    absolute deviation (times 1.4826), both of logarithms. An image set is

    - ``blank``, if nothing varies in it, or its contrast (P99 - P01) is too low;
    - ``blurred``, if its sharpness is too low;
    - ``bright``, if its mean intensity is too high, as by debris or a fold;
    - ``saturated``, if more than 0.5 % of its pixels are at the maximum.

    Parameters
    ----------
    images : DataFrame
        One row per image set, with the columns ``Image_QC_<quality>_<channel>``.
    by : sequence of str
        Columns of the groups that are compared, such as the plate. Groups of fewer than 8 image sets are only searched
        for blank and saturated ones.
    threshold : float
        Deviations from the median.

    Returns
    -------
    DataFrame
        The same rows, with ``Metadata_QC_Flags``: words such as ``blurred DNA; saturated ER``, None without any.

    Raises
    ------
    InputError
        If there are no such columns.

    Examples
    --------
    >>> names = ("Sharpness", "PercentMaximal", "MeanIntensity", "P01", "P99")
    >>> images = pd.DataFrame({f"Image_QC_{name}_DNA": [1.0, 1.0] for name in names} | {"ImageNumber": [1, 2]})
    >>> flag_images(images.assign(Image_QC_P99_DNA=[5.0, 1.0]))["Metadata_QC_Flags"].tolist()
    ['saturated DNA', 'blank DNA; saturated DNA']
    """
    channels = quality_channels(images.columns)
    if not channels:
        raise InputError(
            "the table has no qualities of images (Image_QC_...), which versions up to 0.1.0 did not measure: measure "
            "the images into another folder with microsnoop profile, and flag that"
        )
    groups = group_numbers(images, by)

    def deviations(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return robust_deviations(values, groups, MIN_GROUP, MIN_SPREAD)

    flags: list[list[str]] = [[] for _ in range(len(images))]
    for channel in channels:
        quality = {
            match["name"]: images[name].to_numpy(np.float64)
            for name in images.columns
            if (match := _COLUMN.match(name)) and match["channel"] == channel
        }
        contrast = quality["P99"] - quality["P01"]
        measured = np.isfinite(quality["MeanIntensity"])
        found = {
            "blank": (contrast <= 0) | (deviations(contrast) < -threshold),
            "blurred": (contrast > 0) & (deviations(quality["Sharpness"]) < -threshold),
            "bright": deviations(quality["MeanIntensity"]) > threshold,
            "saturated": quality["PercentMaximal"] > SATURATED,
        }
        for word, rows in found.items():
            for row in np.flatnonzero(rows & measured):
                flags[row].append(f"{word} {channel}")
    flagged = images.copy()
    flagged[FLAGS] = ["; ".join(words) or None for words in flags]
    return flagged


def flagged_numbers(flagged: pd.DataFrame) -> dict[tuple[str, str], list[int]]:
    """Collect the image sets of each flag.

    Parameters
    ----------
    flagged : DataFrame
        Result of :func:`flag_images`, or what was read of its file.

    Returns
    -------
    dict of (str, str) to list of int
        ImageNumbers by flag and plate (empty where there are no plates), in the order of the flags.
    """
    plates = flagged[PLATE].astype(str) if PLATE in flagged else pd.Series("", flagged.index)
    numbers: dict[tuple[str, str], list[int]] = {}
    for number, plate, flags in zip(flagged[IMAGE_NUMBER], plates, flagged[FLAGS].fillna(""), strict=True):
        for flag in filter(None, flags.split("; ")):
            numbers.setdefault((flag, plate), []).append(int(number))
    return dict(sorted(numbers.items()))

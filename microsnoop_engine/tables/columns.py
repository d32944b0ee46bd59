"""Name and parse the columns of our tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

IMAGE_NUMBER = "ImageNumber"
OBJECT_NUMBER = "ObjectNumber"
METADATA = "Metadata_"
IMAGE_SET = "Image"
"""The object set of rows that stand for a whole image."""

_FEATURE = re.compile(r"^(?P<objects>.+?)_Microsnoop_E(?P<index>\d{3,})_(?P<channel>.+)$")


@dataclass(frozen=True)
class FeatureName:
    """A parsed feature column, for example ``Nuclei_Microsnoop_E017_DNA``."""

    objects: str
    index: int
    channel: str


def feature_columns(objects: str, channels: Sequence[str], dimension: int = 256) -> list[str]:
    """Names of the feature columns of one object set, channel after channel.

    Examples
    --------
    >>> feature_columns("Nuclei", ["DNA", "GFP"])[::256]
    ['Nuclei_Microsnoop_E000_DNA', 'Nuclei_Microsnoop_E000_GFP']
    """
    return [f"{objects}_Microsnoop_E{index:03d}_{channel}" for channel in channels for index in range(dimension)]


def parse_feature(column: str) -> FeatureName | None:
    """Take a feature column apart; None for any other column."""
    match = _FEATURE.match(column)
    if match is None:
        return None
    return FeatureName(match["objects"], int(match["index"]), match["channel"])


def center_columns(objects: str) -> list[str]:
    """Names of the columns of an object's centroid, x then y, in pixels."""
    return [f"{objects}_Location_Center_X", f"{objects}_Location_Center_Y"]


BOX_COLUMNS = [f"{METADATA}Crop_{name}" for name in ("MinX", "MinY", "MaxX", "MaxY")]
"""The crop in the image, in pixels, half-open (a box of width w has MaxX - MinX = w)."""

BORDER_COLUMN = f"{METADATA}Object_TouchesBorder"
"""1 where the object touches the edge of the image, so that part of it may be missing."""
PLATE, WELL = f"{METADATA}Plate", f"{METADATA}Well"

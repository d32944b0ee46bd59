"""Names of the columns of a table of embeddings, as CellProfiler users know them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

TABLE_NUMBER = "TableNumber"
IMAGE_NUMBER = "ImageNumber"
OBJECT_NUMBER = "ObjectNumber"
METADATA = "Metadata_"
PLATE, WELL = f"{METADATA}Plate", f"{METADATA}Well"
COUNT = f"{METADATA}Object_Count"
"""Number of objects behind an aggregated row."""
IMAGE_SET = "Image"
"""The object set of rows that describe a whole image."""
BOX_COLUMNS = [f"{METADATA}Crop_{name}" for name in ("MinX", "MinY", "MaxX", "MaxY")]
"""The crop in the image, in pixels, half-open (a box of width w has MaxX - MinX = w)."""
BORDER_COLUMN = f"{METADATA}Object_TouchesBorder"
"""1 where the object touches the edge of the image, so that part of it may be missing; else 0."""

OF_SHAPE = ("Area", "Solidity", "TouchingNeighbors", "NearestNeighborDistance")
"""Qualities of an object's shape, in the order of their columns."""
OF_CHANNEL = ("MeanIntensity", "PercentMaximal")
"""Qualities of an object in each channel, which follow."""
_QUALITY = re.compile(rf"^(?!{METADATA}|{IMAGE_SET}_).+_QC_({'|'.join(OF_SHAPE)}|({'|'.join(OF_CHANNEL)})_.+)$")
_FEATURE = re.compile(r"^((?P<objects>.+?)_)??Microsnoop_E(?P<index>\d{3,})_(?P<channel>.+)$")


@dataclass(frozen=True)
class FeatureName:
    """A parsed feature column, for example ``Nuclei_Microsnoop_E017_DNA``.

    Attributes
    ----------
    objects : str
        The object set; blank where the file stands for it, as in ``Nuclei.csv`` of CellProfiler.
    index : int
        Position in the embedding, from 0.
    channel : str
    """

    objects: str
    index: int
    channel: str


def feature_columns(objects: str, channels: Sequence[str], dimension: int = 256) -> list[str]:
    """Name the feature columns of one object set, channel after channel.

    Parameters
    ----------
    objects : str
        Blank for names without an object set.
    channels : sequence of str
    dimension : int
        Length of the embedding of a channel.

    Returns
    -------
    list of str

    Examples
    --------
    >>> feature_columns("Nuclei", ["DNA", "GFP"])[::256]
    ['Nuclei_Microsnoop_E000_DNA', 'Nuclei_Microsnoop_E000_GFP']
    """
    first = f"{objects}_Microsnoop" if objects else "Microsnoop"
    return [f"{first}_E{index:03d}_{channel}" for channel in channels for index in range(dimension)]


def parse_feature(column: str) -> FeatureName | None:
    """Split the name of a feature column into its parts.

    Parameters
    ----------
    column : str

    Returns
    -------
    FeatureName or None
        None for the name of any other column.

    Examples
    --------
    >>> parse_feature("Nuclei_Microsnoop_E017_DNA")
    FeatureName(objects='Nuclei', index=17, channel='DNA')
    """
    match = _FEATURE.match(column)
    if match is None:
        return None
    return FeatureName(match["objects"] or "", int(match["index"]), match["channel"])


def quality_columns(objects: str, channels: Sequence[str]) -> list[str]:
    """Name the columns of the quality of objects (see :func:`.object_quality`), in their order.

    Examples
    --------
    >>> quality_columns("Nuclei", ["DNA"])[::4]
    ['Nuclei_QC_Area', 'Nuclei_QC_MeanIntensity_DNA']
    """
    names = [*OF_SHAPE, *(f"{name}_{channel}" for channel in channels for name in OF_CHANNEL)]
    return [f"{objects}_QC_{name}" for name in names]


def is_quality(column: str) -> bool:
    """Return True for a column of the quality of objects, which is no feature.

    Examples
    --------
    >>> is_quality("Nuclei_QC_Area"), is_quality("Image_QC_MeanIntensity_DNA")
    (True, False)
    """
    return _QUALITY.match(column) is not None


def center_columns(objects: str) -> list[str]:
    """Name the columns of an object's centroid, x then y, in pixels.

    Examples
    --------
    >>> center_columns("Nuclei")
    ['Nuclei_Location_Center_X', 'Nuclei_Location_Center_Y']
    """
    return [f"{objects}_Location_Center_X", f"{objects}_Location_Center_Y"]

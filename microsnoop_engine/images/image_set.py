"""Describe one image set: its channels, its label images and its metadata."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class PlaneSource:
    """Where one plane is.

    Attributes
    ----------
    path : Path
        An image file, a .npz file, or the group of an OME-Zarr image.
    index : int, optional
        Plane of a multi-plane file (its channel, page, depth or time point), from 0.
    row : int, optional
        Row of the array of a .npz file.
    array : str
        Name of the array of a .npz file.
    level : int, optional
        Resolution level of an OME-Zarr image, from 0, the finest.
    """

    path: Path
    index: int | None = None
    row: int | None = None
    array: str = "images"
    level: int | None = None

    def key(self) -> list[str | int | None]:
        """What tells the plane from every other one, for a run that goes on to know its inputs again."""
        found = [str(self.path.resolve()), self.index, self.row]
        return found if self.level is None else [*found, self.level]


@dataclass(frozen=True)
class ImageSet:
    """The channels of one field (or of one cell), with its label images and metadata.

    Attributes
    ----------
    number : int
        ImageNumber, from 1.
    channels : dict of str to Source
    labels : dict of str to Source
        Label images by the name of their object set.
    metadata : dict of str to str, int or float
        Without the ``Metadata_`` prefix.
    """

    number: int
    channels: dict[str, PlaneSource]
    labels: dict[str, PlaneSource] = field(default_factory=dict)
    metadata: dict[str, str | int | float] = field(default_factory=dict)


def typed_metadata(sets: list[ImageSet]) -> list[ImageSet]:
    """The image sets with the metadata that are plain numbers throughout turned into int or float."""
    converters = {}
    for name in dict.fromkeys(name for s in sets for name in s.metadata):
        values = [str(s.metadata.get(name, "")) for s in sets]
        if all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in values):
            converters[name] = int
        elif all(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", value) for value in values):
            converters[name] = float
        else:
            converters[name] = str
    return [
        ImageSet(s.number, s.channels, s.labels, {k: converters[k](v) for k, v in s.metadata.items()}) for s in sets
    ]


_NUCLEAR = re.compile(r"dna|dapi|hoechst|draq|nucle|h2b", re.IGNORECASE)


def is_nuclear(channel: str) -> bool:
    """Whether a channel is named like a stain of nuclei."""
    return bool(_NUCLEAR.search(channel))

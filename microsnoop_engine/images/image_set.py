"""Describe one image set: its channels, its label images and its metadata."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from ..storage.paths import is_remote
from .projection import OBJECT_FOCUS

Metadata = Mapping[str, str | int | float]


@dataclass(frozen=True)
class Position:
    """The place of a plane in a file that holds several; all numbers from 0.

    None stands for the only one there is: a file that holds several is refused.

    Attributes
    ----------
    series : int, optional
        Image (series, scene, position) of the file.
    channel : int, optional
    plane : int or str, optional
        Depth; or ``middle``, or a projection over all depths: ``max``, ``mean``, ``sum``, ``focus`` or
        ``focus-object``.
    time : int, optional
    color : int, optional
        Sample of a color plane: red, green, blue.
    """

    series: int | None = None
    channel: int | None = None
    plane: int | str | None = None
    time: int | None = None
    color: int | None = None


@dataclass(frozen=True)
class PlaneSource:
    """The location of one plane.

    Attributes
    ----------
    path : Path
        An image file, a .npz file, a file of outlines, or the group of an OME-Zarr image.
    index : int, optional
        Frame of CellProfiler: number of the plane among all of the file (or of its series), in the file's order, from
        0. Of a .npz file or an OME-Zarr image, the channel.
    row : int, optional
        Row of the array of a .npz file, from 0.
    array : str
        Name of the array of a .npz file.
    level : int, optional
        Resolution level of an OME-Zarr image, from 0, the finest.
    position : Position, optional
        The plane of an image file that holds several.
    illumination : Path, optional
        Illumination function by which the plane is divided, a .npy or image file.
    is_mask : bool
        True for a black-and-white mask, whose unconnected objects are to be numbered.
    depths : tuple of Path
        The files of all depths, if each is a file of its own and ``position`` projects them.
    in_image : bool
        True for the outlines that ImageJ saved in an image, its overlay.
    """

    path: Path
    index: int | None = None
    row: int | None = None
    array: str = "images"
    level: int | None = None
    position: Position | None = None
    illumination: Path | None = None
    is_mask: bool = False
    in_image: bool = False
    depths: tuple[Path, ...] = ()

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read."""
        illumination = () if self.illumination is None else (self.illumination,)
        return (*(self.depths or (self.path,)), *illumination)

    @property
    def focuses_objects(self) -> bool:
        """Whether the plane depends on the objects that are measured."""
        return self.position is not None and self.position.plane == OBJECT_FOCUS

    def key(self) -> list[str | int | None]:
        """Return the identity of the plane, by which a resumed run recognizes its inputs.

        Returns
        -------
        list
            Absolute path, index and row, and whatever else there is; can be written as JSON.
        """
        key = [str(self.path if is_remote(self.path) else self.path.resolve()), self.index, self.row]
        if self.level is not None:
            key.append(self.level)
        if self.position is not None:
            key += [f"{name} {value}" for name, value in asdict(self.position).items() if value is not None]
        if self.illumination is not None:
            key.append(f"illumination {self.illumination.resolve()}")
        key += [str(path if is_remote(path) else path.resolve()) for path in self.depths]
        words = {"mask": self.is_mask, "overlay": self.in_image}
        return [*key, *(word for word, applies in words.items() if applies)]


@dataclass(frozen=True)
class ImageSet:
    """The channels of one field (or of one cell), with its label images and metadata.

    Attributes
    ----------
    number : int
        ImageNumber, from 1.
    channels : dict of str to PlaneSource
        By the name of the channel.
    labels : dict of str to PlaneSource
        Label images by the name of their object set.
    metadata : mapping of str to str, int or float
        Plate, well, site and the like, without the ``Metadata_`` prefix.
    scale : float
        Factor by which its pixels are resized, to bring all image sets to one pixel size.
    """

    number: int
    channels: dict[str, PlaneSource]
    labels: dict[str, PlaneSource] = field(default_factory=dict)
    metadata: Metadata = field(default_factory=dict)
    scale: float = 1.0


def typed_metadata(image_sets: Sequence[ImageSet]) -> list[ImageSet]:
    """Turn metadata into int or float where all their values are numbers that are written back as they were typed.

    Parameters
    ----------
    image_sets : sequence of ImageSet
        With metadata as text.

    Returns
    -------
    list of ImageSet
        ``007``, ``+1``, ``1.50``, ``24E5`` and numbers of more digits than the type holds stay text, as does every
        value of their name.

    Examples
    --------
    >>> wells = [ImageSet(n, {}, {}, {"Site": f"{n}", "Plate": f"24E{n}"}) for n in (1, 2)]
    >>> typed_metadata(wells)[1].metadata
    {'Site': 2, 'Plate': '24E2'}
    """
    kinds: dict[str, type[str] | type[int] | type[float]] = {}
    for name in dict.fromkeys(name for image_set in image_sets for name in image_set.metadata):
        values = {str(image_set.metadata.get(name, "")) for image_set in image_sets}
        kinds[name] = next((kind for kind in (int, float) if _round_trip(values, kind)), str)
    return [
        replace(image_set, metadata={name: kinds[name](value) for name, value in image_set.metadata.items()})
        for image_set in image_sets
    ]


def _round_trip(values: set[str], kind: type[int] | type[float]) -> bool:
    """Return True if all texts are numbers of a type that are written in the same way, and no two are one number."""
    form = r"0|-?[1-9]\d{0,17}" if kind is int else r"-?(0|[1-9]\d*)(\.\d+)?"
    if not all(re.fullmatch(form, value, re.ASCII) for value in values) or values & {"-0", "-0.0"}:
        return False
    # a column of floats shows 3 as 3.0
    exact = all(value in (str(kind(value)), str(kind(value)).removesuffix(".0")) for value in values)
    return exact and len({kind(value) for value in values}) == len(values)


_NUCLEAR = re.compile(r"dna|dapi|hoechst|draq|nucle|h2b", re.IGNORECASE)


def is_nuclear(channel: str) -> bool:
    """Return True if a channel has the name of a stain of nuclei.

    Examples
    --------
    >>> is_nuclear("DAPI"), is_nuclear("Actin")
    (True, False)
    """
    return bool(_NUCLEAR.search(channel))

"""OME-Zarr (NGFF 0.4 and 0.5): plates and single images as image sets, and their planes.

Of a plate, the metadata of all wells are read, and those of one field; the other fields are met when their turn comes.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageError, InputError, MicrosnoopError, MissingExtraError, first_line
from ..storage.paths import MISSING, path_kind, read_if_there
from .image_set import ImageSet, PlaneSource

if TYPE_CHECKING:
    from .zarr_arrays import ZarrArray


log = logging.getLogger(__name__)

METADATA_FILES = ("zarr.json", ".zattrs")
"""Of Zarr 3 (NGFF 0.5) and of Zarr 2 (NGFF 0.4)."""
READERS = 16
_MICROMETERS = {"angstrom": 1e-4, "nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "meter": 1e6}


def is_ome_zarr(path: Path) -> bool:
    """Whether a folder is a Zarr group, by its name or its files."""
    return path.suffix == ".zarr" or any(path_kind(path / name) for name in (*METADATA_FILES, ".zgroup"))


def from_ome_zarr(path: Path, level: int | None = None, pixel_size: float | None = None) -> list[ImageSet]:
    """The fields of an OME-Zarr plate, or a single OME-Zarr image, as image sets.

    Metadata are ``Plate``, ``Well`` (``B03``), ``Site`` (from 1, in the order of the well) and ``Field`` (its path in
    the plate), with ``Acquisition`` where there are several. Channels have the names that the first field states in
    ``omero``, else ``C1``, ``C2``, ..; every image in its ``labels`` is an object set of that name.

    Parameters
    ----------
    path : Path
        The group of the plate or image.
    level : int, optional
        Resolution level, from 0 (the finest, which is the default).
    pixel_size : float, optional
        In micrometers: the level whose pixels are nearest to that.

    Raises
    ------
    InputError
        If it is neither a plate nor an image, no field can be read, or there is no such level.
    """
    try:
        attributes = read_attributes(path)
        if "plate" in attributes:
            fields = _plate_fields(path, attributes["plate"])
        elif "multiscales" in attributes:
            fields = [(path, {"File": path.name})]
        else:
            raise InputError(_what_else(path, attributes))
        first, channels = _first_readable([group for group, _ in fields])
    except ImageError as error:
        raise InputError(f"'{error.path}': {error}") from None
    level = _choose_level(first, level, pixel_size)
    objects = _label_names(first.group)
    return [
        ImageSet(
            number,
            {name: PlaneSource(group, index, level=level) for index, name in enumerate(channels)},
            {name: PlaneSource(group / "labels" / name, level=level) for name in objects},
            metadata,
        )
        for number, (group, metadata) in enumerate(fields, start=1)
    ]


def read_zarr_plane(source: PlaneSource, name: str) -> np.ndarray:
    """The plane (h, w) of a channel of an OME-Zarr image, or of a label image, whose source has no ``index``.

    Raises
    ------
    ImageError
        If metadata or chunks are missing or damaged, or it is a stack in depth or time.
    """
    image = read_image(source.path)
    if source.level >= len(image.levels):
        raise ImageError(f"has levels 0 to {len(image.levels) - 1}: there is no level {source.level}", image.group)
    array = image.open(source.level)
    names = image.channels(array.shape)
    if source.index is None and len(names) > 1:
        raise ImageError(f"has {len(names)} channels where one was expected", image.group)
    if source.index is not None and names[source.index : source.index + 1] != [name]:
        raise ImageError(f"its channels are {', '.join(names)}, not those of the plate's first field", image.group)
    place = {"c": source.index or 0, "y": slice(None), "x": slice(None)}
    plane, missing = array.read(tuple(place.get(axis, 0) for axis in image.axes))
    # where there is no object, label images may well lack chunks; a camera gives no plane of zeros
    if missing and source.index is not None:
        raise ImageError(
            f"{len(missing)} of the chunks of channel {name} are missing, such as '{missing[0]}': copy the image "
            "again, or, if it is black there, write it with its empty chunks",
            image.group / image.levels[source.level],
        )
    return np.asarray(plane)


@dataclass(frozen=True)
class OmeImage:
    """What an image says of itself.

    Attributes
    ----------
    group : Path
    axes : tuple of str
        Such as ``c``, ``y``, ``x``.
    levels : tuple of str
        The paths of its arrays in the group, the finest first.
    pixel_sizes : tuple of float
        In micrometers, by level; NaN where they are not stated.
    stated : tuple of str
        Names of channels.
    """

    group: Path
    axes: tuple[str, ...]
    levels: tuple[str, ...]
    pixel_sizes: tuple[float, ...]
    stated: tuple[str, ...]

    def open(self, level: int) -> ZarrArray:
        """The array of a level."""
        try:
            from .zarr_arrays import ZarrArray
        except ImportError:
            raise MissingExtraError("zarr>=3", "zarr", f"reading '{self.group.name}'") from None
        path = self.group / self.levels[level]
        try:
            return ZarrArray(path)
        except MicrosnoopError:
            raise
        except Exception as error:
            reason = MISSING if isinstance(error, FileNotFoundError) else first_line(error)
            raise ImageError(f"its array cannot be opened ({reason})", path) from None

    def channels(self, shape: Sequence[int]) -> list[str]:
        """The names of the channels of an array of this shape.

        Raises
        ------
        ImageError
            If it is a stack, or the shape does not go with the axes.
        """
        lengths = dict(zip(self.axes, shape, strict=False))
        if len(shape) != len(self.axes) or self.axes[-2:] != ("y", "x"):
            raise ImageError(f"has axes {''.join(self.axes)}, but an array of shape {tuple(shape)}", self.group)
        if any(length > 1 for axis, length in lengths.items() if axis not in "cyx"):
            raise ImageError(
                f"is a stack with axes {''.join(self.axes)} of lengths {', '.join(map(str, shape))}: write one plane "
                "per time point and depth, or project it first",
                self.group,
            )
        count = lengths.get("c", 1)
        usable = len(self.stated) == count and all(self.stated) and len(set(self.stated)) == count
        return list(self.stated) if usable else [f"C{n + 1}" for n in range(count)]


def read_attributes(group: Path) -> dict[str, Any]:
    """The OME metadata of a Zarr group.

    Raises
    ------
    ImageError
        If there are none, or they are damaged.
    """
    for name in METADATA_FILES:
        data = read_if_there(group / name)
        if data is None:
            continue
        try:
            found = json.loads(data)
            return found.get("attributes", {}).get("ome", {}) if name == METADATA_FILES[0] else found
        except (ValueError, AttributeError) as error:
            raise ImageError(f"is damaged: it is no OME-Zarr metadata ({error})", group / name) from None
    raise ImageError(f"there are no OME-Zarr metadata ({' or '.join(METADATA_FILES)}): check the path", group)


@lru_cache(maxsize=64)
def read_image(group: Path) -> OmeImage:
    """What an image says of itself; an ImageError where that is missing or damaged."""
    found = read_attributes(group)
    try:
        multiscale = found["multiscales"][0]
        axes = [axis if isinstance(axis, str) else axis["name"] for axis in multiscale.get("axes", "tczyx")]
        units = [axis.get("unit", "") if isinstance(axis, dict) else "" for axis in multiscale.get("axes", [])]
        unit = _MICROMETERS.get(dict(zip(axes, units, strict=False)).get("y", ""), math.nan)
        whole = _scale_in_y(multiscale, axes)
        levels = multiscale["datasets"]
        sizes = [whole * _scale_in_y(level, axes) * unit for level in levels]
        names = [str(channel.get("label", "")) for channel in found.get("omero", {}).get("channels", [])]
        paths = tuple(str(level["path"]) for level in levels)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(
            f"its OME-Zarr metadata are damaged: no 'multiscales' that can be used ({error!r})", group
        ) from None
    if not paths:
        raise ImageError("its metadata name no array", group)
    return OmeImage(group, tuple(axes), paths, tuple(sizes), tuple(names))


def _scale_in_y(described: dict[str, Any], axes: Sequence[str]) -> float:
    scales = [step["scale"] for step in described.get("coordinateTransformations", []) if step["type"] == "scale"]
    return math.prod(float(scale[axes.index("y")]) for scale in scales)


def _plate_fields(plate_group: Path, plate: dict[str, Any]) -> list[tuple[Path, dict[str, str | int]]]:
    """The groups of the fields of a plate with their metadata, in the order of rows, columns and fields."""
    try:
        rows, columns = ([str(one["name"]) for one in plate[key]] for key in ("rows", "columns"))
        wells = sorted((well["rowIndex"], well["columnIndex"], str(well["path"])) for well in plate["wells"])
        wells = [(path, f"{rows[row]}{columns[column].zfill(2)}") for row, column, path in wells]
        name = str(plate.get("name") or plate_group.name.removesuffix(".zarr").removesuffix(".ome"))
        several = len(plate.get("acquisitions") or []) > 1
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ImageError(f"its plate metadata are damaged ({error!r})", plate_group) from None
    if not wells:
        raise ImageError("the plate has no wells", plate_group)
    with ThreadPoolExecutor(READERS) as pool:
        images = list(pool.map(lambda well: _well_images(plate_group / well[0]), wells))
    fields = []
    for (well, label), found in zip(wells, images, strict=True):
        for site, image in enumerate(found, start=1):
            place = f"{well}/{image['path']}" if image["path"] else well
            metadata = {"Plate": name, "Well": label, "Site": site, "Field": place}
            if several:
                metadata["Acquisition"] = image.get("acquisition", "")
            fields.append((plate_group / place, metadata))
    return fields


def _well_images(well: Path) -> list[dict[str, Any]]:
    """The images of a well; of one whose metadata cannot be read, the well itself, so that its turn says why."""
    try:
        images = read_attributes(well)["well"]["images"]
        return [{**image, "path": str(image["path"])} for image in images]
    except (ImageError, KeyError, TypeError):
        return [{"path": ""}]


def _first_readable(groups: Sequence[Path]) -> tuple[OmeImage, list[str]]:
    """The first image whose metadata can be read, and its channels."""
    problem = None
    for group in groups:
        try:
            image = read_image(group)
            return image, image.channels(image.open(0).shape)
        except ImageError as error:
            problem = problem or error
    raise problem


def _choose_level(image: OmeImage, level: int | None, pixel_size: float | None) -> int:
    sizes = image.pixel_sizes
    if pixel_size is not None:
        if not all(size > 0 for size in sizes):
            raise InputError(f"--pixel-size: '{image.group}' does not state its pixel sizes: give --level")
        level = min(range(len(sizes)), key=lambda n: abs(math.log(sizes[n] / pixel_size)))
        log.info("level %d, with pixels of %.3g micrometers", level, sizes[level])
    if level is not None and not 0 <= level < len(sizes):
        raise InputError(f"--level {level}: '{image.group}' has levels 0 to {len(sizes) - 1}")
    return level or 0


def _label_names(group: Path) -> list[str]:
    try:
        return [str(name) for name in read_attributes(group / "labels")["labels"]]
    except (ImageError, KeyError, TypeError):
        return []


def _what_else(path: Path, attributes: dict[str, Any]) -> str:
    if "bioformats2raw.layout" in attributes:
        return f"'{path}' holds several images: give one of them, such as '{path / '0'}'"
    if "well" in attributes:
        return f"'{path}' is a well: give its plate, or one of its images"
    return f"'{path}' is no OME-Zarr plate and no OME-Zarr image: its metadata have neither 'plate' nor 'multiscales'"

"""Read the metadata and planes of one OME-Zarr image (NGFF 0.4 and 0.5)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, MicrosnoopError, MissingExtraError, first_line
from ..storage.paths import MISSING, read_if_there
from .image_set import PlaneSource

if TYPE_CHECKING:
    from .zarr_arrays import ZarrArray

METADATA_FILES = ("zarr.json", ".zattrs")
"""Of Zarr 3 (NGFF 0.5) and of Zarr 2 (NGFF 0.4)."""
_MICROMETERS = {"angstrom": 1e-4, "nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "meter": 1e6}


@dataclass(frozen=True)
class OmeImage:
    """The metadata of an image.

    Attributes
    ----------
    group : Path
        The Zarr group of the image.
    axes : tuple of str
        Such as ``c``, ``y``, ``x``.
    levels : tuple of str
        The paths of its arrays in the group, the finest first.
    pixel_sizes : tuple of float
        In micrometers, by level; NaN where the metadata hold none.
    names : tuple of str
        The names of channels in the metadata, which may not fit the arrays: see :meth:`channels`.
    """

    group: Path
    axes: tuple[str, ...]
    levels: tuple[str, ...]
    pixel_sizes: tuple[float, ...]
    names: tuple[str, ...]

    def open(self, level: int) -> ZarrArray:
        """Open the array of a level.

        Parameters
        ----------
        level : int
            From 0, the finest.

        Raises
        ------
        ImageError
            If the array is missing or damaged.
        MissingExtraError
            If Zarr is not installed.
        """
        try:
            from .zarr_arrays import ZarrArray
        except ImportError:
            raise MissingExtraError("zarr>=3", "zarr", f"reading '{self.group.name}'") from None
        path = self.group / self.levels[level]
        try:
            return ZarrArray(path)
        except MicrosnoopError:
            raise
        # Zarr raises errors of many kinds on damaged metadata
        except Exception as error:
            reason = MISSING if isinstance(error, FileNotFoundError) else first_line(error)
            raise ImageError(f"its array cannot be opened ({reason})", path) from error

    def channels(self, shape: Sequence[int]) -> list[str]:
        """Return the names of the channels of an array.

        Parameters
        ----------
        shape : sequence of int
            The length of every axis.

        Returns
        -------
        list of str
            Those of the metadata, else ``C1``, ``C2``, ...

        Raises
        ------
        ImageError
            If the array is a stack, or its shape does not go with the axes.
        """
        if len(shape) != len(self.axes) or self.axes[-2:] != ("y", "x"):
            raise ImageError(f"has axes {''.join(self.axes)}, but an array of shape {tuple(shape)}", self.group)
        lengths = dict(zip(self.axes, shape, strict=True))
        if any(length > 1 for axis, length in lengths.items() if axis not in "cyx"):
            raise ImageError(
                f"is a stack with axes {''.join(self.axes)} of lengths {', '.join(map(str, shape))}: write one plane "
                "per time point and depth, or project it first",
                self.group,
            )
        count = lengths.get("c", 1)
        usable = len(self.names) == count and all(self.names) and len(set(self.names)) == count
        return list(self.names) if usable else [f"C{n + 1}" for n in range(count)]


def read_attributes(group: Path) -> dict[str, Any]:
    """Read the OME metadata of a Zarr group.

    Parameters
    ----------
    group : Path
        Of a plate, well, image or ``labels``.

    Returns
    -------
    dict
        The metadata, as JSON has them.

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
            content: dict[str, Any] = json.loads(data)
            if name == METADATA_FILES[0]:
                content = content.get("attributes", {}).get("ome", {})
            return content
        except (ValueError, AttributeError) as error:
            raise ImageError(f"is damaged: it is no OME-Zarr metadata ({error})", group / name) from None
    raise ImageError(f"there are no OME-Zarr metadata ({' or '.join(METADATA_FILES)}): check the path", group)


@lru_cache(maxsize=64)
def read_image(group: Path) -> OmeImage:
    """Read the metadata of an image.

    Parameters
    ----------
    group : Path
        The Zarr group of the image.

    Returns
    -------
    OmeImage

    Raises
    ------
    ImageError
        If they are missing or damaged.
    """
    attributes = read_attributes(group)
    try:
        multiscale = attributes["multiscales"][0]
        axes = [axis if isinstance(axis, str) else axis["name"] for axis in multiscale.get("axes", "tczyx")]
        units = [axis.get("unit", "") if isinstance(axis, dict) else "" for axis in multiscale.get("axes", [])]
        unit = _MICROMETERS.get(dict(zip(axes, units, strict=False)).get("y", ""), math.nan)
        whole = _scale_in_y(multiscale, axes)
        levels = multiscale["datasets"]
        sizes = [whole * _scale_in_y(level, axes) * unit for level in levels]
        names = [str(channel.get("label", "")) for channel in attributes.get("omero", {}).get("channels", [])]
        paths = tuple(str(level["path"]) for level in levels)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise ImageError(
            f"its OME-Zarr metadata are damaged: no 'multiscales' that can be used ({error!r})", group
        ) from None
    if not paths:
        raise ImageError("its metadata name no array", group)
    return OmeImage(group, tuple(axes), paths, tuple(sizes), tuple(names))


def _scale_in_y(element: dict[str, Any], axes: Sequence[str]) -> float:
    """Return the product of an element's scales along y."""
    scales = [step["scale"] for step in element.get("coordinateTransformations", []) if step["type"] == "scale"]
    return math.prod(float(scale[axes.index("y")]) for scale in scales)


def read_zarr_plane(source: PlaneSource, name: str) -> NDArray[Any]:
    """Read the plane of a channel of an image, or a label image.

    Parameters
    ----------
    source : PlaneSource
        With the group as path, and a level; without an index if it is a label image.
    name : str
        The channel, which must be that of the image's metadata, or the object set.

    Returns
    -------
    array (h, w)
        In the array's dtype, unscaled.

    Raises
    ------
    ImageError
        If metadata or chunks are missing or damaged, the channels are others, or the image is a stack.
    MissingExtraError
        If Zarr is not installed.
    """
    image = read_image(source.path)
    level = source.level or 0
    if level >= len(image.levels):
        raise ImageError(f"has levels 0 to {len(image.levels) - 1}: there is no level {level}", image.group)
    array = image.open(level)
    names = image.channels(array.shape)
    if source.index is None and len(names) > 1:
        raise ImageError(f"has {len(names)} channels where one was expected", image.group)
    if source.index is not None and names[source.index : source.index + 1] != [name]:
        raise ImageError(f"its channels are {', '.join(names)}, not those of the plate's first field", image.group)
    selection: dict[str, int | slice] = {"c": source.index or 0, "y": slice(None), "x": slice(None)}
    plane, missing = array.read(tuple(selection.get(axis, 0) for axis in image.axes))
    # where there is no object, label images may well lack chunks; a camera gives no plane of zeros
    if missing and source.index is not None:
        raise ImageError(
            f"{len(missing)} of the chunks of channel {name} are missing, such as '{missing[0]}': copy the image "
            "again, or, if it is black there, write it with its empty chunks",
            image.group / image.levels[level],
        )
    return np.asarray(plane)

"""Read the metadata of one OME-Zarr image (NGFF 0.1 to 0.6): its axes, levels, pixel sizes and channel names."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ImageError, MicrosnoopError, MissingExtraError, counted, first_line
from ..storage.paths import MISSING, read_if_there
from .file_image import FileImage

if TYPE_CHECKING:
    from .zarr_arrays import ZarrArray

METADATA_FILES = ("zarr.json", ".zattrs")
"""Of Zarr 3 (since NGFF 0.5) and of Zarr 2 (NGFF 0.1 to 0.4)."""
SPATIALDATA = "spatialdata_attrs"
"""Key of the metadata of a SpatialData folder and of its elements."""
_MICROMETERS = {
    **{"angstrom": 1e-4, "nanometer": 1e-3, "micrometer": 1.0, "millimeter": 1e3, "meter": 1e6},
    **{"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "micron": 1.0, "mm": 1e3},
}
_ROLES = {"channel": "c", "time": "t"}
"""Type (or name) of an axis to its letter."""


@dataclass(frozen=True)
class Level:
    """One resolution of an image.

    Attributes
    ----------
    path : str
        The array in the group of the image.
    scale : tuple of float
        Height and width of a pixel in the units of the image; NaN where the metadata hold none.
    origin : tuple of float
        Translation along y and x in the same units.
    """

    path: str
    scale: tuple[float, float]
    origin: tuple[float, float]


@dataclass(frozen=True)
class OmeImage:
    """The metadata of an image.

    Attributes
    ----------
    group : Path
        The Zarr group of the image.
    axes : tuple of str
        By their type: ``c``, ``t``, ``z``, ``y``, ``x``; the name of any other axis in small letters.
    levels : tuple of Level
        The finest first.
    unit : float
        Micrometers in the unit of the image; NaN if it has none.
    names : tuple of str
        The names of channels in the metadata, which may not fit the arrays: see :meth:`describe`.
    """

    group: Path
    axes: tuple[str, ...]
    levels: tuple[Level, ...]
    unit: float
    names: tuple[str, ...]

    @property
    def pixel_sizes(self) -> tuple[float, ...]:
        """Height of a pixel in micrometers by level; NaN where the metadata hold none."""
        return tuple(level.scale[0] * self.unit for level in self.levels)

    def level(self, number: int) -> Level:
        """Return a level.

        Raises
        ------
        ImageError
            If there is no such level.
        """
        if not 0 <= number < len(self.levels):
            raise ImageError(f"has levels 0 to {len(self.levels) - 1}: there is no level {number}", self.group)
        return self.levels[number]

    def open(self, number: int) -> ZarrArray:
        """Open the array of a level.

        Parameters
        ----------
        number : int
            From 0, the finest.

        Raises
        ------
        ImageError
            If there is no such level, or its array is missing or damaged.
        MissingExtraError
            If Zarr is not installed.
        """
        path = self.group / self.level(number).path
        try:
            from .zarr_arrays import ZarrArray
        except ImportError:
            raise MissingExtraError("zarr>=3", "zarr", f"reading '{self.group.name}'") from None
        try:
            return ZarrArray(path)
        except MicrosnoopError:
            raise
        # Zarr raises errors of many kinds on damaged metadata
        except Exception as error:
            reason = MISSING if isinstance(error, FileNotFoundError) else first_line(error)
            raise ImageError(f"its array cannot be opened ({reason})", path) from error

    def describe(self, shape: Sequence[int]) -> FileImage:
        """Describe what an array of the image holds.

        Parameters
        ----------
        shape : sequence of int
            The length of every axis.

        Returns
        -------
        FileImage
            Its channels by the names of :func:`channel_names`, its depth and times.

        Raises
        ------
        ImageError
            If an axis other than channel, depth, time, y and x is longer than 1, or the shape does not go with the
            axes.
        """
        if len(shape) != len(self.axes):
            raise ImageError(f"has axes {''.join(self.axes)}, but an array of shape {tuple(shape)}", self.group)
        lengths = dict(zip(self.axes, shape, strict=True))
        other = next((axis for axis, length in lengths.items() if axis not in "tczyx" and length > 1), None)
        if other is not None:
            described = f"axes {', '.join(self.axes)} of lengths {', '.join(map(str, shape))}"
            raise ImageError(f"is a stack with {described}: write one image per step of '{other}'", self.group)
        names, _ = channel_names(self.names, lengths.get("c", 1))
        return FileImage(tuple(names), depth=lengths.get("z", 1), times=lengths.get("t", 1))


def channel_names(names: Sequence[str], count: int) -> tuple[list[str], str | None]:
    """Return unique names for the channels of an image.

    Parameters
    ----------
    names : sequence of str
        Those of the metadata; empty where a channel has none.
    count : int
        Number of channels.

    Returns
    -------
    names : list of str
        A channel without a name is numbered, ``C2``; channels that share a name are too, ``DAPI_1``, ``DAPI_2``.
    problem : str or None
        Why they are not those of the metadata; None also where the metadata name no channel.

    Examples
    --------
    >>> channel_names(["DAPI", "GFP", "GFP"], 3)
    (['DAPI', 'GFP_1', 'GFP_2'], 'channels share a name')
    >>> channel_names([], 2)
    (['C1', 'C2'], None)
    """
    numbered = [f"C{n + 1}" for n in range(count)]
    if not any(names):
        return numbered, None
    if len(names) != count:
        return numbered, f"{counted(len(names), 'names are', 'name is')} given for {counted(count, 'channels')}"
    given = [name or number for name, number in zip(names, numbered, strict=True)]
    total = Counter(given)
    unique = [f"{name}_{given[: n + 1].count(name)}" if total[name] > 1 else name for n, name in enumerate(given)]
    if len(set(unique)) < count:
        unique = numbered
    problem = "channels share a name" if len(total) < count else None if all(names) else "channels have no name"
    return unique, problem


def read_attributes(group: Path) -> dict[str, Any]:
    """Read the OME metadata of a Zarr group.

    Parameters
    ----------
    group : Path
        Of a plate, well, image or ``labels``.

    Returns
    -------
    dict
        The metadata, as JSON has them; those of `SPATIALDATA` with them.

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
                content = content.get("attributes", {})
            marks = {SPATIALDATA: content[SPATIALDATA]} if SPATIALDATA in content else {}
            return {**content.get("ome", content), **marks}
        except (ValueError, AttributeError, TypeError) as error:
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
        If they are missing or damaged, of an unknown form, or of SpatialData.
    """
    attributes = read_attributes(group)
    if SPATIALDATA in attributes:
        raise ImageError(
            "is an element of a SpatialData folder, which keeps images and labels apart: write both as OME-Zarr (the "
            "labels in 'labels' of the image) or TIFF",
            group,
        )
    version = ""
    try:
        multiscale = attributes["multiscales"][0]
        version = str(attributes.get("version") or multiscale.get("version") or "")
        systems = multiscale.get("coordinateSystems")
        axes = multiscale.get("axes") or (_system_of_levels(multiscale)["axes"] if systems else list("tczyx"))
        letters = _letters(axes)
        unit = dict(zip(letters, axes, strict=True))["y"]
        # since NGFF 0.6, those of the whole lead from the coordinates of the levels to others
        whole = [] if systems else multiscale.get("coordinateTransformations", [])
        levels = tuple(
            _level(str(level["path"]), [*level.get("coordinateTransformations", []), *whole], letters)
            for level in multiscale["datasets"]
        )
        names = [channel.get("label") for channel in attributes.get("omero", {}).get("channels", [])]
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, StopIteration) as error:
        of_version = f" of version {version}" if version else ""
        raise ImageError(
            f"its OME-Zarr metadata{of_version} are damaged or of an unknown form: no 'multiscales' that can be used "
            f"({error!r})",
            group,
        ) from None
    except _UnknownTransformation as error:
        raise ImageError(
            f"its coordinate transformation {error} is not supported, only scale and translation", group
        ) from None
    if not levels:
        raise ImageError("its metadata name no array", group)
    return OmeImage(
        group,
        letters,
        levels,
        _MICROMETERS.get(str(unit.get("unit", "")), math.nan) if isinstance(unit, dict) else math.nan,
        tuple("" if name is None else str(name).strip() for name in names),
    )


def _system_of_levels(multiscale: dict[str, Any]) -> dict[str, Any]:
    """Return the coordinate system (NGFF 0.6) into which the transformations of the levels lead."""
    output = multiscale["datasets"][0]["coordinateTransformations"][0]["output"]
    name = output["name"] if isinstance(output, dict) else output
    found: dict[str, Any] = next(system for system in multiscale["coordinateSystems"] if system["name"] == name)
    return found


def _letters(axes: Sequence[Any]) -> tuple[str, ...]:
    """Return the letter of every axis, by its type first and then by its name; y and x must be among them."""
    letters = []
    for axis in axes:
        name, kind = (axis, "") if isinstance(axis, str) else (axis["name"], str(axis.get("type") or ""))
        name = str(name).lower()
        letters.append(_ROLES.get(kind.lower()) or _ROLES.get(name) or name)
    if len(set(letters)) < len(letters) or not {"y", "x"} <= set(letters):
        raise ValueError(f"axes {', '.join(letters)}")
    return tuple(letters)


class _UnknownTransformation(Exception):
    """A coordinate transformation that is not read."""


def _level(path: str, steps: Sequence[dict[str, Any]], axes: Sequence[str]) -> Level:
    """Return a level with the scale and origin that its coordinate transformations make, in their order."""
    scale, origin, scaled = np.ones(len(axes)), np.zeros(len(axes)), False
    steps = list(steps)
    while steps:
        step = steps.pop(0)
        kind = step["type"]
        if kind == "sequence":
            steps = [*step["transformations"], *steps]
        elif kind in ("scale", "translation"):
            if kind not in step:
                raise _UnknownTransformation(f"'{kind}' in a file of its own")
            values = np.array(step[kind], float)
            if values.shape != scale.shape:
                raise ValueError(f"{kind} of {values.size} numbers for {counted(len(axes), 'axes', 'axis')}")
            if kind == "scale":
                scale, origin, scaled = scale * values, origin * values, True
            else:
                origin = origin + values
        elif kind != "identity":
            raise _UnknownTransformation(f"'{kind}'")
    y, x = axes.index("y"), axes.index("x")
    size = (float(scale[y]), float(scale[x])) if scaled else (math.nan, math.nan)
    if scaled and not min(size) > 0:
        raise ValueError(f"scale {size}")
    return Level(path, size, (float(origin[y]), float(origin[x])))

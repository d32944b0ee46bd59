"""Read TIFF files: plain, ImageJ and OME, of one plane, of channels or of colors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError
from ..storage.paths import open_header, open_whole

SUFFIXES: tuple[str, ...] = (".tif", ".tiff")


def read_array(path: Path, stack: bool = False) -> NDArray[Any]:
    """Read the first series of a TIFF file. See `formats.read_array`."""
    import tifffile

    with tifffile.TiffFile(open_whole(path)) as tiff:
        series = tiff.series[0]
        # of a truncated file, tifffile reads the missing bytes as zeros
        ends = [
            offset + count
            for page in series.pages
            if page is not None
            for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True)
        ]
        end, size = max(ends, default=0), tiff.filehandle.size
        if end > size:
            raise ImageError(f"is incomplete: {size} bytes of at least {end}", path)
        array, axes = series.asarray(), series.axes
    kept = [axis for axis, length in zip(axes, array.shape, strict=True) if length > 1 or axis in "YX"]
    array = array.reshape([array.shape[axes.index(axis)] for axis in kept])
    others = [axis for axis in kept if axis not in "YX"]
    if len(others) > 1 or (others and others[0] in "ZT" and not stack):
        raise ImageError(
            f"is a stack with axes {''.join(kept)}: write one plane per time point and depth, or project it first", path
        )
    return np.moveaxis(array, kept.index(others[0]), 0) if others else array


def channel_names(path: Path) -> list[str]:
    """Read the channel names of a TIFF file from its header. See `formats.channel_names`."""
    import tifffile

    with open_header(path) as file, tifffile.TiffFile(file) as tiff:
        series = tiff.series[0]
        lengths = {axis: n for axis, n in zip(series.axes, series.shape, strict=True) if axis not in "YX" and n > 1}
        if not lengths or lengths.keys() & set("ZT"):
            return []
        if "S" in lengths:
            return ["Red", "Green", "Blue", "Alpha"][: lengths["S"]]
        names = _names_in_metadata(tiff)
    count = next(iter(lengths.values()))
    usable = len(names) == count and all(names) and len(set(names)) == count
    return names if usable else [f"C{n + 1}" for n in range(count)]


def _names_in_metadata(tiff: Any) -> list[str]:
    """Return the names of channels that the metadata of OME or ImageJ hold, blank where one is missing."""
    import tifffile

    if tiff.ome_metadata:
        image = _first(tifffile.xml2dict(tiff.ome_metadata)["OME"]["Image"])
        channels = image["Pixels"].get("Channel", [])
        channels = channels if isinstance(channels, list) else [channels]
        return [str(channel.get("Name", "")) for channel in channels]
    if tiff.imagej_metadata:
        return [str(label) for label in tiff.imagej_metadata.get("Labels", [])]
    return []


def _first(elements: Any) -> Any:
    """Return the first of several XML elements, or the only one, which `xml2dict` gives without a list."""
    return elements[0] if isinstance(elements, list) else elements

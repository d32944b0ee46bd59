"""Compare the pixel sizes that files carry, and bring image sets to one size."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from ..errors import ImageError, InputError, StorageError, counted
from ..storage.paths import STORE_READERS, is_remote
from .formats import SUFFIXES, open_file
from .image_set import ImageSet, PlaneSource
from .ome_zarr_image import read_image

log = logging.getLogger(__name__)

METADATA_NAME = "PixelSize"
"""Metadata that holds the pixel size in micrometers, if the acquisition says it."""
TOLERANCE = 0.02
"""Relative difference of sizes that are taken as equal."""

_Sizes = tuple[float | None, float | None]
"""Width and height of a pixel in micrometers; None if unknown."""


def pixel_sizes(image_sets: Sequence[ImageSet]) -> list[float | None]:
    """Read the pixel sizes of image sets.

    Parameters
    ----------
    image_sets : sequence of ImageSet

    Returns
    -------
    list of float or None
        In micrometers, from the metadata ``PixelSize``, the header of the first channel's file or the level of an
        OME-Zarr image; None if unknown.
    """
    return [width for width, _ in _widths_and_heights(image_sets)]


def _widths_and_heights(image_sets: Sequence[ImageSet]) -> list[_Sizes]:
    sources = [_first_source(each) for each in image_sets if not _from_metadata(each)]
    files = list(dict.fromkeys((source.path, source.level is not None) for source in sources))
    remote = any(is_remote(path) for path, _ in files)
    with ThreadPoolExecutor(STORE_READERS if remote else 1) as pool:
        known = pool.map(lambda file: _sizes_of_levels(file[0]) if file[1] else _sizes_in(file[0]), files)
        by_file = dict(zip((path for path, _ in files), known, strict=True))
    sizes = []
    for each in image_sets:
        source = _first_source(each)
        series = (source.position.series if source.position else None) or 0
        number = series if source.level is None else source.level
        in_file = by_file.get(source.path, [])
        told = _from_metadata(each)
        sizes.append((told, None) if told else in_file[number] if number < len(in_file) else (None, None))
    return sizes


def common_pixel_size(image_sets: Sequence[ImageSet]) -> float:
    """Return the pixel size of all image sets, as they are read.

    Parameters
    ----------
    image_sets : sequence of ImageSet

    Returns
    -------
    float
        In micrometers, after the resizing of :func:`match_pixel_size`.

    Raises
    ------
    InputError
        If the size of some images is unknown, or sizes differ.
    """
    sizes = [size and size / each.scale for each, size in zip(image_sets, pixel_sizes(image_sets), strict=True)]
    known = [size for size in sizes if size is not None]
    if len(known) < len(sizes):
        raise InputError(
            f"{len(sizes) - len(known)} of {counted(len(sizes), 'image sets do', 'image set does')} not hold their "
            f"pixel size, such as '{_first_source(image_sets[sizes.index(None)]).path}'"
        )
    if max(known) > min(known) * (1 + TOLERANCE):
        raise InputError(f"the images have pixels of {_listed(sizes)} micrometers: resize all to one by `pixel_size`")
    return sorted(known)[len(known) // 2]


def match_pixel_size(image_sets: Sequence[ImageSet], pixel_size: float) -> list[ImageSet]:
    """Scale image sets so that their pixels have one size.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    pixel_size : float
        In micrometers.

    Returns
    -------
    list of ImageSet
        With a `scale` of the size in the file by ``pixel_size``.

    Raises
    ------
    InputError
        If the size of some images is unknown, or they have pixels that are no squares.
    """
    both = _widths_and_heights(image_sets)
    report_rectangular(_with_paths(image_sets, both), resized=True)
    sizes = [width for width, _ in both]
    unknown = [each for each, size in zip(image_sets, sizes, strict=True) if size is None]
    if unknown:
        raise InputError(
            f"`pixel_size`: {len(unknown)} of {counted(len(image_sets), 'image sets do', 'image set does')} not say "
            f"their pixel size, such as '{_first_source(unknown[0]).path}': leave `pixel_size` out, or use `scale`"
        )
    scaled = [
        replace(each, scale=_near_one((size or pixel_size) / pixel_size))
        for each, size in zip(image_sets, sizes, strict=True)
    ]
    log.info("images of %s micrometers are resized to %g", _listed(sizes), pixel_size)
    return scaled


def warn_of_pixel_sizes(image_sets: Sequence[ImageSet]) -> None:
    """Log a warning if image sets have pixels of different size, or pixels that are no squares."""
    both = _widths_and_heights(image_sets)
    report_rectangular(_with_paths(image_sets, both), resized=False)
    sizes = [width for width, _ in both]
    known = sorted({size for size in sizes if size is not None})
    if known and known[-1] > known[0] * (1 + TOLERANCE):
        log.warning(
            "the images have pixels of %s micrometers: features of different pixel sizes do not compare. Choose "
            "`pixel_size` to resize all to one, or measure them apart",
            _listed(sizes),
        )


def is_square(width: float | None, height: float | None) -> bool:
    """Return True for a pixel that is as wide as high, as far as it is known.

    Examples
    --------
    >>> is_square(0.65, 0.6501), is_square(0.65, 0.325), is_square(0.65, None)
    (True, False, True)
    """
    # unknown sizes of OME-Zarr are NaN
    known = width is not None and height is not None and width > 0 and height > 0
    return not known or abs((width or 0) / (height or 1) - 1) <= TOLERANCE


def report_rectangular(pixels: Sequence[tuple[Path, float | None, float | None]], resized: bool) -> None:
    """Log a warning if images have pixels that are no squares, or refuse to resize them.

    Parameters
    ----------
    pixels : sequence of (Path, float, float)
        Images with width and height of their pixels, in one unit; None or NaN if unknown.
    resized : bool
        Whether they are to be resized to a pixel size.

    Raises
    ------
    InputError
    """
    found = [each for each in pixels if not is_square(*each[1:])]
    if not found:
        return
    path, width, height = found[0]
    message = (
        f"{len(found)} of {counted(len(pixels), 'images have', 'image has')} pixels that are no squares, such as "
        f"'{path}' ({width:.4g} wide, {height:.4g} high)"
    )
    if resized:
        raise InputError(f"`pixel_size`: {message}: resample them to squares first, or leave `pixel_size` out")
    log.warning(
        "%s: cells are stretched, and their features do not compare with those of square pixels. Resample the images "
        "to squares first",
        message,
    )


def _with_paths(
    image_sets: Sequence[ImageSet], sizes: Sequence[_Sizes]
) -> list[tuple[Path, float | None, float | None]]:
    return [(_first_source(each).path, *both) for each, both in zip(image_sets, sizes, strict=True)]


def _listed(sizes: Sequence[float | None]) -> str:
    """Return sizes and how many image sets have each."""
    rounded = [float(f"{size:.4g}") for size in sizes if size is not None]
    counts = {size: rounded.count(size) for size in sorted(set(rounded))}
    shown = [f"{size:g} ({counted(count, 'image sets')})" for size, count in counts.items()]
    return ", ".join(shown if len(shown) <= 4 else [*shown[:2], "..", shown[-1]])


def _near_one(scale: float) -> float:
    return 1.0 if abs(scale - 1) <= TOLERANCE else scale


def _first_source(image_set: ImageSet) -> PlaneSource:
    return next(iter(image_set.channels.values()))


def _from_metadata(image_set: ImageSet) -> float | None:
    try:
        size = float(image_set.metadata.get(METADATA_NAME, 0))
    except ValueError:
        return None
    return size if size > 0 else None


def _sizes_of_levels(group: Path) -> list[_Sizes]:
    """Return the sizes of the levels of an OME-Zarr image; none if it cannot be read, like :func:`_sizes_in`."""
    try:
        return [(size if size > 0 else None, None) for size in read_image(group).pixel_sizes]
    except (ImageError, StorageError):
        log.debug("the metadata of '%s' cannot be read", group, exc_info=True)
        return []


def _sizes_in(path: Path) -> list[_Sizes]:
    """Return the sizes of the images in a file; none if it cannot be read, which the reader of its pixels reports."""
    if path.suffix.lower() not in SUFFIXES:
        return []
    try:
        with open_file(path, pixels=False) as file:
            return [(image.pixel_size, image.pixel_height) for image in file.images]
    except Exception:
        log.debug("the header of '%s' cannot be read", path, exc_info=True)
        return []

"""Read training images into memory, as 8-bit planes by category, from a folder or a pool (index and archives)."""

from __future__ import annotations

import csv
import logging
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, first_line
from ..images.formats import SUFFIXES, read_array

log = logging.getLogger(__name__)

READERS = 4
"""Threads that read images."""
VALIDATION_SHARE = 10
"""In a folder without an index, every tenth image is a validation image."""


@dataclass
class Pool:
    """Planes of one split.

    Attributes
    ----------
    planes : list of array (h, w), uint8
    categories : dict of str to list of int
        Indices of the planes of each category.
    skipped : list of str
        Images that could not be read, with the reason.
    sources : dict of str to int
        Number of images by source and license, where the index has them.
    """

    planes: list[NDArray[np.uint8]]
    categories: dict[str, list[int]]
    skipped: list[str] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)

    def present(self, categories: Sequence[str]) -> tuple[str, ...]:
        """Return the categories that have images; an empty tuple (all categories) if none has."""
        return tuple(name for name in categories if any(part in self.categories for part in name.split("+")))

    def members(self, category: str) -> list[int]:
        """Return the indices of the planes of a category, or of several joined by ``+``.

        Raises
        ------
        InputError
            If there is none.
        """
        indices = [index for name in category.split("+") for index in self.categories.get(name, [])]
        if not indices:
            raise InputError(
                f"there are no training images of category '{category}'; there are {', '.join(self.categories)}"
            )
        return indices


def read_pool(path: Path, split: str = "train") -> Pool:
    """Read the images of a pool or folder.

    Parameters
    ----------
    path : Path
        A folder with ``index.csv`` (columns file, archive, category, split) and its .zip archives, or a folder of
        images whose sub-folders are the categories. Files of several channels are split into planes; equal planes (a
        gray picture saved in color) are kept once. Planes above 8 bits are scaled by :func:`to_uint8`.
    split : {'train', 'val'}
        Of a folder without an index every tenth image is ``val``.

    Returns
    -------
    Pool

    Raises
    ------
    InputError
        If there is no such folder or nothing in it can be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(
            f"`images`: there is no folder '{path}'; it must be a folder of images or a pool (index.csv and archives)"
        )
    entries = _archived(path, split) if (path / "index.csv").is_file() else _files(path, split)
    pool = Pool([], {})
    with ThreadPoolExecutor(READERS) as readers:
        for name, category, source, planes in readers.map(_read, entries):
            if isinstance(planes, str):
                pool.skipped.append(f"{name}: {planes}")
                log.warning("skipped %s: %s", name, planes)
                continue
            for plane in planes:
                pool.categories.setdefault(category, []).append(len(pool.planes))
                pool.planes.append(plane)
            pool.sources[source] = pool.sources.get(source, 0) + 1
    if not pool.planes:
        raise InputError(f"`images`: '{path}' holds no image of the split '{split}' that can be read")
    return pool


Entry = tuple[str, str, str, Path, "zipfile.ZipFile | None"]
"""Name, category, source, path, and the archive that the image is in, if any."""


def _archived(path: Path, split: str) -> Iterator[Entry]:
    with (path / "index.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    missing = [name for name in ("file", "archive", "category", "split") if not rows or name not in rows[0]]
    if missing:
        raise InputError(f"'{path / 'index.csv'}' lacks the columns {', '.join(missing)}")
    archives: dict[str, zipfile.ZipFile] = {}
    for row in rows:
        if row["split"] != split:
            continue
        if row["archive"] not in archives:
            try:
                archives[row["archive"]] = zipfile.ZipFile(path / row["archive"])
            except (OSError, zipfile.BadZipFile) as error:
                raise InputError(f"'{path / row['archive']}' cannot be opened: {error}") from None
        source = ", ".join(row[name] for name in ("source_repo", "license", "licence") if row.get(name))
        yield row["file"], row["category"], source or path.name, Path(row["file"]), archives[row["archive"]]


def _files(path: Path, split: str) -> Iterator[Entry]:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    for number, file in enumerate(files):
        if (number % VALIDATION_SHARE == VALIDATION_SHARE - 1) == (split == "val"):
            relative_path = file.relative_to(path)
            category = relative_path.parts[0] if len(relative_path.parts) > 1 else "images"
            yield relative_path.as_posix(), category, path.name, file, None


def _read(entry: Entry) -> tuple[str, str, str, list[NDArray[np.uint8]] | str]:
    name, category, source, path, archive = entry
    try:
        array = read_array(path) if archive is None else _read_member(archive, name)
        planes = [array] if array.ndim == 2 else list(array)
        distinct = [p for n, p in enumerate(planes) if not any(_equal(p, other) for other in planes[:n])]
        return name, category, source, [to_uint8(plane) for plane in distinct]
    except Exception as error:  # readers fail in many ways; the image is reported as skipped
        return name, category, source, first_line(error)[:200]


def _read_member(archive: zipfile.ZipFile, name: str) -> NDArray[Any]:
    """Read an image of an archive by the reader of its format, which takes files."""
    with TemporaryDirectory() as folder:
        return read_array(Path(archive.extract(name, folder)))


def _equal(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Compare two planes; 8-bit ones up to one gray level, by which lossy WebP tells the colors of a gray picture."""
    tolerance = 1 if first.dtype == np.uint8 else 0
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=0, atol=tolerance, equal_nan=True))


def to_uint8(plane: NDArray[Any]) -> NDArray[np.uint8]:
    """Return a plane (h, w) as uint8: unchanged if it is uint8, else with percentiles 0.1 and 99.9 as 0 and 255.

    Raises
    ------
    InputError
        If it is not finite, constant, or not a plane of at least 16 x 16 pixels.
    """
    if plane.ndim != 2 or min(plane.shape) < 16:
        raise InputError(f"shape {plane.shape} is no plane of 16 x 16 pixels or more")
    if plane.dtype == np.uint8:
        return plane
    plane = plane.astype(np.float32)
    if not np.isfinite(plane).all():
        raise InputError("NaN or infinite pixels")
    low, high = np.percentile(plane, (0.1, 99.9))
    if high <= low:
        raise InputError("constant")
    scaled: NDArray[np.uint8] = np.rint(((plane - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)
    return scaled


def flatten(
    planes: Sequence[NDArray[np.uint8]],
) -> tuple[NDArray[np.uint8], NDArray[np.int64], NDArray[np.int64]]:
    """Join planes into one array.

    Returns
    -------
    pixels : array (n,), uint8
    starts : array (p,), int64
        Index of the first pixel of each plane.
    shapes : array (p, 2), int64
        Height and width of each plane.
    """
    shapes = np.array([plane.shape for plane in planes], np.int64)
    sizes = shapes.prod(1)
    return np.concatenate([plane.ravel() for plane in planes]), np.cumsum(sizes) - sizes, shapes

"""Training images in memory: a pool (index.csv and archives) or a folder, as 8-bit planes by category."""

from __future__ import annotations

import csv
import io
import logging
import zipfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ..errors import InputError, first_line
from ..images.formats import SUFFIXES, read_planes

log = logging.getLogger(__name__)

READERS = 4
VALIDATION_SHARE = 10
"""One of so many images of a plain folder is kept for validation."""


@dataclass
class Pool:
    """Planes of one split.

    Attributes
    ----------
    planes : list of array (h, w), uint8
    categories : dict of str to list of int
        Which planes are of which category.
    skipped : list of str
        Images that could not be read, with the reason.
    sources : dict of str to int
        Number of images by source and license, as far as the index says.
    """

    planes: list[np.ndarray]
    categories: dict[str, list[int]]
    skipped: list[str] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)

    def present(self, categories: Sequence[str]) -> tuple[str, ...]:
        """Those of the categories that have images; none where no one has, which stands for all."""
        return tuple(name for name in categories if any(part in self.categories for part in name.split("+")))

    def members(self, category: str) -> list[int]:
        """The planes of a category, or of several joined by ``+``.

        Raises
        ------
        InputError
            If there is none.
        """
        found = [index for name in category.split("+") for index in self.categories.get(name, [])]
        if not found:
            raise InputError(
                f"there are no training images of category '{category}'; there are {', '.join(self.categories)}"
            )
        return found


def read_pool(path: Path, split: str = "train") -> Pool:
    """The images of a pool or folder.

    Parameters
    ----------
    path : Path
        A folder with ``index.csv`` (columns file, archive, category, split) and its .zip archives, or a folder of
        images whose sub-folders are the categories. Files of several channels are split into planes.
    split : {'train', 'val'}
        Of a folder without an index every tenth image is ``val``.

    Raises
    ------
    InputError
        If there is no such folder or nothing in it can be read.
    """
    path = Path(path)
    if not path.is_dir():
        raise InputError(f"there is no folder '{path}': give a pool (index.csv and archives) or a folder of images")
    entries = _indexed(path, split) if (path / "index.csv").is_file() else _found(path, split)
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
        raise InputError(f"'{path}' holds no image of the split '{split}' that can be read")
    return pool


Entry = tuple[str, str, str, Path, "zipfile.ZipFile | None"]


def _indexed(path: Path, split: str) -> Iterator[Entry]:
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


def _found(path: Path, split: str) -> Iterator[Entry]:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in SUFFIXES and file.is_file())
    for number, file in enumerate(files):
        if (number % VALIDATION_SHARE == VALIDATION_SHARE - 1) == (split == "val"):
            place = file.relative_to(path)
            yield place.as_posix(), place.parts[0] if len(place.parts) > 1 else "images", path.name, file, None


def _read(entry: Entry) -> tuple[str, str, str, list[np.ndarray] | str]:
    name, category, source, path, archive = entry
    try:
        if archive is None:
            array = read_planes(path)
        else:
            from PIL import Image

            array = np.asarray(Image.open(io.BytesIO(archive.read(name))).convert("L"))
        planes = [array] if array.ndim == 2 else list(array)
        return name, category, source, [to_uint8(plane) for plane in planes]
    except Exception as error:
        return name, category, source, first_line(error)[:200]


def to_uint8(plane: np.ndarray) -> np.ndarray:
    """A plane (h, w) as 8 bit: as it is, or its percentiles 0.1 and 99.9 as 0 and 255.

    Raises
    ------
    InputError
        If it is not finite, constant or no plane.
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
    return np.rint(((plane - low) / (high - low)).clip(0, 1) * 255).astype(np.uint8)


def flatten(planes: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All planes in one array: pixels (n,) uint8, where each plane begins (p,) int64, its height and width (p, 2)."""
    shapes = np.array([plane.shape for plane in planes], np.int64)
    sizes = shapes.prod(1)
    return np.concatenate([plane.ravel() for plane in planes]), np.cumsum(sizes) - sizes, shapes

"""Save the labels that a run segmented, and a picture of some of them to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, StorageError
from ..images.image_set import ImageSet, PlaneSource
from ..images.planes import read_plane
from ..storage.atomic import write_atomic
from ..storage.paths import make_folder, path_kind

LABEL_FOLDER = "labels"
"""Folder of the label images in a results folder."""
CONTACT_SHEET = "segmentation.png"
_FIELDS = 6
_COLUMNS = 3
_SIDE = 480
"""Longer side of a field on the contact sheet, in pixels."""
_GAP = 6
_OUTLINE = (255, 200, 0)


def label_path(folder: Path, image_set: ImageSet, channel: str) -> Path:
    """Return the path of the label image of an image set.

    Parameters
    ----------
    folder : Path
        Results folder.
    image_set : ImageSet
    channel : str
        Channel that was segmented.

    Returns
    -------
    Path
        ``labels/FOLDER/NAME_labels.tif`` with the name of the channel's file and of its folder, so that ``labels``
        finds it; with the number of the image set where a file may hold several.
    """
    source = image_set.channels[channel]
    indexes = [each.index or 0 for each in image_set.channels.values()]
    several = source.row is not None or source.level is not None or min(indexes) > 0
    name = source.path.stem.removesuffix(".ome") + (f"_{image_set.number}" if several else "")
    return folder / LABEL_FOLDER / source.path.parent.name / f"{name}_labels.tif"


def write_labels(path: Path, labels: NDArray[np.integer[Any]]) -> None:
    """Write labels as a TIFF of 16 bit, or of 32 where they do not fit.

    Parameters
    ----------
    path : Path
        See :func:`label_path`.
    labels : array (h, w)

    Raises
    ------
    StorageError, OSError
        If the file cannot be written.
    """
    import tifffile

    kind = np.uint16 if labels.max(initial=0) <= np.iinfo(np.uint16).max else np.uint32
    content = io.BytesIO()
    tifffile.imwrite(content, labels.astype(kind), compression="zlib", photometric="minisblack")
    make_folder(path.parent)
    write_atomic(path, content.getvalue())


def write_contact_sheet(folder: Path, image_sets: Sequence[ImageSet], channel: str) -> None:
    """Write ``segmentation.png``: some fields with the outlines of their saved labels.

    Parameters
    ----------
    folder : Path
        Results folder, with the label images of :func:`write_labels`.
    image_sets : sequence of ImageSet
    channel : str
        Channel that was segmented.

    Raises
    ------
    StorageError, OSError
        If the file cannot be written.
    """
    from PIL import Image

    saved = [each for each in image_sets if channel in each.channels and path_kind(label_path(folder, each, channel))]
    if not saved:
        return
    chosen = [saved[index] for index in np.unique(np.linspace(0, len(saved) - 1, _FIELDS).astype(int))]
    tiles = []
    for image_set in chosen:
        try:
            plane = read_plane(image_set.channels[channel], channel)
            labels = read_plane(PlaneSource(label_path(folder, image_set, channel)), channel)
        except (ImageError, StorageError):
            continue
        tiles.append(outlined(plane, labels))
    if not tiles:
        return
    height, width = (max(tile.shape[axis] for tile in tiles) + _GAP for axis in (0, 1))
    columns = min(len(tiles), _COLUMNS)
    sheet = np.full((height * -(-len(tiles) // columns), width * columns, 3), 255, np.uint8)
    for n, tile in enumerate(tiles):
        y, x = height * (n // columns), width * (n % columns)
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    content = io.BytesIO()
    Image.fromarray(sheet).save(content, "PNG")
    write_atomic(folder / CONTACT_SHEET, content.getvalue())


def outlined(plane: NDArray[Any], labels: NDArray[np.integer[Any]]) -> NDArray[np.uint8]:
    """Draw the outlines of labels on a plane.

    Parameters
    ----------
    plane : array (h, w)
    labels : array (h, w)

    Returns
    -------
    array (h', w', 3), uint8
        Gray between the 1st and the 99.8th percentile, with outlines in yellow; at most 480 pixels long.
    """
    from PIL import Image
    from skimage.segmentation import find_boundaries

    low, high = np.quantile(plane, (0.01, 0.998))
    gray = ((plane.astype(np.float32) - low) / max(float(high - low), 1e-12)).clip(0, 1) * 255
    factor = min(_SIDE / max(plane.shape), 1.0)
    size = (max(round(plane.shape[1] * factor), 1), max(round(plane.shape[0] * factor), 1))
    small = np.asarray(Image.fromarray(gray.astype(np.uint8)).resize(size, Image.Resampling.BOX))
    numbers = Image.fromarray(labels.astype(np.int32)).resize(size, Image.Resampling.NEAREST)
    picture = np.repeat(small[..., None], 3, axis=2)
    picture[find_boundaries(np.asarray(numbers), mode="inner")] = _OUTLINE
    return picture

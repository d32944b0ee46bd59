"""Save the labels that a run segmented, and a picture of some of them to look at."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import ImageError, StorageError, counted
from ..images.image_set import ImageSet, PlaneSource
from ..images.image_set_file import CONTACT_SHEET, LABEL_FOLDER
from ..images.label_files import place_ending
from ..images.planes import read_plane
from ..storage.atomic import write_atomic
from ..storage.paths import as_path, is_remote, make_folder, path_kind
from .job import Job

_FIELDS = 6
_COLUMNS = 3
_SIDE = 480
"""Longer side of a field on the contact sheet, in pixels."""
_GAP = 6
_CAPTION = 17
"""Height of the line of text above a field, in pixels."""
_OUTLINE = (255, 200, 0)


def shared_folders(image_sets: Sequence[ImageSet], channel: str) -> int:
    """Count the folders above all images, which their label images need not have.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    channel : str
        Channel that is segmented.

    Returns
    -------
    int
        Images of one folder keep its name.
    """
    parents = {each.channels[channel].path.parent for each in image_sets if channel in each.channels}
    levels = zip(*(_parts(parent) for parent in parents), strict=False)
    common = sum(1 for _ in takewhile(lambda names: len(set(names)) == 1, levels))
    return max(common - (len(parents) == 1), 1)


def label_path(folder: Path, image_set: ImageSet, channel: str, shared: int) -> Path:
    """Return the path of the label image of an image set.

    Parameters
    ----------
    folder : Path
        Results folder.
    image_set : ImageSet
    channel : str
        Channel that was segmented.
    shared : int
        Result of :func:`shared_folders`.

    Returns
    -------
    Path
        ``labels/FOLDER/NAME_labels.tif`` with the name of the channel's file and of its folders, so that ``labels``
        finds it; with the place in the file where it holds several images or planes.
    """
    source = image_set.channels[channel]
    name = source.path.stem.removesuffix(".ome") + place_ending(image_set, channel)
    return folder.joinpath(LABEL_FOLDER, *_parts(source.path.parent)[shared:], f"{name}_labels.tif")


def with_segmented_labels(image_sets: Sequence[ImageSet], job: Job) -> list[ImageSet]:
    """Replace the label images of the objects of a job by those that it segments, as far as it saves them.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    job : Job

    Returns
    -------
    list of ImageSet
    """
    if not job.segment or not job.segment_channel:
        return list(image_sets)
    found = []
    for each in image_sets:
        labels = {name: source for name, source in each.labels.items() if name != job.objects}
        if job.results and job.segment_channel in each.channels:
            path = label_path(as_path(job.results), each, job.segment_channel, job.shared_folders)
            labels[job.objects] = PlaneSource(path)
        found.append(replace(each, labels=labels))
    return found


def _parts(folder: Path) -> tuple[str, ...]:
    return folder.parts if is_remote(folder) else folder.resolve().parts


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


def write_contact_sheet(folder: Path, image_sets: Sequence[ImageSet], channel: str, shared: int) -> None:
    """Write ``segmentation.png``: some fields with the outlines of their saved labels.

    Parameters
    ----------
    folder : Path
        Results folder, with the label images of :func:`write_labels`.
    image_sets : sequence of ImageSet
    channel : str
        Channel that was segmented.
    shared : int
        Result of :func:`shared_folders`.

    Raises
    ------
    StorageError, OSError
        If the file cannot be written.
    """
    from PIL import Image

    paths = {each.number: label_path(folder, each, channel, shared) for each in image_sets if channel in each.channels}
    saved = [each for each in image_sets if each.number in paths and path_kind(paths[each.number])]
    if not saved:
        return
    chosen = [saved[index] for index in np.unique(np.linspace(0, len(saved) - 1, _FIELDS).astype(int))]
    tiles = []
    for image_set in chosen:
        try:
            plane = read_plane(image_set.channels[channel], channel)
            labels = read_plane(PlaneSource(paths[image_set.number]), channel)
        except (ImageError, StorageError):
            continue
        count = np.unique(labels[labels > 0]).size
        names = (
            str(image_set.metadata[name]) for name in ("Plate", "Well", "Site", "File") if name in image_set.metadata
        )
        caption = " ".join([f"{image_set.number}:", *names, f"({counted(count, 'objects')})"])
        tiles.append(captioned(outlined(plane, labels), caption))
    if not tiles:
        return
    height, width = (max(tile.shape[axis] for tile in tiles) + _GAP for axis in (0, 1))
    columns = min(len(tiles), _COLUMNS)
    sheet = np.full((height * -(-len(tiles) // columns) + _GAP, width * columns + _GAP, 3), 255, np.uint8)
    for n, tile in enumerate(tiles):
        y, x = height * (n // columns) + _GAP, width * (n % columns) + _GAP
        sheet[y : y + tile.shape[0], x : x + tile.shape[1]] = tile
    content = io.BytesIO()
    Image.fromarray(sheet).save(content, "PNG")
    write_atomic(folder / CONTACT_SHEET, content.getvalue())


def captioned(picture: NDArray[np.uint8], caption: str) -> NDArray[np.uint8]:
    """Write a line of text above a picture; what exceeds its width is cut off.

    Parameters
    ----------
    picture : array (h, w, 3)
    caption : str

    Returns
    -------
    array (h', w, 3)
    """
    from PIL import Image, ImageDraw, ImageFont

    line = Image.new("RGB", (picture.shape[1], _CAPTION), "white")
    ImageDraw.Draw(line).text((2, 1), caption, fill="black", font=ImageFont.load_default(_CAPTION - 5))
    return np.concatenate([np.asarray(line), picture])


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

"""Find image sets in a .npz file of NumPy."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np

from ..errors import ImageError, InputError, counted, first_line
from ..storage.paths import is_remote
from .image_set import ImageSet, PlaneSource
from .npz_arrays import read_shape

log = logging.getLogger(__name__)

LABELED_OBJECTS = "Nuclei"
"""Object set of the label array."""
LABEL_ARRAYS = ("masks", "labels")
_LEAST_WIDTH = 16
"""Of an image, in pixels; a shorter last axis is that of channels."""


def from_npz(path: Path) -> list[ImageSet]:
    """Find the image sets of a .npz file.

    Parameters
    ----------
    path : Path
        A file with ``images`` (n, c, h, w) or (n, h, w), and optionally ``channels`` (c,), the channels' names, and
        ``masks`` or ``labels`` (n, h, w), the labels of the object set ``Nuclei``. Any other array (n,) is metadata;
        one of another shape is reported as not used.

    Returns
    -------
    list of ImageSet
        n of them, numbered from 1. Channels without names are ``C1``, ``C2``, ...

    Raises
    ------
    InputError
        If the file is in a store, or its arrays do not go together.
    ImageError
        If the file is damaged, or holds no plain arrays.
    """
    if is_remote(path):
        raise InputError(f"'{path}': .npz files are read from a disk only: copy it")
    try:
        with np.load(path, allow_pickle=False) as data:
            names = list(data.files)
            given = [name for name in LABEL_ARRAYS if name in names]
            images = read_shape(path, "images") if "images" in names else None
            masks = read_shape(path, given[0]) if given else None
            others = {name: data[name] for name in names if name not in ("images", *LABEL_ARRAYS)}
    except (ValueError, OSError) as error:
        raise ImageError(f"'{path}' is not a .npz file of plain arrays: {first_line(error)}", path) from None
    # zipfile and zlib raise several errors on a damaged file
    except Exception as error:
        raise ImageError(f"'{path}' is damaged: {first_line(error)}", path) from error
    if images is None or len(images) not in (3, 4):
        raise InputError(f"'{path}' needs an array 'images' (n, channels, height, width); it holds {', '.join(names)}")
    if len(images) == 4 and images[3] < _LEAST_WIDTH <= images[1]:
        raise InputError(
            f"'{path}': 'images' has shape {images}, which looks like channels last: give (n, channels, height, "
            "width), for example by numpy.moveaxis(images, -1, 1)"
        )
    if 0 in images:
        raise InputError(f"'{path}' holds no images: 'images' has shape {images}")
    if len(given) > 1:
        raise InputError(f"'{path}' holds both {' and '.join(map(repr, given))}: keep one of them")
    if masks is not None and (masks[0] != images[0] or masks[-2:] != images[-2:]):
        raise InputError(f"'{path}': '{given[0]}' has shape {masks}, which does not go with 'images' {images}")
    count, n_channels = images[0], images[1] if len(images) == 4 else 1
    names = [str(name) for name in others.pop("channels", [f"C{n + 1}" for n in range(n_channels)])]
    if len(names) != n_channels or len(set(names)) != n_channels:
        raise InputError(f"'{path}': 'channels' names {counted(len(names), 'channels')}, 'images' has {n_channels}")
    metadata = {name: values for name, values in others.items() if values.shape == (count,)}
    if unused := [name for name in others if name not in metadata]:
        log.warning("'%s': arrays %s are not used: their shape is not (%d,)", path, ", ".join(unused), count)
    return [
        ImageSet(
            row + 1,
            {name: PlaneSource(path, index if len(images) == 4 else None, row) for index, name in enumerate(names)},
            {LABELED_OBJECTS: PlaneSource(path, None, row, given[0])} if given else {},
            {name: values[row].item() for name, values in metadata.items()},
        )
        for row in range(count)
    ]

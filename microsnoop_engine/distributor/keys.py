"""Recognize the image sets of an earlier run, and those whose files or metadata have changed since."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from ..images.image_set import ImageSet
from ..storage.paths import is_remote

Key = list[str]
"""A digest of the places of an image set's planes, and one of everything that its rows depend on."""


def image_set_keys(image_sets: Sequence[ImageSet], metadata: Mapping[str, type]) -> dict[int, Key]:
    """Compute the keys of image sets; they go into the manifest.

    Parameters
    ----------
    image_sets : sequence of ImageSet
    metadata : mapping of str to type
        The types of the metadata columns.

    Returns
    -------
    dict of int to list of str
        By ImageNumber, on which they do not depend. The second part changes with files (path, size and time of the last
        change), metadata and the columns of the table. Files of a store and folders (OME-Zarr) are known by their path
        alone.
    """
    stamp = cache(_stamp)
    columns = [[name, kind.__name__] for name, kind in metadata.items()]
    keys = {}
    for image_set in image_sets:
        planes = _planes(image_set)
        sources = [source for part in (image_set.channels, image_set.labels) for source in part.values()]
        stamps = [stamp(path) for source in sources for path in source.files]
        state = [planes, stamps, dict(image_set.metadata), image_set.scale, columns]
        keys[image_set.number] = [_digest(planes), _digest(state)]
    return keys


def digest_of_inputs(image_sets: Sequence[ImageSet]) -> str:
    """Compute a digest of numbers, planes and metadata, equal for all shards of a run."""
    return _digest(
        [[image_set.number, _planes(image_set), dict(image_set.metadata), image_set.scale] for image_set in image_sets]
    )


def _planes(image_set: ImageSet) -> list[Any]:
    return [
        [kind, name, *source.key()]
        for kind, planes in (("channel", image_set.channels), ("labels", image_set.labels))
        for name, source in planes.items()
    ]


def _stamp(path: Path) -> list[int] | None:
    """Return size and time of the last change of a file on a disk; None for anything else."""
    if is_remote(path) or not path.is_file():
        return None
    status = path.stat()
    return [status.st_size, status.st_mtime_ns]


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]

"""Write the image sets of a table of profiles beside it, and read them back to show crops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import as_path, path_kind, read_bytes
from .image_set import ImageSet, PlaneSource, Position

IMAGE_SETS = "image_sets.json"
"""Name of the file in a results folder."""
LABEL_FOLDER, CONTACT_SHEET = "labels", "segmentation.png"
"""Folder of the saved label images in a results folder, and the picture of some of them."""


def write_image_sets(folder: Path, image_sets: Sequence[ImageSet], channels: Sequence[str]) -> None:
    """Write ``image_sets.json`` to the folder of a profile run.

    Parameters
    ----------
    folder : Path
        Where the table of profiles is.
    image_sets : sequence of ImageSet
        Their numbers, channels and label images are written, with absolute paths.
    channels : sequence of str
        The channels that were measured.

    Raises
    ------
    StorageError, OSError
        If the file cannot be written.
    """
    entries = [
        {
            "number": image_set.number,
            "channels": {name: _fields(source) for name, source in image_set.channels.items()},
            "labels": {name: _fields(source) for name, source in image_set.labels.items()},
        }
        for image_set in image_sets
    ]
    content = {"channels": list(channels), "image_sets": entries}
    write_atomic(folder / IMAGE_SETS, json.dumps(content).encode())


def read_image_sets(folder: Path) -> tuple[dict[int, ImageSet], list[str]]:
    """Read ``image_sets.json`` from the folder of a profile run.

    Parameters
    ----------
    folder : Path
        Where the table of profiles is.

    Returns
    -------
    image_sets : dict of int to ImageSet
        By their number, without metadata; without labels where an earlier version wrote the file.
    channels : list of str
        The channels that were measured.

    Raises
    ------
    InputError
        If the folder has no such file, or it is damaged.
    """
    path = folder / IMAGE_SETS
    if path_kind(path) is None:
        raise InputError(f"'{folder}' is no folder of 'microsnoop profile': there is no '{IMAGE_SETS}' in it")
    try:
        content = json.loads(read_bytes(path))
        image_sets = {
            entry["number"]: ImageSet(
                entry["number"],
                {name: _plane_source(source) for name, source in entry["channels"].items()},
                {name: _plane_source(source) for name, source in entry.get("labels", {}).items()},
            )
            for entry in content["image_sets"]
        }
        return image_sets, content["channels"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"'{path}' is damaged ({error}): run 'microsnoop profile' again to rewrite it") from None


def _fields(source: PlaneSource) -> dict[str, Any]:
    illumination = source.illumination and str(source.illumination.resolve())
    depths = [str(path.resolve()) for path in source.depths]
    return {**asdict(source), "path": str(source.path.resolve()), "illumination": illumination, "depths": depths}


def _plane_source(fields: dict[str, Any]) -> PlaneSource:
    position, illumination = fields.get("position"), fields.get("illumination")
    return PlaneSource(
        **{
            **fields,
            "path": as_path(fields["path"]),
            "position": position and Position(**position),
            "illumination": illumination and as_path(illumination),
            "depths": tuple(as_path(path) for path in fields.get("depths", ())),
        }
    )

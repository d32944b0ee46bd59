"""Which images a table of profiles came from: written beside it, read back by what shows crops."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..errors import InputError
from ..storage.atomic import write_atomic
from ..storage.paths import as_path, path_kind, read_bytes
from .image_set import ImageSet, PlaneSource

IMAGE_SETS = "image_sets.json"


def write_image_sets(folder: Path, image_sets: Sequence[ImageSet], channels: Sequence[str]) -> None:
    """Write ``image_sets.json`` to the folder of a profile run; paths become absolute."""

    def described(source: PlaneSource) -> dict:
        return {**asdict(source), "path": str(source.path.resolve())}

    entries = [
        {"number": entry.number, "channels": {name: described(source) for name, source in entry.channels.items()}}
        for entry in image_sets
    ]
    found = {"channels": list(channels), "image_sets": entries}
    write_atomic(folder / IMAGE_SETS, json.dumps(found).encode())


def read_image_sets(folder: Path) -> tuple[dict[int, ImageSet], list[str]]:
    """The image sets of a profile run by number, and the names of the channels that were measured.

    Raises
    ------
    InputError
        If the folder has no such list, or it is damaged.
    """
    path = folder / IMAGE_SETS
    if path_kind(path) is None:
        raise InputError(f"'{folder}' is no folder of 'microsnoop profile': there is no '{IMAGE_SETS}' in it")
    try:
        found = json.loads(read_bytes(path))
        image_sets = {
            entry["number"]: ImageSet(
                entry["number"],
                {
                    name: PlaneSource(**{**source, "path": as_path(source["path"])})
                    for name, source in entry["channels"].items()
                },
            )
            for entry in found["image_sets"]
        }
        return image_sets, found["channels"]
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"'{path}' is damaged ({error}): run 'microsnoop profile' again, it writes it anew") from None

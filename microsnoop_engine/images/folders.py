"""Find image sets in a folder of image files."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath

from ..errors import InputError, UnreachableError
from ..storage.paths import files_in, is_remote
from .formats import SUFFIXES, channel_names
from .image_set import ImageSet, PlaneSource, typed_metadata

READERS = 16
"""Headers of files in a store that are read at once."""


def from_folder(folder: Path, pattern: str | None = None) -> list[ImageSet]:
    """Image sets of a folder: grouped by the pattern, or every file an image set of its own."""
    places = [place for place in files_in(folder) if not any(part.startswith(".") for part in place.parts)]
    images = [place for place in places if place.suffix.lower() in SUFFIXES]
    if not images:
        hint = ": give one of its .npz files" if any(place.suffix.lower() == ".npz" for place in places) else ""
        raise InputError(f"folder '{folder}' holds no images ({', '.join(SUFFIXES)}){hint}")
    if pattern is None:

        def alone(number: int, place: PurePath) -> ImageSet:
            metadata = {"Folder": place.parent.as_posix()} if len(place.parts) > 1 else {}
            return image_set_of_file(number, folder.joinpath(*place.parts), metadata)

        with ThreadPoolExecutor(READERS if is_remote(folder) else 1) as pool:
            return list(pool.map(alone, range(1, len(images) + 1), images))
    expression = pattern_expression(pattern)
    groups: dict[tuple[str, ...], dict[str, PlaneSource]] = {}
    for place in images:
        match = expression.fullmatch(place.as_posix())
        if match is None:
            continue
        values = match.groupdict()
        channel = values.pop("Channel")
        # the values and the pattern make up the path, so no other file has the same ones
        groups.setdefault(tuple(values.values()), {})[channel] = PlaneSource(folder.joinpath(*place.parts))
    if not groups:
        example = images[0].as_posix()
        raise InputError(f"no file of '{folder}' fits the pattern '{pattern}'; a file there: '{example}'")
    names = [name for name in expression.groupindex if name != "Channel"]
    return typed_metadata(
        [
            ImageSet(number, channels, {}, dict(zip(names, key, strict=True)))
            for number, (key, channels) in enumerate(sorted(groups.items()), start=1)
        ]
    )


def pattern_expression(pattern: str) -> re.Pattern[str]:
    """The regular expression of a pattern such as ``{Plate}/{Well}_s{Site}_{Channel}.tif``.

    Raises
    ------
    InputError
        If ``{Channel}`` is missing, or a name is unfit or stands twice.
    """
    parts = re.split(r"\{([^{}]*)\}", pattern.replace("\\", "/"))
    names = parts[1::2]
    if "Channel" not in names:
        raise InputError(f"pattern '{pattern}' has no {{Channel}}: name the part that tells the channel")
    for name in names:
        if not re.fullmatch(r"[A-Za-z]\w*", name) or names.count(name) > 1:
            raise InputError(f"pattern '{pattern}': '{{{name}}}' must be a word of letters that stands once")
    expression = "".join(f"(?P<{part}>[^/]+?)" if n % 2 else re.escape(part) for n, part in enumerate(parts))
    return re.compile(expression)


def image_set_of_file(number: int, path: Path, metadata: dict[str, str]) -> ImageSet:
    metadata = {"File": path.name, **metadata}
    try:
        names = channel_names(path)
    except UnreachableError:
        raise
    except Exception:
        # the reader will meet the same fault and report it with the file's name
        names = []
    if not names:
        return ImageSet(number, {"Image": PlaneSource(path)}, {}, metadata)
    return ImageSet(number, {name: PlaneSource(path, index) for index, name in enumerate(names)}, {}, metadata)

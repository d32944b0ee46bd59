"""What the user points at - a LoadData CSV, a folder, a file, a .npz - as a list of image sets."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np

from .errors import ImageError, InputError
from .images import SUFFIXES, ImageSet, Source, channel_names
from .npz import read_shape

LABEL_SUFFIXES = ("", "_labels", "_label", "_mask", "_masks", "_cp_masks", "_Nuclei", "_Cells")


def find_image_sets(path: Path, pattern: str | None = None, labels: Path | None = None, objects: str = "Nuclei"):
    """The image sets of an input of any kind.

    Parameters
    ----------
    path : Path
        A LoadData CSV, a folder of images, an image file or a .npz file.
    pattern : str, optional
        For a folder: how a file's path inside it is made up, for example ``{Plate}/{Well}_s{Site}_{Channel}.tif``.
        ``{Channel}`` names the channel; everything else becomes metadata.
    labels : Path, optional
        A folder of label images with the names of the images (of any of their channels), with or without one of
        the endings ``_labels``, ``_mask``, ``_cp_masks``, ``_Nuclei``, ``_Cells``.
    objects : str
        Name of the object set of those labels.

    Returns
    -------
    list of ImageSet

    Raises
    ------
    InputError
        If nothing can be made of the input.
    """
    path = Path(path)
    if path.is_dir():
        sets = from_folder(path, pattern)
    elif not path.exists():
        raise InputError(f"there is no file or folder '{path}'")
    elif pattern:
        raise InputError(f"--pattern goes with a folder, but '{path}' is a file")
    elif path.suffix.lower() == ".csv":
        sets = from_load_data(path)
    elif path.suffix.lower() == ".npz":
        sets = from_npz(path)
    elif path.suffix.lower() in SUFFIXES:
        sets = [_from_file(1, path, {})]
    else:
        raise InputError(
            f"'{path}' is no input: give a LoadData .csv, a folder, an image ({', '.join(SUFFIXES)}) or .npz"
        )
    return with_labels(sets, labels, objects) if labels else sets


def from_load_data(path: Path) -> list[ImageSet]:
    """Image sets of a CellProfiler LoadData CSV.

    Columns ``FileName_X`` with ``PathName_X``, or ``URL_X``, give channel X (``Frame_X`` its plane);
    ``ObjectsFileName_X`` with ``ObjectsPathName_X``, or ``ObjectsURL_X``, the labels of object set X; ``Metadata_X``
    metadata. Paths may be relative to the folder of the CSV.

    Raises
    ------
    InputError
        Naming the file, and the row and column where there is one.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not text in UTF-8: save it as 'CSV UTF-8' ({error})") from None
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}: {error}") from None
    if not rows:
        raise InputError(f"'{path}' is empty")
    header = [name.strip() for name in rows[0][1]]
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise InputError(f"'{path}' is separated by semicolons or tabs: save it with commas")
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise InputError(f"'{path}' has these columns more than once: {', '.join(twice)}")
    channels = list(dict.fromkeys([*_named(header, "FileName_"), *_named(header, "URL_")]))
    if not channels:
        raise InputError(
            f"'{path}' has no column FileName_<channel> or URL_<channel>; its columns: {', '.join(header)}"
        )
    objects = list(dict.fromkeys([*_named(header, "ObjectsFileName_"), *_named(header, "ObjectsURL_")]))
    sets = []
    for line, row in rows[1:]:
        if len(row) != len(header):
            raise InputError(f"'{path}', line {line}: {len(row)} values for {len(header)} columns")
        values = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        where = f"'{path}', line {line}"
        number = len(sets) + 1
        if values.get("ImageNumber"):
            if not values["ImageNumber"].isdecimal():
                raise InputError(f"{where}: ImageNumber is '{values['ImageNumber']}', not a number")
            number = int(values["ImageNumber"])
        images = {name: source for name in channels if (source := _source(values, name, "", path.parent, where))}
        labels = {name: source for name in objects if (source := _source(values, name, "Objects", path.parent, where))}
        if not images:
            raise InputError(f"{where}: no channel has a file")
        metadata = {name: values[f"Metadata_{name}"] for name in _named(header, "Metadata_")}
        sets.append(ImageSet(number, images, labels, metadata))
    if not sets:
        raise InputError(f"'{path}' has a header but no rows")
    numbers = [s.number for s in sets]
    number, count = Counter(numbers).most_common(1)[0]
    if count > 1:
        raise InputError(f"'{path}': ImageNumber {number} stands in {count} rows")
    return typed_metadata(sets)


def _named(header: Iterable[str], prefix: str) -> list[str]:
    return [name[len(prefix) :] for name in header if name.startswith(prefix) and len(name) > len(prefix)]


def _source(values: dict[str, str], name: str, kind: str, base: Path, where: str) -> Source | None:
    url = values.get(f"{kind}URL_{name}", "")
    if url:
        parts = urlparse(url)
        if parts.scheme not in ("", "file") and len(parts.scheme) > 1:
            raise InputError(f"{where}, column {kind}URL_{name}: only file: addresses can be read, not {parts.scheme}:")
        path = base / (url2pathname(parts.path) if parts.scheme == "file" else _local(url))
    else:
        file = values.get(f"{kind}FileName_{name}", "")
        if not file:
            return None
        folder = values.get(f"{kind}PathName_{name}", "")
        path = base / _local(folder) / _local(file)
    frame = values.get(f"{kind}Frame_{name}", "")
    if frame and not frame.isdecimal():
        raise InputError(f"{where}, column {kind}Frame_{name}: '{frame}' is not a plane number (0, 1, ..)")
    return Source(path, int(frame) if frame else None)


def _local(place: str) -> Path:
    """A path as written on any system: the backslashes of Windows become slashes."""
    return Path(place.replace("\\", "/"))


def from_folder(folder: Path, pattern: str | None = None) -> list[ImageSet]:
    """Image sets of a folder: grouped by the pattern, or every file an image set of its own."""
    places = sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file())
    places = [place for place in places if not any(part.startswith(".") for part in place.parts)]
    files = [folder / place for place in places if place.suffix.lower() in SUFFIXES]
    if not files:
        hint = ": give one of its .npz files" if any(place.suffix.lower() == ".npz" for place in places) else ""
        raise InputError(f"folder '{folder}' holds no images ({', '.join(SUFFIXES)}){hint}")
    if pattern is None:
        sets = []
        for file in files:
            place = file.relative_to(folder)
            metadata = {"Folder": place.parent.as_posix()} if len(place.parts) > 1 else {}
            sets.append(_from_file(len(sets) + 1, file, metadata))
        return sets
    expression = pattern_expression(pattern)
    groups: dict[tuple[str, ...], dict[str, Source]] = {}
    for file in files:
        match = expression.fullmatch(file.relative_to(folder).as_posix())
        if match is None:
            continue
        values = match.groupdict()
        channel = values.pop("Channel")
        # the values and the pattern make up the path, so no other file has the same ones
        groups.setdefault(tuple(values.values()), {})[channel] = Source(file)
    if not groups:
        example = files[0].relative_to(folder).as_posix()
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


def _from_file(number: int, path: Path, metadata: dict[str, str]) -> ImageSet:
    metadata = {"File": path.name, **metadata}
    try:
        names = channel_names(path)
    except Exception:
        # the reader will meet the same fault and report it with the file's name
        names = []
    if not names:
        return ImageSet(number, {"Image": Source(path)}, {}, metadata)
    return ImageSet(number, {name: Source(path, index) for index, name in enumerate(names)}, {}, metadata)


def from_npz(path: Path) -> list[ImageSet]:
    """Image sets of a .npz file: ``images`` (n, c, h, w) or (n, h, w), optionally ``channels`` (c,) with their names.

    An integer array ``masks`` (n, h, w) holds the labels of the object set ``Nuclei``; any other array of length n is
    metadata.
    """
    try:
        with np.load(path, allow_pickle=False) as data:
            names = data.files
            shape, masks = (read_shape(path, name) if name in names else None for name in ("images", "masks"))
            others = {name: data[name] for name in names if name not in ("images", "masks")}
    except (ValueError, OSError) as error:
        raise ImageError(f"'{path}' is not a .npz file of plain arrays: {error}", path) from None
    except Exception as error:
        raise ImageError(f"'{path}' is damaged: {error}", path) from None
    if shape is None or len(shape) not in (3, 4):
        raise InputError(f"'{path}' needs an array 'images' (n, channels, height, width); it holds {', '.join(names)}")
    count, channels = shape[0], shape[1] if len(shape) == 4 else 1
    if 0 in shape:
        raise InputError(f"'{path}' holds no images: 'images' has shape {shape}")
    if masks is not None and (masks[0] != count or masks[-2:] != shape[-2:]):
        raise InputError(f"'{path}': 'masks' has shape {masks}, which does not go with 'images' {shape}")
    stated = others.pop("channels", None)
    labels = [str(name) for name in stated] if stated is not None else [f"C{n + 1}" for n in range(channels)]
    if len(labels) != channels or len(set(labels)) != channels:
        raise InputError(f"'{path}': 'channels' names {len(labels)} channels, 'images' has {channels}")
    metadata = {name: value for name, value in others.items() if value.shape == (count,)}
    return [
        ImageSet(
            row + 1,
            {name: Source(path, index if len(shape) == 4 else None, row) for index, name in enumerate(labels)},
            {"Nuclei": Source(path, None, row, "masks")} if masks else {},
            {name: value[row].item() for name, value in metadata.items()},
        )
        for row in range(count)
    ]


def with_labels(sets: list[ImageSet], folder: Path, objects: str) -> list[ImageSet]:
    """The image sets with the label images of a folder, found by the names of their image files."""
    if not folder.is_dir():
        raise InputError(f"--labels: there is no folder '{folder}'")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES:
            found.setdefault(path.stem, []).append(path)
    result, taken = [], {}
    for image_set in sets:
        stems = [source.path.stem for source in image_set.channels.values()]
        stems += [stem.removesuffix(f"_{name}") for stem, name in zip(stems, image_set.channels, strict=True)]
        names = [f"{stem}{suffix}" for stem in stems for suffix in (*LABEL_SUFFIXES, f"_{objects}")]
        own = {source.path.resolve() for source in image_set.channels.values()}
        matches = {path for name in names for path in found.get(name, []) if path.resolve() not in own}
        if len(matches) > 1:
            parents = {source.path.parent.name for source in image_set.channels.values()}
            matches = {path for path in matches if path.parent.name in parents} or matches
        if len(matches) > 1:
            listed = ", ".join(f"'{path}'" for path in sorted(matches))
            raise InputError(f"--labels: image set {image_set.number} has more than one label image: {listed}")
        path = matches.pop() if matches else folder / f"{stems[0]}.tif"
        if path in taken and path.exists():
            raise InputError(f"--labels: '{path}' fits image set {taken[path]} as well as {image_set.number}")
        taken[path] = image_set.number
        result.append(ImageSet(image_set.number, image_set.channels, {objects: Source(path)}, image_set.metadata))
    return result


def typed_metadata(sets: list[ImageSet]) -> list[ImageSet]:
    """The image sets with the metadata that are plain numbers throughout turned into int or float."""
    converters = {}
    for name in dict.fromkeys(name for s in sets for name in s.metadata):
        values = [str(s.metadata.get(name, "")) for s in sets]
        if all(re.fullmatch(r"-?(0|[1-9]\d{0,17})", value) for value in values):
            converters[name] = int
        elif all(re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?", value) for value in values):
            converters[name] = float
        else:
            converters[name] = str
    return [
        ImageSet(s.number, s.channels, s.labels, {k: converters[k](v) for k, v in s.metadata.items()}) for s in sets
    ]

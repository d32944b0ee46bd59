"""What the user points at - a LoadData CSV, a folder, a file, a .npz - as a list of image sets."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePath
from urllib.parse import urlparse
from urllib.request import url2pathname

import numpy as np

from .errors import ImageError, InputError, UnreachableError
from .images import SUFFIXES, ImageSet, Source, channel_names
from .npz import read_shape
from .ome_zarr import from_ome_zarr, is_ome_zarr
from .storage.paths import ADDRESS, as_path, files_in, is_remote, kind_of, read_bytes

READERS = 16
"""Headers of files in a store that are read at once."""
LABEL_SUFFIXES = ("", "_labels", "_label", "_mask", "_masks", "_cp_masks", "_Nuclei", "_Cells")


def find_image_sets(
    path: str | Path,
    pattern: str | None = None,
    labels: Path | None = None,
    objects: str = "Nuclei",
    level: int | None = None,
    pixel_size: float | None = None,
) -> list[ImageSet]:
    """The image sets of an input of any kind.

    Parameters
    ----------
    path : str or Path
        A LoadData CSV, a folder of images, an OME-Zarr plate or image, an image file or a .npz file; or the address of
        one in an object store.
    pattern : str, optional
        For a folder: how a file's path inside it is made up, for example ``{Plate}/{Well}_s{Site}_{Channel}.tif``.
        ``{Channel}`` names the channel; everything else becomes metadata.
    labels : Path, optional
        A folder of label images with the names of the images (of any of their channels), with or without one of
        the endings ``_labels``, ``_mask``, ``_cp_masks``, ``_Nuclei``, ``_Cells``.
    objects : str
        Name of the object set of those labels.
    level, pixel_size : int, float, optional
        For OME-Zarr: see :func:`microsnoop_engine.ome_zarr.from_ome_zarr`.

    Returns
    -------
    list of ImageSet

    Raises
    ------
    InputError
        If nothing can be made of the input.
    """
    path = as_path(path)
    # by HTTP, folders do not show
    found = "folder" if path.suffix == ".zarr" else kind_of(path)
    if found == "folder" and is_ome_zarr(path):
        for option, value in (("--pattern", pattern), ("--labels", labels)):
            if value:
                raise InputError(f"{option} goes with image files: OME-Zarr has its own channels and labels")
        return from_ome_zarr(path, level, pixel_size)
    for option, value in (("--level", level), ("--pixel-size", pixel_size)):
        if value is not None:
            raise InputError(f"{option} goes with an OME-Zarr plate or image")
    if found == "folder":
        sets = from_folder(path, pattern)
    elif found is None:
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
    metadata. Paths may be relative to the folder of the CSV, which may be in an object store, and addresses in one.

    Raises
    ------
    InputError
        Naming the file, and the row and column where there is one.
    """
    try:
        reader = csv.reader(io.StringIO(read_bytes(path).decode("utf-8-sig"), newline=""))
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


def _source(values: dict[str, str], name: str, prefix: str, base: Path, where: str) -> Source | None:
    url, file = values.get(f"{prefix}URL_{name}", ""), values.get(f"{prefix}FileName_{name}", "")
    if not url and not file:
        return None
    column = f"{prefix}URL_{name}" if url else f"{prefix}PathName_{name}"
    try:
        path = _from_url(base, url) if url else _inside(_inside(base, values.get(column, "")), file)
    except InputError as error:
        raise InputError(f"{where}, column {column}: {error}") from None
    frame = values.get(f"{prefix}Frame_{name}", "")
    if frame and not frame.isdecimal():
        raise InputError(f"{where}, column {prefix}Frame_{name}: '{frame}' is not a plane number (0, 1, ..)")
    return Source(path, int(frame) if frame else None)


def _from_url(base: Path, url: str) -> Path:
    scheme = urlparse(url).scheme
    if scheme == "file":
        return base / url2pathname(urlparse(url).path)
    if len(scheme) > 1 and not ADDRESS.match(url):
        raise InputError(f"{scheme}: addresses cannot be read; give file:, s3://, gs:// or https://")
    return _inside(base, url)


def _inside(folder: Path, place: str) -> Path:
    """A place counted from a folder, or an address, or an absolute path."""
    if ADDRESS.match(place):
        return as_path(place)
    local = _local(place)
    if not is_remote(folder):
        return folder / local
    return local if local.is_absolute() else folder.joinpath(*local.parts).resolve()


def _local(place: str) -> Path:
    """A path as written on any system: the backslashes of Windows become slashes."""
    return Path(place.replace("\\", "/"))


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
            return _from_file(number, folder.joinpath(*place.parts), metadata)

        with ThreadPoolExecutor(READERS if is_remote(folder) else 1) as pool:
            return list(pool.map(alone, range(1, len(images) + 1), images))
    expression = pattern_expression(pattern)
    groups: dict[tuple[str, ...], dict[str, Source]] = {}
    for place in images:
        match = expression.fullmatch(place.as_posix())
        if match is None:
            continue
        values = match.groupdict()
        channel = values.pop("Channel")
        # the values and the pattern make up the path, so no other file has the same ones
        groups.setdefault(tuple(values.values()), {})[channel] = Source(folder.joinpath(*place.parts))
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


def _from_file(number: int, path: Path, metadata: dict[str, str]) -> ImageSet:
    metadata = {"File": path.name, **metadata}
    try:
        names = channel_names(path)
    except UnreachableError:
        raise
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
    if is_remote(path):
        raise InputError(f"'{path}': .npz files are read from a disk only: copy it")
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
    if kind_of(folder) != "folder":
        raise InputError(f"--labels: there is no folder '{folder}'")
    found: dict[str, list[Path]] = {}
    for place in files_in(folder):
        if place.suffix.lower() in SUFFIXES:
            found.setdefault(place.stem, []).append(folder.joinpath(*place.parts))
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
            listed = ", ".join(sorted(f"'{path}'" for path in matches))
            raise InputError(f"--labels: image set {image_set.number} has more than one label image: {listed}")
        path = matches.pop() if matches else folder / f"{stems[0]}.tif"
        if path in taken and kind_of(path):
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

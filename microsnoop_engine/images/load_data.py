"""Find image sets in a LoadData CSV of CellProfiler."""

from __future__ import annotations

import csv
import io
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from ..errors import InputError
from ..storage.paths import ADDRESS, as_path, is_remote, read_bytes
from .image_set import ImageSet, PlaneSource, typed_metadata


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


def _source(values: dict[str, str], name: str, prefix: str, base: Path, where: str) -> PlaneSource | None:
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
    return PlaneSource(path, int(frame) if frame else None)


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

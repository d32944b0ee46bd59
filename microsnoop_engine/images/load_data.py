"""Find image sets in a LoadData table of CellProfiler."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlparse
from urllib.request import url2pathname

from ..errors import InputError, counted, listing
from ..storage.paths import ADDRESS, as_path, is_remote, read_bytes
from .harmony_lists import with_places_of_names
from .illumination import channel_of_function, is_function
from .image_set import ImageSet, PlaneSource, Position, typed_metadata
from .unicode_names import existing_form

log = logging.getLogger(__name__)

LOAD_DATA_SUFFIXES = (".csv", ".csv.gz", ".parquet")
"""Of the files that can be read, in small letters."""
_KNOWN = re.compile(r"(?:Objects)?(?:FileName|PathName|URL|Frame|Series|Channel)_.+|Metadata_.+|Group_.+|ImageNumber")

_DRIVE = re.compile(r"/?[A-Za-z]:[\\/]|\\\\\w")
_WHOLE = re.compile(r"(\d+)(?:\.0*)?", re.ASCII)
"""Whole numbers, also as tables with blank cells write them: 1.0."""
_NO_COLOR = ("-1", "-2", "-3", "-1.0", "-2.0", "-3.0")
"""What CellProfiler writes in Channel_ for a gray plane, a whole color picture and objects."""


def is_load_data(path: Path) -> bool:
    """Return True if a file has the suffix of a LoadData table.

    Examples
    --------
    >>> is_load_data(Path("LoadData.csv.gz")), is_load_data(Path("plate.HTD"))
    (True, False)
    """
    return path.name.lower().endswith(LOAD_DATA_SUFFIXES)


def from_load_data(path: Path) -> list[ImageSet]:
    """Find the image sets of a CellProfiler LoadData CSV, or of the same table compressed or as Parquet.

    Parameters
    ----------
    path : Path
        On a disk or in a store. Its columns are ``FileName_X`` with ``PathName_X``, or ``URL_X``, the file of channel X
        (``Series_X`` the image in it, ``Frame_X`` the plane among all of that image, ``Channel_X`` the color of a color
        picture or the channel, all from 0); ``FileName_IllumX``, the illumination function by which X (or OrigX) is
        divided; ``ObjectsFileName_X`` with ``ObjectsPathName_X``, or ``ObjectsURL_X``, the labels of object set X; and
        ``Metadata_X``; each also with ``Image_`` before it. Other columns are not used, which is logged. Paths may be
        relative to the folder of the CSV.

    Returns
    -------
    list of ImageSet
        One per row; numbered from 1 unless there is a column ``ImageNumber``. Files need not exist.

    Raises
    ------
    InputError
        If the CSV cannot be used; the message names the file, and the line and column where there is one.
    StorageError, OSError
        If the CSV cannot be read.
    """
    header, rows = _read_rows(path)
    channels = list(dict.fromkeys([*_suffixes(header, "FileName_"), *_suffixes(header, "URL_")]))
    if not channels:
        raise InputError(
            f"'{path}' has no column FileName_<channel> or URL_<channel>; its columns: {', '.join(header)}"
        )
    objects = list(dict.fromkeys([*_suffixes(header, "ObjectsFileName_"), *_suffixes(header, "ObjectsURL_")]))
    functions = _illumination_functions(channels)
    image_sets = []
    for number, (line, row) in enumerate(rows, start=1):
        where = f"'{path}', line {line}"
        values = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
        if values.get("ImageNumber"):
            whole = _WHOLE.fullmatch(values["ImageNumber"])
            if not whole:
                raise InputError(f"{where}: ImageNumber is '{values['ImageNumber']}', not a number")
            number = int(whole[1])
        images = _with_illumination(_plane_sources(values, channels, "", path.parent, where), functions)
        labels = _plane_sources(values, objects, "Objects", path.parent, where)
        if not images:
            raise InputError(f"{where}: no channel has a file")
        metadata = {name: values[f"Metadata_{name}"] for name in _suffixes(header, "Metadata_")}
        image_sets.append(ImageSet(number, images, labels, metadata))
    if not image_sets:
        raise InputError(f"'{path}' has a header but no rows")
    number, count = Counter(image_set.number for image_set in image_sets).most_common(1)[0]
    if count > 1:
        raise InputError(f"'{path}': {counted(count, 'rows have', 'row has')} the ImageNumber {number}")
    return typed_metadata(with_places_of_names(image_sets, path))


def _read_rows(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Read the header and the other rows that are not blank, with their line numbers."""
    rows = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path)
    if not rows:
        raise InputError(f"'{path}' is empty")
    header = [_plain_name(name.strip()) for name in rows[0][1]]
    if len(header) == 1 and re.search("[;\t]", header[0]):
        raise InputError(f"'{path}' is separated by semicolons or tabs: save it with commas")
    header, body = _without_nameless(path, header, rows[1:])
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise InputError(f"'{path}' has these columns more than once: {', '.join(repeated)}")
    unused = [name for name in header if not _KNOWN.fullmatch(name)]
    if unused and len(unused) < len(header):
        log.warning(
            "'%s': %s not used (%s); a column is kept if its name begins with Metadata_",
            path,
            counted(len(unused), "columns are", "column is"),
            listing(unused),
        )
    return header, body


def _read_csv(path: Path) -> list[tuple[int, list[str]]]:
    """Read the rows of a CSV that are not blank, with their line numbers."""
    data = read_bytes(path)
    try:
        if path.suffix.lower() == ".gz":
            data = gzip.decompress(data)
        reader = csv.reader(io.StringIO(data.decode("utf-8-sig"), newline=""))
        return [(reader.line_num, row) for row in reader if any(cell.strip() for cell in row)]
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"'{path}' is damaged, or not compressed by gzip ({error})") from None
    except UnicodeDecodeError as error:
        raise InputError(f"'{path}' is not text in UTF-8: save it as 'CSV UTF-8' ({error})") from None
    except csv.Error as error:
        raise InputError(f"'{path}', line {reader.line_num}: {error}") from None


def _read_parquet(path: Path) -> list[tuple[int, list[str]]]:
    """Read the rows of a Parquet file as text, with the numbers that they had in a CSV."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(pa.BufferReader(read_bytes(path)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise InputError(f"'{path}' is damaged, or no Parquet file ({error})") from None
    columns = [
        ["" if value is None or value != value else str(value) for value in column.to_pylist()]
        for column in table.columns
    ]
    body = [list(row) for row in zip(*columns, strict=True)]
    return [(line, row) for line, row in enumerate([table.column_names, *body], start=1)]


def _plain_name(name: str) -> str:
    """Return the name of a column without ``Image_``, which CellProfiler writes before it."""
    plain = name.removeprefix("Image_")
    return plain if _KNOWN.fullmatch(plain) else name


def _without_nameless(
    path: Path, header: list[str], rows: list[tuple[int, list[str]]]
) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Drop columns without a name, and blank cells at the end of rows, which spreadsheets leave."""
    named = [index for index, name in enumerate(header) if name]
    width = named[-1] + 1 if named else 0
    body = []
    lost = set()
    for line, row in rows:
        filled = next((n for n in range(len(row), 0, -1) if row[n - 1].strip()), 0)
        if len(row) < width or filled > len(header):
            raise InputError(
                f"'{path}', line {line}: {counted(len(row), 'values')} for {counted(len(header), 'columns')}"
            )
        lost |= {index for index in range(filled) if not header[index] and row[index].strip()}
        body.append((line, [row[index] for index in named]))
    if lost:
        numbers = ", ".join(str(index + 1) for index in sorted(lost))
        log.warning("'%s': columns without a name are not used, though they hold values: number %s", path, numbers)
    return [header[index] for index in named], body


def _suffixes(header: Iterable[str], prefix: str) -> list[str]:
    """Return the ends of the columns that begin with the prefix."""
    return [name[len(prefix) :] for name in header if name.startswith(prefix) and len(name) > len(prefix)]


def _plane_sources(
    values: dict[str, str], names: Iterable[str], prefix: str, base: Path, where: str
) -> dict[str, PlaneSource]:
    """Return the sources of the channels or object sets that have a file in this row."""
    sources = {name: _plane_source(values, name, prefix, base, where) for name in names}
    return {name: source for name, source in sources.items() if source}


def _plane_source(values: dict[str, str], name: str, prefix: str, base: Path, where: str) -> PlaneSource | None:
    url, file = values.get(f"{prefix}URL_{name}", ""), values.get(f"{prefix}FileName_{name}", "")
    if not url and not file:
        return None
    column = f"{prefix}URL_{name}" if url else f"{prefix}PathName_{name}"
    try:
        path = _path_of_url(base, url) if url else _join(_join(base, values.get(column, "")), file)
    except InputError as error:
        raise InputError(f"{where}, column {column}: {error}") from None
    series, frame, channel = (
        _number(values, f"{prefix}{part}_{name}", where) for part in ("Series", "Frame", "Channel")
    )
    position = None if series is None and channel is None else Position(series, color=channel)
    return PlaneSource(existing_form(path), frame, position=position)


def _number(values: dict[str, str], column: str, where: str) -> int | None:
    """Return the number in a column; None if it is blank or missing."""
    text = values.get(column, "")
    whole = _WHOLE.fullmatch(text)
    if not text or ("Channel_" in column and text in _NO_COLOR):
        return None
    if not whole:
        raise InputError(f"{where}, column {column}: '{text}' is not a plane number (0, 1, ..)")
    return int(whole[1])


def _illumination_functions(names: list[str]) -> dict[str, str | None]:
    """Return the columns of illumination functions, each with the channel that it corrects."""
    channels = [name for name in names if not is_function(name)]
    functions = {name: channel_of_function(name, channels) for name in names if is_function(name)}
    for function, channel in functions.items():
        if channel is None:
            log.warning("%s is no function of a channel and is left out", function)
        else:
            log.info("%s is divided by %s", channel, function)
    return functions


def _with_illumination(sources: dict[str, PlaneSource], functions: dict[str, str | None]) -> dict[str, PlaneSource]:
    """Give the channels of a row their illumination functions, which are no channels themselves."""
    images = {name: source for name, source in sources.items() if name not in functions}
    for function, channel in functions.items():
        if channel in images and function in sources:
            images[channel] = replace(images[channel], illumination=sources[function].path)
    return images


def _path_of_url(base: Path, url: str) -> Path:
    scheme = urlparse(url).scheme
    if scheme == "file":
        # not all writers quote special characters, and # and ? are no parts of an address here
        location = re.sub(r"^file:(?://[^/]*(?=/))?", "", url, flags=re.IGNORECASE)
        _refuse_windows(location)
        literal = base / location
        return literal if literal.is_file() else base / url2pathname(location)
    # a scheme of one letter is a drive of Windows
    if len(scheme) > 1 and not ADDRESS.match(url):
        raise InputError(f"{scheme}: addresses cannot be read; use file:, s3://, gs:// or https://")
    return _join(base, url)


def _refuse_windows(location: str) -> None:
    """Refuse a drive or server of Windows on other systems, where it would be the name of a folder."""
    if os.name != "nt" and _DRIVE.match(location):
        raise InputError(f"'{location}' is a path of Windows: write where the images are on this computer")


def _join(folder: Path, location: str) -> Path:
    """Return a path relative to a folder, an absolute path or an address as a path; backslashes are slashes."""
    if ADDRESS.match(location):
        return as_path(location)
    _refuse_windows(location)
    path = Path(location.replace("\\", "/"))
    if not is_remote(folder):
        return folder / path
    return path if path.is_absolute() else folder.joinpath(*path.parts).resolve()

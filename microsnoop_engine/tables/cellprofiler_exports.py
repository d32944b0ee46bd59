"""Read CellProfiler's exports as one table: object sets joined by their parents, with the images' metadata.

Every object set is read image by image, so that no more than a few images are in memory.
"""

from __future__ import annotations

import gzip
import logging
import re
import sqlite3
import zlib
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, counted, listing, require_columns
from .columns import IMAGE_NUMBER, IMAGE_SET, METADATA, OBJECT_NUMBER, TABLE_NUMBER
from .conventions import conventional
from .csv_files import open_csv
from .databases import TABLE_NAME, Database
from .provenance import Computed, Handcrafted, Provenance
from .source import TableSource

log = logging.getLogger(__name__)

NOT_OBJECTS = ("Image", "Experiment", "Object relationships")
"""Tables of an export that hold no objects."""

_PROGRAM = "CellProfiler"
_WEIGHTS = ("Microsnoop_Weights", "Microsnoop_WeightsSHA256")
_DESCRIBED = re.compile(rf'^({_PROGRAM}_Version|{"|".join(_WEIGHTS)}),"?(.+?)"?\r?$', re.MULTILINE)
"""What Experiment.csv says of a run, among the text of its pipeline."""
_PLACE = re.compile(r"(^|_)Location_Center_X$")
_PACKED = ("AreaShape_", "Texture_")
"""Measurements that CellProfiler writes without gaps where the numbers of objects have some."""
_SAME_PLACE = 2.0
"""Pixels by which two measurements of an object's center may differ."""
_PARENT = re.compile(r"(?P<child>.+?)_Parent_(?P<parent>.+)")

ImageKey = tuple[Any, ...]
"""The numbers of an image: ImageNumber, after TableNumber where there is one."""


@dataclass(frozen=True)
class Part:
    """One object set (or the images) of an export.

    Attributes
    ----------
    name : str
    columns : dict of str to str
        Name in the joined table of each column of the export.
    chunks : callable
        Takes columns of the export; yields chunks of their rows, sorted by image.
    """

    name: str
    columns: dict[str, str]
    chunks: Callable[[Sequence[str]], Iterator[pd.DataFrame]]

    @property
    def number(self) -> str:
        """The column of the object's number, in the joined table."""
        return _number_column(self.name)


@dataclass(frozen=True)
class Link:
    """An object set of the joined table, and how its rows are found.

    Attributes
    ----------
    part : Part
    column : str
        Column of an earlier object set that holds the numbers of this one; '' for the first.
    """

    part: Part
    column: str = ""


def open_csv_folder(folder: Path, objects: str | None = None) -> TableSource:
    """Open a folder of ExportToSpreadsheet, to be read in chunks.

    Parameters
    ----------
    folder : Path
    objects : str, optional
        The object set whose rows to read; by default the one that all others are parents of.

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If it holds no ..Image.csv, or the object sets do not belong together.
    """
    image_files = sorted(folder.glob("*Image.csv")) + sorted(folder.glob("*Image.csv.gz"))
    if not image_files:
        raise InputError(
            f"'{folder}' holds neither .parquet files nor a CellProfiler export (a file ending in Image.csv): choose "
            "another folder, or the file itself"
        )
    if len(image_files) > 1:
        names = ", ".join(file.name for file in image_files)
        raise InputError(f"'{folder}' holds several CellProfiler exports ({names}): move each to a folder of its own")
    prefix, _, ending = image_files[0].name.partition("Image.csv")
    ending = f".csv{ending}"
    images = open_csv(image_files[0])
    parts = []
    for file in sorted(folder.glob(f"{prefix}*{ending}")):
        name = file.name[len(prefix) : -len(ending)]
        source = open_csv(file)
        if name not in NOT_OBJECTS and {IMAGE_NUMBER, OBJECT_NUMBER} <= set(source.columns):
            parts.append(Part(name, _object_names(name, source.columns), source.read))
    image_part = Part(IMAGE_SET, _image_names(images.columns), images.read)
    experiment = folder / f"{prefix}Experiment{ending}"
    known = _description(experiment) if experiment.is_file() else {}
    return replace(_joined(folder, image_part, parts, objects), provenance=_provenance(known))


def _object_names(name: str, columns: Sequence[str]) -> dict[str, str]:
    """Map the columns of a file of objects to those of the joined table."""
    # an option of ExportToSpreadsheet repeats the images' metadata here
    names = {column: f"{name}_{column}" for column in columns if not column.startswith((METADATA, f"{IMAGE_SET}_"))}
    names |= {IMAGE_NUMBER: IMAGE_NUMBER, OBJECT_NUMBER: _number_column(name)}
    # CellProfiler repeats the number among the measurements
    return {old: new for old, new in names.items() if old == OBJECT_NUMBER or new != names[OBJECT_NUMBER]}


def open_sqlite(path: Path, objects: str | None = None) -> TableSource:
    """Open a file of ExportToDatabase, to be read in chunks: one table of objects, or one per object set.

    Parameters
    ----------
    path : Path
        An SQLite file, also one of cytominer-database. One with a single table, of any program, is read as that table.
    objects : str, optional
        The object set whose rows to read; by default the one that all others are parents of.

    Returns
    -------
    TableSource

    Raises
    ------
    InputError
        If it is no such file, or the object sets do not belong together.
    """
    database = Database(path)
    try:
        tables = database.tables()
        image_tables = [name for name in tables if _is_image_table(name, database.columns(name))]
        if TABLE_NAME in tables and image_tables and objects is None:
            raise InputError(
                f"'{path}' holds the table {TABLE_NAME} and a CellProfiler export: choose one with `objects` "
                f"({TABLE_NAME}, or an object set)"
            )
        single = tables[0] if len(tables) == 1 else TABLE_NAME
        if single in tables and (objects == TABLE_NAME or not image_tables):
            columns = tuple(database.columns(single))
            provenance = database.provenance() if single == TABLE_NAME else ()
            return conventional(
                TableSource(path, columns, lambda names: database.rows(single, names), provenance=provenance)
            )
        if not image_tables:
            raise InputError(
                f"'{path}' holds no CellProfiler export (a table ending in Per_Image, or Image) and no single "
                f"table, but {listing(tables) or 'nothing'}: choose a file of ExportToDatabase, or one with a single "
                "table"
            )
        image_table, objects = _chosen_export(path, image_tables, objects)
        prefix = image_table[: -len(IMAGE_SET)]
        columns_of = {name: database.columns(name) for name in tables if name.startswith(prefix)}
        known = database.first_row(f"{prefix}Experiment")
    except sqlite3.DatabaseError as error:
        raise InputError(f"'{path}' cannot be read as SQLite: {error}; export it again") from None

    def reader(table: str) -> Callable[[Sequence[str]], Iterator[pd.DataFrame]]:
        keys = [key for key in (TABLE_NUMBER, IMAGE_NUMBER) if key in columns_of[table]]
        return lambda names: database.rows(table, names, keys)

    parts = []
    for table, names in columns_of.items():
        if table in (image_table, f"{prefix}Experiment") or IMAGE_NUMBER not in names:
            continue
        name = table[len(prefix) :]
        renamed = {column: column for column in names}
        if OBJECT_NUMBER in names:
            renamed.pop(_number_column(name), None)  # ExportToDatabase repeats the number among the measurements
            renamed[OBJECT_NUMBER] = _number_column(name)
        if _number_column(name) in renamed.values():
            parts.append(Part(name, renamed, reader(table)))
    images = Part(IMAGE_SET, _image_names(tuple(columns_of[image_table])), reader(image_table))
    return replace(_joined(path, images, parts, objects), provenance=_provenance(known))


def _description(path: Path) -> dict[str, str]:
    """Read what Experiment.csv says of the programs of a run; nothing where it is damaged."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.name.endswith(".gz") else path.read_bytes()
    except (OSError, EOFError, zlib.error):
        return {}
    return dict(_DESCRIBED.findall(data.decode(errors="replace")))


def _provenance(description: Mapping[str, Any]) -> Provenance:
    """Return by which program, and by which weights, the features of an export were measured."""
    version, name, sha256 = (str(description.get(key) or "") for key in (f"{_PROGRAM}_Version", *_WEIGHTS))
    computed = (Computed(f"{name} {sha256}", ""),) if name and sha256 else ()
    return (*computed, Handcrafted(f"{_PROGRAM} {version}".strip()))


def _is_image_table(name: str, columns: Collection[str]) -> bool:
    """Return True for the images of ExportToDatabase (..Per_Image) and of cytominer-database (Image)."""
    return name.endswith("Per_Image") or (name == IMAGE_SET and IMAGE_NUMBER in columns)


def _chosen_export(path: Path, image_tables: list[str], objects: str | None) -> tuple[str, str | None]:
    """Return the table of images of the export to read, and its object set."""
    if len(image_tables) == 1:
        return image_tables[0], objects
    for image_table in image_tables:
        prefix = image_table[: -len(IMAGE_SET)]
        if objects and prefix and objects.startswith(prefix):
            return image_table, objects.removeprefix(prefix)
    example = image_tables[0][: -len(IMAGE_SET)]
    raise InputError(
        f"'{path}' holds several CellProfiler exports ({listing(image_tables)}): choose one with `objects`, such as "
        f"{example}Nuclei"
    )


def _number_column(name: str) -> str:
    """Name the column of the numbers of an object set."""
    return f"{name}_Number_Object_Number"


def _image_names(columns: Sequence[str]) -> dict[str, str]:
    """Map image columns to those of the joined table: metadata and keys as they are, measurements with ``Image_``."""
    names = {}
    for column in columns:
        bare = column.removeprefix("Image_")
        plain = bare.startswith(METADATA) or bare in (IMAGE_NUMBER, TABLE_NUMBER)
        names[column] = bare if plain else f"Image_{bare}"
    return names


def _joined(path: Path, images: Part, parts: list[Part], objects: str | None) -> TableSource:
    """Join the rows of one object set with those of its parents and of its image."""
    keys = [key for key in (TABLE_NUMBER, IMAGE_NUMBER) if key in images.columns.values()]
    for part in (images, *parts):
        require_columns(part.columns.values(), (IMAGE_NUMBER, *keys), f"'{path}', {part.name}")
    chain = _chain(path, parts, objects) if parts else []
    chain = [Link(_ObjectsWithPixels(path, link.part).part, link.column) for link in chain]
    columns = tuple(
        dict.fromkeys(name for part in (images, *(link.part for link in chain)) for name in part.columns.values())
    )
    if not chain:
        return TableSource(path, columns, lambda names: _image_rows(path, images, keys, names))
    return TableSource(path, (OBJECT_NUMBER, *columns), lambda names: _object_rows(path, images, chain, keys, names))


def _image_rows(path: Path, images: Part, keys: list[str], names: Sequence[str]) -> Iterator[pd.DataFrame]:
    for _, rows in _by_image(path, images, keys, {*keys, *names}):
        yield rows[list(names)]


def _object_rows(
    path: Path, images: Part, chain: list[Link], keys: list[str], names: Sequence[str]
) -> Iterator[pd.DataFrame]:
    first, parents = chain[0].part, chain[1:]
    needed = {*keys, *names, *(link.part.number for link in chain), *(link.column for link in chain)}
    image_rows = _Lookup(_by_image(path, images, keys, needed))
    parent_rows = [_Lookup(_by_image(path, link.part, keys, needed)) for link in parents]
    for key, rows in _by_image(path, first, keys, needed):
        for link, lookup in zip(parents, parent_rows, strict=True):
            parent = lookup.at(key)
            if parent is not None:
                rows = rows.merge(parent.drop(columns=keys), "left", left_on=link.column, right_on=link.part.number)
        image = image_rows.at(key)
        if image is None:
            raise InputError(
                f"'{path}', {first.name}: image {key[-1]} is not among the rows of Image: add it, or remove its objects"
            )
        rows = rows.merge(image.drop(columns=keys), "cross")
        yield rows.assign(**{OBJECT_NUMBER: rows[first.number]}).reindex(columns=list(names))


class _ObjectsWithPixels:
    """Leaves out the rows of an object set that hold no object, and refuses those that hold two.

    CellProfiler keeps the numbers of masked and deleted objects: without a number or a place, a row is no object.
    Behind such a gap, shape and texture are those of other objects; they become missing. A *Single object table* pairs
    equal numbers, not parents and children.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self._path, self._of = path, part
        self._said: set[str] = set()
        self.part = Part(part.name, part.columns, self._chunks)
        self._places = [old for old in part.columns if _PLACE.search(old)]
        by_new = {new: old for old, new in part.columns.items()}
        self._number = by_new[part.number]
        self._keys = [key for key in (TABLE_NUMBER, IMAGE_NUMBER) if key in part.columns]
        self._parents = {}
        for old, new in part.columns.items():
            match = _PARENT.fullmatch(new)
            if match and match["child"] != part.name and (number := by_new.get(_number_column(match["parent"]))):
                self._parents[old] = number

    def _chunks(self, names: Sequence[str]) -> Iterator[pd.DataFrame]:
        extra = [self._number, *self._places, *self._parents, *self._parents.values(), *self._keys]
        packed = [_Packed(place, names, self._of.columns, self._keys, self._number) for place in self._places]
        extra += [name for columns in packed for name in columns.centers]
        unnumbered = placeless = 0
        for rows in self._of.chunks(list(dict.fromkeys([*names, *extra]))):
            for columns in packed:
                rows = columns.emptied(rows)
            without_number = rows[self._number].isna()
            without_place = rows[self._places].isna().all(axis=1) if self._places else without_number & False
            unnumbered += int(without_number.sum())
            placeless += int((without_place & ~without_number).sum())
            rows = rows[~(without_number | without_place)]
            self._refuse_strangers(rows)
            if len(rows):
                yield rows[list(names)]
        self._say(unnumbered, "without a number left out, as no objects")
        self._say(placeless, "without a location left out, as no objects")
        self._say(
            sum(columns.count for columns in packed),
            "after a gap of the numbers, where CellProfiler writes AreaShape and Texture of other objects: "
            "these are left empty. Use FilterObjects, which leaves no gaps",
        )

    def _say(self, count: int, what: str) -> None:
        """Log a warning about a number of rows, once, however often the table is read."""
        message = f"'{self._path}', {self._of.name}: {counted(count, 'rows')} {what}"
        if count and message not in self._said:
            self._said.add(message)
            log.warning("%s", message)

    def _refuse_strangers(self, rows: pd.DataFrame) -> None:
        for parent, number in self._parents.items():
            differ = (rows[parent] != rows[number]) & rows[parent].notna() & rows[number].notna() & (rows[parent] != 0)
            if differ.any():
                row = rows[differ].iloc[0]
                raise InputError(
                    f"'{self._path}', {self._of.name}: {counted(differ.sum(), 'rows hold', 'row holds')} two cells "
                    f"(first in image {row[IMAGE_NUMBER]:.0f}: {parent} is {row[parent]:.0f}, {number} is "
                    f"{row[number]:.0f}). Export one table per object type"
                )


class _Packed:
    """Empties shape and texture of one object set behind a gap of its numbers, where they are of other objects.

    The evidence is a row without a place that has such a value, or a row behind a gap whose two centers differ. Centers
    alone are none: up to version 3, CellProfiler's AreaShape_Center is the pixel farthest from the border.

    Attributes
    ----------
    centers : tuple of str
        Columns that are compared, if there are any to empty.
    count : int
        Number of rows with emptied values so far.
    """

    def __init__(
        self, place: str, names: Sequence[str], columns: Collection[str], keys: Sequence[str], number: str
    ) -> None:
        prefix = place.removesuffix("Location_Center_X")
        self._place, self._keys, self._number = place, list(keys), number
        self._names = [name for name in names if name.startswith(tuple(prefix + kind for kind in _PACKED))]
        axes = [[f"{prefix}{kind}_Center_{axis}" for kind in ("AreaShape", "Location")] for axis in "XY"]
        self._axes = [pair for pair in axes if self._names and set(pair) <= set(columns)]
        self.centers = tuple(name for pair in self._axes for name in pair)
        self.count = 0
        self._last: tuple[tuple[Any, ...], float, int] | None = None  # an image that may go on in the next chunk

    def emptied(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return rows of whole images, or of the next parts of them, with NaN for values of other objects."""
        if not self._names or not len(rows):
            return rows
        placed = rows[self._place].notna()
        filled = rows[[*self._names, *(shape for shape, _ in self._axes)]].fillna(0).ne(0).any(axis=1)
        apart = sum((rows[a] - rows[b]) ** 2 for a, b in self._axes) ** 0.5 if self._axes else rows[self._number] * 0
        number = rows[self._number].astype(float)
        images = rows.groupby(self._keys, sort=False, dropna=False).ngroup()
        rank = number.where(placed).groupby(images).rank(method="first")
        key = tuple(rows[self._keys].iloc[0])
        before, earlier = self._last[1:] if self._last is not None and self._last[0] == key else (float("inf"), 0)
        rank[images == 0] += earlier
        evidence = ~placed & filled | (apart > _SAME_PLACE) & (number > rank)
        first = number.where(evidence).groupby(images).min().fillna(float("inf"))
        first.iloc[0] = min(before, first.iloc[0])
        end = images == images.iloc[-1]
        seen = int((placed & end).sum()) + (earlier if images.iloc[-1] == 0 else 0)
        self._last = tuple(rows[self._keys].iloc[-1]), first.iloc[-1], seen
        wrong = placed & (number >= images.map(first))
        self.count += int((wrong & rows[self._names].notna().any(axis=1)).sum())
        return rows.assign(**{name: rows[name].where(~wrong) for name in self._names}) if wrong.any() else rows


def _chain(path: Path, parts: list[Part], objects: str | None) -> list[Link]:
    """Order the object sets to join: the one whose rows are kept, then each a parent of an earlier one."""
    by_name = {part.name: part for part in parts}
    if objects is not None and objects not in by_name:
        raise InputError(f"`objects`: '{path}' has no objects '{objects}'; it has {', '.join(by_name)}")
    chains = []
    for first in [by_name[objects]] if objects else parts:
        chain = [Link(first)]
        for link in chain:  # grows while it is walked
            for name, part in by_name.items():
                column = f"{link.part.name}_Parent_{name}"
                if column in link.part.columns.values() and part not in [known.part for known in chain]:
                    chain.append(Link(part, column))
        chains.append(chain)
    longest = max(chains, key=len)
    if objects is None and len(longest) < len(parts):
        raise InputError(
            f"the objects of '{path}' ({', '.join(by_name)}) are not all parents of one of them: choose the one whose "
            "rows to read with `objects`"
        )
    return longest


class _Lookup:
    """Finds images among rows sorted by image; every image asked for comes after the last one."""

    def __init__(self, groups: Iterator[tuple[ImageKey, pd.DataFrame]]) -> None:
        self._groups = groups
        self._next: tuple[ImageKey, pd.DataFrame] | None = next(groups, None)

    def at(self, key: ImageKey) -> pd.DataFrame | None:
        """Return the rows of an image, None if there are none."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._groups, None)
        return self._next[1] if self._next is not None and self._next[0] == key else None


def _by_image(path: Path, part: Part, keys: list[str], wanted: set[str]) -> Iterator[tuple[ImageKey, pd.DataFrame]]:
    """Yield the rows of each image of a part, with those columns of the joined table that are wanted."""
    names = {old: new for old, new in part.columns.items() if new in wanted}
    last: ImageKey | None = None
    unfinished: pd.DataFrame | None = None  # the last image of a chunk may go on in the next one
    for chunk in part.chunks(list(names)):
        rows = chunk.rename(columns=names)
        rows = rows if unfinished is None else pd.concat([unfinished, rows], ignore_index=True)
        _check_numbers(path, part, keys, rows)
        groups = list(rows.groupby(keys, sort=False))
        for key, group in groups[:-1]:
            _check_order(path, part, last, key, group)
            last = key
            yield key, group
        unfinished = groups[-1][1]
    if unfinished is not None and len(unfinished):
        key = tuple(unfinished[keys].iloc[0])
        _check_order(path, part, last, key, unfinished)
        yield key, unfinished


def _check_numbers(path: Path, part: Part, keys: list[str], rows: pd.DataFrame) -> None:
    """Refuse rows without the number of an image: grouping by image would lose them."""
    for key in keys:
        blank = rows[key].isna()
        if blank.any():
            before = rows[key].shift()[blank].iloc[0]
            where = "the first row" if pd.isna(before) else f"a row after image {str(before).removesuffix('.0')}"
            raise InputError(f"'{path}', {part.name}: {where} has no {key}: fill it in, or remove the row")


def _check_order(path: Path, part: Part, last: ImageKey | None, key: ImageKey, rows: pd.DataFrame) -> None:
    """Refuse images out of order, and images or objects that come more than once."""
    if part.name == IMAGE_SET and len(rows) > 1:
        raise InputError(f"'{path}', {part.name}: image {key[-1]} comes more than once: remove the copies")
    if part.name != IMAGE_SET and (repeated := rows[part.number].duplicated()).any():
        number = rows.loc[repeated, part.number].iloc[0]
        raise InputError(
            f"'{path}', {part.name}: object {number} of image {key[-1]} comes more than once: remove the copies"
        )
    if last is not None and key <= last:
        raise InputError(
            f"'{path}', {part.name}: rows of image {key[-1]} come after those of image {last[-1]}: sort the table by "
            f"{IMAGE_NUMBER}"
        )

"""Read CellProfiler's exports as one table: object sets joined by their parents, with the images' metadata.

Every object set is read image by image, so that no more than a few images are in memory.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from ..errors import InputError, listing, require_columns
from .columns import IMAGE_NUMBER, IMAGE_SET, METADATA, OBJECT_NUMBER, TABLE_NUMBER
from .csv_files import open_csv
from .databases import TABLE_NAME, Database
from .source import TableSource

NOT_OBJECTS = ("Image", "Experiment", "Object relationships")
"""Tables of an export that hold no objects."""

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
    return _joined(folder, image_part, parts, objects)


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
        An SQLite file. One with a single table, of any program, is read as that table.
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
        image_table = next((name for name in tables if name.endswith("Per_Image")), None)
        if image_table is None and len(tables) == 1:
            return TableSource(path, database.columns(tables[0]), lambda names: database.rows(tables[0], names))
        if image_table is None:
            raise InputError(
                f"'{path}' holds no CellProfiler export (a table ending in Per_Image) and no single table, but "
                f"{listing(tables) or 'nothing'}: choose a file of ExportToDatabase, or one with a single table"
            )
        prefix = image_table[: -len("Image")]
        columns = {name: database.columns(name) for name in tables if name.startswith(prefix)}
    except sqlite3.DatabaseError as error:
        raise InputError(f"'{path}' cannot be read as SQLite: {error}; export it again") from None

    def reader(table: str) -> Callable[[Sequence[str]], Iterator[pd.DataFrame]]:
        keys = [key for key in (TABLE_NUMBER, IMAGE_NUMBER) if key in columns[table]]
        return lambda names: database.rows(table, names, keys)

    parts = []
    for table, names in columns.items():
        if table in (image_table, f"{prefix}Experiment") or IMAGE_NUMBER not in names:
            continue
        name = table[len(prefix) :]
        renamed = {column: column for column in names}
        if OBJECT_NUMBER in names:
            renamed[OBJECT_NUMBER] = _number_column(name)
        if _number_column(name) in renamed.values():
            parts.append(Part(name, renamed, reader(table)))
    return _joined(path, Part(IMAGE_SET, _image_names(columns[image_table]), reader(image_table)), parts, objects)


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

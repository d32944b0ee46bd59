"""CellProfiler's exports as one table: the object sets joined by their parents, with the images' metadata."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..errors import InputError
from .columns import IMAGE_NUMBER, IMAGE_SET, METADATA, OBJECT_NUMBER
from .csv_files import open_csv
from .source import TableSource, rows_of

TABLE_NUMBER = "TableNumber"
NOT_OBJECTS = ("Image", "Experiment", "Object relationships")


@dataclass(frozen=True)
class Part:
    """One object set (or the images) of an export.

    Attributes
    ----------
    name : str
    columns : dict of str to str
        Name in the joined table of each column of the export.
    chunks : callable
        Rows of the columns of the export that it is given, sorted by image.
    """

    name: str
    columns: dict[str, str]
    chunks: Callable[[Sequence[str]], Iterator[pd.DataFrame]]

    @property
    def number(self) -> str:
        """Column of the object's number, in the joined table."""
        return f"{self.name}_Number_Object_Number"


def open_csv_folder(folder: Path, objects: str | None = None) -> TableSource:
    """A folder of ExportToSpreadsheet.

    Raises
    ------
    InputError
        If it holds no ..Image.csv, or the object sets do not belong together.
    """
    found = sorted(folder.glob("*Image.csv")) + sorted(folder.glob("*Image.csv.gz"))
    if not found:
        raise InputError(
            f"'{folder}' holds neither .parquet files nor a CellProfiler export (a file ending in Image.csv): give "
            "another folder, or the file itself"
        )
    if len(found) > 1:
        names = ", ".join(file.name for file in found)
        raise InputError(f"'{folder}' holds several CellProfiler exports ({names}): give each a folder of its own")
    prefix = found[0].name[: found[0].name.index("Image.csv")]
    ending = found[0].name[len(prefix) + len("Image") :]
    images = open_csv(found[0])
    parts = []
    for file in sorted(folder.glob(f"{prefix}*{ending}")):
        name = file.name[len(prefix) : -len(ending)]
        source = open_csv(file)
        if name in NOT_OBJECTS or not {IMAGE_NUMBER, OBJECT_NUMBER} <= set(source.columns):
            continue
        # an option of ExportToSpreadsheet repeats the images' metadata here
        own = [column for column in source.columns if not column.startswith((METADATA, f"{IMAGE_SET}_"))]
        renamed = {column: f"{name}_{column}" for column in own}
        renamed |= {IMAGE_NUMBER: IMAGE_NUMBER, OBJECT_NUMBER: f"{name}_Number_Object_Number"}
        # CellProfiler repeats the number among the measurements
        renamed = {k: v for k, v in renamed.items() if k == OBJECT_NUMBER or v != renamed[OBJECT_NUMBER]}
        parts.append(Part(name, renamed, source.read))
    image_part = Part(IMAGE_SET, _image_names(images.columns), images.read)
    return _joined(folder, image_part, parts, objects)


def open_sqlite(path: Path, objects: str | None = None) -> TableSource:
    """A file of ExportToDatabase, with one table of objects or one per object set.

    Raises
    ------
    InputError
        If it is no such file, or the object sets do not belong together.
    """

    def run(query: str) -> Iterator[tuple[list[str], list[tuple]]]:
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            names = [column[0] for column in cursor.description]
            size = rows_of(len(names))
            while rows := cursor.fetchmany(size):
                yield names, rows

    try:
        listed = run("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')")
        tables = [row[0] for _, rows in listed for row in rows]
        image_table = next((name for name in tables if name.endswith("Per_Image")), None)
        if image_table is None and len(tables) == 1:
            names = tuple(row[1] for _, rows in run(f'PRAGMA table_info("{tables[0]}")') for row in rows)
            return TableSource(path, names, lambda wanted: _frames(path, run, tables[0], wanted))
        if image_table is None:
            names = ", ".join(tables[:5]) or "nothing"
            raise InputError(
                f"'{path}' holds no CellProfiler export (a table ending in Per_Image) and no single table, but "
                f"{names}: give a file of ExportToDatabase, or one with a single table"
            )
        prefix = image_table[: -len("Image")]
        columns = {
            name: [row[1] for _, rows in run(f'PRAGMA table_info("{name}")') for row in rows]
            for name in tables
            if name.startswith(prefix)
        }
    except sqlite3.DatabaseError as error:
        raise InputError(f"'{path}' cannot be read as SQLite: {error}; export it anew") from None

    def reader(table: str) -> Callable[[Sequence[str]], Iterator[pd.DataFrame]]:
        keys = [key for key in (TABLE_NUMBER, IMAGE_NUMBER) if key in columns[table]]

        return lambda names: _frames(path, run, table, names, f" ORDER BY {', '.join(keys)}")

    parts = []
    for name, names in columns.items():
        if name in (image_table, f"{prefix}Experiment") or IMAGE_NUMBER not in names:
            continue
        own = name[len(prefix) :]
        renamed = {column: column for column in names}
        if OBJECT_NUMBER in names:
            renamed[OBJECT_NUMBER] = f"{own}_Number_Object_Number"
        if f"{own}_Number_Object_Number" in renamed.values():
            parts.append(Part(own, renamed, reader(name)))
    return _joined(path, Part(IMAGE_SET, _image_names(columns[image_table]), reader(image_table)), parts, objects)


def _frames(
    path: Path,
    run: Callable[[str], Iterator[tuple[list[str], list[tuple]]]],
    table: str,
    names: Sequence[str],
    order: str = "",
) -> Iterator[pd.DataFrame]:
    selected = ", ".join(f'"{name}"' for name in names)
    try:
        for _, rows in run(f'SELECT {selected} FROM "{table}"{order}'):
            yield pd.DataFrame(rows, columns=list(names))
    except sqlite3.DatabaseError as error:
        raise InputError(f"'{path}', table {table}: {error}; export it anew") from None


def _image_names(columns: Sequence[str]) -> dict[str, str]:
    """Names of image columns in the joined table: metadata and keys as they are, ``Image_`` before measurements."""
    names = {}
    for column in columns:
        bare = column.removeprefix("Image_")
        plain = bare.startswith(METADATA) or bare in (IMAGE_NUMBER, TABLE_NUMBER)
        names[column] = bare if plain else f"Image_{bare}"
    return names


def _joined(path: Path, images: Part, parts: list[Part], objects: str | None) -> TableSource:
    """The rows of one object set with those of its parents and of its image beside them."""
    keys = [key for key in (TABLE_NUMBER, IMAGE_NUMBER) if key in images.columns.values()]
    for part in (images, *parts):
        if missing := [key for key in (IMAGE_NUMBER, *keys) if key not in part.columns.values()]:
            raise InputError(f"'{path}', {part.name}: there is no column {missing[0]}; export it anew, keys included")
    chain = _chain(path, parts, objects) if parts else []
    taken = [images, *(link.part for link in chain)]
    columns = tuple(dict.fromkeys(name for part in taken for name in part.columns.values()))
    if chain:
        columns = (OBJECT_NUMBER, *columns)

    def read(wanted: Sequence[str]) -> Iterator[pd.DataFrame]:
        needed = {*keys, *wanted, *(link.part.number for link in chain), *(link.column for link in chain)}
        if not chain:
            for _, rows in _by_image(path, images, keys, needed):
                yield rows[list(wanted)]
            return
        image_rows = _Stream(_by_image(path, images, keys, needed))
        streams = [_Stream(_by_image(path, link.part, keys, needed)) for link in chain[1:]]
        for key, rows in _by_image(path, chain[0].part, keys, needed):
            for link, stream in zip(chain[1:], streams, strict=True):
                found = stream.at(key)
                if found is not None:
                    rows = rows.merge(found.drop(columns=keys), "left", left_on=link.column, right_on=link.part.number)
            found = image_rows.at(key)
            if found is None:
                raise InputError(
                    f"'{path}', {chain[0].part.name}: image {key[-1]} is not among the rows of Image: add it, or "
                    "remove its objects"
                )
            rows = rows.merge(found.drop(columns=keys), "cross")
            rows = rows.assign(**{OBJECT_NUMBER: rows[chain[0].part.number]})
            yield rows.reindex(columns=list(wanted))

    return TableSource(path, columns, read)


@dataclass(frozen=True)
class Link:
    """An object set of the joined table, and the column of an earlier one that holds its numbers ('' for the first)."""

    part: Part
    column: str = ""


def _chain(path: Path, parts: list[Part], objects: str | None) -> list[Link]:
    """Object sets to join, the one whose rows are kept first, each other one a parent of an earlier one."""
    by_name = {part.name: part for part in parts}
    if objects is not None and objects not in by_name:
        raise InputError(f"'{path}' has no objects '{objects}'; it has {', '.join(by_name)}")
    chains = []
    for first in [by_name[objects]] if objects else parts:
        chain = [Link(first)]
        for link in chain:
            for name, part in by_name.items():
                column = f"{link.part.name}_Parent_{name}"
                if column in link.part.columns.values() and part not in [known.part for known in chain]:
                    chain.append(Link(part, column))
        chains.append(chain)
    longest = max(chains, key=len)
    if objects is None and len(longest) < len(parts):
        raise InputError(
            f"the objects of '{path}' ({', '.join(by_name)}) are not all parents of one of them: choose the one whose "
            "rows you want with --objects"
        )
    return longest


class _Stream:
    """Looks images up in their order."""

    def __init__(self, groups: Iterator[tuple[tuple, pd.DataFrame]]):
        self._groups = groups
        self._next: tuple[tuple, pd.DataFrame] | None = next(groups, None)

    def at(self, key: tuple) -> pd.DataFrame | None:
        """The rows of an image that is not before the last one asked for."""
        while self._next is not None and self._next[0] < key:
            self._next = next(self._groups, None)
        return self._next[1] if self._next is not None and self._next[0] == key else None


def _by_image(path: Path, part: Part, keys: list[str], wanted: set[str]) -> Iterator[tuple[tuple, pd.DataFrame]]:
    """The rows of each image of a part, with the columns of the joined table that are wanted."""
    names = {own: joined for own, joined in part.columns.items() if joined in wanted}
    kept, last = None, None
    for chunk in part.chunks(list(names)):
        rows = chunk.rename(columns=names)
        rows = rows if kept is None else pd.concat([kept, rows], ignore_index=True)
        groups = [(key, group) for key, group in rows.groupby(keys, sort=False)]
        for key, group in groups[:-1]:
            _check(path, part, last, key, group)
            last = key
            yield key, group
        kept = groups[-1][1]
    if kept is not None and len(kept):
        key = tuple(kept[keys].iloc[0])
        _check(path, part, last, key, kept)
        yield key, kept


def _check(path: Path, part: Part, last: tuple | None, key: tuple, rows: pd.DataFrame) -> None:
    """Images in their order, each once, its objects each once."""
    is_image = part.name == IMAGE_SET
    if (len(rows) > 1) if is_image else rows[part.number].duplicated().any():
        what = "stands" if is_image else "has an object that stands"
        raise InputError(f"'{path}', {part.name}: image {key[-1]} {what} there more than once: remove the copies")
    if last is not None and key <= last:
        raise InputError(
            f"'{path}', {part.name}: rows of image {key[-1]} come after those of image {last[-1]}: sort the table by "
            f"{IMAGE_NUMBER}"
        )

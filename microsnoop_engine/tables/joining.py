"""Join two tables of the same objects or wells, and check that their rows belong together."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ..errors import InputError, counted, listing, require_columns
from ..storage.paths import as_path
from .columns import (
    BORDER_COLUMN,
    BOX_COLUMNS,
    COUNT,
    IMAGE_NUMBER,
    METADATA,
    OBJECT_NUMBER,
    PLATE,
    TABLE_NUMBER,
    WELL,
)
from .features import provenance_of, select_features
from .formats import open_table, write_table
from .keys import key_column, key_rows
from .outputs import check_output
from .provenance import Provenance, describe, side_by_side
from .source import FeatureTable, TableSource, name_in_errors, read_frame

log = logging.getLogger(__name__)

KEYS = ((TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER), (IMAGE_NUMBER, OBJECT_NUMBER), (PLATE, WELL), (WELL,))
"""Columns that two tables are joined on, the first ones that both have."""
MATCHES = ("keys", "location")
TOLERANCE = 2.0
"""Pixels by which the centers of one object may differ between two tables."""
_CENTERS = ("Location_Center", "AreaShape_Center")
"""Names of centers, the first of them that a table has; before them the object set, if any."""
_OF_THE_IMAGE = ("File", "FileName", "Image_FileName", "PathName", "URL", "MD5Digest")
"""Beginnings of columns that name the image of a row."""


@dataclass(frozen=True)
class CombinedTable(FeatureTable):
    """Tables side by side.

    Attributes
    ----------
    frame : DataFrame
        Rows that all have. Columns that several have are taken from the first.
    features : list of str
    unmatched : tuple of int
        Of each table, the number of rows that another one lacks.
    distance : float or None
        Largest distance in pixels between the centers of a row in both tables; None if not both hold centers.
    """

    unmatched: tuple[int, ...]
    distance: float | None = None


def combine(
    first: str | Path | pd.DataFrame | TableSource,
    second: str | Path | pd.DataFrame | TableSource,
    on: Sequence[str] | None = None,
    *,
    features: str = "all",
    match: str = "keys",
    tolerance: float = TOLERANCE,
    objects: str | None = None,
    where: str | None = None,
    out: str | Path | None = None,
) -> CombinedTable:
    """Join two tables of the same objects or wells, such as Microsnoop's and CellProfiler's columns.

    Parameters
    ----------
    first, second : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    on : sequence of str, optional
        Key columns, compared by value; ``NAME=OTHER`` where the tables call one differently. By default image and
        object number, else plate and well, as far as both have them.
    features : str
        Features of both tables, which AnnData keeps apart from other columns; see :func:`.select_features`.
    match : {'keys', 'location'}
        With ``location``, the rows of one image are joined by their centers, each to the nearest one, and object
        numbers do not count.
    tolerance : float
        Pixels, above 0: how far the centers of one object may be apart.
    objects : str, optional
        Object set of a CellProfiler export.
    where : str, optional
        Query of the rows of the first table, by default all (see :func:`.select`).
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).

    Returns
    -------
    CombinedTable

    Raises
    ------
    InputError
        If there is no common key, a table has several rows for a key, no key is in both, what both tables hold says
        that rows do not belong together, or ``out`` cannot be written.
    """
    if out is not None:
        check_output(as_path(out), inputs=(first, second))
    sources = [open_table(first, objects, where), open_table(second, objects)]
    chosen = [select_features(source, features) for source in sources]
    provenance = side_by_side(
        *((source.path, source.provenance, names) for source, names in zip(sources, chosen, strict=True))
    )
    a, b = (read_frame(source) for source in sources)
    with name_in_errors(first, second):
        both = [name for name in chosen[0] if name in set(chosen[1])]
        _refuse_other_features(a, b, both, on, [source.provenance for source in sources])
        pairs = match_rows(a, b, on, match, tolerance)
        joined = _side_by_side(a, b, pairs)
    names_of_both = list(dict.fromkeys(name for names in chosen for name in names))
    if out is not None:
        rows = sources[0].rows
        write_table(joined, out, names_of_both, first, pairs[0] if rows is None else rows[pairs[0]], provenance)
    unmatched = (len(a) - len(joined), len(b) - len(joined))
    return CombinedTable(joined, names_of_both, unmatched, _largest_distance(a, b, pairs))


def join_tables(
    a: pd.DataFrame,
    b: pd.DataFrame,
    on: Sequence[str] | None = None,
    match: str = "keys",
    tolerance: float = TOLERANCE,
) -> pd.DataFrame:
    """Return the rows that two tables share, with the columns of both.

    Parameters
    ----------
    a, b : DataFrame
    on : sequence of str, optional
        Key columns; by default the first of :data:`KEYS` that both have.
    match, tolerance
        See :func:`combine`.

    Returns
    -------
    DataFrame
        In the order of ``a``; columns that both have are taken from ``a``.

    Raises
    ------
    InputError
        If there is no common key, a table has several rows for a key, no key is in both, or rows contradict each other.
    """
    return _side_by_side(a, b, match_rows(a, b, on, match, tolerance))


Columns = tuple[str, str]
"""Names of the columns of x and y."""
Pairs = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Row numbers of the first table, and those of the second that belong to them."""


def match_rows(
    a: pd.DataFrame, b: pd.DataFrame, on: Sequence[str] | None, match: str = "keys", tolerance: float = TOLERANCE
) -> Pairs:
    """Find the rows of two tables that belong together, in the order of the first.

    Parameters
    ----------
    a, b : DataFrame
    on, match, tolerance
        See :func:`combine`.

    Returns
    -------
    rows_a, rows_b : array (n,), int

    Raises
    ------
    InputError
        See :func:`join_tables`.
    """
    if match not in MATCHES:
        raise InputError(f"`match` is '{match}': choose one of {', '.join(MATCHES)}")
    if not 0 < tolerance < float("inf"):
        raise InputError(f"`tolerance` is {tolerance}: choose a number of pixels above 0")
    on_a, on_b = _keys(a, b, on, match)
    if match == "location":
        pairs = _by_location(a, b, on_a, on_b, tolerance)
    else:
        pairs = _by_keys(a, b, on_a, on_b)
        _check_location(a, b, pairs, on_a, tolerance)
    _check_names(a, b, pairs, on_a, on_b)
    return pairs


def _keys(a: pd.DataFrame, b: pd.DataFrame, on: Sequence[str] | None, match: str) -> tuple[list[str], list[str]]:
    """Return the key columns of both tables."""
    if on is None:
        known = [tuple(name for name in keys if name != OBJECT_NUMBER or match == "keys") for keys in KEYS]
        found = next((keys for keys in known if set(keys) <= set(a) & set(b)), None)
        if found is None:
            raise InputError(
                "the tables share no keys (ImageNumber and ObjectNumber, or plate and well): name key columns with `on`"
            )
        on = found
    pairs = [word.partition("=")[::2] for word in on]
    on_a, on_b = [first for first, _ in pairs], [second or first for first, second in pairs]
    for frame, names, table in ((a, on_a, "first"), (b, on_b, "second")):
        require_columns(frame, names, f"`on`: the {table} table")
    return on_a, on_b


def _by_keys(a: pd.DataFrame, b: pd.DataFrame, on_a: list[str], on_b: list[str]) -> Pairs:
    """Match rows of equal keys."""
    keys = []
    for frame, on, name in ((a, on_a, "first"), (b, on_b, "second")):
        missing = frame[on].isna().any(axis=1).to_numpy()
        if missing.any():
            keyless = counted(missing.sum(), "rows")
            log.warning("%s of the %s table without %s, left out", keyless, name, " or ".join(on))
        rows = np.flatnonzero(~missing)
        index = key_rows(frame.iloc[rows], on)
        if (repeated := index.duplicated()).any():
            row = ", ".join(map(str, index[repeated][0]))
            raise InputError(
                f"the {name} table has several rows for {', '.join(on)} = {row}: choose finer key columns with `on`"
            )
        keys.append((index, rows))
    (keys_a, rows_a), (keys_b, rows_b) = keys
    found = keys_b.get_indexer(keys_a) if len(keys_b) and len(keys_a) else np.full(len(keys_a), -1)
    if not (found >= 0).any():
        for one, other in zip(on_a, on_b, strict=True):
            if pd.api.types.is_numeric_dtype(a[one]) is not pd.api.types.is_numeric_dtype(b[other]):
                raise InputError(f"{one} holds numbers in one table and words in the other: write it alike in both")
        raise InputError(f"no {', '.join(on_a)} is in both tables")
    return rows_a[found >= 0], rows_b[found[found >= 0]]


def _common_centers(a: pd.DataFrame, b: pd.DataFrame) -> dict[str, tuple[Columns, Columns]]:
    """Return the columns of the centers in both tables, by the object set.

    A table without names of object sets, such as one CSV file of CellProfiler, holds the first set of the other one.
    """
    of_a, of_b = _center_columns(a), _center_columns(b)
    common = {objects: (of_a[objects], of_b[objects]) for objects in of_a if objects in of_b}
    if not common and of_a and of_b and "" in (*of_a, *of_b):
        name_a, name_b = next(iter(of_a)), next(iter(of_b))
        common[name_a or name_b] = of_a[name_a], of_b[name_b]
    return common


def _center_columns(frame: pd.DataFrame) -> dict[str, Columns]:
    columns = set(map(str, frame))
    found: dict[str, Columns] = {}
    for center in _CENTERS:
        for name in map(str, frame):
            if name.endswith(f"{center}_X") and f"{name[:-1]}Y" in columns:
                objects = name[: -len(f"{center}_X")].rstrip("_")
                found.setdefault(objects, (name, f"{name[:-1]}Y"))
    return found


def _centers(frame: pd.DataFrame, columns: Columns) -> NDArray[np.float64]:
    return pd.DataFrame({name: pd.to_numeric(frame[name], errors="coerce") for name in columns}).to_numpy(np.float64)


def _by_location(a: pd.DataFrame, b: pd.DataFrame, on_a: list[str], on_b: list[str], tolerance: float) -> Pairs:
    """Match rows of one image whose centers are each other's nearest, within a tolerance."""
    columns = next(iter(_common_centers(a, b).values()), None)
    if columns is None:
        raise InputError(
            "`match` location needs the centers of one object set (such as Nuclei_Location_Center_X and _Y) in both "
            "tables"
        )
    places_a, places_b = _centers(a, columns[0]), _centers(b, columns[1])
    groups_b = _placed_rows(key_rows(b, on_b), places_b)
    rows_a, rows_b = [], []
    for key, here in _placed_rows(key_rows(a, on_a), places_a).items():
        there = groups_b.get(key)
        if there is None:
            continue
        distance, nearest = cKDTree(places_b[there]).query(places_a[here], distance_upper_bound=tolerance)
        close = np.flatnonzero(np.isfinite(distance) & (distance <= tolerance))
        _, back = cKDTree(places_a[here]).query(places_b[there])
        mutual = close[back[nearest[close]] == close]
        rows_a.append(here[mutual])
        rows_b.append(there[nearest[mutual]])
    if not sum(map(len, rows_a)):
        raise InputError(f"no object of one image lies within {tolerance:g} pixels of one of the other table")
    first, second = np.concatenate(rows_a), np.concatenate(rows_b)
    order = np.argsort(first, kind="stable")
    return first[order], second[order]


def _placed_rows(keys: pd.MultiIndex, places: NDArray[np.float64]) -> dict[tuple[str, ...], NDArray[np.intp]]:
    """Return the rows of each image that have a center."""
    placed = np.isfinite(places).all(1)
    rows = pd.Series(np.arange(len(keys)))[placed]
    by = [keys.get_level_values(level)[placed] for level in range(keys.nlevels)]
    groups: Any = rows.groupby(by, sort=False)
    return {key if isinstance(key, tuple) else (key,): group.to_numpy() for key, group in groups}


def _distances(a: pd.DataFrame, b: pd.DataFrame, pairs: Pairs) -> dict[str, NDArray[np.float64]]:
    """Return the distances in pixels between the centers of matched rows, by object set."""
    return {
        objects: np.linalg.norm(_centers(a, of_a)[pairs[0]] - _centers(b, of_b)[pairs[1]], axis=1)
        for objects, (of_a, of_b) in _common_centers(a, b).items()
    }


def _largest_distance(a: pd.DataFrame, b: pd.DataFrame, pairs: Pairs) -> float | None:
    distances = [values for values in _distances(a, b, pairs).values() if np.isfinite(values).any()]
    return max(float(np.nanmax(values)) for values in distances) if distances else None


def _check_location(a: pd.DataFrame, b: pd.DataFrame, pairs: Pairs, on: list[str], tolerance: float) -> None:
    """Refuse rows of equal numbers whose centers are apart: the programs number objects differently."""
    if OBJECT_NUMBER not in a and OBJECT_NUMBER not in b:
        return  # wells: means over other cells have other centers
    distances = _distances(a, b, pairs)
    if not distances and OBJECT_NUMBER in on:
        log.warning(
            "rows are joined by their numbers alone, which programs give differently: the tables do not both hold the "
            "centers of one object set (such as Nuclei_Location_Center_X), by which `match` location joins"
        )
    for objects, distance in distances.items():
        apart = distance > tolerance
        if apart.any():
            row = a.iloc[pairs[0][int(apart.argmax())]]
            raise InputError(
                f"{apart.sum()} of {counted(len(apart), 'rows')} of equal numbers are different objects: the centers "
                f"of {objects} are up to {np.nanmax(distance):.1f} pixels apart (first "
                f"{', '.join(f'{k} {row[k]}' for k in on)}). The programs number objects differently: join by place "
                "with `match` location"
            )


def _check_names(a: pd.DataFrame, b: pd.DataFrame, pairs: Pairs, on_a: list[str], on_b: list[str]) -> None:
    """Refuse rows whose parents, plates, wells or images differ; name other metadata that do."""
    for name in [name for name in a if name in b and name not in {*on_a, *on_b, COUNT, BORDER_COLUMN, *BOX_COLUMNS}]:
        bare = str(name).removeprefix(METADATA)
        is_parent = "_Parent_" in bare
        names_image = bare.startswith(_OF_THE_IMAGE) or name in (PLATE, WELL)
        if not (is_parent or names_image or str(name).startswith(METADATA)):
            continue
        first, second = key_column(a[name].iloc[pairs[0]]), key_column(b[name].iloc[pairs[1]])
        differ = (first.to_numpy() != second.to_numpy()) & first.notna().to_numpy() & second.notna().to_numpy()
        if not differ.any():
            continue
        where = int(differ.argmax())
        row = a.iloc[pairs[0][where]]
        what = (
            f"{name} differs in {differ.sum()} of {counted(len(differ), 'rows')} (first "
            f"{', '.join(f'{k} {row[k]}' for k in on_a)}: "
            f"'{first.iloc[where]}' and '{second.iloc[where]}')"
        )
        if is_parent:
            raise InputError(f"{what}: the programs number objects differently: join by place with `match` location")
        if names_image:
            raise InputError(f"{what}: the rows are of different images: choose other key columns with `on`")
        log.warning("%s; the first table's is used", what)


def _refuse_other_features(
    a: pd.DataFrame, b: pd.DataFrame, both: list[str], on: Sequence[str] | None, provenances: Sequence[Provenance]
) -> None:
    """Refuse features of one name with different values: only one of them could stay."""
    other = [name for name in both if name not in (on or ()) and not _same_values(a[name], b[name])]
    if other:
        made = [describe(provenance_of(other, provenance)) for provenance in provenances]
        by = f" (by {made[0]}; by {made[1]})" if all(made) and made[0] != made[1] else ""
        raise InputError(
            f"both tables hold the features {listing(other)} with different values{by}: rename or remove those of one "
            "table"
        )


def _same_values(first: pd.Series, second: pd.Series) -> bool:
    """Return True if two columns hold the same numbers, in any order; a subset is the same."""
    few, many = sorted((first, second), key=len)
    return bool(pd.Series(few.to_numpy(np.float32)).isin(many.to_numpy(np.float32)).all())


def _side_by_side(a: pd.DataFrame, b: pd.DataFrame, pairs: Pairs) -> pd.DataFrame:
    """Put matched rows beside each other; columns that both have are taken from the first."""
    left = a.iloc[pairs[0]].reset_index(drop=True)
    right = b[[name for name in b if name not in a]].iloc[pairs[1]].reset_index(drop=True)
    return pd.concat([left, right], axis=1)

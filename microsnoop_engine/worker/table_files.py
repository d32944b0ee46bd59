"""Write tables for a host, and name the tasks of tables and maps."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pv
import pyarrow.parquet as pq

from ..errors import InputError, counted, first_line
from ..storage.atomic import atomic_path
from ..tables.columns import IMAGE_NUMBER
from ..tables.layout import Layout
from ..tables.provenance import Provenance, as_metadata, below_each_other, from_metadata, read_beside, write_beside
from .arrays import ArrayTransport
from .maps import cluster, embedding_map

LONGEST_ROW = 4 << 20
"""Bytes of a row of a .csv file."""

Task = Callable[[dict[str, Any], Callable[[int, int], None]], dict[str, Any]]


def table_tasks(exchange: ArrayTransport, provenance: Callable[[], Provenance]) -> dict[str, tuple[Task, set[str]]]:
    """Return the tasks on tables by name, each with the names of its inputs."""
    return {
        "write_table": (
            lambda inputs, _: write_table(exchange, inputs, provenance()),
            {"path", "append", "objects", "channels", "metadata", "features"}
            | {"image_number", "object_number", "center", "box", "border"},
        ),
        "cluster": (lambda inputs, _: cluster(exchange, inputs), {"features", "clusters"}),
        "map": (lambda inputs, _: embedding_map(exchange, inputs), {"features", "method"}),
    }


def write_table(exchange: ArrayTransport, inputs: dict[str, Any], provenance: Provenance = ()) -> dict[str, Any]:
    """Write rows as .csv or .parquet in the layout of ``microsnoop profile``, or add them to such a file.

    Parameters
    ----------
    exchange : ArrayTransport
    inputs : dict
        ``path``, ``features`` (n, channels x dimension), ``channels``, and optionally ``append``, ``objects``,
        ``metadata`` (n values per name), ``image_number`` (n,) and, of objects, ``object_number`` (n,), ``center``
        (n, 2), ``box`` (n, 4), ``border`` (n,).
    provenance : Provenance
        How the features were computed, which the file keeps.

    Returns
    -------
    dict
        ``path`` and ``rows``, the number of rows that were written.

    Raises
    ------
    InputError
        If the file cannot be written, the columns do not go together, or the file has other columns or rows by other
        weights.
    """
    path = Path(str(inputs["path"])).expanduser()
    if path.suffix.lower() not in (".csv", ".parquet"):
        raise InputError(f"'{path}' must end in .csv or .parquet")
    if not path.is_absolute() or not path.parent.is_dir():
        raise InputError(f"'{path}' cannot be written: there is no folder '{path.parent}'; make it, or choose another")
    table = _table(exchange, inputs)
    existing = path if inputs.get("append") and path.exists() else None
    is_csv = path.suffix.lower() == ".csv"
    try:
        if existing:
            before = read_beside(path) if is_csv else _read_provenance(path)
            provenance = before and below_each_other([(path, before), ("the new rows", provenance)])
        with atomic_path(path) as temporary:
            if is_csv:
                _write_csv(table, existing, temporary)
            else:
                _write_parquet(table.replace_schema_metadata(as_metadata(provenance)), existing, temporary)
        if is_csv:
            write_beside(path, provenance)
    except OSError as error:
        raise InputError(f"'{path}' cannot be written ({first_line(error)}): is it open in another program?") from None
    return {"path": str(path), "rows": table.num_rows}


def _table(exchange: ArrayTransport, inputs: dict[str, Any]) -> pa.Table:
    """Arrange the inputs of :func:`write_table` as a table."""
    features = exchange.receive("features", inputs["features"])
    if features.ndim != 2:
        raise InputError(f"`features` have the shape {features.shape}: it must be (rows, channels x dimension)")
    count = len(features)
    metadata = dict(inputs.get("metadata") or {})
    kinds = {name: _kind(values) for name, values in metadata.items()}
    channels = tuple(str(name) for name in inputs.get("channels") or ())
    if not channels or features.shape[1] % len(channels):
        raise InputError(
            f"{counted(features.shape[1], 'features do', 'feature does')} not go with "
            f"{counted(len(channels), 'channels')}"
        )
    layout = Layout(str(inputs.get("objects") or "Objects"), channels, kinds, features.shape[1] // len(channels))
    image_number = np.ones(count, np.int64)
    if "image_number" in inputs:
        image_number = exchange.receive("image_number", inputs["image_number"])
    names = ("object_number", "center", "box", "border") if layout.located else ()
    located = {name: exchange.receive(name, inputs[name]) for name in names}
    return pa.Table.from_batches([layout.rows(features, image_number, metadata, **located)])


def _kind(values: list[Any]) -> type:
    """Return the type of a column; missing values are None."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        return int
    return float if kinds <= {int, float} else str


def _write_csv(table: pa.Table, existing: Path | None, temporary: Path) -> None:
    """Write a table, after the rows of an existing file if there is one."""
    if existing is not None:
        header, last = _first_and_last_row(existing)
        _check_columns(existing, header, table)
        number = last[header.index(IMAGE_NUMBER)] if len(last) == len(header) else ""
        if not number.isdecimal() and last != header:
            raise InputError(
                f"'{existing}' is damaged: its last line is not a row of {counted(len(header), 'columns')}"
            )
        table = _renumbered(table, int(number) if number.isdecimal() else 0)
        shutil.copyfile(existing, temporary)
    with temporary.open("ab") as file:
        pv.write_csv(table, file, pv.WriteOptions(include_header=existing is None))


def _first_and_last_row(path: Path) -> tuple[list[str], list[str]]:
    """Read both ends of a .csv file, which may be large."""
    with path.open("rb") as file:
        header = file.readline()
        file.seek(max(path.stat().st_size - LONGEST_ROW, 0))
        end = file.read()
    if not end.endswith(b"\n"):
        raise InputError(f"'{path}' is damaged: its last line has no end; use another file")
    first, last = (
        next(csv.reader([line.decode("utf-8-sig", "replace")]), []) for line in (header, end[:-1].rpartition(b"\n")[2])
    )
    return first, last


def _write_parquet(table: pa.Table, existing: Path | None, temporary: Path) -> None:
    """Write a table, after the rows of an existing file if there is one."""
    metadata = table.schema.metadata
    if existing is not None:
        old = pq.read_table(existing)
        _check_columns(existing, old.column_names, table)
        last = pc.max(old[IMAGE_NUMBER]).as_py() or 0
        table = pa.concat_tables([old, _renumbered(table, last).cast(old.schema)])
    pq.write_table(table.replace_schema_metadata(metadata), temporary)


def _read_provenance(path: Path) -> Provenance:
    try:
        return from_metadata(pq.read_schema(path).metadata)
    except pa.ArrowInvalid as error:
        raise InputError(f"'{path}' cannot be read as Parquet: {first_line(error)}") from None


def _check_columns(path: Path, names: list[str], table: pa.Table) -> None:
    """Refuse to add a table to a file of other columns."""
    if names != table.column_names:
        new = next((f"it lacks {name}" for name in table.column_names if name not in names), "")
        old = next((f"they lack {name}" for name in names if name not in table.column_names), "")
        told = ", ".join(filter(None, (new, old))) or "the order of its columns"
        raise InputError(
            f"'{path}' has other columns than the new rows ({told}): measure the same channels in the same order, use "
            "another file, or do not append to it"
        )


def _renumbered(table: pa.Table, last: int) -> pa.Table:
    """Add the last image number of a file to the image numbers of a table."""
    index = table.schema.get_field_index(IMAGE_NUMBER)
    return table.set_column(index, table.schema.field(index), pc.add(table[IMAGE_NUMBER], last))

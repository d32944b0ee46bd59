"""`microsnoop merge`: the tables of the shares of a run as one table, with its list of image sets."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..images.image_set_file import read_image_sets, write_image_sets
from ..storage.atomic import atomic_path, write_atomic
from ..storage.paths import copy, files_in, folders_in, is_remote, path_kind, read_bytes, remove
from ..tables.columns import IMAGE_NUMBER
from ..tables.parquet_files import TABLE
from .results import IMAGE_LIST, MANIFEST, read_manifest
from .shards import Shard


@dataclass(frozen=True)
class Merged:
    """What was put together.

    Attributes
    ----------
    table, image_list : Path
    shards, rows : int
    done, failed : int
        Image sets.
    """

    table: Path
    image_list: Path
    shards: int
    rows: int
    done: int
    failed: int


def merge(folder: Path) -> Merged:
    """Put the shares in a folder together as ``profiles.parquet``, ``manifest.jsonl``, ``images.csv`` beside them.

    The parts are hard links to those of the shares where the file system has them, else copies; on a disk the table
    changes in one step. In an object store the manifest is taken away first and written last: a table without it is
    the work of a merge that was stopped, which the same command does again.

    Raises
    ------
    InputError
        If shares are missing, not finished, or of different runs; nothing is written then.
    """
    shards = find_shards(folder)
    manifests = {shard: _manifest(path, shard) for shard, path in shards.items()}
    _same_run({shard: entries[0]["run"] for shard, entries in manifests.items()})
    parts = [(shards[shard], entry) for shard, entries in manifests.items() for entry in entries[1:]]
    lists = [_image_list(path / IMAGE_LIST, shard) for shard, path in shards.items()]
    entries = [{**entry, "part": f"part-{number:05d}.parquet"} for number, (_, entry) in enumerate(parts)]
    sources = [path / TABLE / entry["part"] for path, entry in parts]
    (_copy_in_store if is_remote(folder) else _link)(sources, folder, [entry["part"] for entry in entries])
    run = {key: value for key, value in manifests[next(iter(shards))][0]["run"].items() if key != "shard"}
    lines = [{"run": run}, *entries]
    rows = sorted((row for found in lists for row in found), key=lambda row: int(row[IMAGE_NUMBER]))
    _write_list(folder / IMAGE_LIST, rows)
    found = [read_image_sets(path) for path in shards.values()]
    image_sets = sorted((one for sets, _ in found for one in sets.values()), key=lambda one: one.number)
    write_image_sets(folder, image_sets, found[0][1])
    write_atomic(folder / MANIFEST, "".join(json.dumps(line) + "\n" for line in lines).encode())
    done = [image for _, entry in parts for image in entry["images"]]
    failed = sum(row["Status"] == "failed" for row in rows)
    return Merged(
        folder / TABLE, folder / IMAGE_LIST, len(shards), sum(image["rows"] for image in done), len(done), failed
    )


def find_shards(folder: Path) -> dict[Shard, Path]:
    """The folders of all shares of a run, in order.

    Raises
    ------
    InputError
        If there are none, some are missing, or there are shares of different counts.
    """
    found = {Shard.of_folder(name): folder / name for name in folders_in(folder)}
    found.pop(None, None)
    if not found:
        raise InputError(
            f"'{folder}' holds no shares: measure them with 'microsnoop profile .. --shard I/N --out {folder}'"
        )
    counts = sorted({shard.count for shard in found})
    if len(counts) > 1:
        raise InputError(f"'{folder}' holds shares of {counts[0]} and of {counts[1]}: delete those of the other run")
    missing = [number for number in range(1, counts[0] + 1) if Shard(number, counts[0]) not in found]
    if missing:
        some = ", ".join(f"{number}/{counts[0]}" for number in missing[:10])
        raise InputError(f"'{folder}' lacks {len(missing)} of {counts[0]} shares: {some}; measure them first")
    return dict(sorted(found.items(), key=lambda item: item[0].number))


def _manifest(path: Path, shard: Shard) -> list[dict[str, Any]]:
    file = path / MANIFEST
    entries = read_manifest(file) if path_kind(file) else []
    if not entries or "run" not in entries[0] or not path_kind(path / IMAGE_LIST):
        raise InputError(f"share {shard} in '{path}' is not finished: run it again, it goes on where it was")
    return entries


def _same_run(runs: dict[Shard, dict[str, Any]]) -> None:
    (first, expected), *others = runs.items()
    for shard, run in others:
        different = [key for key in {**expected, **run} if key != "shard" and expected.get(key) != run.get(key)]
        if different:
            raise InputError(f"shares {first} and {shard} are of different runs: {', '.join(different)} differ")


def _image_list(path: Path, shard: Shard) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode(), newline="")))
    if any(row["Status"] not in ("done", "failed") for row in rows):
        raise InputError(f"share {shard} in '{path.parent}' is not finished: run it again, it goes on where it was")
    return rows


def _link(sources: Sequence[Path], folder: Path, names: Sequence[str]) -> None:
    """The table of a folder on a disk, from links to these parts or copies of them."""
    temporary = folder / f".{TABLE}.{os.getpid()}.tmp"
    try:
        temporary.mkdir()
        for source, name in zip(sources, names, strict=True):
            try:
                os.link(source, temporary / name)
            except FileNotFoundError:
                raise _missing(source) from None
            except OSError:
                copy(source, temporary / name)
        _swap(temporary, folder / TABLE)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _copy_in_store(sources: Sequence[Path], folder: Path, names: Sequence[str]) -> None:
    """The table of a folder in an object store, from copies of these parts that the store makes."""
    for source in sources:
        if path_kind(source) is None:
            raise _missing(source)
    remove(folder / MANIFEST)
    for source, name in zip(sources, names, strict=True):
        copy(source, folder / TABLE / name)
    for place in files_in(folder / TABLE):
        if str(place) not in names:
            remove(folder / TABLE / str(place))


def _missing(part: Path) -> InputError:
    return InputError(f"'{part}' is missing: delete '{part.parent.parent}' and measure that share anew")


def _swap(new: Path, target: Path) -> None:
    """Put a folder in the place of another one."""
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def _write_list(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, list(names) or [IMAGE_NUMBER])
        writer.writeheader()
        writer.writerows(rows)

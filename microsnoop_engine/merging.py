"""`microsnoop merge`: the tables of the shares of a run as one table, with its list of image sets."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .columns import IMAGE_NUMBER
from .errors import InputError
from .files import replace_file, writing
from .image_set_files import read_image_sets, write_image_sets
from .profiles import IMAGE_LIST, MANIFEST, TABLE, read_manifest
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

    The parts are hard links to those of the shares where the file system has them, else copies.

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
    temporary = folder / f".{TABLE}.{os.getpid()}.tmp"
    try:
        temporary.mkdir()
        entries = [_add_part(temporary, number, path, entry) for number, (path, entry) in enumerate(parts)]
        _swap(temporary, folder / TABLE)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    run = {key: value for key, value in manifests[next(iter(shards))][0]["run"].items() if key != "shard"}
    lines = [{"run": run}, *entries]
    replace_file(folder / MANIFEST, "".join(json.dumps(line) + "\n" for line in lines).encode())
    rows = sorted((row for found in lists for row in found), key=lambda row: int(row[IMAGE_NUMBER]))
    _write_list(folder / IMAGE_LIST, rows)
    found = [read_image_sets(path) for path in shards.values()]
    image_sets = sorted((one for sets, _ in found for one in sets.values()), key=lambda one: one.number)
    write_image_sets(folder, image_sets, found[0][1])
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
    found = {Shard.of_folder(path.name): path for path in sorted(folder.glob("shard-*-of-*")) if path.is_dir()}
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
    entries = read_manifest(file) if file.is_file() else []
    if not entries or "run" not in entries[0] or not (path / IMAGE_LIST).is_file():
        raise InputError(f"share {shard} in '{path}' is not finished: run it again, it goes on where it was")
    return entries


def _same_run(runs: dict[Shard, dict[str, Any]]) -> None:
    (first, expected), *others = runs.items()
    for shard, run in others:
        different = [key for key in {**expected, **run} if key != "shard" and expected.get(key) != run.get(key)]
        if different:
            raise InputError(f"shares {first} and {shard} are of different runs: {', '.join(different)} differ")


def _image_list(path: Path, shard: Shard) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if any(row["Status"] not in ("done", "failed") for row in rows):
        raise InputError(f"share {shard} in '{path.parent}' is not finished: run it again, it goes on where it was")
    return rows


def _add_part(target: Path, number: int, folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    name, source = f"part-{number:05d}.parquet", folder / TABLE / entry["part"]
    try:
        os.link(source, target / name)
    except FileNotFoundError:
        raise InputError(f"'{source}' is missing: delete '{folder}' and measure that share anew") from None
    except OSError:
        shutil.copy2(source, target / name)
    return {**entry, "part": name}


def _swap(new: Path, target: Path) -> None:
    """Put a folder in the place of another one."""
    old = target.with_name(f".{target.name}.old")
    if target.exists():
        os.replace(target, old)
    os.replace(new, target)
    shutil.rmtree(old, ignore_errors=True)


def _write_list(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with writing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, list(names) or [IMAGE_NUMBER])
        writer.writeheader()
        writer.writerows(rows)

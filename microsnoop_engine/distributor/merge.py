"""Merge the tables of the shards of a run into one table."""

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

from ..errors import InputError, counted
from ..images.image_set import ImageSet
from ..images.image_set_file import read_image_sets, write_image_sets
from ..images.left_out import LEFT_OUT_LIST
from ..images.repeats import warn_of_copies
from ..storage.atomic import atomic_path, write_atomic
from ..storage.paths import copy, files_in, folders_in, is_remote, path_kind, read_bytes, remove
from ..tables.columns import IMAGE_NUMBER
from ..tables.file_names import TABLE
from ..tables.provenance import as_metadata, below_each_other, from_metadata
from .description import differing_settings
from .results import IMAGE_LIST, MANIFEST, read_manifest, remove_flags
from .shards import Shard

_NEW, _OLD = f".{TABLE}.new", f".{TABLE}.old"
"""Folders for the new table while it is built, and for the old one while the new one takes its name."""


@dataclass(frozen=True)
class MergeSummary:
    """Count the merged shards, rows and image sets.

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


def merge(folder: Path) -> MergeSummary:
    """Merge the shards in a folder into ``profiles.parquet`` with its manifest and lists; the shards stay.

    The parts are hard links to those of the shards where the file system has them, else copies. The manifest is removed
    before the table changes and written last. So a merge that is killed leaves a table without a manifest, which
    ``microsnoop profile`` refuses, and the next merge completes it; on a disk that table is always a whole one.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    MergeSummary

    Raises
    ------
    InputError
        If shards are missing, unfinished or of different runs; the old table stays. Shards of different precision are
        merged with a warning.
    """
    _restore_old_table(folder)
    shards = find_shards(folder)
    manifests = {shard: _read_manifest(path, shard) for shard, path in shards.items()}
    runs = {shard: entries[0]["run"] for shard, entries in manifests.items()}
    _check_same_run(runs)
    for shard, path in shards.items():
        _check_finished(shard, path, manifests[shard])
    statuses = [row for shard, path in shards.items() for row in _read_image_list(path / IMAGE_LIST, shard)]
    image_sets, channels = _read_image_sets(list(shards.values()))
    parts = [(shards[shard], entry) for shard, entries in manifests.items() for entry in entries[1:]]
    entries = [{**entry, "part": f"part-{number:05d}.parquet"} for number, (_, entry) in enumerate(parts)]

    sources = [path / TABLE / entry["part"] for path, entry in parts]
    (_copy_in_store if is_remote(folder) else _link)(sources, folder, [entry["part"] for entry in entries])
    _write_image_list(folder / IMAGE_LIST, sorted(statuses, key=lambda row: int(row[IMAGE_NUMBER])))
    remove_flags(folder)
    write_image_sets(folder, image_sets, channels)
    # every shard lists what is left out of the whole run
    if path_kind(skipped := next(iter(shards.values())) / LEFT_OUT_LIST):
        write_atomic(folder / LEFT_OUT_LIST, read_bytes(skipped))
    run = {key: value for key, value in runs[next(iter(shards))].items() if key != "shard"} | _computed(runs)
    write_atomic(folder / MANIFEST, "".join(json.dumps(line) + "\n" for line in [{"run": run}, *entries]).encode())

    done = [image for _, entry in parts for image in entry["images"]]
    warn_of_copies(image_sets, channels, {image["number"]: image.get("quality", {}) for image in done})
    failed = sum(row["Status"] == "failed" for row in statuses)
    rows = sum(image["rows"] for image in done)
    return MergeSummary(folder / TABLE, folder / IMAGE_LIST, len(shards), rows, len(done), failed)


def find_shards(folder: Path) -> dict[Shard, Path]:
    """Find the folders of all shards of a run.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of Shard to Path
        In order.

    Raises
    ------
    InputError
        If there are none, some are missing, or they are of different runs.
    """
    shards = {shard: folder / name for name in folders_in(folder) if (shard := Shard.of_folder(name))}
    if not shards:
        raise InputError(f"'{folder}' holds no shards: measure them first, by profile with `shard` and this folder")
    counts = sorted({shard.count for shard in shards})
    if len(counts) > 1:
        raise InputError(f"'{folder}' holds shards of {counts[0]} and of {counts[1]}: delete those of the other run")
    missing = [number for number in range(1, counts[0] + 1) if Shard(number, counts[0]) not in shards]
    if missing:
        some = ", ".join(f"{number}/{counts[0]}" for number in missing[:10])
        raise InputError(
            f"'{folder}' lacks {len(missing)} of {counted(counts[0], 'shards')}: {some}; measure them first"
        )
    return dict(sorted(shards.items(), key=lambda item: item[0].number))


def _read_manifest(path: Path, shard: Shard) -> list[dict[str, Any]]:
    file = path / MANIFEST
    entries = read_manifest(file) if path_kind(file) else []
    if not entries or "run" not in entries[0] or not path_kind(path / IMAGE_LIST):
        raise _unfinished(shard, path)
    return entries


def _check_same_run(runs: dict[Shard, dict[str, Any]]) -> None:
    (first, expected), *others = runs.items()
    for shard, run in others:
        different = [name for name in differing_settings(expected, run) if name not in ("shard", "precision")]
        if different:
            raise InputError(f"shards {first} and {shard} are of different runs: {', '.join(different)} differ")


def _computed(runs: dict[Shard, dict[str, Any]]) -> dict[str, str]:
    """Return weights and precisions of all shards, as entries of the run; warn of different precisions."""
    return as_metadata(below_each_other([(f"shard {shard}", from_metadata(run)) for shard, run in runs.items()]))


def _read_image_list(path: Path, shard: Shard) -> list[dict[str, str]]:
    rows = list(csv.DictReader(io.StringIO(read_bytes(path).decode(), newline="")))
    if any(row["Status"] not in ("done", "failed") for row in rows):
        raise _unfinished(shard, path.parent)
    return rows


def _check_finished(shard: Shard, path: Path, entries: list[dict[str, Any]]) -> None:
    """Refuse a shard whose list and table differ, as when it was started again and killed."""
    listed = {int(row[IMAGE_NUMBER]) for row in _read_image_list(path / IMAGE_LIST, shard) if row["Status"] == "done"}
    if listed != {image["number"] for entry in entries[1:] for image in entry["images"]}:
        raise _unfinished(shard, path)


def _unfinished(shard: Shard, path: Path) -> InputError:
    return InputError(f"shard {shard} in '{path}' is not finished: run it again, and it continues where it stopped")


def _read_image_sets(shards: Sequence[Path]) -> tuple[list[ImageSet], list[str]]:
    lists = [read_image_sets(path) for path in shards]
    image_sets = [image_set for by_number, _ in lists for image_set in by_number.values()]
    return sorted(image_sets, key=lambda image_set: image_set.number), lists[0][1]


def _restore_old_table(folder: Path) -> None:
    """Rename the old table back if a merge was killed before the new table took its name, and clean up."""
    if is_remote(folder):
        return
    if (folder / _OLD).exists() and not (folder / TABLE).exists():
        (folder / _OLD).rename(folder / TABLE)
    for name in (_OLD, _NEW):
        shutil.rmtree(folder / name, ignore_errors=True)


def _link(sources: Sequence[Path], folder: Path, names: Sequence[str]) -> None:
    """Build the table of a folder on a disk from hard links to parts, or from copies."""
    new = folder / _NEW
    try:
        new.mkdir()
        for source, name in zip(sources, names, strict=True):
            try:
                os.link(source, new / name)
            except FileNotFoundError:
                raise _missing(source) from None
            except OSError:  # no hard links on this file system
                copy(source, new / name)
        remove(folder / MANIFEST)
        if (folder / TABLE).exists():
            (folder / TABLE).rename(folder / _OLD)
        new.rename(folder / TABLE)
        shutil.rmtree(folder / _OLD, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _copy_in_store(sources: Sequence[Path], folder: Path, names: Sequence[str]) -> None:
    """Build the table of a folder in an object store from copies that the store makes."""
    for source in sources:
        if path_kind(source) is None:
            raise _missing(source)
    remove(folder / MANIFEST)
    for source, name in zip(sources, names, strict=True):
        copy(source, folder / TABLE / name)
    for relative_path in files_in(folder / TABLE):
        if str(relative_path) not in names:
            remove(folder / TABLE / str(relative_path))


def _missing(part: Path) -> InputError:
    return InputError(f"'{part}' is missing: delete '{part.parent.parent}' and measure that shard again")


def _write_image_list(path: Path, rows: Sequence[dict[str, str]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        names = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(file, list(names) or [IMAGE_NUMBER])
        writer.writeheader()
        writer.writerows(rows)

"""Write the table of a results folder in parts, with a manifest from which a stopped run is continued."""

from __future__ import annotations

import csv
import json
import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import InputError, ResumeError, counted, listing
from ..images.image_set import ImageSet
from ..images.outline_files import OUTLINE_METADATA, has_outlines, read_outlines
from ..images.quality import quality_column
from ..modes.classical import program
from ..modes.measure import Measurement
from ..storage.atomic import AppendFile, atomic_path
from ..storage.locks import FolderLock, folder_lock
from ..storage.paths import files_in, make_folder, path_kind, read_bytes, read_if_there, remove
from ..tables.columns import IMAGE_NUMBER, METADATA
from ..tables.crop_settings import crops_text
from ..tables.file_names import FLAGGED_OBJECTS, IMAGE_QUALITY, TABLE
from ..tables.layout import Layout
from ..tables.parquet_files import open_parquet, read_table, table_files
from ..tables.provenance import Computed, Handcrafted, as_metadata, write_beside
from .description import differing_settings
from .keys import Key

log = logging.getLogger(__name__)

MANIFEST = "manifest.jsonl"
IMAGE_LIST = "images.csv"
CSV_TABLE = "profiles.csv"
PART_BYTES = 64 << 20
"""Size of a part of the table."""
PART_SECONDS = 60
"""Time after which collected rows are written as a part of any size."""
_OF_THE_INPUT = ("inputs", "image sets")
"""What the description of a run says of its image sets; they are compared one by one instead."""


class TableWriter:
    """Write a table in parts; every part that the manifest lists is complete, even after a crash.

    Parameters
    ----------
    folder : Path
        Results folder. An unfinished table of the same run in it is continued.
    layout : Layout
    run : dict
        Description of the run (inputs, settings, weights); a folder with other settings or weights is refused.
    part_bytes : int
        Size of a part.
    keys : dict of int to list of str, optional
        The keys of all image sets of the run (see :func:`.keys.image_set_keys`). Rows of earlier image sets get the
        ImageNumber that their key has now, or are removed if there is none. By default they stay.
    lock : FolderLock, optional
        Keeps other runs out.

    Attributes
    ----------
    table : Path
        Folder of the parts.
    done : dict of int to dict
        Manifest entries of the image sets in the table, by ImageNumber.

    Raises
    ------
    ResumeError
        If the folder holds anything else.
    """

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        run: dict[str, Any],
        part_bytes: int = PART_BYTES,
        keys: dict[int, Key] | None = None,
        lock: FolderLock | None = None,
    ) -> None:
        self.table = folder / TABLE
        # with these, a table that is taken out of its folder still says how its features were computed
        self._schema = layout.schema().with_metadata(_in_the_table(run, layout))
        self._layout = layout
        self._part_bytes = part_bytes
        self._lock = lock or FolderLock()
        self._flushed = time.monotonic()
        self._measured: list[tuple[ImageSet, Measurement]] = []
        self._bytes = 0
        self._images: list[dict[str, Any]] = []
        self._number = 0
        self.done: dict[int, dict[str, Any]] = {}
        self._keys = keys
        manifest = folder / MANIFEST
        entries = self._resume(manifest, run) if path_kind(manifest) else self._begin(run)
        # parts whose rows change were written under new names: a kill before this line leaves the table as it was
        self._manifest = AppendFile(manifest, "".join(json.dumps(entry) + "\n" for entry in entries).encode())
        parts = [entry["part"] for entry in entries[1:]]
        self._empty = not parts
        for name in files_in(self.table):
            if str(name) not in parts:
                remove(self.table / str(name))

    def _begin(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        make_folder(self.table)
        if files_in(self.table):
            raise ResumeError(f"`out`: '{self.table}' exists without its manifest '{MANIFEST}'; choose another folder")
        return [{"run": run}]

    def _resume(self, manifest: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
        entries = read_manifest(manifest)
        known = bool(entries) and "run" in entries[0]
        parts = [entry for entry in entries[1:] if entry.get("images")]
        images = [image for entry in parts for image in entry["images"]]
        if not known or images:
            _check_same_settings(manifest.parent, entries[0]["run"] if known else {}, run)
        make_folder(self.table)
        existing = set(map(str, files_in(self.table)))
        if missing := [entry["part"] for entry in parts if entry["part"] not in existing]:
            raise ResumeError(
                f"parts {', '.join(missing)} of '{self.table}' are missing: delete the folder and run again"
            )
        self._number = 1 + max((int(re.findall(r"\d+", entry["part"])[0]) for entry in parts), default=-1)
        numbers = self._numbers(manifest.parent, images)
        for entry in parts:
            images = [
                {**each, "number": numbers[each["number"]]} for each in entry["images"] if each["number"] in numbers
            ]
            if images and images != entry["images"]:
                entry["part"] = self._rewrite(entry["part"], numbers)
            entry["images"] = images
        self.done = {image["number"]: image for entry in parts for image in entry["images"]}
        return [{"run": run}, *(entry for entry in parts if entry["images"])]

    def _numbers(self, folder: Path, images: list[dict[str, Any]]) -> dict[int, int]:
        """Find the image sets of an earlier run in this one; return their new numbers by the old ones."""
        if self._keys is None or not images:
            return {image["number"]: image["number"] for image in images}
        before = {image["number"]: image.get("key") or ["", ""] for image in images}
        if not {planes for planes, _ in before.values()} & {planes for planes, _ in self._keys.values()}:
            raise ResumeError(
                f"`out`: '{folder}' holds the results of other images ({counted(len(images), 'image sets')}, none of "
                "them in the input). Choose another folder, or delete this one"
            )
        waiting: dict[tuple[str, ...], list[int]] = {}
        for number, key in self._keys.items():
            waiting.setdefault(tuple(key), []).append(number)
        numbers = {old: same.pop(0) for old, key in sorted(before.items()) if (same := waiting.get(tuple(key), []))}
        _log_changes(before, self._keys, numbers)
        return numbers

    def _rewrite(self, part: str, numbers: dict[int, int]) -> str:
        """Write a part under a new name, with the rows and numbers that image sets have now; return the name."""
        table = read_table(self.table / part)
        place = table.schema.get_field_index(IMAGE_NUMBER)
        kind = table.schema.field(place).type
        index = pc.index_in(table[IMAGE_NUMBER], pa.array(list(numbers), kind))
        kept = table.set_column(
            place, table.schema.field(place), pc.take(pa.array(list(numbers.values()), kind), index)
        )
        name = self._next_name()
        with atomic_path(self.table / name) as temporary:
            pq.write_table(kept.filter(pc.is_valid(index)), temporary, compression="zstd")
        return name

    def _next_name(self) -> str:
        """Return the name of the next part."""
        self._number += 1
        return f"part-{self._number - 1:05d}{self._lock.suffix}.parquet"

    def write(self, image_set: ImageSet, measurement: Measurement, quality: Sequence[dict[str, float]] = ()) -> None:
        """Append the rows of one image set.

        Parameters
        ----------
        image_set : ImageSet
        measurement : Measurement
        quality : sequence of dict
            Of each channel, see :func:`.plane_quality`.
        """
        self._measured.append((image_set, measurement))
        self._images.append(
            {
                "number": image_set.number,
                "rows": len(measurement.features),
                "unmeasured": int(np.isnan(measurement.features).any(1).sum()),
                "problems": Counter(f"{self._layout.channels[p.channel]}: {p.reason}" for p in measurement.problems),
                **({"quality": self._qualities(quality)} if quality else {}),
                **({"key": self._keys[image_set.number]} if self._keys else {}),
            }
        )
        self._bytes += measurement.features.nbytes
        full = self._bytes >= self._part_bytes
        if full or time.monotonic() - self._flushed > PART_SECONDS:
            self.flush()

    def _qualities(self, quality: Sequence[dict[str, float]]) -> dict[str, float | None]:
        """Return the qualities of all channels by column; JSON has no NaN."""
        return {
            quality_column(name, channel): float(f"{value:.6g}") if np.isfinite(value) else None
            for channel, values in zip(self._layout.channels, quality, strict=True)
            for name, value in values.items()
        }

    def flush(self) -> None:
        """Write the collected rows as a part and enter it into the manifest."""
        if self._images:
            self._write_part()

    def _write_part(self) -> None:
        name = self._next_name()
        measured, images = self._measured, self._images
        self._measured, self._images, self._bytes = [], [], 0
        with atomic_path(self.table / name) as temporary:
            batches = [self._rows(measured)] if measured else []
            pq.write_table(pa.Table.from_batches(batches, self._schema), temporary, compression="zstd")
        try:
            self._lock.check()
        except ResumeError:
            remove(self.table / name)
            raise
        self._manifest.append((json.dumps({"part": name, "images": images}) + "\n").encode())
        self.done.update((image["number"], image) for image in images)
        self._empty = False
        self._flushed = time.monotonic()

    def _rows(self, measured: list[tuple[ImageSet, Measurement]]) -> pa.RecordBatch:
        """Arrange the rows of image sets as a batch of the table."""
        counts = [len(measurement.features) for _, measurement in measured]
        metadata: dict[str, list[Any]] = {
            name: [
                image_set.metadata.get(name)
                for (image_set, _), count in zip(measured, counts, strict=True)
                for _ in range(count)
            ]
            for name in self._layout.metadata
        }
        if OUTLINE_METADATA[0] in self._layout.metadata:
            metadata |= _outline_metadata(measured, self._layout.objects)
        handcrafted = [each.classical for _, each in measured if each.classical is not None]
        qualities = [each.quality for _, each in measured if each.quality is not None]
        names = ("object_number", "center", "box", "border") if self._layout.located else ()
        regions = [measurement.regions for _, measurement in measured]
        return self._layout.rows(
            np.concatenate([measurement.features for _, measurement in measured]),
            np.repeat([image_set.number for image_set, _ in measured], counts),
            metadata,
            **{name: np.concatenate([getattr(part, name) for part in regions]) for name in names},
            classical=np.concatenate(handcrafted) if handcrafted else None,
            quality=np.concatenate(qualities) if qualities else None,
        )

    def check_lock(self) -> None:
        """Raise ResumeError if another run took over the folder."""
        self._lock.check()

    def finish(self) -> None:
        """Write the remaining rows; a run without a single row leaves a table without rows."""
        self.flush()
        if self._empty:
            self._write_part()


def _outline_metadata(measured: list[tuple[ImageSet, Measurement]], objects: str) -> dict[str, list[Any]]:
    """Return the names and groups of the outlines of the rows; blank where objects are no outlines."""
    columns: dict[str, list[Any]] = {name: [] for name in OUTLINE_METADATA}
    for image_set, measurement in measured:
        outlines = read_outlines(image_set.labels[objects].path) if has_outlines(image_set, objects) else []
        for number in measurement.regions.object_number.tolist():
            values = (outlines[number - 1].name, outlines[number - 1].group) if outlines else ("", "")
            for name, value in zip(OUTLINE_METADATA, values, strict=True):
                columns[name].append(value)
    return columns


@contextmanager
def resume_table(
    folder: Path,
    layout: Layout,
    run: dict[str, Any],
    part_bytes: int = PART_BYTES,
    keys: dict[int, Key] | None = None,
) -> Iterator[TableWriter]:
    """Open the table of a results folder, keep other processes out, and write collected rows even after an error.

    Parameters
    ----------
    folder, layout, run, part_bytes, keys
        See :class:`TableWriter`.

    Yields
    ------
    TableWriter

    Raises
    ------
    InputError
        If the folder is a file.
    ResumeError
        If it holds another run, or another process writes to it.
    """
    if path_kind(folder) == "file":
        raise InputError(f"`out`: '{folder}' is a file; choose a folder")
    make_folder(folder)
    with folder_lock(folder) as lock:
        writer = TableWriter(folder, layout, run, part_bytes, keys, lock)
        try:
            yield writer
        finally:
            writer.flush()


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """Read the entries of a manifest, up to a line that a crash cut off.

    Parameters
    ----------
    path : Path

    Returns
    -------
    list of dict
        The run first, then the parts.
    """
    entries: list[dict[str, Any]] = []
    for line in read_bytes(path).splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except ValueError:
            break
        if not line.endswith(b"\n"):
            break
        entries.append(entry)
    return entries


def earlier_run(folder: Path) -> dict[str, Any] | None:
    """Return the description of the run whose rows a results folder holds; None where it holds none."""
    entries = read_manifest(folder / MANIFEST) if path_kind(folder / MANIFEST) == "file" else []
    run: dict[str, Any] | None = entries[0].get("run") if any(entry.get("images") for entry in entries[1:]) else None
    return run


def write_csv(folder: Path) -> Path:
    """Write the table of a results folder as ``profiles.csv`` beside it, part by part.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    Path
        The CSV file.

    Raises
    ------
    InputError
        If there is no table.
    """
    import pyarrow.csv as pv

    target = folder / CSV_TABLE
    parts = table_files(folder / TABLE)
    if not parts:
        raise InputError(f"there is no table at '{folder / TABLE}'")
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        for number, part in enumerate(parts):
            pv.write_csv(read_table(part), file, pv.WriteOptions(include_header=number == 0))
    write_beside(target, open_parquet(folder / TABLE).provenance)
    return target


def _check_same_settings(folder: Path, before: dict[str, Any], now: dict[str, Any]) -> None:
    """Refuse a folder whose run had other settings, and name those that differ."""
    differences = [
        f"{name} (before {_short(old)}, now {_short(new)})"
        for name, (old, new) in differing_settings(before, now).items()
        if name not in _OF_THE_INPUT
    ]
    if differences:
        raise ResumeError(
            f"`out`: '{folder}' holds the results of another run; different: {'; '.join(differences)}. "
            "Choose another folder, or delete this one"
        )


def _log_changes(before: dict[int, Key], now: dict[int, Key], numbers: dict[int, int]) -> None:
    """Log what differs between the image sets of an earlier run and those of this one."""
    planes_before = {planes for number, (planes, _) in before.items() if number not in numbers}
    kept = set(numbers.values())
    changed = {number: planes for number, (planes, _) in now.items() if number not in kept and planes in planes_before}
    gone = [n for n, (planes, _) in before.items() if n not in numbers and planes not in changed.values()]
    moved = [new for old, new in numbers.items() if new != old]
    if changed:
        log.info(
            "%s measured again: ImageNumber %s",
            *(
                counted(len(changed), "image sets have changed and are", "image set has changed and is"),
                listing(sorted(changed)),
            ),
        )
    if moved:
        renumbered = counted(len(moved), "image sets have", "image set has")
        log.info("%s another ImageNumber now; the rows are kept: %s", renumbered, listing(moved))
    if gone:
        removed = counted(len(gone), "image sets are", "image set is")
        log.warning("%s no longer in the input; the rows are removed: %s", removed, listing(gone))


def _in_the_table(run: dict[str, Any], layout: Layout) -> dict[str, str]:
    """Return what the metadata of a table say of the run that measured it."""
    known = {"weights", "precision"} <= run.keys()
    computed = (Computed(run["weights"], run["precision"], crops_text(run)),) if known else ()
    programs = (Handcrafted(program()),) if layout.classical else ()
    return as_metadata((*computed, *programs))


def _short(value: Any) -> str:
    text = "not set" if value is None else json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."


def write_image_list(
    folder: Path, image_sets: Sequence[ImageSet], done: dict[int, dict[str, Any]], failures: dict[int, dict[str, Any]]
) -> Path:
    """Write the status and quality of every image set to ``images.csv`` in a results folder.

    Parameters
    ----------
    folder : Path
    image_sets : sequence of ImageSet
    done : dict of int to dict
        ``rows``, ``unmeasured`` and ``quality`` by ImageNumber.
    failures : dict of int to dict
        ``file``, ``channel`` and ``error`` by ImageNumber.

    Returns
    -------
    Path
        The CSV file.
    """
    metadata = list(dict.fromkeys(name for image_set in image_sets for name in image_set.metadata))
    qualities = list(dict.fromkeys(name for entry in done.values() for name in entry.get("quality", ())))
    target = folder / IMAGE_LIST
    before = read_if_there(target)
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        header = ["Status", "Rows", "Unmeasured", "File", "Channel", "Error"]
        writer.writerow([IMAGE_NUMBER, *(f"{METADATA}{name}" for name in metadata), *header, *qualities])
        for image_set in image_sets:
            number = image_set.number
            state = ["not reached"]
            if number in done:
                state = ["done", done[number]["rows"], done[number]["unmeasured"]]
            elif number in failures:
                failure = failures[number]
                state = ["failed", "", "", failure["file"], failure["channel"], failure["error"]]
            state += [""] * (len(header) - len(state))
            quality = done.get(number, {}).get("quality", {})
            state += ["" if quality.get(name) is None else quality[name] for name in qualities]
            writer.writerow([number, *(image_set.metadata.get(name, "") for name in metadata), *state])
    if read_if_there(target) != before:
        remove_flags(folder)
    return target


def remove_flags(folder: Path) -> None:
    """Remove the flags of a results folder whose rows have changed, so that none is taken for that of another row."""
    for path in (folder / IMAGE_QUALITY, folder / FLAGGED_OBJECTS):
        if path_kind(path):
            remove(path)
            log.info("'%s' is removed, since the table has changed: find poor images and objects again", path)

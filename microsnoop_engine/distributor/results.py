"""Tables of embeddings: written as the parts of a Parquet data set with a manifest, read back as one table."""

from __future__ import annotations

import csv
import json
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ..errors import InputError, ResumeError
from ..images.image_set import ImageSet
from ..modes.measure import Measurement
from ..storage.atomic import AppendFile, atomic_path
from ..storage.locks import FolderLock, folder_lock
from ..storage.paths import files_in, make_folder, path_kind, read_bytes, remove
from ..tables.columns import (
    IMAGE_NUMBER,
    METADATA,
)
from ..tables.layout import Layout
from ..tables.parquet_files import TABLE, read_table, table_files

MANIFEST = "manifest.jsonl"
IMAGE_LIST = "images.csv"
PART_BYTES = 64 << 20
PART_SECONDS = 60


class TableWriter:
    """Writes the parts of a table; what the manifest lists is complete, whatever happens to the process.

    Parameters
    ----------
    folder : Path
        Output folder. If it holds an unfinished table of the same run, that one is continued.
    layout : Layout
    run : dict
        What defines the run (inputs, settings, weights): a folder with another one is refused.
    part_bytes : int
        A part is written once it has that size, or the last one is a minute old.
    lock : FolderLock, optional
        What keeps other runs out.

    Attributes
    ----------
    done : dict of int to dict
        The image sets in the table by ImageNumber, as the manifest has them.

    Raises
    ------
    ResumeError
        If the folder holds something else.
    """

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        run: dict[str, Any],
        part_bytes: int = PART_BYTES,
        lock: FolderLock | None = None,
    ):
        self.table = folder / TABLE
        self._schema = layout.schema()
        self._layout = layout
        self._part_bytes = part_bytes
        self._lock = lock or FolderLock()
        self._flushed = time.monotonic()
        self._measured: list[tuple[ImageSet, Measurement]] = []
        self._bytes = 0
        self._images: list[dict[str, Any]] = []
        self.done: dict[int, dict[str, Any]] = {}
        manifest = folder / MANIFEST
        entries = self._resume(manifest, run) if path_kind(manifest) else self._begin(run)
        self._manifest = AppendFile(manifest, "".join(json.dumps(entry) + "\n" for entry in entries).encode())
        parts = [entry["part"] for entry in entries if "part" in entry]
        self._number = len(parts)
        for name in files_in(self.table):
            if str(name) not in parts:
                remove(self.table / str(name))

    def _begin(self, run: dict[str, Any]) -> list[dict[str, Any]]:
        make_folder(self.table)
        if files_in(self.table):
            raise ResumeError(f"'{self.table}' exists, but not its manifest '{MANIFEST}': give another --out folder")
        return [{"run": run}]

    def _resume(self, manifest: Path, run: dict[str, Any]) -> list[dict[str, Any]]:
        entries = read_manifest(manifest)
        before = entries[0]["run"] if entries and "run" in entries[0] else {}
        now = json.loads(json.dumps(run))
        differences = [
            f"{key} (there {_short(before.get(key))}, now {_short(now.get(key))})"
            for key in {**before, **now}
            if before.get(key) != now.get(key)
        ]
        if differences:
            raise ResumeError(
                f"'{manifest.parent}' holds the results of another run; different: {'; '.join(differences)}. "
                "Give another --out folder, or delete this one"
            )
        make_folder(self.table)
        there = set(map(str, files_in(self.table)))
        parts = [entry for entry in entries[1:] if "part" in entry]
        missing = [entry["part"] for entry in parts if entry["part"] not in there]
        if missing:
            raise ResumeError(
                f"parts {', '.join(missing)} of '{self.table}' are missing: delete the folder and start anew"
            )
        self.done = {image["number"]: image for entry in parts for image in entry["images"]}
        return entries

    def write(self, image_set: ImageSet, measurement: Measurement) -> None:
        """Append the rows of one image set."""
        self._measured.append((image_set, measurement))
        self._images.append(
            {
                "number": image_set.number,
                "rows": len(measurement.features),
                "unmeasured": int(np.isnan(measurement.features).any(1).sum()),
                "problems": Counter(f"{self._layout.channels[p.channel]}: {p.reason}" for p in measurement.problems),
            }
        )
        self._bytes += measurement.features.nbytes
        full = self._bytes >= self._part_bytes
        if full or time.monotonic() - self._flushed > PART_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected as a part and enter it into the manifest."""
        if self._images:
            self._write_part()

    def _write_part(self) -> None:
        name = f"part-{self._number:05d}{self._lock.suffix}.parquet"
        measured, images = self._measured, self._images
        self._measured, self._images, self._bytes = [], [], 0
        with atomic_path(self.table / name) as temporary:
            batches = [self._layout.batch(measured)] if measured else []
            pq.write_table(pa.Table.from_batches(batches, self._schema), temporary, compression="zstd")
        try:
            self._lock.check()
        except ResumeError:
            remove(self.table / name)
            raise
        self._manifest.append((json.dumps({"part": name, "images": images}) + "\n").encode())
        self.done.update((image["number"], image) for image in images)
        self._number += 1
        self._flushed = time.monotonic()

    def finish(self) -> None:
        """Write what is left; a run without a single row leaves a table without rows."""
        self.flush()
        if not self._number:
            self._write_part()


@contextmanager
def resume_table(
    folder: Path, layout: Layout, run: dict[str, Any], part_bytes: int = PART_BYTES
) -> Iterator[TableWriter]:
    """A :class:`TableWriter` that keeps other processes out, and loses nothing that was written when an error ends it.

    Raises
    ------
    InputError
        If the folder is a file.
    ResumeError
        If it holds something else, or another process is writing to it.
    """
    if path_kind(folder) == "file":
        raise InputError(f"--out '{folder}' is a file: give a folder")
    make_folder(folder)
    with folder_lock(folder) as lock:
        writer = TableWriter(folder, layout, run, part_bytes, lock)
        try:
            yield writer
        finally:
            writer.flush()


def read_manifest(path: Path) -> list[dict[str, Any]]:
    """The entries of a manifest, up to a line that was cut off by a crash."""
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


def write_csv(folder: Path) -> Path:
    """The table of an output folder as ``profiles.csv`` beside it, part after part."""
    import pyarrow.csv as pv

    target = folder / "profiles.csv"
    parts = table_files(folder / TABLE)
    if not parts:
        raise InputError(f"there is no table at '{folder / TABLE}'")
    with atomic_path(target) as temporary, temporary.open("wb") as file:
        for number, part in enumerate(parts):
            pv.write_csv(read_table(part), file, pv.WriteOptions(include_header=number == 0))
    return target


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 60 else text[:57] + "..."


def write_image_list(
    folder: Path, image_sets: Sequence[ImageSet], done: dict[int, dict[str, Any]], failures: dict[int, dict[str, Any]]
) -> Path:
    """``images.csv`` in the output folder: what became of every image set.

    Parameters
    ----------
    folder : Path
    image_sets : sequence of ImageSet
    done : dict of int to dict
        ``rows`` and ``unmeasured`` by ImageNumber.
    failures : dict of int to dict
        ``file``, ``channel`` and ``error`` by ImageNumber.
    """
    metadata = list(dict.fromkeys(name for image_set in image_sets for name in image_set.metadata))
    target = folder / IMAGE_LIST
    with atomic_path(target) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        header = ["Status", "Rows", "Unmeasured", "File", "Channel", "Error"]
        writer.writerow([IMAGE_NUMBER, *(f"{METADATA}{name}" for name in metadata), *header])
        for image_set in image_sets:
            number = image_set.number
            state = ["not reached"]
            if number in done:
                state = ["done", done[number]["rows"], done[number]["unmeasured"]]
            elif number in failures:
                failure = failures[number]
                state = ["failed", "", "", failure["file"], failure["channel"], failure["error"]]
            state += [""] * (len(header) - len(state))
            writer.writerow([number, *(image_set.metadata.get(name, "") for name in metadata), *state])
    return target

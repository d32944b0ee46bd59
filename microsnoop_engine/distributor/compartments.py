"""Join the tables of several object sets of the same images: one row per cell, with its nucleus and cytoplasm."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import ImageError, InputError, listing
from ..images.image_set import ImageSet
from ..images.image_set_file import read_image_sets
from ..images.label_overlap import match_labels
from ..images.labels import has_own_shape, read_labels
from ..storage.paths import as_path, path_kind
from ..tables.columns import IMAGE_NUMBER, OBJECT_NUMBER
from ..tables.features import select_features
from ..tables.formats import open_table, write_table
from ..tables.joining import CombinedTable
from ..tables.outputs import check_output
from ..tables.provenance import side_by_side
from ..tables.source import TableSource, read_frame
from .results import MANIFEST, read_manifest

KEYS = [IMAGE_NUMBER, OBJECT_NUMBER]


@dataclass(frozen=True)
class _Run:
    """A results folder: its object set, table, the rows of each image set, and these."""

    folder: Path
    objects: str
    source: TableSource
    frame: pd.DataFrame
    rows: dict[int, NDArray[np.intp]]
    image_sets: dict[int, ImageSet]

    def labels(self, number: int) -> NDArray[np.integer[Any]]:
        """Read the labels of an image set, and check that they are those that were measured."""
        plane = self.image_sets[number].labels.get(self.objects)
        if plane is None:
            raise InputError(
                f"'{self.folder}' names no label images of {self.objects}: run the same profile again, which measures "
                "nothing twice; after a segmentation, measure into another folder with `save_labels`"
            )
        if not has_own_shape(plane):
            raise ImageError("holds outlines: objects are matched by label images", plane.path, self.objects)
        labels = read_labels(plane, self.objects, None)
        measured = self.frame[OBJECT_NUMBER].to_numpy()[self.rows[number]]
        if len(gone := np.setdiff1d(measured, labels)):
            raise ImageError(
                f"lacks {listing(list(map(str, gone)), 3)}, which '{self.folder}' measured: measure it again",
                plane.path,
                self.objects,
            )
        return labels


def combine_compartments(
    folders: Sequence[str | Path], out: str | Path | None = None, where: str | None = None
) -> CombinedTable:
    """Put objects that lie in each other into one row, such as cells, their nuclei and their cytoplasm.

    Each object of another set belongs to the object of the first set that it shares most pixels with; of several, the
    one with most pixels is taken.

    Parameters
    ----------
    folders : sequence of str or Path
        Results folders of the same images, two or more, each of another object set. The first one gives the rows.
    out : str or Path, optional
        File to write the result to, whole or not at all (see :func:`.write_table`).
    where : str, optional
        Query of the rows of the first folder, by default all (see :func:`.select`).

    Returns
    -------
    CombinedTable
        The columns of the first table, and those of the others that it lacks; ``Nuclei_Number_Object_Number`` is the
        ObjectNumber of the nucleus. Rows without a partner in every table are left out.

    Raises
    ------
    InputError
        If a folder is no results folder of objects, or their images or label images do not belong together.
    ImageError
        If a label image cannot be read, or has changed since the run.
    """
    if out is not None:
        check_output(as_path(out), inputs=tuple(folders))
    if len(folders) < 2:
        raise InputError("`tables`: name two results folders or more, each of another object set")
    runs = [_open(as_path(folder), None if number else where) for number, folder in enumerate(folders)]
    first, *others = runs
    names = [run.objects for run in runs]
    if len(set(names)) < len(names):
        raise InputError(f"the folders hold the object sets {', '.join(names)}: give each its own name (`objects`)")
    features, provenance = select_features(first.source), first.source.provenance
    columns, places, taken = [], [], set(first.frame)
    for run in others:
        more = select_features(run.source)
        provenance = side_by_side((first.folder, provenance, features), (run.folder, run.source.provenance, more))
        features = [*features, *more]
        places.append(_partners(first, run))
        number = {OBJECT_NUMBER: f"{run.objects}_Number_Object_Number"}
        own = [name for name in run.frame if name == OBJECT_NUMBER or name not in taken]
        taken |= set(own)
        columns.append(run.frame[own].rename(columns=number))
    kept = np.flatnonzero((np.stack(places) >= 0).all(0))
    if not len(kept):
        raise InputError(f"no object of {first.objects} shares pixels with one of {' and of '.join(names[1:])}")
    parts = [part.iloc[place[kept]].reset_index(drop=True) for part, place in zip(columns, places, strict=True)]
    joined = pd.concat([first.frame.iloc[kept].reset_index(drop=True), *parts], axis=1)
    if out is not None:
        write_table(joined, out, features, provenance=provenance)
    return CombinedTable(joined, features, tuple(len(run.frame) - len(joined) for run in runs))


def _open(folder: Path, where: str | None) -> _Run:
    """Open a results folder of objects, or those of its rows that a query describes."""
    entries = read_manifest(folder / MANIFEST) if path_kind(folder / MANIFEST) == "file" else []
    if not entries:
        raise InputError(f"'{folder}' is no results folder of microsnoop profile, whose objects `match` overlap joins")
    source = open_table(folder, where=where)
    if OBJECT_NUMBER not in source.columns:
        raise InputError(f"'{folder}' holds no objects: `match` overlap joins runs of `mode` cells")
    frame, objects = read_frame(source), entries[0]["run"]["objects"]
    rows: Any = frame.groupby(IMAGE_NUMBER).indices
    return _Run(folder, objects, source, frame, rows, read_image_sets(folder)[0])


def _partners(first: _Run, other: _Run) -> NDArray[np.intp]:
    """Return for each row of the first table the row of the other one, or -1."""
    found = []
    for number in sorted(first.rows.keys() & other.rows.keys()):
        if _planes(first.image_sets[number]) != _planes(other.image_sets[number]):
            raise InputError(
                f"ImageNumber {number} is another image in '{first.folder}' than in '{other.folder}': measure all "
                "object sets from the same input"
            )
        try:
            own, partner = match_labels(first.labels(number), other.labels(number))
        except InputError as error:
            raise InputError(f"ImageNumber {number}: {error}") from None
        found.append(pd.DataFrame({IMAGE_NUMBER: number, "own": own, "partner": partner}))
    links = pd.concat(found) if found else pd.DataFrame({IMAGE_NUMBER: [], "own": [], "partner": []}, dtype=np.int64)
    keys = pd.MultiIndex.from_frame(links[[IMAGE_NUMBER, "own"]])
    at = keys.get_indexer(pd.MultiIndex.from_frame(first.frame[KEYS]))
    wanted = links[[IMAGE_NUMBER, "partner"]].iloc[at[at >= 0]]
    result = np.full(len(at), -1)
    result[at >= 0] = pd.MultiIndex.from_frame(other.frame[KEYS]).get_indexer(pd.MultiIndex.from_frame(wanted))
    return result


def _planes(image_set: ImageSet) -> dict[str, list[str | int | None]]:
    return {name: source.key() for name, source in image_set.channels.items()}

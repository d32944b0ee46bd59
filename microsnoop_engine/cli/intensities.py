"""Join the mean intensities of the images of a run to a table, for the baselines of evaluate."""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd

from ..errors import InputError, counted, listing
from ..images.image_set_file import read_image_sets
from ..images.intensities import mean_intensities
from ..tables.columns import IMAGE_NUMBER, TABLE_NUMBER, WELL
from ..tables.formats import open_table
from ..tables.keys import key_rows
from ..tables.plates import plate_columns
from ..tables.source import TableSource, in_memory, read_frame

PREFIX = "Image_Intensity_MeanIntensity_"


def with_intensities(table: Path, profiles: Path, objects: str | None = None) -> TableSource:
    """Add a column per channel: the mean gray level of the images of a row.

    Parameters
    ----------
    table : Path
        Objects, images or wells of the run.
    profiles : Path
        Results folder of a profile run, whose images have not moved.
    objects : str, optional
        Object set of a CellProfiler export.

    Returns
    -------
    TableSource
        In memory.

    Raises
    ------
    InputError
        If tables share no keys, or no image can be read.
    """
    source = open_table(table, objects)
    frame = read_frame(source)
    known = open_table(profiles)
    image_sets, channels = read_image_sets(profiles)
    keys = [IMAGE_NUMBER] if IMAGE_NUMBER in frame else [*plate_columns(list(map(str, frame))), WELL]
    if TABLE_NUMBER in frame or not set(keys) <= {*known.columns} & {*frame}:
        raise InputError(f"`profiles`: '{profiles}' and '{table}' share no plate and well, or image number")
    rows = read_frame(known, list(dict.fromkeys([*keys, IMAGE_NUMBER]))).drop_duplicates()
    means, failed = mean_intensities(image_sets, channels, map(int, rows[IMAGE_NUMBER].unique()))
    if not means:
        raise InputError(f"`profiles`: no image of '{profiles}' can be read: {next(iter(failed.values()), 'none')}")
    if failed:
        print(
            f"WARNING: {counted(len(failed), 'images')} cannot be read: {listing(failed.values(), 2)}",
            file=sys.stderr,
        )
    columns = [f"{PREFIX}{channel}" for channel in channels]
    levels = pd.DataFrame.from_dict(means, orient="index", columns=columns)
    of_rows, of_frame = (["\t".join(key) for key in key_rows(of, keys)] for of in (rows, frame))
    added = levels.reindex(rows[IMAGE_NUMBER]).groupby(of_rows).mean().reindex(of_frame).set_axis(frame.index)
    if added.isna().all(axis=None):
        raise InputError(f"`profiles`: no row of '{table}' matches by {listing(keys)}")
    table_of = in_memory(frame.drop(columns=columns, errors="ignore").join(added), source.path)
    return TableSource(table_of.path, table_of.columns, table_of.read, source.features)

"""Join tables with platemaps and with each other."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from ..errors import InputError
from .columns import IMAGE_NUMBER, METADATA, OBJECT_NUMBER, PLATE, WELL
from .formats import open_table
from .source import read_frame

log = logging.getLogger(__name__)


def join_platemap(frame: pd.DataFrame, path: Path, on: Sequence[str]) -> pd.DataFrame:
    """A table with the columns of a platemap, whose names get ``Metadata_`` before them where they lack it.

    Raises
    ------
    InputError
        If key columns are missing, a well stands twice in the platemap, or none fits.
    """
    platemap = read_frame(open_table(path))
    platemap = platemap.rename(columns=lambda name: name if name.startswith(METADATA) else f"{METADATA}{name}")
    for table, where in ((frame, "the table"), (platemap, f"'{path}'")):
        if missing := [name for name in on if name not in table]:
            raise InputError(f"{where} has no column {', '.join(missing)}: name the columns to join with --on")
    if (twice := platemap.duplicated(list(on))).any():
        raise InputError(f"'{path}' has {platemap.loc[twice, list(on)].iloc[0].tolist()} more than once")
    new = [name for name in platemap if name in on or name not in frame]
    joined = frame.astype(dict.fromkeys(on, str)).merge(
        platemap[new].astype(dict.fromkeys(on, str)), "left", list(on), indicator=True
    )
    if not (joined["_merge"] == "both").any():
        raise InputError(f"no well of the table is in '{path}' (such as {joined[list(on)].iloc[0].tolist()})")
    if (missing := joined["_merge"] == "left_only").any():
        first = joined.loc[missing, list(on)].iloc[0].tolist()
        log.warning("%d of %d wells are not in '%s' (such as %s)", missing.sum(), len(joined), path, first)
    return joined.drop(columns="_merge")


def combine(a: pd.DataFrame, b: pd.DataFrame, on: Sequence[str] | None = None) -> tuple[pd.DataFrame, int, int]:
    """Two tables of the same objects or wells side by side.

    Parameters
    ----------
    a, b : DataFrame
    on : sequence of str, optional
        Keys; by default image and object number, else plate and well, as far as both have them.

    Returns
    -------
    joined : DataFrame
        Rows that both have; columns of ``b`` that ``a`` has too are taken from ``a``.
    only_a, only_b : int
        Rows without a partner.

    Raises
    ------
    InputError
        If there is no common key, a key stands twice, or nothing fits.
    """
    if on is None:
        choices = (("TableNumber", IMAGE_NUMBER, OBJECT_NUMBER), (IMAGE_NUMBER, OBJECT_NUMBER), (PLATE, WELL), (WELL,))
        on = next((keys for keys in choices if set(keys) <= set(a) & set(b)), None)
        if on is None:
            raise InputError("the tables share no keys (ImageNumber and ObjectNumber, or plate and well): give --on")
    on = list(on)
    for frame, name in ((a, "first"), (b, "second")):
        if missing := [key for key in on if key not in frame]:
            raise InputError(f"the {name} table has no column {', '.join(missing)}")
        if frame.duplicated(on).any():
            row = ", ".join(map(str, frame.loc[frame.duplicated(on), on].iloc[0]))
            raise InputError(f"the {name} table has several rows for {', '.join(on)} = {row}: choose finer keys (--on)")
    for key in on:
        if pd.api.types.is_numeric_dtype(a[key]) is not pd.api.types.is_numeric_dtype(b[key]):
            raise InputError(f"{key} holds numbers in one table and words in the other: write it alike in both")
    joined = a.merge(b[[*on, *(name for name in b if name not in a)]], "inner", on)
    if not len(joined):
        raise InputError(f"no row of the two tables fits by {', '.join(on)}")
    return joined, len(a) - len(joined), len(b) - len(joined)

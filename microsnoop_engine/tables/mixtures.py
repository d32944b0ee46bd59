"""Notice tables that mix plates, batches or runs without a column that tells them apart."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted, listing
from .columns import COUNT, IMAGE_NUMBER, METADATA, OBJECT_NUMBER, TABLE_NUMBER, WELL
from .plates import replicate_columns
from .source import TableSource

log = logging.getLogger(__name__)

_SITE = re.compile(rf"^{METADATA}(Site|Field|FOV)(_?(ID|Number|Index))?$", re.IGNORECASE)
_PATH = re.compile(r"^(Image_)?PathName_")
_REMEDY = "add a column Metadata_Plate, or name the columns that tell them apart in `plates`"


class Rows:
    """Count the rows of a table while it is read, and find keys of objects that come more than once.

    Parameters
    ----------
    source : TableSource
    apart : sequence of str
        Columns that tell plates apart.

    Attributes
    ----------
    source : TableSource
        The same table; reading it counts.
    count : int
        Number of rows that the last reading passed.
    numbered : bool
        True if rows are objects by their numbers.
    counted : bool
        True if rows are aggregates already.
    paths : list of str
        Columns of the folders of the images.
    """

    def __init__(self, source: TableSource, apart: Sequence[str]) -> None:
        self._of = source
        self.source = replace(source, read=self._read)
        self.numbered, self.counted = OBJECT_NUMBER in source.columns, COUNT in source.columns
        self.paths = [name for name in source.columns if _PATH.match(name)]
        keys = (*apart, WELL, TABLE_NUMBER, IMAGE_NUMBER, OBJECT_NUMBER)
        can_repeat = {IMAGE_NUMBER, OBJECT_NUMBER} <= set(source.columns)
        self._keys = [name for name in keys if name in source.columns] if can_repeat else []
        self._hashes: list[NDArray[Any]] = []
        self.count = 0

    def _read(self, columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        self.count, self._hashes = 0, []
        for chunk in self._of.read(list(dict.fromkeys([*columns, *self._keys]))):
            self.count += len(chunk)
            if self._keys:
                known = chunk.loc[chunk[[IMAGE_NUMBER, OBJECT_NUMBER]].notna().all(axis=1), self._keys]
                self._hashes.append(pd.util.hash_pandas_object(known.astype(str), index=False).to_numpy())
            yield chunk[list(columns)]

    def refuse_repeats(self, apart: Sequence[str]) -> None:
        """Refuse objects that come more than once; warn of them where a column tells plates apart."""
        if not self._hashes:
            return
        hashes = np.concatenate(self._hashes)
        repeats = len(hashes) - len(np.unique(hashes))
        if not repeats:
            return
        rows = counted(self.count, "rows")
        text = f"{repeats} of {rows} repeat the ImageNumber and ObjectNumber of another row of the same well"
        if not apart:
            raise InputError(f"'{self._of.path}': {text}, as where plates or runs are mixed: {_REMEDY}")
        log.warning("'%s': %s and are averaged with it: remove copies, or %s", self._of.path, text, _REMEDY)


def images_are_told_apart(images: pd.DataFrame, apart: Sequence[str], path: Path) -> None:
    """Warn of wells whose images seem to belong to several plates, or are repeats of each other.

    Parameters
    ----------
    images : DataFrame
        A row per image.
    apart : sequence of str
        Columns that tell plates apart.
    path : Path
        Of the table, for messages.
    """
    well, columns = [*apart, WELL], [str(name) for name in images]
    groups = images.groupby(well, dropna=False, observed=True)
    reasons = [name for name in replicate_columns(columns) if name not in well and (groups[name].nunique() > 1).any()]
    if reasons:
        log.warning(
            "'%s': wells are averaged over different values of %s; to keep them apart: `plates` %s",
            path,
            listing(reasons),
            ",".join([*apart, *reasons]),
        )
        return
    sites = [name for name in columns if _SITE.match(name)]
    if sites and images.duplicated([*well, *sites]).any():
        log.warning("'%s': wells have several images of one %s, which are averaged: %s", path, sites[0], _REMEDY)
    elif not apart:
        folders = [name for name in columns if _PATH.match(name) and (groups[name].nunique() > 1).any()]
        order = images.sort_values(IMAGE_NUMBER)[WELL]
        visits = int((order != order.shift()).sum())
        if folders:
            log.warning("'%s': images of one well lie in different folders (%s): %s", path, folders[0], _REMEDY)
        elif not sites and len(groups) > 1 and visits >= 2 * len(groups):
            log.warning("'%s': wells come again and again, %d times on average; if these are plates: %s", path,
                        round(visits / len(groups)), _REMEDY)  # fmt: skip


def wells_are_told_apart(rows: Rows, wells: int, apart: Sequence[str], path: Path) -> None:
    """Warn of rows of one well that are no objects: they may be of several plates.

    Parameters
    ----------
    rows : Rows
        After reading.
    wells : int
        Number of wells.
    apart : sequence of str
        Columns that tell plates apart.
    path : Path
        Of the table, for messages.
    """
    if rows.count > wells and not rows.numbered and (rows.counted or not apart):
        averaged = f"{counted(rows.count, 'rows')} of {counted(wells, 'wells')}"
        log.warning("'%s': %s are averaged; if these are plates: %s", path, averaged, _REMEDY)

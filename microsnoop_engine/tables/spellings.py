"""Write every well of a table in one way."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace

import pandas as pd

from ..errors import counted
from .source import TableSource
from .wells import is_well_column, well_name

log = logging.getLogger(__name__)


def one_spelling(source: TableSource) -> TableSource:
    """Write each well as the first row that names it does, so that ``A1`` and ``A01`` are one well.

    Parameters
    ----------
    source : TableSource

    Returns
    -------
    TableSource
        The same rows. A warning counts the wells that have several spellings, once the table is read.
    """
    wells = [name for name in source.columns if is_well_column(str(name))]
    if not wells:
        return source
    first: dict[str, dict[str, object]] = {name: {} for name in wells}  # by column and well
    said: set[str] = set()

    def read(columns: Sequence[str]) -> Iterator[pd.DataFrame]:
        here = [name for name in columns if name in first]
        others: dict[str, dict[str, object]] = {name: {} for name in here}
        for chunk in source.read(columns):
            spelled = {name: _spelled(chunk[name], first[name], others[name]) for name in here}
            yield chunk.assign(**{name: column for name, column in spelled.items() if column is not None})
        for name in here:
            if others[name] and name not in said:
                said.add(name)
                well, spelling = next(iter(others[name].items()))
                log.warning(
                    "'%s': %s several spellings in %s (%s and %s); each is one well, written as in its first row",
                    source.path,
                    counted(len(others[name]), "wells have", "well has"),
                    name,
                    first[name][well],
                    spelling,
                )

    return replace(source, read=read)


def _spelled(column: pd.Series, first: dict[str, object], others: dict[str, object]) -> pd.Series | None:
    """Return a column in the first spellings, or None if it is so already; both mappings grow."""
    changed = {}
    for value in column.dropna().unique():
        well = well_name(value)
        if first.setdefault(well, value) != value:
            changed[value] = first[well]
            others.setdefault(well, value)
    if not changed:
        return None
    return column.astype(object).map(lambda value: changed.get(value, value))

"""Count the classes of cells in each treatment for the report."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from ..evaluation.table import has_word, joined_words
from ..tables.columns import METADATA, WELL
from ..tables.formats import open_table
from ..tables.keys import key_rows
from ..tables.plates import plate_columns
from ..tables.queries import select_rows
from ..tables.source import in_memory, read_frame
from .panels import Panel, rounded
from .roles import ColumnRoles

log = logging.getLogger(__name__)

CLASS = f"{METADATA}Class"
_ALL = "all cells"


def read_classes(table: str | Path | pd.DataFrame, roles: ColumnRoles) -> pd.DataFrame:
    """Read the classes of cells, with the columns that tell wells and treatments apart.

    Parameters
    ----------
    table : str, Path or DataFrame
        Result of :func:`.apply_to_table`.
    roles : ColumnRoles

    Returns
    -------
    DataFrame

    Raises
    ------
    InputError
        If it is another table.
    """
    source = open_table(in_memory(table, Path("classes")) if isinstance(table, pd.DataFrame) else table)
    require_columns(source.columns, [CLASS], "`classes`: the table")
    names = [*plate_columns(source.columns), WELL, *_treatment(roles)]
    return read_frame(source, [CLASS, *dict.fromkeys(name for name in names if name in source.columns)])


def class_counts(cells: pd.DataFrame, wells: pd.DataFrame, roles: ColumnRoles) -> Panel:
    """Count the classes of the cells of each treatment.

    Parameters
    ----------
    cells : DataFrame
        ``Metadata_Class`` of each cell, and its well or its treatment.
    wells : DataFrame
        The rows of the report, which name the treatments of wells.
    roles : ColumnRoles

    Returns
    -------
    dict
        ``classes``, k names; by treatment ``names``, ``negative`` (True for controls), ``counts`` (k),
        ``unclassified``, the number of ``wells``, and the ``low`` and ``high`` share (k) of a class in one well; the
        number of cells of ``other`` wells. Or a ``message`` where cells have no treatment.
    """
    try:
        names, known = _treatment_of_cells(cells, wells, roles)
    except InputError as error:
        log.warning("classes are not shown: %s", error)
        return {"message": f"Not shown: {str(error).replace('`', '')}."}
    classes = sorted(set(cells.loc[has_word(cells[CLASS]), CLASS].astype(str)))
    if not classes:
        return {"message": "Not shown: no cell has a class."}
    keys = [*plate_columns(map(str, cells)), WELL] if WELL in cells else []
    well = cells.groupby(keys, dropna=False).ngroup().to_numpy() if keys else np.zeros(len(cells), np.intp)
    code = pd.Categorical(cells[CLASS].astype(str).where(has_word(cells[CLASS])), classes).codes
    counts = (
        pd.DataFrame({"name": names, "well": well, "code": code})[known]
        .groupby(["name", "well", "code"])
        .size()
        .unstack("code", fill_value=0)
        .reindex(columns=range(-1, len(classes)), fill_value=0)
    )
    controls = _controls(wells, roles)
    order = list(counts.index.unique("name"))
    panel: Panel = {"classes": classes, "names": order, "negative": [name in controls for name in order]}
    parts = [counts.loc[name] for name in order]
    panel["counts"] = [part[range(len(classes))].sum().tolist() for part in parts]
    panel["unclassified"] = [int(part[-1].sum()) for part in parts]
    panel["wells"] = [len(part) if keys else None for part in parts]
    shares = [part[range(len(classes))].to_numpy(np.float64) for part in parts]
    with np.errstate(invalid="ignore"):
        shares = [share / share.sum(1, keepdims=True) for share in shares]
    for key, extreme in (("low", np.fmin), ("high", np.fmax)):
        panel[key] = [rounded(extreme.reduce(share, axis=0)) for share in shares]
    panel["other"] = int((~known).sum())
    return panel


def _treatment(roles: ColumnRoles) -> Sequence[str]:
    return roles.treatment or tuple(name for name in (roles.label,) if name)


def _treatment_of_cells(
    cells: pd.DataFrame, wells: pd.DataFrame, roles: ColumnRoles
) -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """Return the treatment of each cell, and whether the report has its well and its treatment."""
    columns = list(_treatment(roles))
    shared = [name for name in map(str, wells) if name in cells]
    keys = [*plate_columns(shared), WELL] if WELL in shared else []
    if keys:
        apart = [name for name in plate_columns(map(str, cells)) if name not in keys and cells[name].nunique() > 1]
        if apart:
            raise InputError(f"the table lacks {', '.join(apart)}, which tells the plates of the classes apart")
        index = key_rows(wells, keys)
        unique = index.unique()
        place = unique.get_indexer(key_rows(cells, keys))
        names = joined_words(wells, columns) if columns else np.full(len(wells), _ALL, object)
        of_well = pd.Series(names).groupby(unique.get_indexer(index)).agg(["first", "nunique"])
        if (of_well["nunique"] > 1).any():
            raise InputError(f"a well of the table ({', '.join(keys)}) has several treatments")
        found = np.where(place >= 0, of_well["first"].to_numpy(object)[place], "")
        return found, found != ""
    if columns and set(columns) <= set(map(str, cells)):
        names = joined_words(cells, columns)
        return names, np.isin(names.astype(str), joined_words(wells, columns).astype(str)) & (names != "")
    if not columns:
        return np.full(len(cells), _ALL, object), np.ones(len(cells), bool)
    raise InputError("the classes share no wells with the table, and have no treatments of their own")


def _controls(wells: pd.DataFrame, roles: ColumnRoles) -> set[str]:
    """Return the names of the treatments of negative controls."""
    columns = list(_treatment(roles))
    if not roles.controls or not columns:
        return set()
    return set(joined_words(wells, columns)[select_rows(wells, roles.controls)].astype(str)) - {""}

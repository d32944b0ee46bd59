"""Hold the profiles of a screen with the roles of its columns."""

from __future__ import annotations

import logging
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, counted
from ..evaluation import controls
from ..evaluation.table import has_word, joined_words
from ..tables.column_types import require_numbers
from ..tables.columns import METADATA, OBJECT_NUMBER, WELL
from ..tables.plates import row_units
from ..tables.queries import select_rows
from .roles import ColumnRoles

log = logging.getLogger(__name__)


class Screen:
    """Hold metadata and features of a screen, and find its controls and treatments.

    Parameters
    ----------
    frame : DataFrame
        Metadata (n rows).
    values : array (n, p)
        Features.
    roles : ColumnRoles

    Attributes
    ----------
    present : array (n,), bool
        Rows without NaN or infinity.
    negative, positive : array (n,), bool
        Control rows; none where there is no query.
    treatment : array (n,) of str, or None
        '' for rows that are not annotated: those without a value in the first column that names a treatment.
    annotated : array (n,), bool
        Rows with a treatment.
    rows : str
        What the rows are: objects, wells or rows.

    Raises
    ------
    InputError
        If a column does not exist, or the dose holds no numbers.
    """

    def __init__(self, frame: pd.DataFrame, values: NDArray[Any], roles: ColumnRoles) -> None:
        check_roles(roles, frame)
        self.frame, self.roles = frame, roles
        self.values: NDArray[np.float64] = np.asarray(values, np.float64)
        self.present = np.isfinite(self.values).all(1)
        none = np.zeros(len(frame), bool)
        self.negative = select_rows(frame, roles.controls) if roles.controls else none
        self.positive = select_rows(frame, roles.positive) if roles.positive else none
        columns = list(roles.treatment) or [name for name in (roles.label,) if name]
        self.treatment = joined_words(frame, columns).astype(str) if columns else None
        self.annotated = none if self.treatment is None else self.treatment != ""
        self.rows = "objects" if OBJECT_NUMBER in frame else "wells" if WELL in frame else "rows"

    def column(self, name: str) -> NDArray[Any]:
        """Return a column (n,) as text."""
        return self.frame[name].astype(str).to_numpy()

    def known(self, *columns: str | None) -> NDArray[np.bool_]:
        """Find the rows (n,) with a value in each of these columns; None is no column."""
        masks = [has_word(self.frame[name]) for name in columns if name]
        return np.asarray(np.logical_and.reduce([np.ones(len(self.frame), bool), *masks]))

    def units(self) -> dict[str, NDArray[Any]]:
        """Return the numbers (n,) of the wells, or images, that rows are parts of; empty for wells."""
        found = row_units(list(map(str, self.frame)))
        return {name: self.frame.groupby(columns, dropna=False).ngroup().to_numpy() for name, columns in found.items()}

    def distance(self) -> NDArray[np.float64] | None:
        """Measure the distance (n,) of each row from the negative controls; None without controls that differ."""
        return self._distance

    @cached_property
    def _distance(self) -> NDArray[np.float64] | None:
        known = self.values[self.negative & self.present]
        if not len(known):
            return None
        if not np.ptp(known, axis=0).any():
            rows = counted(len(known), "negative control rows do", "negative control row does")
            log.warning("%s not differ: distances from the controls are not shown", rows)
            return None
        return controls.distance_from_controls(self.values, self.negative)

    def position(self) -> NDArray[np.float64] | None:
        """Project each row (n,) between the negative (0) and the positive controls (1); None without both kinds.

        NaN for rows without a group, where groups are kept apart.
        """
        grouped = self.known(self.roles.groups)
        negative, positive = self.negative & grouped, self.positive & grouped
        if not (negative & self.present).any() or not (positive & self.present).any():
            return None
        groups = self.column(self.roles.groups) if self.roles.groups else None
        return np.where(grouped, controls.between_controls(self.values, negative, positive, groups), np.nan)


def check_roles(roles: ColumnRoles, frame: pd.DataFrame) -> None:
    """Check that the columns of all roles exist.

    Parameters
    ----------
    roles : ColumnRoles
    frame : DataFrame

    Raises
    ------
    InputError
        If a column does not exist, or the dose holds no numbers.
    """
    columns = {name: getattr(roles, name) for name in ("label", "compound", "dose", "batch", "groups")}
    for role, name in [*columns.items(), *(("treatment", name) for name in roles.treatment)]:
        if name is not None and name not in frame:
            raise InputError(f"`{role}`: there is no column '{name}' among {', '.join(map(str, frame)):.300}")
    if roles.dose:
        require_numbers(frame[roles.dose], "`dose`")


def short_name(name: str) -> str:
    """Remove the prefix ``Metadata_`` from a column name.

    Examples
    --------
    >>> short_name("Metadata_Plate")
    'Plate'
    """
    return name.removeprefix(METADATA)

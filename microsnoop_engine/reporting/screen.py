"""Hold the profiles of a screen with the roles of its columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..errors import InputError
from ..evaluation import controls as assay
from ..tables.columns import METADATA
from ..tables.queries import select_rows


@dataclass(frozen=True)
class ColumnRoles:
    """What the columns of a screen mean; None where it is not known.

    Attributes
    ----------
    controls, positive : str, optional
        Queries of the negative and the positive control rows (see :mod:`microsnoop_engine.tables.queries`).
    treatment : tuple of str
        Columns that together name a treatment; rows that share them are replicates.
    label : str, optional
        Column of what is to be told apart (mechanism of action, phenotype).
    compound, dose, batch : str, optional
        Columns; ``batch`` (plate, week) is what must not show in the features.
    groups : str, optional
        Column of rows that are not compared with each other when labels are predicted.
    neighbors : int
        That vote for a label.
    """

    controls: str | None = None
    positive: str | None = None
    treatment: tuple[str, ...] = ()
    label: str | None = None
    compound: str | None = None
    dose: str | None = None
    batch: str | None = None
    groups: str | None = None
    neighbors: int = 5

    def check(self, frame: pd.DataFrame) -> None:
        """Raise InputError if a column is not in the table."""
        columns = {name: getattr(self, name) for name in ("label", "compound", "dose", "batch", "groups")}
        for option, name in [*columns.items(), *(("treatment", name) for name in self.treatment)]:
            if name is not None and name not in frame:
                raise InputError(f"--{option}: there is no column '{name}' among {', '.join(map(str, frame)):.300}")
        if self.dose and not pd.api.types.is_numeric_dtype(frame[self.dose]):
            values = frame[self.dose].dropna()
            words = values[pd.to_numeric(values, errors="coerce").isna()]
            shown = f": '{words.iloc[0]}' in row {frame.index.get_loc(words.index[0]) + 1}" if len(words) else ""
            raise InputError(
                f"--dose: the column '{self.dose}' does not hold numbers{shown}; write numbers with a point"
            )


class Screen:
    """The rows of a table, what they mean, and their features.

    Parameters
    ----------
    frame : DataFrame
        Metadata.
    values : array (n, p)
        Features.
    meaning : ColumnRoles

    Attributes
    ----------
    negative, positive : array (n,), bool
        Control rows; none where there is no query.
    treatment : array (n,) of str, or None
    """

    def __init__(self, frame: pd.DataFrame, values: np.ndarray, meaning: ColumnRoles):
        meaning.check(frame)
        self.frame, self.values, self.meaning = frame, np.asarray(values, np.float64), meaning
        self.present = np.isfinite(self.values).all(1)
        none = np.zeros(len(frame), bool)
        self.negative = select_rows(frame, meaning.controls) if meaning.controls else none
        self.positive = select_rows(frame, meaning.positive) if meaning.positive else none
        columns = list(meaning.treatment) or [name for name in (meaning.label,) if name]
        self.treatment = frame[columns].astype(str).agg(" ".join, axis=1).to_numpy() if columns else None

    def column(self, name: str) -> np.ndarray:
        """A column as words."""
        return self.frame[name].astype(str).to_numpy()

    def distance(self) -> np.ndarray | None:
        """Distance from the negative controls (n,); None where it is not known."""
        if not (self.negative & self.present).any():
            return None
        return assay.distance_from_controls(self.values, self.negative)

    def position(self) -> np.ndarray | None:
        """Position (n,) on the way from the negative to the positive controls; None where there are no both."""
        if not (self.negative & self.present).any() or not (self.positive & self.present).any():
            return None
        groups = self.column(self.meaning.groups) if self.meaning.groups else None
        return assay.between_controls(self.values, self.negative, self.positive, groups)


def short_name(name: str) -> str:
    return name.removeprefix(METADATA)

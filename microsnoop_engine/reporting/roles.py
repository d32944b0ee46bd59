"""Name the roles of a screen's columns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ColumnRoles:
    """Name the roles of a screen's columns; None where a role has no column.

    Parameters
    ----------
    controls, positive : str, optional
        Queries of the negative and the positive control rows (see :mod:`microsnoop_engine.tables.queries`).
    treatment : tuple of str
        Columns that together name a treatment; rows that share them are replicates.
    label : str, optional
        Column of the classes to tell apart (mechanism of action, phenotype).
    compound, dose : str, optional
        Columns; ``dose`` holds numbers.
    batch : str, optional
        Column of the plate or week, whose effect should not show in the features.
    groups : str, optional
        Column of rows that are not compared with each other when labels are predicted.
    neighbors : int
        Number of nearest rows that vote for a label.
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

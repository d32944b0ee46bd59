"""Compare the treatments of wells with the controls of their plates, and with each other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError
from ..evaluation.activity import replicates_among_controls, replicates_among_treatments
from ..evaluation.controls import between_controls, distance_from_controls
from ..evaluation.neighbors import has_direction

TESTED = ("Activity_mAP", "Activity_p", "Distinct_mAP", "Distinct_p")


@dataclass(frozen=True)
class Wells:
    """Wells with their treatments.

    Attributes
    ----------
    values : array (n, p)
        Features; NaN in rows that are not ``present``.
    present : array (n,), bool
        Rows with all features.
    negative, treated : array (n,), bool
        Control rows, and rows of a treatment.
    names : array (n,) of str
        Treatments.
    plates : array (n,), int
        From 0.
    """

    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    negative: NDArray[np.bool_]
    treated: NDArray[np.bool_]
    names: NDArray[Any]
    plates: NDArray[np.intp]

    @property
    def controls(self) -> NDArray[np.bool_]:
        """Control rows with all features (n,)."""
        return self.negative & self.present

    def distances(self) -> NDArray[np.float64]:
        """Measure the distance (n,) of each row from the controls of its plate; 1 is a usual control."""
        return self._by_plate(lambda rows: distance_from_controls(self.values[rows], self.negative[rows]))

    def positions(self, positive: NDArray[np.bool_]) -> NDArray[np.float64]:
        """Project rows (n,) between the controls of all plates, each plate centered on its negative controls.

        Parameters
        ----------
        positive : array (n,), bool
            Positive control rows.

        Returns
        -------
        array (n,)
            0 is a negative, 1 a positive control.

        Raises
        ------
        InputError
            If no positive control has features.
        """
        positive = positive & self.present
        if not positive.any():
            raise InputError("`positive`: no row with features is a positive control")
        centered = np.full(self.values.shape, np.nan)
        for plate in np.unique(self.plates):
            rows = self.plates == plate
            if (self.controls & rows).any():
                centered[rows] = self.values[rows] - self.values[self.controls & rows].mean(0)
        return between_controls(centered, self.controls, positive)

    def count_changes(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """Compare the numbers of objects (n,) with the mean of the controls of the plate; 1 is no change."""
        usual = np.full(len(counts), np.nan)
        for plate in np.unique(self.plates):
            typical = known_mean(counts[(self.plates == plate) & self.negative])
            if typical > 0:
                usual[self.plates == plate] = typical
        return np.asarray(counts / usual)

    def _by_plate(self, compute: Callable[[NDArray[np.bool_]], NDArray[Any]]) -> NDArray[np.float64]:
        """Compute numbers (n,) plate by plate; NaN on plates with fewer than two controls."""
        result = np.full(len(self.plates), np.nan)
        for plate in np.unique(self.plates):
            rows = self.plates == plate
            if (self.controls & rows).sum() > 1:
                result[rows] = compute(rows)
        return result


def compare_treatments(wells: Wells, fdr: float, draws: int, seed: int) -> pd.DataFrame:
    """Test each treatment against controls and other treatments.

    Parameters
    ----------
    wells : Wells
    fdr : float
        Treatments whose rows allow no p as small are noted.
    draws : int
        Number of permutations.
    seed : int

    Returns
    -------
    DataFrame
        By treatment, in the order of the rows: ``Rows``, ``Rows_Left_Out``, ``Controls``, ``Note``, and the columns
        ``TESTED``, NaN where there is nothing to compare.
    """
    directed = wells.treated & wells.present
    centered = _centered(wells.values, wells.plates, directed)
    directed[directed] = has_direction(centered[directed])
    distinct = replicates_among_treatments(
        centered[directed], wells.names[directed].astype(str), wells.plates[directed], draws, seed
    )
    rows = {}
    for name in pd.unique(wells.names[wells.treated]):
        row = _compare_with_controls(wells, wells.treated & (wells.names == name), fdr, draws, seed)
        if str(name) in distinct:
            row["Distinct_mAP"], row["Distinct_p"] = distinct[str(name)].map, distinct[str(name)].p
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _compare_with_controls(
    wells: Wells, members: NDArray[np.bool_], fdr: float, draws: int, seed: int
) -> dict[str, Any]:
    """Test the rows of one treatment (n,) against the controls of their plates."""
    present = members & wells.present
    own = present & np.isin(wells.plates, wells.plates[wells.controls])
    others = wells.controls & np.isin(wells.plates, wells.plates[own])
    compared = np.flatnonzero(own | others)
    part = _centered(wells.values[compared], wells.plates[compared], np.ones(len(compared), bool))
    kept = has_direction(part)
    part, compared = part[kept], compared[kept]
    replicates, plates = own[compared], wells.plates[compared]
    count = int(replicates.sum())
    row: dict[str, Any] = {"Rows": count, "Rows_Left_Out": int(members.sum()) - count}
    row |= {"Controls": len(compared) - count, "Note": ""} | dict.fromkeys(TESTED, np.nan)
    if count < 2 and (present & ~own).any():
        row["Note"] = "no control on its plates" if count == 0 else "no replicate on plates with controls"
    elif count < 2:
        row["Note"] = "no replicate" if count else "no row has features"
    else:
        found = replicates_among_controls(part, replicates, plates, draws, seed)
        row["Activity_mAP"], row["Activity_p"] = found.map, found.p
        if found.smallest_p > fdr:
            row["Note"] = f"so few rows allow no p below {found.smallest_p:.2g}"
    return row


def _centered(values: NDArray[Any], plates: NDArray[np.intp], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Subtract from each plate the mean of these of its rows."""
    result = np.asarray(values, np.float64).copy()
    for plate in np.unique(plates):
        here = plates == plate
        if (here & rows).any():
            result[here] -= result[here & rows].mean(0)
    return result


def known_mean(values: NDArray[np.float64]) -> float:
    """Return the mean of the numbers that are present; NaN without any."""
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


def known_median(values: NDArray[np.float64]) -> float:
    """Return the median of the numbers that are present; NaN without any."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")

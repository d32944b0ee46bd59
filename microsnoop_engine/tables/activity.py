"""Find the active treatments of a table of wells, and the dose series of its compounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..errors import InputError, require_columns
from ..evaluation.activity import (
    DRAWS,
    false_discovery_rates,
    replicates_among_controls,
    replicates_among_treatments,
)
from ..evaluation.controls import between_controls, distance_from_controls
from ..evaluation.dose_response import DoseCurve, fit_dose_curve
from ..evaluation.missing import complete_part
from ..evaluation.neighbors import has_direction
from ..evaluation.table import has_word
from ..storage.paths import as_path
from .columns import COUNT, OBJECT_NUMBER
from .features import select_features
from .formats import open_table, write_table
from .outputs import check_output
from .queries import select_rows
from .source import TableSource, name_in_errors, read_frame

log = logging.getLogger(__name__)

FALSE_DISCOVERIES = 0.05
"""False discovery rate up to which a treatment is active."""
FEW_CONTROLS = 50
"""Number of controls up to which features that were normalized on them are warned of."""
CENTERED = 1e-4
"""Mean or median of the controls, in their standard deviations, up to which features count as centered on them."""


@dataclass(frozen=True)
class Activity:
    """The activity of treatments.

    Attributes
    ----------
    frame : DataFrame
        A row per treatment: its columns; ``Rows`` (replicates compared), ``Rows_Left_Out`` (without features) and
        ``Controls``; ``Activity_mAP``, ``Activity_p``, ``Activity_q`` and ``Active`` (against controls);
        ``Distinct_mAP``, ``Distinct_p``, ``Distinct_q`` and ``Distinct`` (against other treatments);
        ``Distance_From_Controls``; ``Object_Count`` and ``Object_Count_Change`` (in percent of the controls) where the
        table counts objects; ``Note``.
    curves : dict of str to DoseCurve
        By compound; empty without doses.
    response : str
        Name of the response of the curves.
    doses, responses, compounds : array (r,)
        The rows that the curves were fitted to.
    names : list of str
        Name of each treatment of ``frame``: its words, joined by blanks.
    fdr : float
        False discovery rate up to which treatments are active.
    """

    frame: pd.DataFrame
    curves: dict[str, DoseCurve]
    response: str
    doses: NDArray[Any]
    responses: NDArray[Any]
    compounds: NDArray[Any]
    names: list[str]
    fdr: float

    def curve_table(self) -> pd.DataFrame:
        """Return the curves as a table, a row per compound."""
        rows = []
        for compound, curve in self.curves.items():
            row = {"Compound": compound, "Response": self.response, "Rows": curve.rows, "Doses": curve.doses}
            row |= {"Curve": curve.kind, "EC50": curve.ec50, "EC50_Low": curve.low, "EC50_High": curve.high}
            row |= {"Bottom": curve.bottom, "Top": curve.top, "Slope": curve.slope, "p": curve.p, "Note": curve.note}
            rows.append(row)
        return pd.DataFrame(rows)


def activity(
    table: str | Path | pd.DataFrame | TableSource,
    controls: str,
    treatment: Sequence[str],
    *,
    compound: str | None = None,
    dose: str | None = None,
    positive: str | None = None,
    by: str | None = None,
    features: str | Sequence[str] = "all",
    fdr: float = FALSE_DISCOVERIES,
    draws: int = DRAWS,
    seed: int = 0,
    out: str | Path | None = None,
    curves: str | Path | None = None,
) -> Activity:
    """Find the active treatments of a table of wells.

    Parameters
    ----------
    table : str, Path, DataFrame or TableSource
        See :func:`.open_table`.
    controls, treatment, compound, dose, positive, by, fdr, draws, seed
        See :func:`.find_activity`.
    features : str or sequence of str
        See :func:`.select_features`.
    out : str or Path, optional
        File to write the table of treatments to (see :func:`.write_table`).
    curves : str or Path, optional
        File to write the table of dose series to.

    Returns
    -------
    Activity

    Raises
    ------
    InputError
        If an argument or the table cannot be used, or a file cannot be written; checked before any work is done.
    """
    for path in (out, curves):
        if path is not None:
            check_output(as_path(path), inputs=(table,))
    if curves is not None and dose is None:
        raise InputError("`curves` need `dose` and `compound`")
    source = open_table(table)
    names, frame = select_features(source, features), read_frame(source)
    with name_in_errors(table):
        result = find_activity(
            frame,
            names,
            controls,
            treatment,
            compound=compound,
            dose=dose,
            positive=positive,
            by=by,
            fdr=fdr,
            draws=draws,
            seed=seed,
        )
    if out is not None:
        write_table(result.frame, out, [])
    if curves is not None:
        write_table(result.curve_table(), curves, [])
    return result


def find_activity(
    frame: pd.DataFrame,
    features: Sequence[str],
    controls: str,
    treatment: Sequence[str],
    *,
    compound: str | None = None,
    dose: str | None = None,
    positive: str | None = None,
    by: str | None = None,
    fdr: float = FALSE_DISCOVERIES,
    draws: int = DRAWS,
    seed: int = 0,
) -> Activity:
    """Test which treatments differ from controls and from other treatments, and fit curves to dose series.

    A treatment is active if its replicates find each other before they find controls (see
    :func:`.replicates_among_controls`), at a false discovery rate over all treatments. It is distinct if they find each
    other before they find rows of other treatments (see :func:`.replicates_among_treatments`). Each comparison is
    centered on the rows that it compares, plate by plate.

    Rows without all features, or without direction, take no part and are counted.

    Parameters
    ----------
    frame : DataFrame
        A row per well.
    features : sequence of str
        Not corrected on these very controls: the p values would be far too small.
    controls : str
        Query of the negative control rows (see :func:`.select_rows`).
    treatment : sequence of str
        Columns that together name a treatment; rows without a value in the first take no part.
    compound, dose : str, optional
        Columns of the dose series; doses are numbers.
    positive : str, optional
        Query of the positive control rows: dose series then follow the position between the controls (see
        :func:`.between_controls`) instead of the distance from the controls.
    by : str, optional
        Column of the plates: treatments are compared with the controls of their own plates, and rows are exchanged
        within plates only.
    fdr : float
        False discovery rate up to which a treatment is active, between 0 and 1.
    draws : int
        Number of permutations, from 100.
    seed : int

    Returns
    -------
    Activity

    Raises
    ------
    InputError
        If columns are missing, rows are objects, there are too few rows, or the features were centered on these
        controls.
    """
    _check(frame, treatment, compound, dose, by, fdr, draws)
    values = frame[list(features)].to_numpy(np.float64)
    present, columns = complete_part(values)
    values = values[:, columns]
    negative = select_rows(frame, controls)
    if (negative & present).sum() < 2:
        raise InputError(f'{(negative & present).sum()} control rows by "{controls}" have features: two are needed')
    plates = np.zeros(len(frame), int) if by is None else np.unique(frame[by].astype(str), return_inverse=True)[1]
    _refuse_corrected(values, negative & present, plates)
    names = _joined(frame, treatment)
    treated = ~negative & (names != "")
    if not (treated & present).any():
        raise InputError(f"no row with features has a value in '{treatment[0]}' and is no control")
    distance = _by_plate(plates, lambda rows: distance_from_controls(values[rows], negative[rows]), negative & present)
    table = _test(values, present, negative, treated, names, plates, fdr, draws, seed)
    first = {name: row for row, name in reversed(list(enumerate(names)))}
    described = frame.iloc[[first[name] for name in table.index]][list(dict.fromkeys(treatment))]
    table.insert(0, "Distance_From_Controls", [_median(distance[treated & (names == name)]) for name in table.index])
    if COUNT in frame:
        _add_counts(table, frame[COUNT].to_numpy(np.float64), negative, treated, names, plates)
    for kind, flag in (("Activity", "Active"), ("Distinct", "Distinct")):
        table[f"{kind}_q"] = false_discovery_rates(table[f"{kind}_p"].to_numpy(np.float64))
        table[flag] = [None if np.isnan(q) else bool(q <= fdr) for q in table[f"{kind}_q"]]
    order = [name for name in COLUMNS if name in table]
    result = described.reset_index(drop=True).join(table[order].reset_index(drop=True))
    curves: dict[str, DoseCurve] = {}
    response, x, y, kinds = "", np.empty(0), np.empty(0), np.empty(0, str)
    if dose is not None and compound is not None:
        response, position = "Distance from controls", distance
        if positive is not None:
            position = _between(values, negative & present, select_rows(frame, positive) & present, plates)
            response = "Position between controls"
        rows = treated & has_word(frame[compound])
        x, y = frame[dose].to_numpy(np.float64)[rows], position[rows]
        kinds = frame[compound].astype(str).to_numpy()[rows]
        for name in np.unique(kinds):
            if len(np.unique(x[(kinds == name) & (x > 0)])) > 1:
                curves[str(name)] = fit_dose_curve(x[kinds == name], y[kinds == name], position[negative & present])
    return Activity(result, curves, response, x, y, kinds, [str(name) for name in table.index], fdr)


COLUMNS = (
    *("Rows", "Rows_Left_Out", "Controls", "Activity_mAP", "Activity_p", "Activity_q", "Active", "Distinct_mAP"),
    *("Distinct_p", "Distinct_q", "Distinct", "Distance_From_Controls", "Object_Count", "Object_Count_Change", "Note"),
)


def _check(
    frame: pd.DataFrame,
    treatment: Sequence[str],
    compound: str | None,
    dose: str | None,
    by: str | None,
    fdr: float,
    draws: int,
) -> None:
    if OBJECT_NUMBER in frame:
        raise InputError("its rows are objects, which are no replicates: aggregate them to wells first")
    if not treatment:
        raise InputError("`treatment` names no column: name those that define one, such as Metadata_Compound")
    require_columns(frame, list(treatment), "`treatment`: the table")
    for parameter, column in (("compound", compound), ("dose", dose), ("by", by)):
        if column is not None:
            require_columns(frame, [column], f"`{parameter}`: the table")
    if dose is not None and compound is None:
        raise InputError("`dose` needs `compound`: the column of what is dosed")
    if dose is not None and not pd.api.types.is_numeric_dtype(frame[dose]):
        raise InputError(f"`dose`: the column '{dose}' does not hold numbers")
    if not 0 < fdr < 1:
        raise InputError(f"`fdr` is {fdr}: it must be between 0 and 1")
    if draws < 100:
        raise InputError(f"`draws` is {draws}: at least 100 are needed")


def _refuse_corrected(values: NDArray[Any], negative: NDArray[np.bool_], plates: NDArray[np.intp]) -> None:
    """Refuse features whose mean over these controls is 0, as after sphering on them; warn if their median is."""
    for rows in (negative, *(negative & (plates == plate) for plate in np.unique(plates[negative]))):
        chosen = values[rows]
        if len(chosen) > 1 and (np.abs(chosen.mean(0)) <= CENTERED * chosen.std(0)).mean() > 0.99:
            raise InputError(
                f"the features were corrected on these {len(chosen)} controls, so that treatments without effect would "
                "look active: test the table before the correction, correct on all rows (`controls` all), or on other "
                "controls"
            )
        if 1 < len(chosen) < FEW_CONTROLS and (np.abs(np.median(chosen, 0)) <= CENTERED * chosen.std(0)).mean() > 0.99:
            log.warning(
                "the features were normalized on these %d controls: p values are too small (in simulations, 0.05 came "
                "up in 10 %% of treatments without effect with 16 controls); normalize on all rows instead",
                len(chosen),
            )
            return


def _joined(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[Any]:
    """Join the words of columns to one per row; '' for rows without a word in the first column."""
    words = [np.where(has_word(frame[name]), frame[name].astype(str), "") for name in columns]
    rows = zip(*words, strict=True)
    return np.array([" ".join(filter(None, row)) if row[0] else "" for row in rows], dtype=object)


def _by_plate(plates: NDArray[np.intp], compute: Any, needed: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Compute numbers (n,) plate by plate; NaN on plates without a needed row."""
    result = np.full(len(plates), np.nan)
    for plate in np.unique(plates):
        rows = plates == plate
        if (needed & rows).sum() > 1:
            result[rows] = compute(rows)
    return result


def _between(
    values: NDArray[Any], negative: NDArray[np.bool_], positive: NDArray[np.bool_], plates: NDArray[np.intp]
) -> NDArray[np.float64]:
    """Project rows between the controls of all plates, each plate centered on its negative controls."""
    if not positive.any():
        raise InputError("`positive`: no row with features is a positive control")
    centered = np.full(values.shape, np.nan)
    for plate in np.unique(plates):
        rows = plates == plate
        if (negative & rows).any():
            centered[rows] = values[rows] - values[negative & rows].mean(0)
    return between_controls(centered, negative, positive)


def _test(
    values: NDArray[Any],
    present: NDArray[np.bool_],
    negative: NDArray[np.bool_],
    treated: NDArray[np.bool_],
    names: NDArray[Any],
    plates: NDArray[np.intp],
    fdr: float,
    draws: int,
    seed: int,
) -> pd.DataFrame:
    """Test each treatment against controls and other treatments; a row per treatment."""
    centered = _centered(values, plates, treated & present)
    directed = treated & present
    directed[directed] = has_direction(centered[directed])
    distinct = replicates_among_treatments(
        centered[directed], names[directed].astype(str), plates[directed], draws, seed
    )
    rows = {}
    for name in pd.unique(names[treated]):
        members = treated & (names == name)
        own = members & present
        others = negative & present & np.isin(plates, plates[own])
        row: dict[str, Any] = {"Rows": int(own.sum()), "Rows_Left_Out": int((members & ~present).sum())}
        row |= {"Controls": int(others.sum()), "Note": ""} | dict.fromkeys(COLUMNS[3:10], np.nan)
        compared = np.flatnonzero(own | others)
        part = _centered(values[compared], plates[compared], np.ones(len(compared), bool))
        kept = has_direction(part)
        part, compared = part[kept], compared[kept]
        row["Rows"], row["Controls"] = int(own[compared].sum()), int(others[compared].sum())
        row["Rows_Left_Out"] = int(members.sum()) - row["Rows"]
        if row["Rows"] < 2 or row["Controls"] < 1:
            row["Note"] = "no replicate" if row["Rows"] else "no row has features"
            if row["Rows"] > 1:
                row["Note"] = "no control on its plates"
        else:
            found = replicates_among_controls(part, own[compared], plates[compared], draws, seed)
            row["Activity_mAP"], row["Activity_p"] = found.map, found.p
            if found.smallest_p > fdr:
                row["Note"] = f"so few rows allow no p below {found.smallest_p:.2g}"
        if str(name) in distinct:
            row["Distinct_mAP"], row["Distinct_p"] = distinct[str(name)].map, distinct[str(name)].p
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index")


def _centered(values: NDArray[Any], plates: NDArray[np.intp], rows: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Subtract from each plate the mean of these of its rows."""
    result = np.asarray(values, np.float64).copy()
    for plate in np.unique(plates):
        here = plates == plate
        if (here & rows).any():
            result[here] -= result[here & rows].mean(0)
    return result


def _add_counts(
    table: pd.DataFrame,
    counts: NDArray[np.float64],
    negative: NDArray[np.bool_],
    treated: NDArray[np.bool_],
    names: NDArray[Any],
    plates: NDArray[np.intp],
) -> None:
    """Add the mean number of objects of each treatment, and its change in percent of the controls of its plates."""
    usual = np.full(len(counts), np.nan)
    for plate in np.unique(plates):
        typical = _mean(counts[(plates == plate) & negative])
        if typical > 0:
            usual[plates == plate] = typical
    members = [treated & (names == name) for name in table.index]
    table["Object_Count"] = [_mean(counts[rows]) for rows in members]
    table["Object_Count_Change"] = [100 * (_mean(counts[rows] / usual[rows]) - 1) for rows in members]


def _median(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else float("nan")


def _mean(values: NDArray[np.float64]) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")

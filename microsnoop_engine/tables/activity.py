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

from ..errors import InputError, counted, listing, require_columns
from ..evaluation.activity import DRAWS, false_discovery_rates
from ..evaluation.dose_response import DoseCurve, fit_dose_curve
from ..evaluation.missing import complete_part
from ..evaluation.table import has_word, joined_words
from ..storage.paths import as_path
from .column_types import require_numbers
from .columns import COUNT
from .features import select_features
from .formats import open_table, write_table
from .keys import key_rows
from .outputs import check_output
from .plates import refuse_doubled_wells, refuse_parts_of_wells
from .queries import select_rows, warn_of_other_spellings
from .source import TableSource, name_in_errors, read_frame
from .treated_wells import Wells, compare_treatments, known_mean, known_median
from .treatment_values import unify_treatments

log = logging.getLogger(__name__)

FALSE_DISCOVERIES = 0.05
"""False discovery rate up to which a treatment is active."""
FEW_CONTROLS = 50
"""Number of controls up to which features that were normalized on them are warned of."""
CENTERED = 1e-4
"""Mean or median of the controls, in their standard deviations, up to which features count as centered on them."""
_Series = tuple[dict[str, DoseCurve], str, NDArray[Any], NDArray[Any], NDArray[Any]]
"""Curves by compound, the name of the response, and doses, responses and compounds of the rows."""
_NO_SERIES: _Series = ({}, "", np.empty(0), np.empty(0), np.empty(0, str))


@dataclass(frozen=True)
class Activity:
    """The activity of treatments.

    Attributes
    ----------
    frame : DataFrame
        A row per treatment: its columns; ``Rows`` (replicates compared), ``Rows_Left_Out`` (without features) and
        ``Controls``; ``Activity_mAP``, ``Activity_p``, ``Activity_q`` and ``Active`` (against controls);
        ``Distinct_mAP``, ``Distinct_p``, ``Distinct_q`` and ``Distinct`` (against other treatments);
        ``FDR`` (up to which they are called so); ``Distance_From_Controls``; ``Object_Count`` and
        ``Object_Count_Change`` (in percent of the controls) where the table counts objects; ``Note``.
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


COLUMNS = (
    *("Rows", "Rows_Left_Out", "Controls", "Activity_mAP", "Activity_p", "Activity_q", "Active", "Distinct_mAP"),
    *("Distinct_p", "Distinct_q", "Distinct", "FDR", "Distance_From_Controls", "Object_Count", "Object_Count_Change"),
    "Note",
)
"""Columns of the result, in their order."""


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
    where: str | None = None,
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
    where : str, optional
        Query of the rows, by default all (see :func:`.select`).
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
    source = open_table(table, where=where)
    names, frame = select_features(source, features), read_frame(source)
    frame = unify_treatments(frame, [*treatment, compound, dose])
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
        If columns are missing, rows are objects or images of one well, there are too few rows, or the features were
        corrected on these controls.
    """
    _check(frame, treatment, compound, dose, by, fdr, draws)
    wells = _read_wells(frame, features, controls, treatment, by)
    result = _tested(frame, wells, treatment, fdr, draws, seed)
    names = [str(name) for name in pd.unique(wells.names[wells.treated])]
    return Activity(result, *_dose_series(frame, wells, compound, dose, positive), names, fdr)


def known_activity(
    frame: pd.DataFrame,
    features: Sequence[str],
    controls: str,
    treatment: Sequence[str],
    tested: pd.DataFrame,
    *,
    compound: str | None = None,
    dose: str | None = None,
    positive: str | None = None,
    by: str | None = None,
) -> Activity:
    """Take the treatments from a table that :func:`find_activity` made, test none again, and fit dose series.

    Parameters
    ----------
    frame, features, controls, treatment, compound, dose, positive, by
        See :func:`find_activity`.
    tested : DataFrame
        ``Activity.frame``, as it was or read from a file.

    Returns
    -------
    Activity
        Of the treatments that ``frame`` has, too.

    Raises
    ------
    InputError
        If it is another table, names treatments by other columns, or has none of these treatments.
    """
    needed = [name for name in COLUMNS if not name.startswith("Object_Count")]
    require_columns(tested.columns, [*treatment, *needed], "`activity`: the table")
    if others := [name for name in tested.columns if name not in COLUMNS and name not in treatment]:
        raise InputError(
            f"`activity`: this table tells treatments apart by {listing(others)}, too: add it to `treatment`"
        )
    rows = key_rows(frame, treatment)
    first = np.flatnonzero(~rows.duplicated())
    places = rows[first].get_indexer(key_rows(tested, treatment))
    known = places >= 0
    if not known.any():
        raise InputError("`activity`: none of the treatments of this table is among the rows")
    result = tested[known].reset_index(drop=True)
    truth = {True: True, False: False, "True": True, "False": False}
    result = result.assign(**{name: result[name].astype(object).map(truth.get) for name in ("Active", "Distinct")})
    result["Note"] = result["Note"].fillna("").astype(str)
    names = joined_words(frame, treatment)[first[places[known]]].astype(str).tolist()
    series = _NO_SERIES
    if dose is not None:
        series = _dose_series(frame, _read_wells(frame, features, controls, treatment, by), compound, dose, positive)
    return Activity(result, *series, names, float(result["FDR"].iloc[0]))


def _tested(
    frame: pd.DataFrame, wells: Wells, treatment: Sequence[str], fdr: float, draws: int, seed: int
) -> pd.DataFrame:
    """Test each treatment; return a row for each."""
    table = compare_treatments(wells, fdr, draws, seed)
    distance = wells.distances()
    members = [wells.treated & (wells.names == name) for name in table.index]
    table["Distance_From_Controls"] = [known_median(distance[rows]) for rows in members]
    if COUNT in frame:
        counts = frame[COUNT].to_numpy(np.float64)
        change = wells.count_changes(counts)
        table["Object_Count"] = [known_mean(counts[rows]) for rows in members]
        table["Object_Count_Change"] = [100 * (known_mean(change[rows]) - 1) for rows in members]
    for kind, flag in (("Activity", "Active"), ("Distinct", "Distinct")):
        table[f"{kind}_q"] = false_discovery_rates(table[f"{kind}_p"].to_numpy(np.float64))
        table[flag] = [None if np.isnan(q) else bool(q <= fdr) for q in table[f"{kind}_q"]]
    table["FDR"] = fdr
    described = frame.iloc[[int(rows.argmax()) for rows in members]][list(dict.fromkeys(treatment))]
    order = [name for name in COLUMNS if name in table]
    return described.reset_index(drop=True).join(table[order].reset_index(drop=True))


def _dose_series(
    frame: pd.DataFrame, wells: Wells, compound: str | None, dose: str | None, positive: str | None
) -> _Series:
    """Fit a curve to each compound with several doses."""
    if dose is None or compound is None:
        return _NO_SERIES
    response = "Distance from controls" if positive is None else "Position between controls"
    y = wells.distances() if positive is None else wells.positions(select_rows(frame, positive))
    rows = wells.treated & has_word(frame[compound])
    x, of = frame[dose].to_numpy(np.float64)[rows], frame[compound].astype(str).to_numpy()[rows]
    curves = {
        str(name): fit_dose_curve(x[of == name], y[rows][of == name], y[wells.controls])
        for name in np.unique(of)
        if len(np.unique(x[(of == name) & (x > 0)])) > 1
    }
    return curves, response, x, y[rows], of


def _check(
    frame: pd.DataFrame,
    treatment: Sequence[str],
    compound: str | None,
    dose: str | None,
    by: str | None,
    fdr: float,
    draws: int,
) -> None:
    refuse_parts_of_wells(frame)
    if not treatment:
        raise InputError("`treatment` names no column: name those that define one, such as Metadata_Compound")
    require_columns(frame, list(treatment), "`treatment`: the table")
    for parameter, column in (("compound", compound), ("dose", dose), ("by", by)):
        if column is not None:
            require_columns(frame, [column], f"`{parameter}`: the table")
    if dose is not None and compound is None:
        raise InputError("`dose` needs `compound`: the column of what is dosed")
    if dose is not None:
        require_numbers(frame[dose], "`dose`")
    if not 0 < fdr < 1:
        raise InputError(f"`fdr` is {fdr}: it must be between 0 and 1")
    if draws < 100:
        raise InputError(f"`draws` is {draws}: at least 100 are needed")


def _read_wells(
    frame: pd.DataFrame, features: Sequence[str], controls: str, treatment: Sequence[str], by: str | None
) -> Wells:
    """Choose the rows and features that can be compared."""
    values = frame[list(features)].to_numpy(np.float64)
    present, columns = complete_part(values)
    if not columns.all():
        lacking = [name for name, kept in zip(features, columns, strict=True) if not kept]
        log.warning(
            "%s missing in more than a fifth of the rows and left out: %s",
            *(counted(len(lacking), "features are", "feature is"), listing(lacking)),
        )
    values, negative = values[:, columns], select_rows(frame, controls)
    warn_of_other_spellings(frame, controls)
    if not negative.any():
        raise InputError(f'no row is a control by "{controls}": check names and spelling')
    count = int((negative & present).sum())
    if count < 2:
        raise InputError(f'{counted(count, "control rows")} with features by "{controls}": two are needed')
    plates = np.zeros(len(frame), np.intp)
    if by is not None:
        if (without := ~has_word(frame[by])).any():
            first = without.argmax() + 1
            raise InputError(
                f"`by`: {counted(without.sum(), 'rows have', 'row has')} no '{by}' (the first is row {first}): fill it "
                "in"
            )
        plates = np.unique(frame[by].astype(str), return_inverse=True)[1]
    _refuse_corrected(values, negative & present, plates)
    names = joined_words(frame, treatment)
    treated = ~negative & (names != "")
    refuse_doubled_wells(frame, np.where(negative, "controls", names))
    without = treated & present & ~np.isin(plates, plates[negative & present])
    if without.any():
        log.warning(
            "%s on plates without controls and not compared with any: %s",
            *(counted(without.sum(), "wells are", "well is"), listing(sorted(set(frame.loc[without, by].astype(str))))),
        )
    if not (treated & present).any():
        raise InputError(f"no row with features has a value in '{treatment[0]}' and is no control")
    return Wells(values, present, negative, treated, names, plates)


def _refuse_corrected(values: NDArray[Any], negative: NDArray[np.bool_], plates: NDArray[np.intp]) -> None:
    """Refuse features whose mean over these controls is 0, as after sphering on them; warn if their median is."""
    for rows in (negative, *(negative & (plates == plate) for plate in np.unique(plates[negative]))):
        chosen = values[rows]
        if len(chosen) > 1 and (np.abs(chosen.mean(0)) <= CENTERED * chosen.std(0)).mean() > 0.99:
            raise InputError(
                f"the features were corrected on these {counted(len(chosen), 'controls')}, so that treatments without "
                "effect would look active: test the table before the correction, correct on all rows (`controls` "
                "all), or on other controls"
            )
        if 1 < len(chosen) < FEW_CONTROLS and (np.abs(np.median(chosen, 0)) <= CENTERED * chosen.std(0)).mean() > 0.99:
            log.warning(
                "the features were normalized on these %s: p values are somewhat too small (in simulations "
                "with 16 controls, up to 8 %% of treatments without effect had p < 0.05); better normalize on all rows",
                counted(len(chosen), "controls"),
            )
            return

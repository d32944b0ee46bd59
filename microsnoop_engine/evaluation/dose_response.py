"""Fit curves to dose series: Hill's where it fits, else a monotone one."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import counted

FEWEST_DOSES = 4
"""Number of different doses from which Hill's curve is tried."""
SHALLOWEST, STEEPEST, SLOPES = 0.3, 10.0, 30
"""Smallest and largest Hill slope, and number of slopes between them; steeper curves are steps between two doses."""
COARSE, FINE = 0.02, 21
"""Step of log10 EC50 in the first search, and number of steps of the second one."""
LEVEL = 0.05
"""Significance of an effect of the dose."""
LACK_OF_FIT = 0.01
"""Significance of the curve's lack of fit."""


@dataclass(frozen=True)
class DoseCurve:
    """A curve through the responses to a dose.

    Attributes
    ----------
    kind : {'hill', 'monotone', 'flat'}
        ``flat``: the responses do not depend on the dose, or there are too few to tell.
    note : str
        Why it is no Hill curve, or has no interval; else ''.
    rows, doses : int
        Numbers of responses, and of different doses.
    ec50, low, high : float
        Dose of half the effect and its 95 % interval; NaN unless it is a Hill curve.
    bottom, top, slope : float
        Response at no dose and at any dose, and Hill's slope, from above 0; NaN unless it is a Hill curve.
    p : float
        Of no dependence on the dose, by an F test; NaN where there is none.
    steps : tuple of array (d,)
        Doses and responses of the monotone curve.
    """

    kind: str
    note: str
    rows: int
    doses: int
    ec50: float = np.nan
    low: float = np.nan
    high: float = np.nan
    bottom: float = np.nan
    top: float = np.nan
    slope: float = np.nan
    p: float = np.nan
    steps: tuple[NDArray[np.float64], NDArray[np.float64]] = field(
        default=(np.empty(0), np.empty(0)), compare=False, repr=False
    )

    def at(self, doses: NDArray[Any]) -> NDArray[np.float64]:
        """Return the responses (n,) of the curve at doses (n,); the monotone curve is interpolated over log doses."""
        doses = np.asarray(doses, np.float64)
        if self.kind == "hill":
            return hill(doses, self.bottom, self.top, np.log10(self.ec50), self.slope)
        return np.asarray(np.interp(np.log10(doses), np.log10(self.steps[0]), self.steps[1]))


def hill(doses: NDArray[Any], bottom: float, top: float, log_ec50: float, slope: float) -> NDArray[np.float64]:
    """Compute Hill's curve, bottom + (top - bottom) / (1 + (EC50 / dose)^slope).

    Parameters
    ----------
    doses : array (n,)
        Above 0.
    bottom, top : float
    log_ec50 : float
        To base 10.
    slope : float

    Returns
    -------
    array (n,)

    Examples
    --------
    >>> hill(np.array([1.0, 1000.0]), 0.0, 2.0, 0.0, 1.0).round(2)
    array([1., 2.])
    """
    exponent = np.clip(slope * (log_ec50 - np.log10(doses)), -300, 300)
    return np.asarray(bottom + (top - bottom) / (1 + 10.0**exponent))


def fit_dose_curve(doses: NDArray[Any], responses: NDArray[Any], untreated: NDArray[Any]) -> DoseCurve:
    """Fit a curve to the responses to one compound.

    Hill's curve has four parameters, fitted by least squares together with the untreated rows, which lie at dose 0. It
    is taken if the responses depend on the dose (F test against their mean), its EC50 lies within the tested doses, and
    it does not fit worse than the means of the doses (F test for lack of fit). Else the curve is the monotone one of
    least squares (isotonic regression). The interval of the EC50 holds the values with which the curve does not fit
    worse by an F test (profile likelihood; Bates and Watts 1988). There is no EC50 if an end of the interval lies more
    than ten times beyond the tested doses.

    Parameters
    ----------
    doses, responses : array (n,)
        Rows with NaN, and those at dose 0 and below, take no part.
    untreated : array (m,)
        Responses of control rows.

    Returns
    -------
    DoseCurve
    """
    known = np.isfinite(doses) & np.isfinite(responses) & (np.asarray(doses, np.float64) > 0)
    x, y = np.asarray(doses, np.float64)[known], np.asarray(responses, np.float64)[known]
    base = np.asarray(untreated, np.float64)
    base = base[np.isfinite(base)]
    different = np.unique(x)
    size: Any = {"rows": len(x), "doses": len(different)}
    if len(different) < 2 or len(x) + len(base) < 6:
        return DoseCurve("flat", f"only {counted(len(x), 'rows')} at {counted(len(different), 'doses')}", **size)
    monotone = _monotone(x, y)
    if len(different) < FEWEST_DOSES:
        p = _of_no_effect(x, y, base)
        note = f"only {counted(len(different), 'doses')}: Hill's curve needs {FEWEST_DOSES}"
        return DoseCurve("monotone" if p < LEVEL else "flat", note, **size, p=p, steps=monotone)
    fit = _fit_hill(x, y, base)
    p = _of_no_effect(x, y, base) if fit is None else fit.p
    if not p < LEVEL:
        return DoseCurve("flat", "no dependence on the dose", **size, p=p, steps=monotone)
    if fit is None:
        return DoseCurve("monotone", "too few rows for Hill's curve", **size, p=p, steps=monotone)
    ec50 = 10**fit.log_ec50
    if not different[0] <= ec50 <= different[-1]:
        where = "below the smallest" if ec50 < different[0] else "above the largest"
        return DoseCurve("monotone", f"half the effect lies {where} dose", **size, p=p, steps=monotone)
    if fit.lack_p < LACK_OF_FIT:
        return DoseCurve("monotone", "the responses do not follow Hill's curve", **size, p=p, steps=monotone)
    if not np.isfinite([fit.low, fit.high]).all():
        return DoseCurve("monotone", "the responses do not determine an EC50", **size, p=p, steps=monotone)
    if not fit.slope < STEEPEST:
        below, above = different[different <= ec50][-1], different[different >= ec50][0]
        note = f"a step between {below:g} and {above:g}, where the EC50 lies"
        return DoseCurve("monotone", note, **size, p=p, steps=monotone)
    low, high = 10**fit.low, 10**fit.high
    return DoseCurve("hill", "", **size, ec50=ec50, low=low, high=high, bottom=fit.bottom, top=fit.top,
                     slope=fit.slope, p=p, steps=monotone)  # fmt: skip


@dataclass(frozen=True)
class _Fit:
    """Parameters of Hill's curve, the interval of log10 EC50, and p of no effect and of no lack of fit."""

    bottom: float
    top: float
    log_ec50: float
    slope: float
    low: float
    high: float
    p: float
    lack_p: float


def _fit_hill(x: NDArray[Any], y: NDArray[Any], base: NDArray[Any]) -> _Fit | None:
    """Fit Hill's curve to responses y (n,) at doses x (n,) and untreated ones (m,); None without rows to spare.

    EC50 and slope are searched on a grid; bottom and top follow by linear regression. An end of the interval is
    infinite where it lies outside of the grid, ten times beyond the tested doses.
    """
    from scipy.stats import f as f_distribution

    values, free = np.concatenate([y, base]), len(y) + len(base) - 4
    if free < 1 or np.ptp(values) == 0:
        return None
    places = np.arange(np.log10(x.min()) - 1, np.log10(x.max()) + 1 + COARSE, COARSE)
    slopes = np.geomspace(SHALLOWEST, STEEPEST, SLOPES)
    loss = _losses(x, values, places, slopes)
    place, slope = np.unravel_index(loss.argmin(), loss.shape)
    fine = places[place] + np.linspace(-COARSE, COARSE, FINE)
    steps = slopes[slope] * np.geomspace((SHALLOWEST / STEEPEST) ** (1 / SLOPES), 1, FINE) ** np.array([[1], [-1]])
    near = np.unique(steps.clip(SHALLOWEST, STEEPEST))
    refined = _losses(x, values, fine, near)
    at = np.unravel_index(refined.argmin(), refined.shape)
    rest, best, steepness = float(refined[at]), float(fine[at[0]]), float(near[at[1]])
    total = float(((values - values.mean()) ** 2).sum())
    p = float(f_distribution.sf((total - rest) / 3 / max(rest / free, 1e-300), 3, free))
    inside = np.flatnonzero(loss.min(1) <= rest * (1 + f_distribution.ppf(0.95, 1, free) / free))
    low, high = best, best
    if len(inside):
        low = -np.inf if inside[0] == 0 else min(float(places[inside[0] - 1]), best)
        high = np.inf if inside[-1] == len(places) - 1 else max(float(places[inside[-1] + 1]), best)
    groups = [y[x == dose] for dose in np.unique(x)] + ([base] if len(base) else [])
    pure = float(sum(((part - part.mean()) ** 2).sum() for part in groups))
    of_pure, of_lack = len(values) - len(groups), len(groups) - 4
    lack_p = 1.0
    if of_pure > 0 and of_lack > 0 and pure > 0:
        lack_p = float(f_distribution.sf(max(rest - pure, 0) / of_lack / (pure / of_pure), of_lack, of_pure))
    curve = np.concatenate([hill(x, 0.0, 1.0, best, steepness), np.zeros(len(base))])
    centered = curve - curve.mean()
    rise = float(centered @ values / max(float(centered @ centered), 1e-300))
    bottom = float(values.mean() - rise * curve.mean())
    return _Fit(bottom, bottom + rise, best, steepness, low, high, p, lack_p)


def _losses(x: NDArray[Any], values: NDArray[Any], places: NDArray[Any], slopes: NDArray[Any]) -> NDArray[np.float64]:
    """Return the sums of squares (e, s) of the best curves with these EC50 (log10) and slopes; rows after x: dose 0."""
    curves = np.zeros((len(places), len(slopes), len(values)))
    exponent = (slopes[:, None] * (places[:, None, None] - np.log10(x))).clip(-300, 300)
    curves[:, :, : len(x)] = 1 / (1 + 10.0**exponent)
    curves -= curves.mean(2, keepdims=True)
    centered = values - values.mean()
    along = curves @ centered
    return np.asarray(centered @ centered - along**2 / np.maximum((curves**2).sum(2), 1e-300))


def _of_no_effect(x: NDArray[Any], y: NDArray[Any], base: NDArray[Any]) -> float:
    """Return p of equal means of the doses and the untreated rows, by an F test; NaN without repeats."""
    from scipy.stats import f_oneway

    groups = [y[x == dose] for dose in np.unique(x)] + ([base] if len(base) else [])
    if sum(map(len, groups)) <= len(groups):
        return float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of groups of one row
        return float(f_oneway(*groups).pvalue)


def _monotone(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the doses (d,) and the responses (d,) of the better of the rising and the falling monotone curve."""
    from sklearn.isotonic import IsotonicRegression

    doses, best = np.unique(x), None
    for increasing in (True, False):
        fitted = IsotonicRegression(increasing=increasing).fit(x, y)
        loss = float(((fitted.predict(x) - y) ** 2).sum())
        if best is None or loss < best[0]:
            best = loss, fitted.predict(doses)
    assert best is not None
    return doses, np.asarray(best[1], np.float64)

"""Dose curves: true values inside the interval, no EC50 where the data have none."""

import numpy as np
import pytest
from scipy.optimize import curve_fit

from microsnoop_engine.evaluation.dose_response import fit_dose_curve, hill

DOSES = np.repeat(np.geomspace(0.01, 100, 9), 4)
NONE = np.zeros(0)


def series(noise, random, true=(0.0, 1.0, 0.3, 1.2), doses=DOSES):
    return hill(doses, *true) + noise * random.normal(size=len(doses)), true[0] + noise * random.normal(size=16)


def test_the_fit_is_that_of_least_squares():
    y, untreated = series(0.05, np.random.default_rng(0))
    found = fit_dose_curve(DOSES, y, untreated)
    x = np.concatenate([DOSES, np.full(16, 1e-9)])
    expected, _ = curve_fit(hill, x, np.concatenate([y, untreated]), (0, 1, 0, 1))
    assert found.kind == "hill"
    assert [found.bottom, found.top, np.log10(found.ec50), found.slope] == pytest.approx(expected, abs=0.02)
    assert (found.rows, found.doses, found.note) == (36, 9, "")
    np.testing.assert_allclose(found.at(DOSES), hill(DOSES, *expected), atol=0.01)
    falling = fit_dose_curve(DOSES, -y, -untreated)
    assert falling.ec50 == pytest.approx(found.ec50)
    assert falling.top == pytest.approx(-found.top)


def test_the_interval_holds_the_true_value():
    random = np.random.default_rng(1)
    curves = [fit_dose_curve(DOSES, *series(0.2, random)) for _ in range(150)]
    fitted = [curve for curve in curves if curve.kind == "hill"]
    assert len(fitted) > 100
    covered = np.mean([curve.low <= 10**0.3 <= curve.high for curve in fitted])
    assert 0.88 < covered <= 1


def test_noise_has_no_ec50():
    random = np.random.default_rng(2)
    curves = [fit_dose_curve(DOSES, random.normal(size=36), random.normal(size=16)) for _ in range(150)]
    assert np.mean([curve.kind == "flat" for curve in curves]) > 0.9
    assert not [curve for curve in curves if curve.kind == "hill"]
    assert {curve.note for curve in curves if curve.kind == "flat"} == {"no dependence on the dose"}


@pytest.mark.parametrize(
    ("responses", "note"),
    [
        (lambda x: hill(x, 0, 1, 3.0, 1.0), "half the effect lies above the largest dose"),
        (lambda x: hill(x, 0, 1, -3.0, 1.0), "half the effect lies below the smallest dose"),
        (lambda x: np.exp(-(np.log10(x) ** 2)), "the responses do not follow Hill's curve"),
        (lambda x: np.where(x > 0.5, 1.0, 0.0), "a step between 0.316228 and 1, where the EC50 lies"),
    ],
)
def test_curves_without_an_ec50_say_why(responses, note):
    random = np.random.default_rng(3)
    found = fit_dose_curve(DOSES, responses(DOSES) + 0.02 * random.normal(size=36), 0.02 * random.normal(size=16))
    assert (found.kind, found.note) == ("monotone", note)
    assert np.isnan([found.ec50, found.low, found.high]).all()
    steps = found.at(np.unique(DOSES))
    assert (np.diff(steps) >= -1e-12).all() or (np.diff(steps) <= 1e-12).all()


def test_few_rows_and_doses():
    random = np.random.default_rng(4)
    two = np.repeat([1.0, 10.0], 3)
    found = fit_dose_curve(two, two + 0.1 * random.normal(size=6), 0.1 * random.normal(size=8))
    assert (found.kind, found.note) == ("monotone", "only 2 doses: Hill's curve needs 4")
    assert fit_dose_curve(np.ones(9), np.ones(9), NONE).note == "only 9 rows at 1 dose"
    known = np.array([np.nan, 0.0, -1.0, *DOSES])
    y, untreated = series(0.05, random)
    assert fit_dose_curve(known, np.r_[1.0, 2.0, 3.0, y], untreated).rows == 36
    assert fit_dose_curve(DOSES, np.where(DOSES > 50, np.nan, y), untreated).doses == 8

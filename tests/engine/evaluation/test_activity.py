"""Activity: mean average precision as copairs computes it, p values by permutation, false discovery rates."""

import logging
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.activity import (
    false_discovery_rates,
    replicates_among_controls,
    replicates_among_treatments,
)
from microsnoop_engine.evaluation.metrics import average_precisions

RANDOM = np.random.default_rng(0)


def rows(shift=0.0, controls=16, replicates=4, features=20, random=RANDOM):
    values = random.normal(size=(controls + replicates, features))
    values[controls:] += shift
    return values, np.arange(len(values)) >= controls


def of_copairs(values, names, controls):
    """The mean average precision of one treatment, against the controls, or else the other treatments."""
    copairs = pytest.importorskip("copairs.map")
    logging.getLogger("copairs").setLevel(logging.ERROR)
    frame = pd.DataFrame({"name": names, "control": [name == "DMSO" for name in names]})
    if controls:
        settings = {"pos_sameby": ["name", "control"], "pos_diffby": [], "neg_sameby": [], "neg_diffby": ["control"]}
    else:
        settings = {"pos_sameby": ["name"], "pos_diffby": [], "neg_sameby": [], "neg_diffby": ["name"]}
    found = copairs.average_precision(frame, values, **settings, progress_bar=False)
    return found[~found["control"]].groupby("name")["average_precision"].mean()


def test_the_precision_is_that_of_copairs():
    values, replicates = rows(0.4)
    found = replicates_among_controls(values, replicates, draws=100)
    assert found.map == pytest.approx(of_copairs(values, np.where(replicates, "a", "DMSO"), True)["a"])
    names = np.repeat(list("abcde"), 4)
    values = RANDOM.normal(size=(20, 15)) + np.repeat(RANDOM.normal(size=(5, 15)), 4, axis=0)
    expected = of_copairs(values, names, False)
    found = replicates_among_treatments(values, names, draws=100)
    assert {name: of.map for name, of in found.items()} == pytest.approx(expected.to_dict())


def test_p_is_the_share_of_all_permutations():
    values, replicates = rows(0.35, controls=8, replicates=3)
    found = replicates_among_controls(values, replicates, draws=20_000)
    labels = [np.isin(np.arange(11), chosen) for chosen in combinations(range(11), 3)]
    reached = [np.nanmean(average_precisions(values, np.where(of, "a", "b"))[of]) >= found.map - 1e-9 for of in labels]
    assert found.smallest_p == pytest.approx(1 / 165)
    assert found.p <= np.mean(reached) + 0.01  # equal precisions are told apart by similarity
    ties = [np.nanmean(average_precisions(values, np.where(of, "a", "b"))[of]) > found.map + 1e-9 for of in labels]
    assert found.p >= np.mean(ties) - 0.01
    every = np.repeat(list("abc"), 4)
    values = RANDOM.normal(size=(12, 6)) + np.repeat(RANDOM.normal(size=(3, 6)), 4, axis=0) * 0.4
    found = replicates_among_treatments(values, every, draws=20_000)["a"]
    labels = [np.isin(np.arange(12), chosen) for chosen in combinations(range(12), 4)]
    reached = [np.nanmean(average_precisions(values, np.where(of, "a", "b"))[of]) >= found.map - 1e-9 for of in labels]
    assert found.p == pytest.approx(np.mean(reached), abs=0.015)


def test_without_effect_p_is_uniform():
    random = np.random.default_rng(1)
    p = np.array([replicates_among_controls(*rows(random=random), draws=200, seed=n).p for n in range(400)])
    assert 0.02 < (p < 0.05).mean() < 0.085
    assert 0.45 < p.mean() < 0.55


def test_an_effect_is_found_and_rows_that_are_all_alike_say_nothing():
    found = replicates_among_controls(*rows(1.5))
    assert (found.map, found.p) == (1.0, pytest.approx(found.smallest_p, rel=1))
    alike = replicates_among_controls(np.ones((20, 3)), np.arange(20) > 15)
    assert alike.p == 1
    assert alike.map < 0.35
    names = np.repeat(list("abcde"), 4)
    assert all(of.p == 1 for of in replicates_among_treatments(np.ones((20, 3)), names, draws=100).values())


def test_a_plate_is_no_effect():
    """All replicates on the second plate: without groups they would look active."""
    random, p = np.random.default_rng(2), {"with": [], "without": []}
    for _ in range(60):
        values = random.normal(size=(20, 20))
        plate = np.repeat([0, 1], 10)
        values[plate == 1] += 1.0
        replicates = np.arange(20) > 15
        p["with"].append(replicates_among_controls(values, replicates, plate, draws=200).p)
        p["without"].append(replicates_among_controls(values, replicates, draws=200).p)
    assert (np.array(p["with"]) < 0.05).mean() < 0.15
    assert (np.array(p["without"]) < 0.05).mean() > 0.3
    values = random.normal(size=(40, 20)) + np.repeat([0, 1], 20)[:, None]
    names, plates = np.repeat(np.arange(10).astype(str), 4), np.repeat([0, 1], 20)
    apart = replicates_among_treatments(values, names, plates, draws=400)
    mixed = replicates_among_treatments(values, names, draws=400)
    assert np.mean([of.p for of in apart.values()]) > 0.3 > np.mean([of.p for of in mixed.values()])


def test_treatments_that_spread_over_plates_in_many_ways_share_random_sets(monkeypatch):
    random = np.random.default_rng(5)
    plates = np.concatenate([random.choice(12, 3, replace=False) for _ in range(40)])
    names = np.repeat(np.arange(40).astype(str), 3)
    values = random.normal(size=(120, 20)) + random.normal(size=(12, 20))[plates]
    values[names == "7"] += 1.5
    for plate in range(12):  # as wells are centered before
        values[plates == plate] -= values[plates == plate].mean(0)
    found = replicates_among_treatments(values, names, plates, draws=1000)
    assert found["7"].p < 0.01
    rest = np.array([of.p for name, of in found.items() if name != "7"])
    assert 0.35 < rest.mean() < 0.65
    monkeypatch.setattr("microsnoop_engine.evaluation.activity.MOST_PATTERNS", 1000)
    apart = replicates_among_treatments(values, names, plates, draws=1000)
    assert {name: of.map for name, of in apart.items()} == {name: of.map for name, of in found.items()}
    assert np.abs([apart[name].p - found[name].p for name in found]).mean() < 0.1


def test_false_discovery_rates_are_scipys():
    p = RANDOM.random(30) ** 3
    np.testing.assert_allclose(false_discovery_rates(p), false_discovery_control(p))
    gaps = np.insert(p, 4, np.nan)
    found = false_discovery_rates(gaps)
    assert np.isnan(found[4])
    np.testing.assert_allclose(np.delete(found, 4), false_discovery_control(p))


def test_too_few_rows_are_refused():
    values, _ = rows()
    with pytest.raises(InputError, match="1 replicate and 19 controls: two and one are needed"):
        replicates_among_controls(values, np.arange(20) == 3)
    with pytest.raises(InputError, match="20 replicates and 0 controls"):
        replicates_among_controls(values, np.ones(20, bool))
    assert replicates_among_treatments(values, np.full(20, "a")) == {}

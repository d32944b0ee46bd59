"""Intervals of scores, held to scipy, to closed forms and to their coverage of known truths."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import beta, bootstrap, norm

from microsnoop_engine.evaluation.controls import Replicability, mean_correlation, z_prime, z_prime_interval
from microsnoop_engine.evaluation.scores import estimate, score_correct
from microsnoop_engine.evaluation.table import evaluate_frame


def test_of_rows_the_interval_is_that_of_scipy():
    values = np.random.default_rng(0).beta(2, 1, size=60)
    expected = bootstrap((values,), np.mean, n_resamples=20000, method="percentile", random_state=1).confidence_interval
    found = score_correct(np.zeros(60), values, resamples=20000)["accuracy"]
    assert found.value == pytest.approx(values.mean())
    assert [found.low, found.high] == pytest.approx([expected.low, expected.high], abs=0.004)


def test_of_groups_the_interval_is_that_of_scipy():
    random = np.random.default_rng(2)
    groups = np.repeat(np.arange(30), random.integers(1, 9, size=30))
    values = random.beta(2, 1, size=30)[groups] * random.uniform(0.5, 1, size=len(groups))
    sums, sizes = np.bincount(groups, values), np.bincount(groups)
    ratio = bootstrap(
        (sums, sizes),
        lambda a, b, axis: a.sum(axis) / b.sum(axis),
        n_resamples=20000,
        method="percentile",
        paired=True,
        random_state=1,
    ).confidence_interval
    found = score_correct(np.zeros(len(groups)), values, groups, resamples=20000)["accuracy"]
    assert [found.low, found.high] == pytest.approx([ratio.low, ratio.high], abs=0.006)


def test_all_right_is_not_certain():
    """Every bootstrap sample is alike: Jeffreys' interval of 20 trials."""
    found = score_correct(np.repeat([0, 1], 10), np.ones(20))["balanced_accuracy"]
    assert (found.low, found.high) == (pytest.approx(beta.ppf(0.025, 20.5, 0.5)), 1)
    nothing = score_correct(np.repeat([0, 1], 10), np.zeros(20))["accuracy"]
    assert (nothing.low, nothing.high) == (0, pytest.approx(beta.ppf(0.975, 0.5, 20.5)))


def test_of_few_groups_the_rows_are_drawn():
    labels, correct = np.zeros(40), np.random.default_rng(0).uniform(size=40)
    few, many = np.repeat(np.arange(4), 10), np.repeat(np.arange(8), 5)
    by_row = estimate(labels, correct, {"plates": few, "donors": None}, "wells")["accuracy"]
    assert (by_row.rows, by_row.unit, by_row.units) == (40, "wells", 40)
    by_donor = estimate(labels, correct, {"plates": few, "donors": many})["accuracy"]
    assert (by_donor.rows, by_donor.unit, by_donor.units) == (40, "donors", 8)
    assert [by_donor.value, by_row.value] == pytest.approx([correct.mean()] * 2)
    empty = estimate(labels[:0], correct[:0], {})["accuracy"]
    assert (empty.rows, np.isnan(empty.value), np.isnan(empty.low)) == (0, True, True)


def test_treatments_are_the_units_of_their_precisions():
    """Intervals over 25 treatments cover the mean of all treatments; those over their rows are too narrow."""
    random, truth, covered = np.random.default_rng(3), 0.6, {"treatments": 0, "rows": 0}
    treatments = np.repeat(np.arange(25), 4)
    for _ in range(200):
        precisions = random.beta(3, 2, size=25)[treatments].clip(0.01, 0.99) + random.normal(0, 0.02, size=100)
        for unit, groups in (("treatments", treatments), ("rows", None)):
            found = score_correct(treatments, precisions, groups, resamples=400)["accuracy"]
            covered[unit] += found.low <= truth <= found.high
    assert covered["treatments"] / 200 > 0.89
    assert covered["rows"] / 200 < 0.75


@pytest.mark.parametrize("count", [4, 16])
def test_the_interval_of_z_prime_covers_the_truth(count):
    random, truth, covered = np.random.default_rng(4), 1 - 3 * (1 + 1.5) / 15, 0
    for _ in range(300):
        negative, positive = random.normal(0, 1, size=2 * count), random.normal(15, 1.5, size=count)
        found = z_prime_interval(negative, positive)
        assert found.value == z_prime(negative, positive)
        covered += found.low <= truth <= found.high
    assert 0.92 < covered / 300 <= 1


def test_the_interval_of_a_rank_correlation_is_bonetts_and_covers_the_truth():
    found = mean_correlation(np.array([0.5]), np.array([28]))
    spread = norm.ppf(0.975) * np.sqrt((1 + 0.125) / 25)
    assert [found.low, found.high] == pytest.approx(np.tanh(np.arctanh(0.5) + np.array([-spread, spread])), abs=0.01)
    from scipy.stats import spearmanr

    random, covered = np.random.default_rng(5), 0
    truth = 6 / np.pi * np.arcsin(0.35)  # of ranks, for a correlation of 0.7
    for _ in range(200):
        drawn = random.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=(3, 24))
        correlations = np.array([spearmanr(sample).statistic for sample in drawn])
        found = mean_correlation(correlations, np.full(3, 24))
        covered += found.low <= truth <= found.high
    assert covered / 200 > 0.9


def test_doses_in_perfect_order_are_not_certain():
    few, more = (mean_correlation(np.array([1.0]), np.array([count])) for count in (3, 12))
    assert (few.value, few.high) == (1, 1)
    assert few.low == pytest.approx(-0.95, abs=0.02)  # three wells tell nothing
    assert 0.9 < more.low < 1


def test_the_share_of_replicates_is_wilsons():
    similarity = np.array([0.9, 0.8, 0.7, 0.1])
    found = Replicability(np.array(list("abcd")), similarity, 0.5, 0.75, 8).interval()
    z, p, n = norm.ppf(0.975), 0.75, 4
    center, half = (p + z**2 / (2 * n)), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert [found.low, found.high] == pytest.approx(np.array([center - half, center + half]) / (1 + z**2 / n))


def test_every_task_of_a_table_has_numbers_and_an_interval():
    random = np.random.default_rng(6)
    frame = pd.DataFrame(
        {
            "label": np.repeat([f"l{n}" for n in range(12)], 10),
            "compound": np.tile(np.repeat([f"c{n}" for n in range(5)], 2), 12),
            "plate": np.tile([f"p{n}" for n in range(10)], 12),
        }
    )
    frame["compound"] = frame["label"] + frame["compound"]
    values = random.normal(size=(12, 6)).repeat(10, axis=0) + random.normal(size=(120, 6))
    features = [f"Cells_{n}" for n in range(6)]
    frame = frame.join(pd.DataFrame(values, columns=features))
    tasks, roles = ["knn", "linear", "silhouette", "map", "nsc"], {"compound": "compound", "neighbors": 3}
    found = evaluate_frame(frame, features, "label", tasks, **roles)
    for score in found:
        assert score["low"] < score["value"] < score["high"]
    units = {score["task"]: (score["rows"], score["units"], score["unit"]) for score in found}
    assert units == {
        "knn, accuracy": (120, 120, "rows"),
        "knn, balanced accuracy": (120, 120, "rows"),
        "linear, accuracy": (120, 120, "rows"),
        "linear, balanced accuracy": (120, 120, "rows"),
        "silhouette": (120, 120, "rows"),
        "map": (120, 12, "label"),
        "nsc": (120, 60, "compound"),
    }
    (grouped,) = evaluate_frame(frame, features, "label", ["map"], groups="plate")
    assert (grouped["units"], grouped["unit"]) == (10, "plate")

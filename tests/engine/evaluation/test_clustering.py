"""Clusters in a graph of neighbors, and the adjusted Rand index with its interval."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from microsnoop_engine import evaluate
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.clustering import adjusted_rand, graph_clusters


def blobs(count, centers, spread, seed=0):
    random = np.random.default_rng(seed)
    labels = random.integers(centers, size=count)
    return 4 * random.normal(size=(centers, 8))[labels] + spread * random.normal(size=(count, 8)), labels


def test_the_graph_finds_the_number_of_clusters():
    features, labels = blobs(300, 6, 1.0)
    assigned = graph_clusters(features)
    assert adjusted_rand_score(labels, assigned) == 1
    counts = np.bincount(assigned)
    assert counts[0] == 0
    assert (np.diff(counts[1:]) <= 0).all()


def test_the_order_of_the_rows_does_not_matter_to_separate_clusters():
    features, _ = blobs(200, 4, 1.0)
    order = np.random.default_rng(1).permutation(200)
    assert adjusted_rand_score(graph_clusters(features)[order], graph_clusters(features[order])) == 1


@pytest.mark.parametrize("features", [np.zeros((1, 2)), np.array([[0.0], [np.nan], [1.0]])])
def test_what_has_no_graph(features):
    with pytest.raises(InputError, match="two rows or more, without missing numbers"):
        graph_clusters(features)


def test_the_index_is_that_of_scikit_learn():
    random = np.random.default_rng(0)
    for labels, clusters in ((3, 4), (2, 30), (5, 1)):
        a, b = random.integers(labels, size=60), random.integers(clusters, size=60)
        a[:20] = b[:20] % labels
        assert adjusted_rand(a, b).value == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


def test_the_interval_is_the_jackknife_over_rows_or_groups():
    random = np.random.default_rng(0)
    a, b, wells = random.integers(3, size=90), random.integers(3, size=90), random.integers(8, size=90)
    b[:45] = a[:45]
    for groups, units, name in ((None, np.arange(90), "rows"), (wells, wells, "wells")):
        found = adjusted_rand(a, b, {"wells": groups})
        names = np.unique(units)
        without = np.array([adjusted_rand_score(a[units != unit], b[units != unit]) for unit in names])
        error = np.sqrt((len(names) - 1) * without.var())
        assert (found.rows, found.unit, found.units) == (90, name, len(names))
        assert (found.value - found.low) / 1.959964 == pytest.approx(error, rel=1e-6)


def test_the_interval_covers_the_index_of_the_population():
    random = np.random.default_rng(0)
    a, noise = random.integers(4, size=200_000), random.integers(4, size=200_000)
    b = np.where(random.random(200_000) < 0.7, a, noise)
    truth, hits = adjusted_rand_score(a, b), 0
    for _ in range(200):
        rows = random.integers(200_000, size=150)
        found = adjusted_rand(a[rows], b[rows])
        hits += found.low <= truth <= found.high
    assert 180 <= hits <= 199


def test_evaluate_tells_the_index_of_k_means_over_wells():
    features, labels = blobs(240, 4, 2.5)
    table = pd.DataFrame(features, columns=[f"Cells_Microsnoop_E{number:03d}_DNA" for number in range(8)])
    table["Metadata_Well"] = [f"A{1 + row % 12:02d}" for row in range(240)]
    table["Metadata_Type"] = [f"type {label}" for label in labels]
    table["ObjectNumber"] = np.arange(240)
    (score,) = evaluate(table, "Metadata_Type", ["ari"])
    assert score["task"] == "ari"
    assert score["rows"] == 240
    assert (score["unit"], score["units"]) == ("wells", 12)
    assert 0.5 < score["low"] < score["value"] < score["high"] <= 1

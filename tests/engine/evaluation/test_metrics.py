"""Every score held to a hand-computed case, and to scikit-learn where it has the same."""

import subprocess
import sys
from functools import partial
from itertools import permutations

import numpy as np
import pytest
from scipy.stats import hypergeom
from sklearn.metrics import average_precision_score
from sklearn.neighbors import KNeighborsClassifier

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.metrics import (
    average_precision,
    average_precisions,
    cross_validated_predict,
    knn_correct,
    knn_predict,
    mean_average_precision,
    nearest,
    nsc,
    silhouettes,
)

LINE = np.array([[0.0], [1.0], [10.0], [11.0], [2.0], [12.5]])


def directions(*degrees):
    """Points whose cosine distances grow with the angle between them; their lengths differ."""
    angles = np.deg2rad(degrees)
    lengths = np.arange(1, len(angles) + 1)[:, None]
    return lengths * np.stack([np.cos(angles), np.sin(angles)], axis=1)


def clusters(count=60, labels=3, seed=0):
    """Well-separated clusters (count, 5), their labels, and groups that cut across them."""
    random = np.random.default_rng(seed)
    label = np.arange(count) % labels
    features = 8 * np.eye(5)[label] + random.normal(size=(count, 5))
    return features, np.array(["x", "y", "z"])[label], np.arange(count) // (2 * labels)


def test_nearest_by_hand():
    assert nearest(LINE, 2, metric="euclidean").tolist() == [[1, 4], [0, 4], [3, 5], [2, 5], [1, 0], [3, 2]]


def test_cosine_looks_at_directions_and_euclidean_at_distances():
    features = np.array([[1.0, 0.0], [100.0, 1.0], [0.9, 0.5]])
    assert nearest(features, 1, metric="cosine")[0] == 1
    assert nearest(features, 1, metric="euclidean")[0] == 2


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_knn_equals_scikit_learn_trained_on_the_other_groups(metric):
    random = np.random.default_rng(1)
    features, groups = random.normal(size=(90, 6)), random.integers(0, 7, 90)
    labels = (features[:, 0] + random.normal(size=90) > 0).astype(int)
    expected = np.empty(90, int)
    for group in range(7):
        inside = groups == group
        model = KNeighborsClassifier(5, metric=metric, algorithm="brute").fit(features[~inside], labels[~inside])
        expected[inside] = model.predict(features[inside])
    assert knn_predict(features, labels, groups, 5, metric).tolist() == expected.tolist()


def test_rows_that_share_any_one_of_several_groups_are_no_neighbors():
    plates, wells = np.array([0, 0, 1, 1, 1, 1]), np.array([5, 6, 5, 7, 6, 8])
    assert nearest(LINE, 1, [plates], "euclidean")[:, 0].tolist() == [4, 4, 1, 1, 1, 1]
    assert nearest(LINE, 1, [plates, wells], "euclidean")[:, 0].tolist() == [4, 2, 1, 1, 0, 1]
    labels = np.array(["a", "a", "b", "b", "a", "b"])
    assert knn_predict(LINE, labels, [plates, wells], 1, "euclidean").tolist() == ["a", "b", "a", "a", "a", "a"]


def test_groups_may_be_a_plain_list():
    labels = ["a", "a", "b", "b", "a", "b"]
    as_list = knn_predict(LINE, labels, ["p", "p", "p", "q", "q", "q"], 1, "euclidean")
    assert as_list.tolist() == ["a", "a", "b", "b", "a", "b"]


def test_a_tie_goes_to_the_label_of_the_nearest():
    features = np.array([[0.0], [1.0], [-2.0], [3.0], [-4.0]])
    labels = np.array(["b", "b", "a", "a", "b"])
    assert knn_predict(features, labels, k=4, metric="euclidean")[0] == "b"  # b, a, a, b
    labels = np.array(["b", "a", "b", "b", "a"])
    assert knn_predict(features, labels, k=4, metric="euclidean")[0] == "a"  # a, b, b, a


def test_distances_in_blocks_equal_those_at_once(monkeypatch):
    features = np.random.default_rng(2).normal(size=(50, 4))
    groups = [np.arange(50) % 6]
    whole = nearest(features, 3, groups)
    monkeypatch.setattr("microsnoop_engine.evaluation.neighbors.BLOCK_BYTES", 7 * 50 * 8)
    monkeypatch.setattr("microsnoop_engine.evaluation.neighbors.TILE", 7)
    assert (nearest(features, 3, groups) == whole).all()


@pytest.mark.parametrize("tile", [1, 2, 5, 16, 64])
def test_nearest_rows_found_tile_by_tile_are_those_of_sorting_all(monkeypatch, tile):
    """Whole numbers, so that many distances are equal: the first rows of the table come first."""
    monkeypatch.setattr("microsnoop_engine.evaluation.neighbors.TILE", tile)
    random = np.random.default_rng(tile)
    for k in (1, 3, 11):
        features, group = random.integers(0, 4, (40, 3)).astype(float), random.integers(0, 5, 40)
        distances = ((features[:, None] - features) ** 2).sum(2)
        distances[group[:, None] == group] = np.inf
        expected = np.argsort(distances, axis=1, kind="stable")[:, :k]
        assert (nearest(features, k, [group], "euclidean") == expected).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_probes_answer_clear_clusters_and_only_guess_shuffled_labels(classifier):
    features, labels, groups = clusters()
    assert (cross_validated_predict(features, labels, groups, classifier) == labels).mean() > 0.95
    shuffled = np.random.default_rng(3).permutation(labels)
    assert (cross_validated_predict(features, shuffled, groups, classifier) == shuffled).mean() < 0.6


@pytest.mark.parametrize("classifier", ["linear", "mlp"])
def test_probes_never_see_a_row_of_the_same_group(classifier):
    """Features that name the group and nothing else answer everything without groups, and nothing with them."""
    groups = np.repeat(np.arange(20), 6)
    labels = np.repeat(np.random.default_rng(4).permutation(20) % 2, 6)
    features = np.eye(20)[groups]
    assert (cross_validated_predict(features, labels, None, classifier) == labels).all()
    assert (cross_validated_predict(features, labels, groups, classifier) == labels).mean() < 0.8


def test_silhouette_by_hand():
    features, labels = np.array([[0.0], [1.0], [4.0], [6.0]]), np.array(["a", "a", "b", "b"])
    values = [(5 - 1) / 5, (4 - 1) / 4, (3.5 - 2) / 3.5, (5.5 - 2) / 5.5]
    assert silhouettes(features, labels, "euclidean") == pytest.approx(values)


def test_nsc_and_nscb_by_hand():
    features = directions(0, 4, 6, 40, 43, 80)
    moa = np.array(["A", "A", "A", "B", "B", "C"])
    compound = np.array(["a1", "a1", "a2", "b1", "b2", "c1"])
    plate = np.array(["p1", "p2", "p2", "p3", "p4", "p4"])
    week = np.array([1, 1, 2, 2, 2, 2])
    by_compound, by_plate, by_week = (nsc(features, moa, compound, batch) for batch in (None, plate, week))
    # without c1, whose mechanism has no second compound: 0 -> 6 A, 4 -> 6 A, 6 -> 4 A, 40 -> 43 B, 43 -> 40 B
    assert by_compound.predictions.tolist() == ["A", "A", "A", "B", "B"]
    assert (by_compound.accuracy, by_compound.left_out) == (1.0, 1)
    # 4 shares its plate with its only partner of another compound: left out too
    assert by_plate.rows.tolist() == [0, 2, 3, 4]
    assert (by_plate.accuracy, by_plate.left_out) == (1.0, 2)
    # both B of week 2
    assert by_week.rows.tolist() == [0, 1, 2]
    assert (by_week.accuracy, by_week.left_out) == (1.0, 3)


def test_nsc_does_not_let_a_compound_answer_for_itself():
    features = directions(0, 1, 30, 31)
    moa, compound = np.array(["A", "B", "A", "B"]), np.array(["a1", "b1", "a2", "b2"])
    assert nsc(features, moa, compound).predictions.tolist() == ["B", "A", "B", "A"]
    own = nsc(directions(0, 1, 50, 52), np.array(["A"] * 2 + ["B"] * 2), np.array(["a", "a", "b", "b2"]))
    assert (own.rows.tolist(), own.left_out) == ([2, 3], 2)


def test_nscb_looks_past_a_nearer_neighbor_of_the_same_batch():
    features, compound = directions(0, 1, 20, 21), np.array(["a1", "b1", "a2", "b2"])
    moa, week = np.array(["A", "B", "A", "B"]), np.array([1, 1, 2, 2])
    assert nsc(features, moa, compound).predictions.tolist() == ["B", "A", "B", "A"]
    assert nsc(features, moa, compound, week).predictions.tolist() == ["A", "A", "B", "B"]


def test_nsc_of_nothing_is_nan():
    match = nsc(LINE[:3] + 1, np.array(["A", "B", "C"]), np.array(["a", "b", "c"]))
    assert np.isnan(match.accuracy)
    assert match.left_out == 3
    assert match.predictions.size == 0


def test_mean_average_precision_by_hand():
    features, labels = directions(0, 10, 25, 45, 70), np.array(["a", "a", "b", "a", "b"])
    # nearest first, 0 and 10 see a b a b, 45 sees b b a a
    a = np.mean([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2, (1 / 3 + 2 / 4) / 2])
    # 25 sees a a a b, 70 sees a b a a
    b = np.mean([1 / 4, 1 / 2])
    assert mean_average_precision(features, labels) == pytest.approx({"a": a, "b": b})


def test_mean_average_precision_equals_scikit_learn_over_the_other_groups():
    random = np.random.default_rng(5)
    features, labels, groups = random.normal(size=(40, 5)), np.arange(40) % 3, random.integers(0, 4, 40)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    expected = {}
    for label in range(3):
        rows = np.flatnonzero(labels == label)
        values = [
            average_precision_score(labels[groups != groups[row]] == label, (unit @ unit[row])[groups != groups[row]])
            for row in rows
        ]
        expected[str(label)] = np.mean(values)
    assert mean_average_precision(features, labels, groups) == pytest.approx(expected, abs=1e-5)


ALL = [knn_predict, cross_validated_predict, silhouettes, mean_average_precision]


@pytest.mark.parametrize("function", ALL)
def test_missing_features_are_counted_and_named(function):
    features = LINE.repeat(2, axis=1)
    features[[1, 4], 0] = np.nan
    with pytest.raises(InputError, match=r"2 of 6 rows .*\(rows 1, 4\)"):
        function(features, np.array(list("aabbab")))


@pytest.mark.parametrize("function", ALL)
def test_a_label_with_one_member_is_named(function):
    with pytest.raises(InputError, match="fewer than 2 rows: lonely"):
        function(LINE, np.array(["a", "a", "b", "b", "lonely", "b"]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: knn_predict(x, y, k=6), "k is 6, but row 0 has 5 candidates"),
        (lambda x, y: knn_predict(x, y, [0, 0, 0, 0, 1, 1], k=3), "row 0 has 2 candidates"),
        (lambda x, y: knn_predict(x, y, k=0), "k is 0"),
        (lambda x, y: knn_predict(x, y, k=1, metric="manhattan"), "`metric` is 'manhattan'"),
        (lambda x, y: knn_predict(x * 0, y, k=1), "rows 0, 1, 2, 3, 4, ... are all zeros"),
        (lambda x, y: knn_predict(x, y[:3], k=1), "labels"),
        (lambda x, y: knn_predict(x, y, [0, 1], k=1), "one group per row"),
        (lambda x, y: silhouettes(x, y, "manhattan"), "`metric` is 'manhattan'"),
        (lambda x, y: silhouettes(x, np.repeat("a", 6)), "all labels are 'a'"),
        (lambda x, y: cross_validated_predict(x, y), "label 'a' has 3 rows"),
        (lambda x, y: cross_validated_predict(x, y, folds=1), "folds is 1"),
        (lambda x, y: cross_validated_predict(x, y, [0, 0, 0, 0, 1, 1], folds=3), "there are 2 groups"),
        (lambda x, y: cross_validated_predict(x, y, classifier="forest"), "classifier is 'forest'"),
    ],
)
def test_settings_that_cannot_be_used(call, message):
    with pytest.raises(InputError, match=message):
        call(LINE + 1, np.array(list("aabbab")))


def test_importing_the_module_imports_neither_torch_nor_scikit_learn():
    code = "import sys, microsnoop_engine.evaluation.metrics; print({'torch', 'sklearn', 'pandas'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_ties_are_worth_as_much_as_chance():
    """Identical rows in random orders: the closed forms of the expected precision, vote and match."""
    features, labels = np.ones((6, 3)), np.array(list("aaabbb"))
    # 2 of the 5 others are of the same label
    orders = list(permutations([1, 1, 0, 0, 0]))
    expected = np.mean([np.mean([(i + 1) / (p + 1) for i, p in enumerate(np.flatnonzero(o))]) for o in orders])
    assert list(mean_average_precision(features, labels).values()) == pytest.approx([expected] * 2)
    assert knn_correct(features, labels, k=1).tolist() == pytest.approx([2 / 5] * 6)
    # of 3 votes 2 or 3 must be for the own label: hypergeometric
    assert knn_correct(features, labels, k=3).mean() == pytest.approx(hypergeom.sf(1, 5, 2, 3), abs=0.05)
    match = nsc(features, labels, np.arange(6))
    assert match.accuracy == pytest.approx(2 / 5)


def test_ties_do_not_depend_on_the_order_of_rows():
    random = np.random.default_rng(8)
    features, labels = random.integers(-1, 2, (60, 2)) + 0.5, random.integers(0, 3, 60)
    order = random.permutation(60)
    for score in (knn_correct, partial(nsc, compounds=np.arange(60)), mean_average_precision):
        one, other = score(features, labels), score(features[order], labels[order])
        if isinstance(one, dict):
            assert one == pytest.approx(other)
        elif isinstance(one, np.ndarray):
            assert one[order] == pytest.approx(other, abs=0.2)
        else:
            assert one.accuracy == pytest.approx(other.accuracy)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_without_ties_the_shares_are_those_of_the_predictions(metric):
    features, labels, groups = clusters()
    expected = knn_predict(features, labels, groups, 5, metric) == labels
    assert knn_correct(features, labels, groups, 5, metric).tolist() == expected.tolist()


def test_rows_of_zeros_have_no_direction_and_take_no_part():
    features, labels = directions(0, 10, 25, 45, 70), np.array(["a", "a", "b", "a", "b"])
    expected, compounds = mean_average_precision(features, labels), np.arange(7)
    longer, named = np.vstack([features, np.zeros((2, 2))]), np.append(labels, ["a", "b"])
    assert mean_average_precision(longer, named) == expected
    match = nsc(longer, named, compounds)
    assert (match.accuracy, match.left_out) == (nsc(features, labels, compounds[:5]).accuracy, 2)


def test_large_tables_are_compared_in_float32(monkeypatch):
    features, labels, groups = clusters()
    expected = knn_correct(features, labels, groups, 5)
    monkeypatch.setattr("microsnoop_engine.evaluation.neighbors.LARGE", 10)
    assert knn_correct(features, labels, groups, 5).tolist() == expected.tolist()


def test_average_precision_without_ties_equals_scikit_learn():
    random = np.random.default_rng(9)
    distances, relevant = random.random(30), random.random(30) < 0.3
    assert average_precision(distances, relevant) == pytest.approx(average_precision_score(relevant, -distances))


def test_rows_that_share_one_of_several_labels_are_alike():
    random = np.random.default_rng(3)
    values = random.normal(size=(40, 6))
    labels = random.choice(["a", "b|a", "c", "b | c", "d"], 40)
    labels[0] = "e|f|a"
    words = [{word.strip() for word in label.split("|")} for label in labels]
    alike = np.array([[bool(one & other) for other in words] for one in words])
    directions = values / np.linalg.norm(values, axis=1, keepdims=True)
    cosines = directions @ directions.T
    expected = []
    for row in range(40):
        others = np.arange(40) != row
        hits = alike[row, others][np.argsort(-cosines[row, others])]
        expected.append((np.cumsum(hits)[hits] / (np.flatnonzero(hits) + 1)).mean())
    np.testing.assert_allclose(average_precisions(values, labels, separator="|"), expected)
    np.testing.assert_allclose(average_precisions(values[1:], np.full(39, "x"), separator="|"), 1)

    compounds = random.integers(0, 8, 40)
    found = nsc(values, labels, compounds, separator="|")
    for row, correct in zip(found.rows, found.correct, strict=True):
        allowed = [other for other in found.rows if compounds[other] != compounds[row]]
        nearest_row = allowed[int(np.argmax(cosines[row, allowed]))]
        assert correct == alike[row, nearest_row]
    single = np.array([label.split("|")[0].strip() for label in labels])
    single[single == "e"] = "a"
    plain, split = nsc(values, single, compounds), nsc(values, single, compounds, separator="|")
    np.testing.assert_array_equal(plain.correct, split.correct)
    np.testing.assert_array_equal(plain.rows, split.rows)

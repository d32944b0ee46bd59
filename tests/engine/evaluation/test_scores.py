"""Accuracy, balanced accuracy and their intervals, held to scikit-learn and to the binomial distribution."""

import numpy as np
import pytest
from scipy.stats import binom
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.scores import Score, balanced_accuracy, score_predictions


def test_values_by_hand():
    scores = score_predictions(np.array(list("aaab")), np.array(list("aabb")))
    assert scores["accuracy"].value == pytest.approx(3 / 4)
    assert scores["balanced_accuracy"].value == pytest.approx((2 / 3 + 1) / 2)


def test_values_equal_scikit_learn():
    random = np.random.default_rng(0)
    labels, predictions = random.integers(0, 4, (2, 200))
    scores = score_predictions(labels, predictions)
    assert scores["accuracy"].value == pytest.approx(accuracy_score(labels, predictions))
    assert scores["balanced_accuracy"].value == pytest.approx(balanced_accuracy_score(labels, predictions))


def test_a_label_that_is_only_predicted_counts_as_wrong_but_not_as_a_label():
    scores = score_predictions(np.array(["a", "a", "b"]), np.array(["a", "c", "b"]))
    assert scores["balanced_accuracy"].value == pytest.approx(3 / 4)


def test_balanced_accuracy_leaves_out_labels_without_rows():
    assert balanced_accuracy(np.array([3, 0, 1]), np.array([4, 0, 2])) == pytest.approx((3 / 4 + 1 / 2) / 2)


def test_the_interval_is_that_of_the_binomial_distribution():
    """The bootstrap of n independent rows of which a share p is right draws from Binomial(n, p) / n."""
    labels = np.zeros(200, int)
    predictions = (np.arange(200) >= 140).astype(int)
    score = score_predictions(labels, predictions, resamples=20000)["accuracy"]
    assert [score.low, score.high] == pytest.approx(binom.ppf([0.025, 0.975], 200, 0.7) / 200, abs=0.006)


def test_groups_are_drawn_together():
    """20 groups of 10 equal rows know as much as 20 rows."""
    right = np.arange(20) < 14
    labels, groups = np.zeros(200, int), np.repeat(np.arange(20), 10)
    grouped = score_predictions(labels, np.repeat(~right, 10).astype(int), groups, resamples=20000)["accuracy"]
    assert grouped.value == pytest.approx(0.7)
    assert [grouped.low, grouped.high] == pytest.approx(binom.ppf([0.025, 0.975], 20, 0.7) / 20, abs=0.001)


def test_the_level_widens_the_interval_and_the_seed_repeats_it():
    labels, predictions = np.random.default_rng(1).integers(0, 2, (2, 60))
    wide, again = (score_predictions(labels, predictions, level=0.99)["accuracy"] for _ in range(2))
    narrow = score_predictions(labels, predictions, level=0.5)["accuracy"]
    assert wide == again
    assert wide.low < narrow.low < narrow.value < narrow.high < wide.high


def test_one_group_has_no_interval():
    score = score_predictions([0, 1], [0, 1], [7, 7])["accuracy"]
    assert score.value == 1
    assert np.isnan([score.low, score.high]).all()


def test_a_score_reads_as_per_cent():
    assert str(Score(0.5, 0.25, 0.755)) == "50.0 (25.0-75.5)"


@pytest.mark.parametrize(
    ("labels", "predictions", "extra", "message"),
    [
        ([], [], {}, "0 labels, 0 predictions and 0 groups: their numbers must be equal, and at least one"),
        ([1], [1, 2], {}, "1 label, 2 predictions: their numbers"),
        ([1, 2], [1, 2], {"groups": [1]}, "2 labels, 2 predictions and 1 group"),
        ([1], [1], {"level": 95}, "level is 95 and resamples 1000: the level must be between 0 and 1"),
        ([1], [1], {"resamples": 0}, "resamples 0: .* resamples 1 or more"),
    ],
)
def test_arguments_that_do_not_fit(labels, predictions, extra, message):
    with pytest.raises(InputError, match=message):
        score_predictions(labels, predictions, **extra)

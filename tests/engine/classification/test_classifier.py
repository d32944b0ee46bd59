"""Test the classifier on data whose right answer is known, and against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from microsnoop_engine.classification.classifier import _softmax, _temperature, train_classifier
from microsnoop_engine.classification.validation import calibration_error, validate
from microsnoop_engine.errors import InputError


def draw(rows, features, classes, shift, seed=0):
    random = np.random.default_rng(seed)
    codes = random.integers(0, classes, rows)
    centers = random.normal(size=(classes, features)) * shift
    return centers[codes] + random.normal(size=(rows, features)), np.array(list("abcd"))[codes]


@pytest.mark.parametrize("features", [8, 120], ids=["more rows", "more features"])
@pytest.mark.parametrize("classes", [2, 3])
def test_the_weights_are_those_of_scikit_learn(features, classes):
    values, labels = draw(80, features, classes, 1.0)
    classifier = train_classifier(values, labels).classifier
    scaled = StandardScaler().fit_transform(values)
    model = LogisticRegression(C=classifier.regularization, max_iter=5000, tol=1e-8).fit(scaled, labels)
    logits = np.log(classifier.probabilities(values)) * classifier.temperature
    expected = model.predict_log_proba(scaled)
    np.testing.assert_allclose(logits - logits[:, :1], expected - expected[:, :1], atol=0.02)


def test_probabilities_are_calibrated_where_the_truth_is_known():
    random = np.random.default_rng(1)
    values = random.normal(size=(1500, 40))
    chance = 1 / (1 + np.exp(-2 * values[:, 0]))
    labels = np.where(random.random(1500) < chance, "yes", "no")
    training = train_classifier(values, labels)
    held_out = training.held_out[:, 1]
    assert np.abs(held_out - chance).mean() < 0.08
    correct = (np.where(held_out > 0.5, "yes", "no") == labels).astype(float)
    assert calibration_error(training.held_out.max(1), correct)[0] < 0.05


def test_random_labels_are_not_predicted():
    values = np.random.default_rng(0).normal(size=(200, 300))
    labels = np.random.default_rng(1).choice(["a", "b"], 200)
    training = train_classifier(values, labels)
    validation = validate(training.classifier.classes, labels, training.held_out)
    assert 0.4 < validation.balanced_accuracy.value < 0.6
    assert validation.calibration_error < 0.15


def test_wells_are_held_out_whole():
    random = np.random.default_rng(0)
    well = np.repeat(np.arange(16), 12)
    values = random.normal(size=(16, 30))[well] * 3 + random.normal(size=(192, 30)) * 0.1
    labels = random.permutation(np.repeat(["a", "b"], 8))[well]
    by_cell = validate(("a", "b"), labels, train_classifier(values, labels).held_out)
    by_well = validate(("a", "b"), labels, train_classifier(values, labels, well).held_out, {"wells": well})
    assert by_cell.balanced_accuracy.value > 0.95
    assert by_well.balanced_accuracy.value < 0.8
    assert by_well.balanced_accuracy.unit == "wells"
    assert by_well.recall[0].units == 8


def test_a_row_with_missing_features_has_no_probabilities():
    values, labels = draw(60, 5, 2, 2.0)
    classifier = train_classifier(values, labels).classifier
    rows = values[:3].copy()
    rows[1, 2] = np.nan
    rows[2, 0] = np.inf
    probabilities = classifier.probabilities(rows)
    assert np.isfinite(probabilities[0]).all()
    assert np.isnan(probabilities[1:]).all()
    assert probabilities[0].sum() == pytest.approx(1)


def test_a_constant_feature_does_no_harm():
    values, labels = draw(60, 5, 2, 2.0)
    values[:, 3] = 7.0
    classifier = train_classifier(values, labels).classifier
    assert (classifier.probabilities(values).argmax(1) == (labels == "b")).mean() > 0.8


def test_the_confusion_matrix_counts_true_classes_in_rows():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.1, 0.9]])
    validation = validate(("a", "b"), np.array(["a", "a", "b", "b"]), probabilities)
    assert validation.confusion.tolist() == [[1, 1], [0, 2]]
    assert validation.precision.tolist() == pytest.approx([1, 2 / 3])
    assert [share.value for share in validation.recall] == [0.5, 1.0]
    assert validation.balanced_accuracy.value == 0.75


def test_bad_arguments_are_named():
    values, labels = draw(20, 3, 2, 1.0)
    with pytest.raises(InputError, match="19 labels for features of shape"):
        train_classifier(values, labels[1:])
    with pytest.raises(InputError, match="`groups`: a class lies in a single group"):
        train_classifier(values, labels, np.zeros(20))
    with pytest.raises(InputError, match="`labels` has fewer than two classes"):
        train_classifier(values, np.full(20, "a"))
    values[3, 1] = np.nan
    with pytest.raises(InputError, match="`features` has missing"):
        train_classifier(values, labels)


def test_a_few_examples_that_are_all_told_apart_leave_doubt():
    """Where all scores are equally clear, probabilities are those of n rows and one more whose label is unknown."""
    codes = np.repeat([0, 1, 2], 8)
    temperature = _temperature(np.eye(3)[codes], codes)
    assert _softmax(np.eye(3) / temperature).diagonal() == pytest.approx((8 + 1 / 3) / (8 + 1), abs=1e-4)
    random = np.random.default_rng(0)
    labels = np.tile(["a", "b"], 107)
    values = random.normal(size=(214, 60)) + 1.2 * (labels == "a")[:, None] * (np.arange(60) < 10)
    probabilities = train_classifier(values[:14], labels[:14]).classifier.probabilities(values[14:])
    right = probabilities[np.arange(200), (labels[14:] == "b").astype(int)]
    assert 0.7 < (right > 0.5).mean() < 1
    assert -np.log(right).mean() < 0.6

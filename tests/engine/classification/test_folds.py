"""Test that folds keep groups together, and which groups are chosen."""

import numpy as np
import pytest

from microsnoop_engine.classification.folds import choose_groups, group_folds
from microsnoop_engine.errors import InputError


def test_a_group_is_never_on_both_sides_and_every_class_is_trained_on():
    random = np.random.default_rng(0)
    codes, groups = random.integers(0, 3, 200), random.integers(0, 9, 200)
    splits = group_folds(codes, groups)
    assert len(splits) == 5
    assert sorted(np.concatenate([test for _, test in splits])) == list(range(200))
    for train, test in splits:
        assert not set(groups[train]) & set(groups[test])
        assert set(codes[train]) == {0, 1, 2}


def test_there_are_no_more_folds_than_groups_of_the_rarest_class():
    codes, groups = np.repeat([0, 1], [8, 3]), np.array([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2])
    assert len(group_folds(codes, groups)) == 3


def test_a_class_in_one_group_cannot_be_tested():
    assert group_folds(np.array([0, 0, 1, 1]), np.array([0, 1, 0, 0])) == []


def test_the_largest_groups_are_chosen_by_which_each_class_can_be_tested():
    labels = np.array(["a", "a", "b", "b"])
    kinds = {"wells": np.array([0, 1, 0, 0]), "images": np.array([0, 1, 2, 3])}
    name, groups = choose_groups(labels, kinds)
    assert name == "images"
    assert groups is kinds["images"]
    assert choose_groups(labels, {"wells": kinds["wells"]}) == ("cells", None)


def test_too_few_labels_are_refused():
    with pytest.raises(InputError, match="only one cell is labeled 'b'"):
        choose_groups(np.array(["a", "a", "b"]), {})
    with pytest.raises(InputError, match="all labeled cells are 'a'"):
        choose_groups(np.array(["a", "a"]), {})

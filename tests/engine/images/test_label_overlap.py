"""Labels are matched by the pixels that they share; tests/cellprofiler compares the parents with CellProfiler's."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.label_overlap import find_parents, match_labels

PAIRS = np.random.default_rng(0).integers(0, 5, (60, 2, 5, 6), np.int32)
"""Small label images, in which many labels share equally many pixels."""


@pytest.mark.parametrize("pair", PAIRS)
def test_parents_are_those_of_a_plain_count(pair):
    children, parents = pair
    expected = []
    for child in range(1, 5):
        shared = [int(((children == child) & (parents == parent)).sum()) for parent in range(1, 5)]
        if max(shared):
            expected.append((child, shared.index(max(shared)) + 1, max(shared)))
    assert list(zip(*map(np.ndarray.tolist, find_parents(children, parents)), strict=True)) == expected


@pytest.mark.parametrize("pair", PAIRS)
def test_labels_are_matched_one_to_one(pair):
    first, second = match_labels(*pair)
    child, parent, pixels = find_parents(pair[1], pair[0])
    assert len(set(first.tolist())) == len(set(second.tolist())) == len(first)
    assert first.tolist() == sorted(set(parent.tolist()))
    for own, partner in zip(first, second, strict=True):
        of_own = pixels[parent == own]
        assert pixels[child == partner] == of_own.max()
        assert parent[child == partner] == own


def test_images_of_other_sizes_are_refused():
    with pytest.raises(InputError, match="differ in size: 3 x 2 and 2 x 2 pixels"):
        find_parents(np.ones((2, 3), int), np.ones((2, 2), int))

"""Outlines and masks that become label planes."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.outlines import label_planes, split_masks

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 3000, (2, 100, 120)).astype(np.uint16)
BOXES = np.array([[10, 10, 40, 45], [20, 20, 60, 50], [-10, 90, 25, 130], [15, 15, 50, 60], [200, 5, 230, 40]])
MASKS = [RANDOM.random((y1 - y0, x1 - x0)) < 0.7 for y0, x0, y1, x1 in BOXES]
FLAT = np.concatenate([mask.ravel() for mask in MASKS])


def alone(number):
    """The labels of one outline."""
    plane = np.zeros((300, 300), np.int32)
    y0, x0, y1, x1 = BOXES[number] + 50
    plane[y0:y1, x0:x1] = MASKS[number]
    return plane[50:150, 50:170]


def test_planes_are_as_few_as_the_overlaps_allow():
    (planes,) = label_planes(BOXES, MASKS, (100, 120))
    assert len(planes) == 3
    for number in range(4):
        assert ((planes == number + 1).any(0) == (alone(number) > 0)).all()


@pytest.mark.parametrize(
    ("boxes", "masks", "said"),
    [
        (BOXES, FLAT[:-1], "but the boxes cover"),
        (BOXES[:0], FLAT[:0], "n at least 1"),
        (BOXES.astype(float), FLAT, "give integers"),
        (np.array([[5, 5, 5, 9]]), FLAT[:0], "box 1 is empty"),
    ],
)
def test_boxes_and_masks_that_do_not_go_together(boxes, masks, said):
    with pytest.raises(InputError, match=said):
        split_masks(boxes, masks)

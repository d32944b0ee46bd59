"""Resizing of planes, against Pillow."""

import numpy as np
import pytest
from PIL import Image

from microsnoop_engine.modes.resizing import LARGEST_PRODUCT, resize


@pytest.mark.parametrize(
    ("shape", "size"),
    [((50, 40), (128, 100)), ((200, 300), (64, 96)), ((33, 7), (224, 48)), ((1, 9), (3, 27)), ((600, 40), (60, 4))],
)
def test_as_pillow_resizes(shape, size):
    planes = np.random.default_rng(4).random((3, *shape), np.float32)
    expected = [np.asarray(Image.fromarray(plane).resize(size[::-1], Image.Resampling.BILINEAR)) for plane in planes]
    assert np.abs(resize(planes, size) - expected).max() < 1e-6


def test_a_plane_of_the_size_is_not_resampled():
    plane = np.random.default_rng(4).random((224, 224), np.float32)
    assert np.array_equal(resize(plane, (224, 224)), plane)


@pytest.mark.parametrize("side", [400, LARGEST_PRODUCT + 1])
def test_resize_averages_when_it_shrinks(side):
    plane = np.random.default_rng(5).random((side, side)).astype(np.float32)
    assert resize(plane, (40, 40)).std() < plane.std() / 5
    assert resize(plane, (40, 40)).mean() == pytest.approx(plane.mean(), abs=1e-3)

"""Resizing of planes and labels."""

import numpy as np
import pytest
from scipy import ndimage

from microsnoop_engine.model.frame import FRAME
from microsnoop_engine.modes.resizing import resize, resize_labels, square_and_resize


@pytest.mark.parametrize("shape", [(300, 150), (150, 300), (1000, 999), (30, 20), (224, 224)])
def test_square_and_resize(shape):
    """A plane keeps its middle and its proportions: its bright ellipse stays where it was, in units of the side."""
    y, x = np.indices(shape)
    center = (np.array(shape) - 1) / 2
    plane = np.exp(-((((y - center[0]) / shape[0] * 6) ** 2) + ((x - center[1]) / shape[1] * 6) ** 2)).astype(
        np.float32
    )
    result = square_and_resize(plane)
    assert result.shape == (FRAME, FRAME)
    assert ndimage.center_of_mass(result) == pytest.approx((111.5, 111.5), abs=0.6)
    assert result.sum() / FRAME**2 == pytest.approx(plane.sum() / max(shape) ** 2, rel=0.02)


def test_frame_of_full_size_is_not_resampled():
    plane = np.random.default_rng(4).random((FRAME, FRAME), np.float32)
    assert np.array_equal(square_and_resize(plane), plane)


def test_resize_averages_when_it_shrinks():
    plane = np.random.default_rng(5).random((400, 400)).astype(np.float32)
    assert resize(plane, (40, 40)).std() < plane.std() / 5


@pytest.mark.parametrize("shape", [(36, 64), (10, 4), (200, 200)])
def test_resize_labels_against_indices_of_the_nearest_pixel(shape):
    labels = np.random.default_rng(6).integers(0, 2**31 - 1, (50, 60))
    y, x = (((np.arange(n) + 0.5) * m / n).astype(int) for n, m in zip(shape, labels.shape, strict=True))
    assert np.array_equal(resize_labels(labels, shape), labels[np.ix_(y, x)])

"""Normalization of a crop against `np.percentile` on the frame that it stands in."""

import numpy as np
import pytest

from microsnoop_engine.model.frame import CROP_SIZES, LARGEST, SIZES, Frame
from microsnoop_engine.modes.normalization import center, normalize, percentiles_with_zeros


def window_of(crop, pad_first=False):
    """Normalize a crop and center it in a frame of zeros."""
    normalized, outside, problem = normalize(crop, zeros=LARGEST**2 - crop.size if pad_first else 0)
    return (None if normalized is None else center(normalized, outside=outside)), problem


def frame_of(plane, fill=0.0):
    """A plane in the middle of a 224 x 224 frame."""
    frame = np.full((LARGEST, LARGEST), fill, np.float64)
    top, left = ((LARGEST - n) // 2 for n in plane.shape)
    frame[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    return frame


def slow_window(crop, pad_first):
    """The 224 x 224 frame as the paper describes it (or with the percentiles of the crop alone)."""
    if pad_first:
        low, high = np.percentile(frame_of(crop), (1, 99))
        return (frame_of(crop) - low) / (high - low)
    low, high = np.percentile(crop.astype(np.float64), (1, 99))
    return frame_of((crop - low) / (high - low))


def random_crop(rng, low=0.0):
    shape = rng.integers(24, LARGEST + 1, 2)
    return (rng.gamma(1.5, 300, shape) + low).astype(np.float32)


@pytest.mark.parametrize("zeros", [0, 1, 7, 500, 49_000])
@pytest.mark.parametrize("seed", range(12))
def test_percentiles_with_zeros(seed, zeros):
    rng = np.random.default_rng(seed)
    values = rng.normal(rng.choice([-2, 0, 2]), 1, rng.integers(1, 3000)).astype(np.float32)
    values[rng.random(values.size) < rng.choice([0, 0.3])] = 0
    expected = np.percentile(np.concatenate([values, np.zeros(zeros, np.float32)]).astype(np.float64), (1, 99))
    assert percentiles_with_zeros(values, zeros) == pytest.approx(tuple(expected), abs=1e-6)


@pytest.mark.parametrize("pad_first", [True, False])
@pytest.mark.parametrize("low", [0.0, 400.0, -900.0])
@pytest.mark.parametrize("seed", range(8))
def test_window_equals_the_normalized_frame(seed, low, pad_first):
    crop = random_crop(np.random.default_rng(seed), low)
    window, problem = window_of(crop, pad_first)
    assert problem == ""
    assert window.dtype == np.float32
    assert len(window) in SIZES
    assert np.abs(frame_of(window) - slow_window(crop, pad_first)).max() < 1e-5


@pytest.mark.parametrize("shape", [(24, 30), (48, 48), (49, 20), (30, 96), (160, 161), (224, 224)])
@pytest.mark.parametrize(("frame", "sizes"), [(Frame(), SIZES), (Frame(160, zeros=False), CROP_SIZES)])
def test_window_is_the_smallest_that_holds_the_crop(shape, frame, sizes):
    crop = np.random.default_rng(0).random(shape, np.float32) + 1
    assert len(center(crop, frame)) == min(size for size in sizes if size >= max(shape))


@pytest.mark.parametrize("shape", [(223, 224), (224, 224)])
def test_nearly_full_frame(shape):
    """So little padding that percentile 1 is not among its zeros: the padding is not 0 after normalization."""
    crop = np.random.default_rng(1).uniform(500, 900, shape).astype(np.float32)
    assert np.abs(window_of(crop, pad_first=True)[0] - slow_window(crop, True)).max() < 1e-5


def test_normalize_leaves_the_crop_alone():
    crop = np.random.default_rng(2).random((40, 40), np.float32)
    before = crop.copy()
    normalize(crop)
    assert np.array_equal(crop, before)


def test_pixels_outside_an_object_become_zero():
    crop = np.random.default_rng(2).random((40, 40), np.float32)
    inside = np.random.default_rng(3).random((40, 40)) < 0.5
    normalized = normalize(crop, inside)[0]
    low, high = np.percentile(crop[inside].astype(float), (1, 99))
    assert normalized[inside] == pytest.approx((crop[inside] - low) / (high - low), abs=1e-5)
    assert not normalized[~inside].any()


def test_normalization_takes_scale_and_offset_away():
    crop = np.random.default_rng(3).random((90, 70), np.float32)
    assert normalize(crop * 5000 + 300)[0] == pytest.approx(normalize(crop)[0], abs=1e-4)


@pytest.mark.parametrize(
    ("crop", "problem"),
    [
        (np.zeros((0, 5), np.float32), "no pixels"),
        (np.full((9, 9), np.nan, np.float32), "NaN or infinite pixels"),
        (np.array([[1, np.inf]], np.float32), "NaN or infinite pixels"),
        (np.full((60, 60), 7, np.float32), "constant"),
        (np.zeros((60, 60), np.float32), "constant"),
        (np.arange(400, dtype=np.float32).reshape(20, 20), "covers less than 1 % of the frame"),
    ],
)
def test_crops_that_cannot_be_normalized(crop, problem):
    window, reason = window_of(crop, pad_first=True)
    assert window is None
    assert problem in reason
    if problem != "covers less than 1 % of the frame":
        assert window_of(crop) == (None, reason)


@pytest.mark.parametrize("shape", [(1, 2), (5, 5), (20, 20)])
def test_tiny_crops_can_be_normalized_by_themselves(shape):
    crop = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    assert np.abs(frame_of(window_of(crop)[0]) - slow_window(crop, False)).max() < 1e-5


def test_nearly_constant_crop_says_so():
    crop = np.full((100, 100), 3, np.float32)
    crop[0, 0] = 4
    assert window_of(crop) == (None, "constant but for less than 1 % of its pixels")

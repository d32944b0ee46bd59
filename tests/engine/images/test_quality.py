"""Quality of planes: what blur, saturation, brightness and missing pixels do to it."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from microsnoop_engine.images.quality import QUALITIES, plane_quality
from microsnoop_engine.images.synthetic import render_field


@pytest.fixture(scope="module")
def plane():
    fields = [render_field("control", 0.0, np.random.default_rng(seed))[0][0] for seed in range(4)]
    return np.block([fields[:2], fields[2:]])


def test_blur_lowers_sharpness_and_makes_the_spectrum_steeper(plane):
    blurred = [plane_quality(gaussian_filter(plane.astype(float), sigma)) for sigma in (0, 0.7, 1.0, 2.0)]
    sharpness = [quality["Sharpness"] for quality in blurred]
    slope = [quality["PowerLogLogSlope"] for quality in blurred]
    assert sharpness == sorted(sharpness, reverse=True)
    assert slope == sorted(slope, reverse=True)
    assert sharpness[2] < 0.5 * sharpness[0]


@pytest.mark.parametrize(("factor", "offset"), [(3.0, 0.0), (1.0, 500.0), (0.1, -20.0)])
def test_brightness_does_not_count_as_focus(plane, factor, offset):
    before, after = plane_quality(plane), plane_quality(plane * factor + offset)
    for name in ("Sharpness", "PowerLogLogSlope"):
        assert after[name] == pytest.approx(before[name], rel=1e-3)
    for name in ("MeanIntensity", "P01", "P50", "P99"):
        assert after[name] == pytest.approx(before[name] * factor + offset, rel=1e-9)


def test_white_noise_has_a_flat_spectrum_and_the_sharpness_of_the_laplacian():
    noise = np.random.default_rng(0).normal(1000, 10, (700, 900))
    quality = plane_quality(noise)
    assert quality["PowerLogLogSlope"] == pytest.approx(0, abs=0.05)
    # the squares of the weights 1, 1, 1, 1 and -4 add up to 20
    assert quality["Sharpness"] == pytest.approx(20, rel=0.02)


def test_saturation_is_the_share_of_pixels_at_the_maximum():
    plane = np.random.default_rng(0).integers(0, 200, (400, 500)).astype(np.uint8)
    plane[:40] = 255
    assert plane_quality(plane)["PercentMaximal"] == pytest.approx(10)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32])
def test_a_constant_plane(dtype):
    quality = plane_quality(np.full((300, 80), 7, dtype))
    assert (quality["Sharpness"], quality["PercentMaximal"], quality["MeanIntensity"]) == (0.0, 0.0, 7.0)
    assert np.isnan(quality["PowerLogLogSlope"])


def test_pixels_that_are_no_numbers_count_as_the_median(plane):
    damaged = plane.astype(np.float32)
    damaged[3:9, 4:9] = np.nan
    damaged[100, 100] = np.inf
    quality = plane_quality(damaged)
    assert all(np.isfinite(list(quality.values())))
    assert quality["MeanIntensity"] == pytest.approx(plane.mean(), rel=1e-2)


@pytest.mark.parametrize("shape", [(1, 1), (2, 300), (5, 5), (257, 255)])
def test_any_shape(shape):
    assert list(plane_quality(np.random.default_rng(0).random(shape))) == list(QUALITIES)

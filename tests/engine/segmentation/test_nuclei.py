"""Segment drawn fields, whose nuclei are known, and fields of a real plate."""

import numpy as np
import pytest
from scipy import ndimage, optimize

from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.segmentation.nuclei import segment_nuclei


def overlaps(truth, found):
    """Intersection over union of every true with every found object."""
    pairs = np.zeros((truth.max() + 1, found.max() + 1))
    np.add.at(pairs, (truth.ravel(), found.ravel()), 1)
    union = pairs.sum(1, keepdims=True) + pairs.sum(0, keepdims=True) - pairs
    return (pairs / union)[1:, 1:]


@pytest.mark.parametrize("phenotype", ["control", "compact_nuclei", "coarse_er"])
def test_drawn_nuclei(phenotype):
    true_count = found_count = 0
    matched = []
    for seed in range(4):
        image, truth = render_field(phenotype, 1.0, np.random.default_rng(seed), (320, 320), 16)
        found = segment_nuclei(image[0])
        assert found.dtype == np.int32
        assert np.array_equal(np.unique(found), np.arange(found.max() + 1))
        true_count, found_count = true_count + truth.max(), found_count + found.max()
        overlap = overlaps(truth, found)
        matched += overlap[optimize.linear_sum_assignment(-overlap)].tolist()
    assert found_count == pytest.approx(true_count, rel=0.05)
    assert np.median(matched) > 0.8
    assert np.mean(np.array(matched) > 0.6) > 0.9


def test_touching_disks_are_parted():
    y, x = np.indices((90, 110))
    disks = [np.hypot(y - 45, x - cx) < 15 for cx in (40, 66)]
    plane = (disks[0] | disks[1]) * 200.0 + np.random.default_rng(0).normal(20, 2, (90, 110))
    found = segment_nuclei(plane)
    assert found.max() == 2
    assert found[45, 40] != found[45, 66]


def test_scale_of_the_intensities_does_not_matter():
    image, _ = render_field("control", 0.0, np.random.default_rng(1))
    assert np.array_equal(segment_nuclei(image[0]) > 0, segment_nuclei(image[0] * 1e-5 + 0.25) > 0)


def test_holes_are_filled_and_specks_dropped():
    plane = np.zeros((80, 80))
    plane[20:50, 20:50], plane[32:36, 32:36], plane[65:67, 65:67] = 100, 0, 100
    found = segment_nuclei(plane)
    assert found.max() == 1
    assert found[34, 34] == 1
    assert found[66, 66] == 0


@pytest.mark.parametrize("value", [0, 0.1, 500, 65535])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_constant_plane_has_no_nuclei(value, kind):
    found = segment_nuclei(np.full((64, 48), value, kind))
    assert (found.shape, found.dtype, found.max()) == ((64, 48), np.int32, 0)


def test_plane_of_specks_has_no_nuclei():
    plane = np.zeros((64, 64))
    plane[::16, ::16] = 1000
    assert segment_nuclei(plane).max() == 0


def test_real_plate(bbbc013):
    images, channels = bbbc013
    for image in images:
        found = segment_nuclei(image[channels.index("DNA")])
        areas = np.bincount(found.ravel())[1:]
        assert 100 < found.max() < 600
        assert 60 < np.median(areas) < 700
        assert (areas > 5 * np.median(areas)).mean() < 0.01
        inside = image[channels.index("DNA")][found > 0].mean()
        assert inside > 2 * image[channels.index("DNA")][found == 0].mean()
        assert all(ndimage.label(found == number)[1] == 1 for number in range(1, 20))

"""Segment drawn fields, whose nuclei are known, and fields of a real plate."""

import numpy as np
import pytest
from real_crops import FIELDS, real_field, real_labels
from scipy import ndimage, optimize

from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.segmentation.nuclei import MIN_CONTRAST, contrast, segment_nuclei


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


def dna(name):
    return real_field(name)[FIELDS[name].index("DNA")]


@pytest.mark.parametrize("name", ["bbbc039_A06", "cpjump1_A01"])
def test_real_fields_have_the_labels_that_they_always_had(name):
    assert np.array_equal(segment_nuclei(dna(name)), real_labels(name))


Y, X = np.mgrid[:256, :256]


def field_without_cells(kind, seed):
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 20, X.shape)
    cells = render_field("control", 1.0, rng, X.shape, 12)[0][0].astype(float)
    detail = ndimage.gaussian_filter(cells, 1) - ndimage.gaussian_filter(cells, 4)
    return {
        "noise": 500 + noise,
        "counts": rng.poisson(5, X.shape),
        "rare counts": rng.poisson(0.3, X.shape),
        "noise of a wide range": rng.exponential(100, X.shape),
        "grains": 500 + 400 * ndimage.gaussian_filter(noise, 3),
        "clouds": 500 + 400 * ndimage.gaussian_filter(noise, 12),
        "gradient": 500 + X + noise,
        "vignette": 2000 - 0.02 * ((X - 128.0) ** 2 + (Y - 128.0) ** 2) + noise,
        "bright corner": 500 + 3000 * np.exp(-(X**2 + Y**2) / 2 / 80**2) + noise,
        "stripes": 500 + 30 * np.sin(X / 5) + noise,
        "8 bit": np.round(12 + noise / 16).astype(np.uint8),
        "hot pixels": np.where(rng.random(X.shape) < 5e-4, 65535, 500 + noise),
        "inverted": cells.max() - cells,
        "phase": 128 + 400 * detail / cells.max() + noise / 8,
    }[kind]


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(
    "kind",
    [
        *("noise", "counts", "rare counts", "noise of a wide range", "grains", "clouds", "gradient", "vignette"),
        *("bright corner", "stripes", "8 bit", "hot pixels", "inverted", "phase"),
    ],
)
def test_field_without_cells_has_no_nuclei(kind, seed):
    assert segment_nuclei(field_without_cells(kind, seed)).max() == 0


@pytest.mark.parametrize("name", ["bbbc013_A01", "bbbc039_A06", "cpjump1_A01"])
def test_real_field_inverted(name):
    plane = dna(name)
    inverted = plane.max() - plane
    assert segment_nuclei(inverted).max() == 0
    assert np.array_equal(segment_nuclei(inverted, invert=True), segment_nuclei(plane - plane.min()))


def discs(level, noise=20.0, seed=0):
    """Twelve flat discs of radius 15 that are so much brighter than a noisy background, and their pixels."""
    y, x = np.mgrid[:300, :400]
    inside = np.hypot(y % 100 - 50, x % 100 - 50) < 15
    return 500 + level * inside + np.random.default_rng(seed).normal(0, noise, x.shape), inside


@pytest.mark.parametrize("seed", range(4))
def test_limit_of_the_contrast(seed):
    """Nuclei are found from twice the noise of a pixel on, and below that nothing is invented."""
    plane, inside = discs(40, seed=seed)
    found = segment_nuclei(plane)
    assert found.max() == 12
    assert np.mean((found > 0) == inside) > 0.99
    assert segment_nuclei(discs(25, seed=seed)[0]).max() == 0
    assert segment_nuclei(plane, min_contrast=1.1 * contrast(ndimage.gaussian_filter(plane, 1), inside)).max() == 0


def test_contrast():
    plane, inside = discs(100, 10)
    assert contrast(plane, inside) == pytest.approx(10, rel=0.05)
    assert contrast(np.random.default_rng(0).normal(0, 1, (99, 99)), Y[:99, :99] > 50) < MIN_CONTRAST


@pytest.mark.parametrize("side", [5, 12, 30, 50])
def test_saturated_debris(side):
    """Up to 2 % of the image: neither does it hide the nuclei nor is it one."""
    plane, inside = discs(3000)
    plane[100 - side // 2 :, 200 - side // 2 :][:side, :side] = 65535
    found = segment_nuclei(plane)
    assert found.max() == 12
    assert np.mean((found > 0) == inside) > 0.99


@pytest.mark.parametrize("count", [1, 50, 200])
def test_hot_pixels(count):
    plane, inside = discs(3000)
    rng = np.random.default_rng(1)
    plane[rng.integers(0, 300, count), rng.integers(0, 400, count)] = 65535
    found = segment_nuclei(plane)
    assert found.max() == 12
    assert np.mean((found > 0) == inside) > 0.99


def test_diameter():
    """Fragments of less than a tenth of its square are dropped, and nuclei of other sizes are split otherwise."""
    plane, _ = discs(3000)
    assert segment_nuclei(plane, diameter=30).max() == 12
    assert segment_nuclei(plane, diameter=120).max() == 0
    y, x = np.indices((90, 110))
    pair = np.minimum(np.hypot(y - 45, x - 40), np.hypot(y - 45, x - 58)) < 15
    assert [segment_nuclei(100.0 * pair, diameter=size).max() for size in (25, 60)] == [2, 1]

"""Test the quality of objects against scikit-image, SciPy and cp_measure, which measures as CellProfiler does."""

import numpy as np
import pytest
from cp_measure.bulk import get_core_measurements
from real_crops import real_field, real_labels
from scipy.ndimage import binary_dilation, gaussian_filter
from skimage.measure import label, regionprops_table

from microsnoop_engine.modes.object_quality import object_quality

AREA, SOLIDITY, TOUCHING, NEAREST, MEAN, MAXIMAL = range(6)


def drawn(seed, smooth, scattered=False):
    """Ragged objects that nearly touch; scattered ones have many parts."""
    random = np.random.default_rng(seed)
    noise = gaussian_filter(random.normal(size=(150, 200)), smooth)
    labels = label(noise > 0.1 * noise.std())
    if scattered:
        labels[labels > 3] = random.integers(1, 20, (labels > 3).sum())
    return random.integers(0, 200, (2, 150, 200)).astype(np.uint8), labels


@pytest.fixture(
    scope="module", params=["nuclei", "small", "large", "scattered"], ids=["nuclei", "small", "large", "scattered"]
)
def field(request):
    if request.param == "nuclei":
        return real_field("cpjump1_A01"), real_labels("cpjump1_A01").astype(np.int64)
    return drawn(*{"small": (0, 1), "large": (1, 4), "scattered": (2, 2, True)}[request.param])


def test_area_solidity_and_intensity_are_those_of_scikit_image(field):
    image, labels = field
    numbers = np.unique(labels)[1:]
    table = object_quality(image, labels, numbers)
    expected = regionprops_table(labels, image[1], properties=("area", "solidity", "mean_intensity"))
    np.testing.assert_array_equal(table[:, AREA], expected["area"])
    np.testing.assert_allclose(table[:, SOLIDITY], expected["solidity"], rtol=1e-6)
    np.testing.assert_allclose(table[:, MEAN + 2], expected["mean_intensity"], rtol=1e-6)


def test_numbers_are_those_of_cellprofiler():
    image, labels = real_field("cpjump1_A01"), real_labels("cpjump1_A01").astype(np.int32)
    table = object_quality(image, labels, np.arange(1, labels.max() + 1))
    core = get_core_measurements(legacy=True, sanitize=False)
    shape, intensity = core["sizeshape"](labels, image[0]), core["intensity"](labels, image[0] / 65535)
    np.testing.assert_array_equal(table[:, AREA], shape["Area"])
    np.testing.assert_allclose(table[:, SOLIDITY], shape["Solidity"], rtol=1e-6)
    np.testing.assert_allclose(table[:, MEAN] / 65535, intensity["Intensity_MeanIntensity"], rtol=1e-5)


def test_neighbors_share_the_edge_of_a_pixel():
    image, labels = drawn(5, 2, scattered=True)
    numbers = np.unique(labels)[1:]
    table = object_quality(image, labels, numbers)
    cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]])
    around = [np.unique(labels[binary_dilation(labels == number, cross) & (labels != number)]) for number in numbers]
    assert table[:, TOUCHING].tolist() == [(neighbors > 0).sum() for neighbors in around]
    centers = np.column_stack(list(regionprops_table(labels, properties=("centroid",)).values()))
    distance = np.linalg.norm(centers[:, None] - centers[None], axis=2)
    np.testing.assert_allclose(table[:, NEAREST], np.where(distance > 0, distance, np.inf).min(1), rtol=1e-6)


def test_overlapping_objects_are_neighbors():
    planes = np.zeros((2, 12, 30), int)
    planes[0, 2:6, 2:6], planes[0, 2:6, 20:24] = 4, 9
    planes[1, 4:8, 4:8], planes[1, 6:9, 22:24] = 2, 7
    table = object_quality(np.ones((1, 12, 30)), planes, np.array([2, 4, 7, 9]))
    assert table[:, AREA].tolist() == [16, 16, 6, 16]
    assert table[:, TOUCHING].tolist() == [1, 1, 1, 1]
    assert table[0, NEAREST] == pytest.approx(np.hypot(2, 2))


def test_saturated_pixels_of_an_object():
    labels = np.zeros((20, 20), int)
    labels[2:12, 2:12], labels[15:18, 15:18] = 1, 2
    image = np.full((2, 20, 20), 7, np.uint16)
    image[0, 2:4, 2:12] = 4095
    table = object_quality(image, labels, np.array([1, 2]))
    assert table[:, MAXIMAL].tolist() == [20, 0]
    assert table[:, MAXIMAL + 2].tolist() == [0, 0]


def test_rows_follow_the_numbers_and_unknown_objects_have_none():
    image, labels = drawn(0, 1)
    numbers = np.unique(labels)[1:]
    table = object_quality(image, labels, numbers)
    order = np.random.default_rng(0).permutation(numbers)[:20]
    renumbered = np.where(labels > 0, labels * 11 + 70_000, 0)
    np.testing.assert_array_equal(object_quality(image, renumbered, order * 11 + 70_000), table[order - 1])
    assert np.isnan(object_quality(image, labels, np.array([10**6]))).all()


def test_one_object_none_and_pixels_that_are_no_numbers():
    labels = np.zeros((9, 9), np.uint8)
    assert object_quality(np.ones((1, 9, 9)), labels, np.array([], int)).shape == (0, 6)
    labels[4, 4] = 3
    image = np.ones((1, 9, 9), np.float32)
    image[0, 0, 0] = np.nan
    row = object_quality(image, labels, np.array([3]))[0]
    assert row[[AREA, SOLIDITY, TOUCHING, MEAN]].tolist() == [1, 1, 0, 1]
    assert np.isnan(row[NEAREST])

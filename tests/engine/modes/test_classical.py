"""Test handcrafted features: their names, objects that are numbered anyhow, and odd ones."""

import numpy as np
import pytest
from real_crops import real_field, real_labels

from microsnoop_engine.errors import InputError
from microsnoop_engine.modes.classical import MissingNumbers, classical_names, measure_classical, unit_scale

CHANNELS = ("DNA", "AGP", "RNA")
NAMES = classical_names(CHANNELS)


def column(table, name):
    return table[:, NAMES.index(name)]


@pytest.fixture(scope="module")
def field():
    """A real field, its nuclei, and the features of all of them."""
    image, labels = real_field("cpjump1_A01"), real_labels("cpjump1_A01")
    return image, labels, measure_classical(image, labels, np.arange(1, labels.max() + 1), CHANNELS)


def test_simple_features_are_what_their_names_say(field):
    image, labels, table = field
    inside = labels == 5
    assert column(table, "AreaShape_Area")[4] == inside.sum()
    pixels = image[1][inside] / 65535
    assert column(table, "Intensity_MeanIntensity_AGP")[4] == pytest.approx(pixels.mean(), rel=1e-5)
    assert column(table, "Intensity_IntegratedIntensity_AGP")[4] == pytest.approx(pixels.sum(), rel=1e-5)
    correlation = np.corrcoef(image[0][inside], image[2][inside])[0, 1]
    assert column(table, "Correlation_Correlation_DNA_RNA")[4] == pytest.approx(correlation, rel=1e-4)


def test_names_hold_the_channel_where_cellprofiler_has_it():
    expected = {
        "AreaShape_Zernike_4_2",
        "Texture_Contrast_RNA_3_01_256",
        "Granularity_3_DNA",
        "RadialDistribution_MeanFrac_AGP_2of4",
        "RadialDistribution_ZernikePhase_DNA_3_1",
        "Location_MaxIntensity_X_DNA",
        "Correlation_Manders_RNA_DNA",
    }
    assert expected <= set(NAMES)
    assert len(NAMES) == len(set(NAMES))


def test_rows_follow_the_numbers_of_the_objects(field):
    image, labels, table = field
    renumbered = np.where(labels > 0, labels.astype(np.int32) * 7 + 40000, 0)
    order = np.array([5, 1, 9])
    again = measure_classical(image, renumbered, order * 7 + 40000, CHANNELS)
    np.testing.assert_array_equal(again, table[order - 1])


def test_planes_of_labels_are_measured_one_by_one(field):
    image, labels, table = field
    planes = np.stack([np.where(labels % 2 == 1, labels, 0), np.where(labels % 2 == 0, labels, 0)])
    again = measure_classical(image, planes, np.arange(1, labels.max() + 1), CHANNELS)
    np.testing.assert_array_equal(column(again, "AreaShape_Area"), column(table, "AreaShape_Area"))
    name = "Intensity_MADIntensity_DNA"
    np.testing.assert_allclose(column(again, name), column(table, name), rtol=1e-5)


def test_odd_objects_have_missing_numbers_and_do_not_disturb_others(field):
    image, labels, table = field
    odd = labels.astype(np.int32).copy()
    y, x = np.argwhere(odd == 0)[0]
    odd[y, x] = 500
    again = measure_classical(image, odd, np.array([5, 500, 700]), CHANNELS)
    assert column(again, "AreaShape_Area").tolist()[:2] == [(labels == 5).sum(), 1]
    assert np.isnan(again[2]).all()
    assert np.isnan(again[1]).sum() > np.isnan(again[0]).sum()
    name = "Texture_Contrast_DNA_3_00_256"
    assert column(again, name)[0] == pytest.approx(column(table, name)[4], rel=1e-5)


def test_blank_images_and_images_without_objects():
    labels = np.zeros((40, 50), np.uint16)
    assert measure_classical(np.zeros((3, 40, 50), np.uint8), labels, np.empty(0, np.int32), CHANNELS).shape == (
        0,
        len(NAMES),
    )
    labels[5:15, 5:20] = 1
    table = measure_classical(np.zeros((3, 40, 50), np.uint8), labels, np.array([1]), CHANNELS)
    assert column(table, "AreaShape_Area").tolist() == [150]
    assert column(table, "Intensity_MeanIntensity_DNA").tolist() == [0]


def test_pixels_are_scaled_as_cellprofiler_does():
    assert unit_scale(np.array([[0, 65535]], np.uint16)).tolist() == [[0, 1]]
    assert unit_scale(np.array([[0.25, 1.0]])).tolist() == [[0.25, 1.0]]
    assert unit_scale(np.array([[-3.0, 65535.0]])).tolist() == [[0, 1]]
    assert unit_scale(np.array([[True, False]])).tolist() == [[1, 0]]


def test_missing_numbers_are_counted(caplog):
    caplog.set_level("INFO")
    missing = MissingNumbers(["a", "b"])
    missing.add(np.array([[1, np.nan], [np.nan, np.nan]], np.float32))
    missing.add(None)
    missing.log()
    assert "3 of 4 handcrafted features are not defined and missing (NaN), most of them b (2), a (1)" in caplog.text


def test_only_objects_have_handcrafted_features():
    from microsnoop_engine.modes.classical import check_classical

    with pytest.raises(InputError, match="`classical` goes with `mode` cells"):
        check_classical("tile")

"""Measure layers of napari: the numbers are those of the engine, and they return into the layer."""

import numpy as np
import pandas as pd
import pytest
from napari.layers import Image, Labels, Points

from microsnoop_engine import CropSettings, Embedder, measure
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.synthetic import render_field
from napari_microsnoop.layers import add_clusters, cluster_color, feature_values, map_points, measure_labels, save_table

SETTINGS = CropSettings(diameter=24)


@pytest.fixture(scope="module")
def embedder():
    return Embedder("fast", device="cpu")


@pytest.fixture(scope="module")
def field():
    """A drawn field (3, h, w), with labels that have gaps."""
    image, labels = render_field("control", 0.0, np.random.default_rng(3))
    return image, labels * 3


@pytest.fixture
def layers(field):
    image, labels = field
    names = ("DNA", "ER (488 nm)")
    images = [Image(plane, name=name) for plane, name in zip(image, names, strict=False)]
    return Labels(labels, name="Nuclei"), images


@pytest.fixture
def measured(layers, embedder):
    labels, images = layers
    labels.features = measure_labels(labels, images, embedder, SETTINGS)
    return labels


def test_the_numbers_are_those_of_the_engine(layers, field, embedder):
    labels, images = layers
    table = measure_labels(labels, images, embedder, SETTINGS)
    expected = measure(embedder, field[0][:2], field[1], SETTINGS)
    np.testing.assert_array_equal(feature_values(table), expected.features)
    assert table["index"].tolist() == sorted(set(field[1].ravel()) - {0})
    assert table.columns[3] == "Nuclei_Microsnoop_E000_DNA"
    assert table.columns[-1] == "Nuclei_Microsnoop_E255_ER_488_nm"
    y, x = np.nonzero(field[1] == 3)
    first = table[table["index"] == 3][["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"]]
    np.testing.assert_allclose(first.to_numpy()[0], [x.mean(), y.mean()], atol=1e-3)


def test_napari_shows_the_numbers_of_the_label_under_the_cursor(measured):
    row = measured.features.iloc[4]
    y, x = (int(row[f"Nuclei_Location_Center_{axis}"]) for axis in "YX")
    assert measured.data[y, x] == row["index"]
    assert f"Nuclei_Location_Center_Y: {row['Nuclei_Location_Center_Y']}"[:26] in measured.get_status((y, x))["value"]


def test_labels_have_the_color_of_their_cluster(measured):
    table = add_clusters(measured, 2)
    assert set(table["cluster"]) == {1, 2}
    assert (table["cluster"] == 1).sum() >= (table["cluster"] == 2).sum()
    for number in (1, 2):
        label = table["index"][table["cluster"] == number].iloc[0]
        red, green, blue = (int(cluster_color(number)[place : place + 2], 16) / 255 for place in (1, 3, 5))
        np.testing.assert_allclose(measured.get_color(label)[:3], [red, green, blue], atol=1e-6)
    assert measured.get_color(0) is None


def test_an_object_without_features_has_no_cluster_and_no_point(layers, embedder):
    labels, images = layers
    images[0].data = np.where(labels.data == 6, images[0].data.min(), images[0].data)
    box = labels.data == 6
    y, x = np.nonzero(box)
    flat = images[0].data.copy()
    flat[max(y.min() - 80, 0) : y.max() + 80, max(x.min() - 80, 0) : x.max() + 80] = 7
    images[0].data = flat
    labels.features = measure_labels(labels, images, embedder, CropSettings(diameter=24, rescale_constant=0.6))
    table = add_clusters(labels, 2)
    missing = table["index"][table.isna().any(axis=1)].tolist()
    assert 6 in missing
    assert set(table["cluster"][table["index"].isin(missing)]) == {0}
    points = map_points(labels)
    assert len(points.data) == len(table) - len(missing)
    assert not set(points.features["index"]) & set(missing)


def test_the_map_lies_beside_the_labels(measured):
    add_clusters(measured, 3)
    points = map_points(measured)
    assert isinstance(points, Points)
    height, width = measured.data.shape
    assert points.data[:, 1].min() >= width
    assert 0 <= points.data[:, 0].min() <= points.data[:, 0].max() <= height
    assert sorted(points.features["index"]) == sorted(measured.features["index"])
    assert sorted(points.features["cluster"].unique()) == [1, 2, 3]


def test_the_table_on_disk_is_that_of_the_layer(measured, tmp_path):
    assert save_table(measured, tmp_path / "cells.csv") == len(measured.features)
    table = pd.read_csv(tmp_path / "cells.csv")
    assert table["ObjectNumber"].tolist() == measured.features["index"].tolist()
    np.testing.assert_allclose(feature_values(table), feature_values(measured.features), rtol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda labels, images: (labels, []), "choose at least one image layer"),
        (lambda labels, images: (labels, [Image(images[0].data[:-1], name="DNA")]), "they must be equal"),
        (lambda labels, images: (labels, [Image(np.stack([images[0].data] * 4), name="DNA")]), "has 3 dimensions"),
        (
            lambda labels, images: (labels, [Image(np.stack([images[0].data] * 3, -1), rgb=True, name="H&E")]),
            "'H&E' is a color image",
        ),
        (lambda labels, images: (labels, [Image(images[0].data, scale=(2, 2), name="DNA")]), "different places"),
        (lambda labels, images: (labels, [images[0], Image(images[1].data, name="DNA")]), "different names"),
    ],
)
def test_layers_that_do_not_fit(layers, embedder, change, message):
    labels, images = change(*layers)
    with pytest.raises(InputError, match=message):
        measure_labels(labels, images, embedder, SETTINGS)


def test_what_is_not_measured_has_no_clusters(layers):
    for step in (lambda: add_clusters(layers[0], 2), lambda: map_points(layers[0])):
        with pytest.raises(InputError, match="the layer 'Nuclei' is not measured yet"):
            step()

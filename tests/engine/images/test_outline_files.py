"""Read outlines of QuPath and napari."""

import json

import numpy as np
import pytest

from microsnoop_engine.errors import ImageError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.outline_files import read_outlines

SQUARE = [[2, 3], [9, 3], [9, 8], [2, 8], [2, 3]]
HOLE = [[4, 4], [6, 4], [6, 6], [4, 6], [4, 4]]


def feature(rings, kind="Polygon", **properties):
    return {"type": "Feature", "id": "x1", "geometry": {"type": kind, "coordinates": rings}, "properties": properties}


def collection(*features):
    return {"type": "FeatureCollection", "features": list(features)}


def area(path):
    return [int(roi.mask.sum()) for roi in read_outlines(path)]


def test_geojson_of_qupath(tmp_path):
    path = tmp_path / "a.geojson"
    features = [
        feature([[[0, 0], [30, 0], [30, 20], [0, 20], [0, 0]]], objectType="annotation"),
        feature([SQUARE, HOLE], objectType="detection", classification={"name": "Tumor"}),
        feature([[SQUARE], [[[20, 1], [22, 1], [22, 2], [20, 1]]]], "MultiPolygon", objectType="detection", name="n 7"),
    ]
    for content in (collection(*features), features):
        path.write_text(json.dumps(content))
        first, second = read_outlines(path)
        assert (first.name, first.group, first.mask.sum()) == ("x1", "Tumor", 7 * 5 - 4)
        assert (second.name, second.group) == ("n 7", "")
    labels = read_labels(PlaneSource(path), "Cells", (20, 30))
    assert labels.shape == (2, 20, 30)
    path.write_text(json.dumps(features[0]))
    assert area(path) == [600]
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [SQUARE]}))
    assert area(path) == [35]


@pytest.mark.parametrize(
    "mark",
    [
        lambda each, kind: {**each, "properties": {"objectType": kind}},
        lambda each, kind: {**each, "properties": {"object_type": kind}},
        lambda each, kind: {**each, "id": f"Path{kind.title()}Object"},
    ],
)
def test_annotations_around_objects_in_every_version_of_qupath(tmp_path, caplog, mark):
    caplog.set_level("INFO")
    path = tmp_path / "a.geojson"
    around, cell = feature([[[0, 0], [30, 0], [30, 20], [0, 20], [0, 0]]]), feature([SQUARE])
    path.write_text(json.dumps([mark(around, "annotation"), mark(cell, "cell"), mark(cell, "cell")]))
    assert area(path) == [35, 35]
    assert "left out 1 annotation: the cells are measured" in caplog.text
    assert {roi.name for roi in read_outlines(path)} <= {"x1", ""}


def test_rings_that_do_not_end_where_they_begin(tmp_path):
    path = tmp_path / "a.geojson"
    path.write_text(json.dumps(collection(feature([SQUARE[:-1], HOLE[:-1]]))))
    assert area(path) == [7 * 5 - 4]


def test_classes_of_several_words_and_nuclei_of_cells(tmp_path, caplog):
    caplog.set_level("INFO")
    path = tmp_path / "a.geojson"
    cell = feature([SQUARE], objectType="cell", classification={"names": ["Tumor", "Positive"]})
    path.write_text(json.dumps([{**cell, "nucleusGeometry": {"type": "Polygon", "coordinates": [HOLE]}}]))
    (roi,) = read_outlines(path)
    assert (roi.group, roi.mask.sum()) == ("Tumor: Positive", 35)
    assert "the outlines of the cells are measured, not those of their nuclei" in caplog.text


def test_outlines_without_a_pixel_in_the_image_are_counted(tmp_path, caplog):
    beside, flat = [[x + 90, y] for x, y in SQUARE], [[2, 3], [2, 9], [2, 3]]
    (tmp_path / "a.geojson").write_text(json.dumps([feature([ring]) for ring in (SQUARE, beside, flat)]))
    labels = read_labels(PlaneSource(tmp_path / "a.geojson"), "Cells", (20, 30))
    assert np.unique(labels).tolist() == [0, 1]
    assert "left out 2 of 3 outlines without a pixel in the image (30 x 20 pixels)" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as GeoJSON"),
        (json.dumps({"a": 1}), "cannot be read as GeoJSON, which has a 'type': its keys are a"),
        (json.dumps(collection({"type": "Feature", "geometry": None})), "feature 1 of 'a.geojson' has no outline"),
        (json.dumps(collection(feature([], "Polygon"))), "feature 1 of 'a.geojson' has no outline"),
        (json.dumps(collection(feature([["x"]]))), "feature 1 of 'a.geojson' has no outline that can be read"),
        (json.dumps(collection(feature([SQUARE], "Curve"))), "is a Curve, which cannot be read: export it as a pol"),
        (json.dumps(collection()), "holds no polygon"),
        (json.dumps(collection(feature([1, 2], "Point"))), "feature 1 of 'a.geojson' is a Point, which has no area"),
    ],
)
def test_geojson_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "a.geojson").write_text(content)
    with pytest.raises(ImageError, match=message):
        read_labels(PlaneSource(tmp_path / "a.geojson"), "Cells", (20, 30))


HEADER = "index,shape-type,vertex-index,axis-0,axis-1\n"


def shape(kind, corners, index=0):
    return "".join(f"{index},{kind},{n},{y},{x}\n" for n, (y, x) in enumerate(corners))


def test_shapes_of_napari(tmp_path):
    """Whole numbers are the centers of pixels."""
    path = tmp_path / "a.csv"
    box = [(1.5, 2.5), (1.5, 8.5), (6.5, 8.5), (6.5, 2.5)]
    path.write_text(
        HEADER + shape("rectangle", box) + shape("ellipse", [(-0.5, -0.5), (-0.5, 19.5), (19.5, 19.5), (19.5, -0.5)], 1)
    )
    labels = read_labels(PlaneSource(path), "Cells", (20, 30))
    assert np.argwhere((labels == 1).any(0)).min(0).tolist() == [2, 3]
    assert np.argwhere((labels == 1).any(0)).max(0).tolist() == [6, 8]
    y, x = np.indices((20, 30))
    assert np.array_equal((labels == 2).any(0), np.hypot(y - 9.5, x - 9.5) < 10)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n", "has no columns index, shape-type"),
        (HEADER + shape("path", [(1, 2), (3, 4)]), "shape 0 of 'a.csv' is a path, which has no area"),
        (HEADER + shape("polygon", [("", 2), (3, 4)]), "has a corner without numbers"),
    ],
)
def test_shapes_that_cannot_be_used(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ImageError, match=message):
        read_labels(PlaneSource(tmp_path / "a.csv"), "Cells", (20, 30))

"""Take each object of a stack from the plane in which it is sharpest."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from scipy.ndimage import gaussian_filter

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.projection import focus_objects
from microsnoop_engine.images.selection import PlaneSelection

RNG = np.random.default_rng(0)
TRUE = RNG.integers(2000, 40000, (2, 80, 120)).astype(np.float64)
"""Channel, row, column."""
LABELS = np.zeros((80, 120), np.uint16)
LABELS[10:40, 10:45], LABELS[30:70, 60:110] = 7, 2
SHARP = {7: (3, 0), 2: (1, 2)}
"""Depth in which each channel of an object is sharp."""


def blurred_stack():
    """Return (depth, channel, row, column), in which each object is sharp at its depth and blurred elsewhere."""
    stack = np.stack([np.stack([gaussian_filter(plane, 4 + z) for plane in TRUE]) for z in range(4)])
    for number, depths in SHARP.items():
        for channel, depth in enumerate(depths):
            stack[depth, channel][number == LABELS] = TRUE[channel][number == LABELS]
    return stack.astype(np.uint16)


STACK = blurred_stack()


@pytest.mark.parametrize("channel", [0, 1])
def test_each_object_is_taken_from_its_own_plane(channel):
    found = focus_objects(STACK[:, channel], LABELS)
    assert found.dtype == np.uint16
    for number, depths in SHARP.items():
        inside = number == LABELS
        assert np.array_equal(found[inside], STACK[depths[channel], channel][inside])
        assert np.array_equal(found[inside], TRUE[channel].astype(np.uint16)[inside])


def test_an_object_alone_and_no_object():
    channel = 0
    everything = np.ones((80, 120), int)
    sharpest = int(np.argmax([np.var(np.gradient(plane.astype(float))[0]) for plane in STACK[:, channel]]))
    for labels in (everything, 0 * everything):
        assert np.array_equal(focus_objects(STACK[:, channel], labels), STACK[sharpest, channel])


def write(folder, kind):
    if kind == "zarr":
        pytest.importorskip("zarr", "3")
        from ome_zarr_trees import write_image, write_labels

        write_image(folder / "a.zarr", [STACK.swapaxes(0, 1)], "czyx", names=("DNA", "ER"), chunks=(1, 3, 80, 120))
        write_labels(folder / "a.zarr", "Nuclei", [LABELS])
        return [folder / "a.zarr"]
    metadata = {"axes": "ZCYX", "Channel": {"Name": ["DNA", "ER"]}}
    tifffile.imwrite(folder / "a.ome.tif", STACK, metadata=metadata)
    (folder / "labels").mkdir()
    tifffile.imwrite(folder / "labels" / "a.tif", LABELS)
    return [folder / "a.ome.tif", "--labels", folder / "labels"]


OPTIONS = ["--device", "cpu", "--precision", "float32", "--threads", "1", "--quiet"]


@pytest.mark.parametrize("kind", ["tiff", "zarr"])
def test_profiles_are_those_of_the_true_pixels(tmp_path, kind):
    arguments = [str(each) for each in write(tmp_path, kind)]
    focused = ["--project", "focus-object", "--mask", "object", "--out", str(tmp_path / "focused")]
    assert main(["profile", *arguments, *focused, *OPTIONS]) == 0
    for channel, name in enumerate(("DNA", "ER")):
        tifffile.imwrite(tmp_path / f"true_{name}.tif", TRUE[channel].astype(np.uint16))
    tifffile.imwrite(tmp_path / "nuclei.tif", LABELS)
    (tmp_path / "true.csv").write_text(
        "FileName_DNA,FileName_ER,ObjectsFileName_Nuclei\ntrue_DNA.tif,true_ER.tif,nuclei.tif\n"
    )
    true = ["--mask", "object", "--out", str(tmp_path / "true")]
    assert main(["profile", str(tmp_path / "true.csv"), *true, *OPTIONS]) == 0
    tables = [pd.read_parquet(next((tmp_path / each).glob("*.parquet"))) for each in ("focused", "true")]
    features = [name for name in tables[1] if "Microsnoop" in name]
    assert len(features) == 512
    assert len(tables[0]) == 2
    np.testing.assert_allclose(tables[0][features], tables[1][features], atol=1e-5)


@pytest.mark.parametrize("options", [["--mode", "image"], ["--mode", "cells"]])
def test_refused_where_the_surroundings_are_measured(tmp_path, capsys, options):
    arguments = [str(each) for each in write(tmp_path, "tiff")]
    if options[1] == "image":
        arguments = arguments[:1]
    assert main(["profile", *arguments, "--project", "focus-object", *options, "--out", str(tmp_path / "o")]) != 0
    assert "--project focus-object goes with --mode cells and --mask object" in capsys.readouterr().err


def test_objects_that_overlap_are_refused(tmp_path):
    path = write(tmp_path, "tiff")[0]
    squares = [[[[x, x], [x + 20, x], [x + 20, x + 20], [x, x + 20], [x, x]]] for x in (10, 20)]
    features = [
        {"type": "Feature", "properties": {}, "geometry": {"type": "Polygon", "coordinates": square}}
        for square in squares
    ]
    (tmp_path / "a.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    options = ["--rois", str(tmp_path / "a.geojson"), "--project", "focus-object", "--mask", "object"]
    assert main(["profile", str(path), *options, *OPTIONS, "--out", str(tmp_path / "out")]) == 1
    assert "focus-object goes with objects that do not overlap" in pd.read_csv(tmp_path / "out/images.csv")["Error"][0]


def test_without_objects_it_is_the_plane_that_is_sharpest_as_a_whole(tmp_path):
    path = write(tmp_path, "tiff")[0]
    (one,) = find_image_sets(path, selection=PlaneSelection(project="focus-object"))
    (other,) = find_image_sets(path, selection=PlaneSelection(project="focus"))
    assert np.array_equal(read_channels(one, ["DNA", "ER"]), read_channels(other, ["DNA", "ER"]))


def test_unknown_projection():
    with pytest.raises(InputError, match="`project` is 'best': choose max, mean, sum, focus, focus-object"):
        PlaneSelection(project="best")

"""OME-Zarr with depth and time: the plane that is chosen is read, with the labels of that plane, or it is refused."""

import logging
import tracemalloc

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.selection import PlaneSelection

pytest.importorskip("zarr", "3")
from ome_zarr_trees import group_at, write_image, write_labels, write_plate

RNG = np.random.default_rng(0)
STACK = RNG.integers(1, 4000, (2, 2, 5, 40, 60)).astype(np.uint16)
"""Time, channel, depth, row, column."""
NAMES = ("DNA", "GFP")
LABELS = np.zeros((2, 5, 40, 60), np.uint32)
for t in range(2):
    for z in range(5):
        LABELS[t, z, 4 : 10 + z, 8 : 20 + 3 * t] = 1 + z + 10 * t


def stack(path, axes="tczyx", **options):
    return write_image(path, [np.moveaxis(STACK, range(5), [axes.index(a) for a in "tczyx"])], axes, **options)


def pixels(image_set):
    return read_channels(image_set, list(image_set.channels))


@pytest.mark.parametrize("axes", ["tczyx", "ztcxy"])
@pytest.mark.parametrize("chunks", [None, (1, 1, 2, 16, 60), (1, 1, 1, 40, 60)])
def test_every_plane_and_time(tmp_path, axes, chunks):
    chunks = chunks and tuple(chunks["tczyx".index(axis)] for axis in axes)
    stack(tmp_path / "a.zarr", axes, names=NAMES, chunks=chunks)
    sets = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane="all", time="all"))
    assert [one.number for one in sets] == list(range(1, 11))
    places = [(one.metadata["Plane"], one.metadata["Time"]) for one in sets]
    assert places == [(z, t) for z in range(5) for t in range(2)]
    for one in sets:
        assert np.array_equal(pixels(one), STACK[one.metadata["Time"], :, one.metadata["Plane"]])


@pytest.mark.parametrize("deep", [1, 2, 5])
@pytest.mark.parametrize("method", ["max", "mean", "sum", "focus"])
def test_projections(tmp_path, method, deep):
    sharp = STACK.copy()
    sharp[1, 0, 3, ::2] = 60000
    sharp[1, 1, 2, ::2] = 60000
    write_image(tmp_path / "a.zarr", [sharp], "tczyx", chunks=(1, 1, deep, 40, 60))
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(project=method, time=1))
    wanted = [sharp[1, 0, 3], sharp[1, 1, 2]] if method == "focus" else getattr(sharp[1].astype(float), method)(1)
    assert np.array_equal(pixels(one), wanted)


def test_a_stack_has_to_be_chosen_from(tmp_path):
    stack(tmp_path / "a.zarr")
    with pytest.raises(InputError, match=r"is a stack of 5 planes in depth: choose `project` .* or `plane` .*middle"):
        find_image_sets(tmp_path / "a.zarr")
    with pytest.raises(InputError, match="is a series of 2 time points: choose `time`"):
        find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(project="max"))
    with pytest.raises(InputError, match="`pages` goes with TIFF files: OME-Zarr says what its axes are"):
        find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(pages="depth"))
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane="middle", time=0))
    assert np.array_equal(pixels(one), STACK[0, :, 2])
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane=5, time=0))
    with pytest.raises(ImageError, match="has planes 0 to 4: there is no plane 5"):
        pixels(one)
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane=4, time=2))
    with pytest.raises(ImageError, match="has times 0 to 1: there is no time 2"):
        pixels(one)


def test_fields_of_other_depth_and_one_that_cannot_be_read(tmp_path):
    flat = STACK[0, :, :1]
    write_plate(tmp_path / "p.zarr", [[STACK[0], flat], [STACK[1][:, :3]]], axes="czyx", names=NAMES)
    (tmp_path / "p.zarr/A/2/0/0/zarr.json").write_text("{")
    sets = find_image_sets(tmp_path / "p.zarr", selection=PlaneSelection(plane="all"))
    assert [one.metadata["Plane"] for one in sets] == [0, 1, 2, 3, 4, 0, 0]
    assert [one.metadata["Field"] for one in sets] == ["A/1/0"] * 5 + ["A/1/1", "A/2/0"]
    assert np.array_equal(pixels(sets[3]), STACK[0, :, 3])
    assert np.array_equal(pixels(sets[5]), flat[:, 0])
    with pytest.raises(ImageError, match="its array cannot be opened"):
        pixels(sets[6])


def test_labels_follow_the_plane_and_time(tmp_path):
    stack(tmp_path / "a.zarr", names=NAMES)
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS], axes="tzyx")
    for one in find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane="all", time="all")):
        found = read_labels(one.labels["nuclei"], "nuclei", (40, 60))
        assert np.array_equal(found, LABELS[one.metadata["Time"], one.metadata["Plane"]])
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane="middle", time=1))
    assert np.array_equal(read_labels(one.labels["nuclei"], "nuclei", (40, 60)), LABELS[1, 2])


def test_labels_of_one_plane_go_with_every_plane(tmp_path, caplog):
    stack(tmp_path / "a.zarr")
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS[0, 2]])
    for selection in (PlaneSelection(project="max", time=1), PlaneSelection(plane=4, time=1)):
        (one,) = find_image_sets(tmp_path / "a.zarr", selection=selection)
        assert np.array_equal(read_labels(one.labels["nuclei"], "nuclei", (40, 60)), LABELS[0, 2])
        assert "labels/nuclei' has labels of one time: they are taken for time 1" in caplog.text


@pytest.mark.parametrize(
    ("labels", "axes", "selection", "message"),
    [
        (LABELS, "tzyx", PlaneSelection(project="max", time=0), "labels are a stack of 5 planes in depth, but the"),
        (LABELS[0, :3], "zyx", PlaneSelection(plane=1, time=0), "labels have 3 planes in depth, but the image has 5"),
        (LABELS[[0, 1, 1], 0], "tyx", PlaneSelection(plane=1, time=0), "labels have 3 time points, but the image has"),
    ],
)
def test_labels_that_cannot_follow_are_refused(tmp_path, labels, axes, selection, message):
    stack(tmp_path / "a.zarr")
    write_labels(tmp_path / "a.zarr", "nuclei", [labels], axes=axes)
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=selection)
    with pytest.raises(ImageError, match=message):
        read_labels(one.labels["nuclei"], "nuclei", (40, 60))


def test_a_stack_of_labels_on_an_image_of_one_plane_is_refused(tmp_path):
    write_image(tmp_path / "a.zarr", [STACK[0, :, 0]])
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS[0]], axes="zyx")
    (one,) = find_image_sets(tmp_path / "a.zarr")
    with pytest.raises(ImageError, match="labels have 5 planes in depth, but the image has 1"):
        read_labels(one.labels["nuclei"], "nuclei", (40, 60))


def test_plane_numbers_count_in_the_finest_level(tmp_path):
    half = np.ascontiguousarray(STACK[0, :, ::2, ::2, ::2])
    write_image(tmp_path / "a.zarr", [STACK[0], half], "czyx")
    (one,) = find_image_sets(tmp_path / "a.zarr", level=1, selection=PlaneSelection(plane=1))
    with pytest.raises(ImageError, match="level 1 has 3 planes in depth, but level 0 has 5: choose `level` 0"):
        pixels(one)
    (one,) = find_image_sets(tmp_path / "a.zarr", level=1, selection=PlaneSelection(project="max"))
    assert np.array_equal(pixels(one), half.max(1))
    write_image(tmp_path / "b.zarr", [STACK[0], STACK[0, :, :, ::2, ::2]], "czyx")
    (one,) = find_image_sets(tmp_path / "b.zarr", level=1, selection=PlaneSelection(plane=1))
    assert np.array_equal(pixels(one), STACK[0, :, 1, ::2, ::2])


@pytest.mark.parametrize("deep", [1, 5])
@pytest.mark.parametrize("step", [1, 2])
def test_a_chunk_lost_in_depth_is_found_by_the_other_level(tmp_path, step, deep):
    write_image(tmp_path / "a.zarr", [STACK[0], STACK[0, :, ::step, ::2, ::2]], "czyx", chunks=(1, deep, 20, 20))
    (tmp_path / f"a.zarr/0/c/0/{3 // deep}/1/1").unlink()
    selection = PlaneSelection(project="max")
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=selection)
    if step > deep:
        # a filter in depth may have lit the coarser plane by its neighbors
        assert not (pixels(one) == STACK[0].max(1)).all()
    else:
        with pytest.raises(ImageError, match=r"1 of the chunks of channel C1 are missing.*level 1 is not black there"):
            pixels(one)
    if deep == 1:
        (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(plane=2))
        assert np.array_equal(pixels(one), STACK[0, :, 2])


def test_planes_that_the_writer_left_out_are_black(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    dark = STACK[0].copy()
    dark[0, 1] = 0
    write_image(tmp_path / "a.zarr", [dark], "czyx", chunks=(1, 1, 40, 60))
    assert not (tmp_path / "a.zarr/0/c/0/1").exists()
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(project="mean"))
    assert np.array_equal(pixels(one), dark.mean(1))
    assert "1 of the chunks of channel C1 are left out, and taken as black" in caplog.text


def test_a_projection_holds_a_few_planes_at_a_time(tmp_path):
    planes, side = 48, 512
    array = group_at(tmp_path / "a.zarr").create_array(
        "0", shape=(1, planes, side, side), dtype=np.uint16, chunks=(1, 1, side, side)
    )
    for z in range(planes):
        array[0, z] = z
    steps = [{"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [1.0] * 4}]}]
    axes = [{"name": axis, "type": "channel" if axis == "c" else "space"} for axis in "czyx"]
    group_at(tmp_path / "a.zarr").attrs["ome"] = {"version": "0.5", "multiscales": [{"axes": axes, "datasets": steps}]}
    (one,) = find_image_sets(tmp_path / "a.zarr", selection=PlaneSelection(project="max"))
    pixels(one)
    tracemalloc.start()
    assert (pixels(one) == planes - 1).all()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < planes * side * side * 2 / 3


def test_the_command(tmp_path):
    write_plate(tmp_path / "p.zarr", [[STACK[0]], [STACK[1]]], axes="czyx", names=NAMES)
    options = ["--mode", "image", "--plane", "all", "--device", "cpu"]
    assert main(["profile", str(tmp_path / "p.zarr"), *options, "--out", str(tmp_path / "out")]) == 0
    table = pd.read_csv(tmp_path / "out" / "images.csv")
    assert list(zip(table["Metadata_Well"], table["Metadata_Plane"], strict=True)) == [
        (well, z) for well in ("A01", "A02") for z in range(5)
    ]


def test_the_command_says_what_to_type(tmp_path, capsys):
    write_plate(tmp_path / "p.zarr", [[STACK[0]]], axes="czyx")
    assert main(["profile", str(tmp_path / "p.zarr"), "--out", str(tmp_path / "out")]) != 0
    assert "choose --project (max, mean, sum or focus) or --plane (a number from 0, middle or all)" in (
        capsys.readouterr().err.replace("\n", " ")
    )

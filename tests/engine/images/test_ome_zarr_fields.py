"""Every field of an OME-Zarr plate is read by its own metadata."""

import logging

import numpy as np
import pytest

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.ome_zarr_image import channel_names
from microsnoop_engine.images.pixel_sizes import common_pixel_size
from microsnoop_engine.images.planes import read_channels

zarr = pytest.importorskip("zarr", "3")
from ome_zarr_trees import group_at, write_image, write_labels, write_plate  # noqa: E402

IMAGE = np.random.default_rng(0).integers(1, 4000, (2, 40, 60)).astype(np.uint16)
LABELS = np.zeros((40, 60), np.uint32)
LABELS[4:16, 8:20], LABELS[20:36, 32:56] = 1, 2
NAMES = ("DNA", "GFP")


def coarser(array):
    return np.ascontiguousarray(array[..., ::2, ::2])


def test_the_level_of_every_field_has_the_pixel_size_asked_for(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    write_plate(tmp_path / "p.zarr", [[], []])
    write_plate(tmp_path / "p.zarr", [[IMAGE], [coarser(IMAGE)]], names=NAMES)
    for well, levels, scales in (
        ("A/1", [IMAGE, coarser(IMAGE)], [0.65, 1.3]),
        ("A/2", [coarser(IMAGE), coarser(coarser(IMAGE))], [1.3, 2.6]),
    ):
        write_image(tmp_path / "q.zarr" / well / "0", levels, scales=scales, names=NAMES)
    group_at(tmp_path / "q.zarr").attrs["ome"] = dict(group_at(tmp_path / "p.zarr").attrs["ome"])
    for well in ("A/1", "A/2"):
        group_at(tmp_path / "q.zarr" / well).attrs["ome"] = dict(group_at(tmp_path / "p.zarr" / well).attrs["ome"])
    sets = find_image_sets(tmp_path / "q.zarr", pixel_size=1.3)
    assert [one.channels["DNA"].level for one in sets] == [1, 0]
    for one in sets:
        assert np.array_equal(read_channels(one, NAMES), coarser(IMAGE))
    assert common_pixel_size(sets) == 1.3
    with pytest.raises(InputError, match=r"pixels of 0.65 \(1 image set\), 1.3 \(1 image set\) micrometers"):
        common_pixel_size(find_image_sets(tmp_path / "q.zarr", level=0))
    caplog.clear()
    find_image_sets(tmp_path / "q.zarr", pixel_size=1.3)
    assert "level 0 of 1 image, level 1 of 1 image, with pixels of 1.3 micrometers" in caplog.text
    assert "different pixel sizes" not in caplog.text
    find_image_sets(tmp_path / "q.zarr")
    assert "different pixel sizes in micrometers: 0.65 (such as " in caplog.text
    assert ": choose one with `pixel_size`" in caplog.text


def test_pixels_that_are_no_squares(tmp_path, caplog):
    write_plate(tmp_path / "p.zarr", [[IMAGE]], scales=[(0.65, 0.325)])
    find_image_sets(tmp_path / "p.zarr")
    assert "1 of 1 image has pixels that are no squares" in caplog.text
    with pytest.raises(
        InputError, match=r"`pixel_size`: 1 of 1 .* \(0.325 wide, 0.65 high\): resample them to squares"
    ):
        find_image_sets(tmp_path / "p.zarr", pixel_size=0.325)


def test_fields_without_a_pixel_size_are_counted(tmp_path):
    fields = write_plate(tmp_path / "p.zarr", [[IMAGE], [IMAGE]])
    found = dict(group_at(fields[1][0]).attrs["ome"])
    for axis in found["multiscales"][0]["axes"]:
        axis.pop("unit", None)
    group_at(fields[1][0]).attrs["ome"] = found
    with pytest.raises(InputError, match=r"'.*A/2/0' \(1 of 2 images\) hold no pixel sizes: use `level`"):
        find_image_sets(tmp_path / "p.zarr", pixel_size=1)


def test_labels_that_the_first_field_lacks(tmp_path):
    fields = write_plate(tmp_path / "p.zarr", [[IMAGE, IMAGE], [IMAGE]])
    write_labels(fields[0][1], "nuclei", [LABELS])
    write_labels(fields[1][0], "cells", [LABELS], listed=False)
    sets = find_image_sets(tmp_path / "p.zarr")
    assert [list(one.labels) for one in sets] == [[], ["nuclei"], ["cells"]]


def test_what_is_no_label_image_in_labels_is_named(tmp_path, caplog):
    write_image(tmp_path / "a.zarr", [IMAGE])
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS])
    (tmp_path / "a.zarr" / "labels" / "old").mkdir()
    (found,) = find_image_sets(tmp_path / "a.zarr")
    assert list(found.labels) == ["nuclei"]
    assert "labels/old' is not read as a label image: there are no OME-Zarr metadata" in caplog.text


def test_channels_are_found_by_their_name_in_every_field(tmp_path, caplog):
    fields = write_plate(tmp_path / "p.zarr", [[IMAGE], [IMAGE[::-1]], [np.concatenate([IMAGE[:1], IMAGE])], [IMAGE]])
    for (field,), names in zip(
        fields, (["DNA", "GFP"], ["GFP", "DNA"], ["RFP", "DNA", "GFP"], ["DNA", "RFP"]), strict=True
    ):
        found = dict(group_at(field).attrs["ome"])
        found["omero"] = {"channels": [{"label": name} for name in names]}
        group_at(field).attrs["ome"] = found
    sets = find_image_sets(tmp_path / "p.zarr")
    for one in sets[:3]:
        assert np.array_equal(read_channels(one, NAMES), IMAGE)
    with pytest.raises(ImageError, match="its channels are DNA, RFP, where channel 2 should be GFP"):
        read_channels(sets[3], NAMES)
    assert "left out: channel RFP of 1 image, such as '" in caplog.text


def test_a_first_field_of_other_channels_is_named_and_the_others_are_read(tmp_path):
    fields = write_plate(tmp_path / "p.zarr", [[IMAGE], [IMAGE], [IMAGE]], names=NAMES)
    found = dict(group_at(fields[0][0]).attrs["ome"])
    found["omero"] = {"channels": [{"label": name} for name in ("DNA", "RFP")]}
    group_at(fields[0][0]).attrs["ome"] = found
    sets = find_image_sets(tmp_path / "p.zarr")
    for one in sets[1:]:
        assert np.array_equal(read_channels(one, NAMES), IMAGE)
    with pytest.raises(ImageError, match="its channels are DNA, RFP, where channel 2 should be GFP"):
        read_channels(sets[0], NAMES)


def test_acquisitions_of_the_same_channels_stay_apart(tmp_path):
    write_plate(tmp_path / "p.zarr", [[IMAGE, IMAGE]] * 2, acquisitions=[0, 3], names=NAMES)
    sets = find_image_sets(tmp_path / "p.zarr")
    assert [one.metadata["Acquisition"] for one in sets] == [0, 3, 0, 3]
    for chosen in (3, "3"):
        sets = find_image_sets(tmp_path / "p.zarr", acquisition=chosen)
        assert [one.metadata["Field"] for one in sets] == ["A/1/1", "A/2/1"]
        assert {one.metadata["Acquisition"] for one in sets} == {3}
    plate = dict(group_at(tmp_path / "p.zarr").attrs["ome"])
    plate["plate"]["acquisitions"] = [{"id": 0, "name": "live"}, {"id": 3, "name": "fixed"}]
    group_at(tmp_path / "p.zarr").attrs["ome"] = plate
    assert len(find_image_sets(tmp_path / "p.zarr", acquisition="fixed")) == 2
    with pytest.raises(InputError, match="`acquisition`: there is no '1'; there are 0, 3"):
        find_image_sets(tmp_path / "p.zarr", acquisition=1)
    write_image(tmp_path / "a.zarr", [IMAGE])
    with pytest.raises(InputError, match="`acquisition` goes with an OME-Zarr plate of several acquisitions"):
        find_image_sets(tmp_path / "a.zarr", acquisition=1)


def test_an_acquisition_of_other_channels_is_left_out_and_named(tmp_path, caplog):
    fields = write_plate(tmp_path / "p.zarr", [[IMAGE, IMAGE[::-1]]], acquisitions=[1, 2], names=NAMES)
    found = dict(group_at(fields[0][1]).attrs["ome"])
    found["omero"]["channels"][1]["label"] = "RFP"
    group_at(fields[0][1]).attrs["ome"] = found
    (one,) = find_image_sets(tmp_path / "p.zarr")
    assert one.metadata["Acquisition"] == 1
    assert (
        "left out: acquisition 2 (1 image), which has channels DNA, RFP, not DNA, GFP as acquisition 1" in caplog.text
    )
    (other,) = find_image_sets(tmp_path / "p.zarr", acquisition=2)
    assert np.array_equal(read_channels(other, ["DNA", "RFP"]), IMAGE[::-1])


AXES = {
    "TCZYX": IMAGE[None, :, None],
    "cxy": IMAGE.transpose(0, 2, 1),
    "yxc": IMAGE.transpose(1, 2, 0),
    "rcyx": IMAGE[None],
}


@pytest.mark.parametrize("axes", AXES)
def test_axes_in_capitals_and_in_any_order(tmp_path, axes):
    write_image(tmp_path / "a.zarr", [AXES[axes]], axes, scales=[1.0])
    (found,) = find_image_sets(tmp_path / "a.zarr")
    assert np.array_equal(read_channels(found, ["C1", "C2"]), IMAGE)


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ("rcyx", "stack with axes r, c, y, x of lengths 3, 2, 40, 60: write one image per step of 'r'"),
        ("tcyx", r"is a series of 3 time points: choose `time` \(a number from 0, or all\)"),
    ],
)
def test_axes_longer_than_one_are_named(tmp_path, axes, message):
    write_image(tmp_path / "a.zarr", [np.stack([IMAGE] * 3)], axes)
    with pytest.raises(InputError, match=message):
        find_image_sets(tmp_path / "a.zarr")


def test_axes_by_their_type(tmp_path):
    write_image(tmp_path / "a.zarr", [IMAGE[:, None]], "czyx")
    found = dict(group_at(tmp_path / "a.zarr").attrs["ome"])
    found["multiscales"][0]["axes"][0]["name"] = "wavelength"
    group_at(tmp_path / "a.zarr").attrs["ome"] = found
    (one,) = find_image_sets(tmp_path / "a.zarr")
    assert np.array_equal(read_channels(one, ["C1", "C2"]), IMAGE)


@pytest.mark.parametrize(
    ("names", "wanted", "problem"),
    [
        (["A", "B"], ["A", "B"], None),
        (["A", "A"], ["A_1", "A_2"], "channels share a name"),
        (["A", ""], ["A", "C2"], "channels have no name"),
        (["A"], ["C1", "C2"], "1 name is given for 2 channels"),
        (["A_1", "A", "A"], ["C1", "C2", "C3"], "channels share a name"),
    ],
)
def test_channel_names_that_cannot_be_used(names, wanted, problem):
    assert channel_names(names, len(wanted)) == (wanted, problem)


def test_a_channel_whose_name_is_null(tmp_path, caplog):
    write_image(tmp_path / "a.zarr", [IMAGE], names=(None, "GFP"))
    (found,) = find_image_sets(tmp_path / "a.zarr")
    assert list(found.channels) == ["C1", "GFP"]
    assert "channels have no name (, GFP): they are C1, GFP" in caplog.text


def test_a_collection_of_bioformats2raw(tmp_path):
    for series in ("0", "1", "10"):
        write_image(tmp_path / "a.zarr" / series, [IMAGE + int(series)], names=NAMES)
    root = group_at(tmp_path / "a.zarr")
    root.attrs["ome"] = {"version": "0.5", "bioformats2raw.layout": 3}
    sets = find_image_sets(tmp_path / "a.zarr")
    assert [one.metadata for one in sets] == [{"File": "a.zarr", "Series": name} for name in ("0", "1", "10")]
    assert np.array_equal(read_channels(sets[2], NAMES), IMAGE + 10)
    group_at(tmp_path / "a.zarr" / "OME").attrs["ome"] = {"series": ["10", "0"]}
    assert [one.metadata["Series"] for one in find_image_sets(tmp_path / "a.zarr")] == ["10", "0"]


def test_the_first_versions_had_no_axes_and_no_pixel_sizes(tmp_path):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    for number, array in enumerate((IMAGE, coarser(IMAGE))):
        group.create_array(str(number), data=array[None, :, None])
    group.attrs["multiscales"] = [{"version": "0.1", "datasets": [{"path": "0"}, {"path": "1"}]}]
    (found,) = find_image_sets(tmp_path / "a.zarr", level=1)
    assert np.array_equal(read_channels(found, ["C1", "C2"]), coarser(IMAGE))
    with pytest.raises(InputError, match="hold no pixel sizes: use `level`"):
        find_image_sets(tmp_path / "a.zarr", pixel_size=1)


def test_unknown_versions_and_transformations_are_named(tmp_path):
    write_image(tmp_path / "a.zarr", [IMAGE])
    found = dict(group_at(tmp_path / "a.zarr").attrs["ome"])
    found["multiscales"][0]["datasets"][0]["coordinateTransformations"] = [{"type": "affine", "affine": []}]
    group_at(tmp_path / "a.zarr").attrs["ome"] = found
    with pytest.raises(InputError, match="transformation 'affine' is not supported, only scale and translation"):
        find_image_sets(tmp_path / "a.zarr")
    write_image(tmp_path / "b.zarr", [IMAGE])
    group_at(tmp_path / "b.zarr").attrs["ome"] = {"version": "0.9", "multiscales": [{"levels": []}]}
    with pytest.raises(InputError, match=r"metadata of version 0\.9 are damaged or of an unknown form"):
        find_image_sets(tmp_path / "b.zarr")


# labels on their image


def placed(path, level=0):
    (found,) = find_image_sets(path, level=level)
    shape = read_channels(found, ["C1"]).shape[1:]
    return read_labels(found.labels["nuclei"], "nuclei", shape)


def test_labels_of_another_resolution_are_matched_by_their_scale(tmp_path):
    write_image(tmp_path / "a.zarr", [IMAGE, coarser(IMAGE)], scales=[0.65, 1.3])
    write_labels(tmp_path / "a.zarr", "nuclei", [coarser(LABELS)], scales=[1.3])
    assert np.array_equal(placed(tmp_path / "a.zarr"), LABELS)
    assert np.array_equal(placed(tmp_path / "a.zarr", 1), coarser(LABELS))


def test_levels_of_labels_that_a_writer_blended(tmp_path, caplog):
    """The pyramid of ngff-zarr is Gaussian by default, also of labels."""
    blended = coarser(LABELS) * 3
    write_image(tmp_path / "a.zarr", [IMAGE, coarser(IMAGE)])
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS, blended])
    assert np.array_equal(placed(tmp_path / "a.zarr"), LABELS)
    assert not caplog.text
    assert np.array_equal(placed(tmp_path / "a.zarr", 1), coarser(LABELS))
    assert "labels/nuclei/1' holds 2 numbers that are no objects of level 0" in caplog.text


def test_labels_finer_than_the_image(tmp_path):
    write_image(tmp_path / "a.zarr", [coarser(IMAGE)], scales=[1.3])
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS], scales=[650.0], unit="nanometer")
    assert np.array_equal(placed(tmp_path / "a.zarr"), coarser(LABELS))


@pytest.mark.parametrize("rows", [20, 21])
def test_pyramids_of_odd_sizes(tmp_path, rows):
    """41 rows have 20 or 21 at half the resolution, by writer."""
    image = IMAGE[:, [*range(40), 39]]
    fine = LABELS[[*range(40), 39]]
    write_image(tmp_path / "a.zarr", [image])
    write_labels(tmp_path / "a.zarr", "nuclei", [fine[::2, ::2][:rows]], scales=[2.0])
    assert np.array_equal(placed(tmp_path / "a.zarr"), fine)


def test_half_a_pixel_between_levels(tmp_path):
    write_image(tmp_path / "a.zarr", [IMAGE], origins=[(0.0, 0.0)])
    write_labels(tmp_path / "a.zarr", "nuclei", [coarser(LABELS)], scales=[2.0], origins=[(0.5, 0.5)])
    assert np.array_equal(placed(tmp_path / "a.zarr"), LABELS)


def test_translations_of_labels_and_images(tmp_path):
    part = np.ascontiguousarray(LABELS[2:38, 5:])
    write_image(tmp_path / "a.zarr", [IMAGE], origins=[(100.0, 200.0)], scales=[0.5])
    write_labels(tmp_path / "a.zarr", "nuclei", [part], origins=[(101.0, 202.5)], scales=[0.5])
    assert np.array_equal(placed(tmp_path / "a.zarr"), LABELS)
    # labels without a translation lie on their image
    write_labels(tmp_path / "a.zarr", "cells", [LABELS], scales=[0.5])
    (found,) = find_image_sets(tmp_path / "a.zarr")
    assert np.array_equal(read_labels(found.labels["cells"], "cells", (40, 60)), LABELS)


def test_labels_moved_over_an_image_of_the_same_size(tmp_path):
    write_image(tmp_path / "a.zarr", [IMAGE])
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS], origins=[(2.0, -3.0)])
    wanted = np.zeros_like(LABELS)
    wanted[2:, :-3] = LABELS[:-2, 3:]
    assert np.array_equal(placed(tmp_path / "a.zarr"), wanted)


@pytest.mark.parametrize(
    ("array", "options"),
    [
        (LABELS[:30], {}),
        (coarser(LABELS), {}),
        (LABELS, {"origins": [(500.0, 0.0)]}),
        (coarser(LABELS), {"scales": [3.0]}),
    ],
    ids=["smaller", "coarser without its scale", "beside the image", "another scale"],
)
def test_labels_that_do_not_lie_on_their_image(tmp_path, array, options):
    write_image(tmp_path / "a.zarr", [IMAGE])
    write_labels(tmp_path / "a.zarr", "nuclei", [np.ascontiguousarray(array)], **options)
    with pytest.raises(
        ImageError, match="but the image is 60 x 40 pixels, and their metadata do not bring them together"
    ):
        placed(tmp_path / "a.zarr")


def test_labels_of_the_same_size_without_a_scale_of_their_own(tmp_path):
    write_image(tmp_path / "a.zarr", [IMAGE, coarser(IMAGE)], scales=[0.65, 1.3])
    write_labels(tmp_path / "a.zarr", "nuclei", [LABELS, coarser(LABELS)], scales=[1.0, 2.0], unit=None)
    assert np.array_equal(placed(tmp_path / "a.zarr"), LABELS)
    assert np.array_equal(placed(tmp_path / "a.zarr", 1), coarser(LABELS))


# chunks that are left out


def black(shape=(2, 64, 64)):
    image = np.full(shape, 500, np.uint16)
    image[0, :32, :32] = 0
    return image


def read(path, level=0):
    (found,) = find_image_sets(path, level=level)
    return read_channels(found, ["C1", "C2"])


@pytest.mark.parametrize("levels", [1, 2])
def test_a_chunk_left_out_is_black(tmp_path, levels, caplog):
    caplog.set_level(logging.INFO)
    image = black()
    pyramid = [image, coarser(image)][:levels]
    write_image(tmp_path / "a.zarr", pyramid, chunks=(1, 32, 32))
    assert not (tmp_path / "a.zarr" / "0" / "c" / "0" / "0" / "0").exists()
    assert np.array_equal(read(tmp_path / "a.zarr"), image)
    assert np.array_equal(read(tmp_path / "a.zarr", levels - 1), pyramid[-1])
    # no other level confirms it
    assert ("a.zarr/0': 1 of the chunks of channel C1 are left out, and taken as black" in caplog.text) == (levels == 1)


def test_a_channel_that_is_black_throughout(tmp_path):
    image = black()
    image[0] = 0
    write_image(tmp_path / "a.zarr", [image], chunks=(1, 32, 32))
    assert np.array_equal(read(tmp_path / "a.zarr"), image)


@pytest.mark.parametrize(
    ("lost", "level", "message"),
    [
        (
            "0/c/0/1/1",
            0,
            "2 of the chunks of channel C1 are missing, such as 'c/0/1/1', and level 1 is not black there",
        ),
        ("1/c/1/0/0", 1, "chunks of channel C2 are missing, such as 'c/1/0/0', and level 0 is not black there"),
    ],
)
def test_a_chunk_that_a_copy_lost(tmp_path, lost, level, message):
    image = black((2, 128, 128))
    write_image(tmp_path / "a.zarr", [image, coarser(image)], chunks=(1, 32, 32))
    (tmp_path / "a.zarr" / lost).unlink()
    with pytest.raises(ImageError, match=message):
        read(tmp_path / "a.zarr", level)


def test_a_copy_without_any_chunk(tmp_path):
    write_image(tmp_path / "a.zarr", [np.zeros((2, 64, 64), np.uint16)], chunks=(1, 32, 32))
    with pytest.raises(ImageError, match=r"4 of the chunks of channel C1 are missing, .* and there is no other: copy"):
        read(tmp_path / "a.zarr")


def test_a_copy_that_stopped_before_the_next_level(tmp_path):
    image = black()
    write_image(tmp_path / "a.zarr", [image, coarser(image)], chunks=(1, 32, 32))
    (tmp_path / "a.zarr" / "1" / "zarr.json").unlink()
    with pytest.raises(ImageError, match="and level 1 cannot be read"):
        read(tmp_path / "a.zarr")


def test_a_chunk_that_a_copy_lost_of_a_label_image(tmp_path):
    labels = np.ones((64, 64), np.uint32)
    write_image(tmp_path / "a.zarr", [black()], names=("C1", "C2"))
    write_labels(tmp_path / "a.zarr", "nuclei", [labels, coarser(labels)], chunks=(32, 32))
    (tmp_path / "a.zarr" / "labels" / "nuclei" / "0" / "c" / "1" / "0").unlink()
    with pytest.raises(ImageError, match="1 of the chunks of labels are missing, such as 'c/1/0', and level 1 is not"):
        placed(tmp_path / "a.zarr")
    write_labels(tmp_path / "a.zarr", "empty", [0 * labels, coarser(0 * labels)], chunks=(32, 32))
    (found,) = find_image_sets(tmp_path / "a.zarr")
    assert not read_labels(found.labels["empty"], "empty", (64, 64)).any()

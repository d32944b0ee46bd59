"""Runs with masks, outlines and a segmentation whose labels are saved."""

import imageio.v3 as imageio
import numpy as np
import pytest
import roifile
import tifffile
from real_crops import real_field, real_labels
from several_workers import table_of

from microsnoop_engine import CropSettings
from microsnoop_engine.distributor.label_images import outlined
from microsnoop_engine.distributor.run import profile
from microsnoop_engine.errors import InputError
from microsnoop_engine.images.selection import PlaneSelection
from microsnoop_engine.segmentation.nuclei import segment_nuclei
from microsnoop_engine.segmentation.settings import SegmentationSettings

NAME = "bbbc039_A06"


@pytest.fixture
def field(tmp_path):
    """A folder with one real image."""
    (tmp_path / "images").mkdir()
    tifffile.imwrite(tmp_path / "images/A06.tif", real_field(NAME)[0])
    return tmp_path / "images"


def rows(summary):
    return table_of(summary.folder)


def test_saved_labels_measure_the_same(field, tmp_path, embedder):
    found = profile(field, tmp_path / "found", embedder=embedder, save_labels=True)
    path = tmp_path / "found/labels/images/A06_labels.tif"
    assert np.array_equal(tifffile.imread(path), segment_nuclei(real_field(NAME)[0]))
    sheet = imageio.imread(tmp_path / "found/segmentation.png")
    assert (sheet == (255, 200, 0)).all(-1).sum() > 300
    again = profile(field, tmp_path / "again", embedder=embedder, labels=tmp_path / "found/labels")
    assert rows(found).equals(rows(again))
    with pytest.raises(InputError, match="`save_labels` goes with a segmentation"):
        profile(field, tmp_path / "c", embedder=embedder, labels=tmp_path / "found/labels", save_labels=True)


def test_saved_labels_of_a_file_with_several_fields(tmp_path, embedder):
    images = np.stack([real_field(NAME)] * 2)
    np.savez(tmp_path / "a.npz", images=images)
    profile(tmp_path / "a.npz", tmp_path / "out", embedder=embedder, save_labels=True)
    names = sorted(path.name for path in (tmp_path / "out/labels").rglob("*.tif"))
    assert names == ["a_1_labels.tif", "a_2_labels.tif"]


def test_saved_labels_of_plates_with_the_same_names(tmp_path, embedder):
    """Instruments call the folder of every plate Images, and the files by their wells."""
    plates = {"P1": real_field(NAME)[0], "P2": real_field(NAME)[0][::-1]}
    for plate, plane in plates.items():
        (tmp_path / plate / "Images").mkdir(parents=True)
        tifffile.imwrite(tmp_path / plate / "Images/A06.tif", plane)
    pattern = {"pattern": "{Plate}/Images/{Well}.tif", "channel_name": "DNA"}
    found = profile(tmp_path, tmp_path / "out", embedder=embedder, save_labels=True, **pattern)
    for plate, plane in plates.items():
        saved = tifffile.imread(tmp_path / f"out/labels/{plate}/Images/A06_labels.tif")
        assert np.array_equal(saved, segment_nuclei(plane))
    again = profile(tmp_path, tmp_path / "again", embedder=embedder, labels=tmp_path / "out/labels", **pattern)
    assert rows(found).equals(rows(again))


@pytest.mark.parametrize("place", ["results", "."])
def test_results_beside_the_images_are_no_images(field, embedder, place):
    for resumed in (0, 1):
        found = profile(field, field / place, embedder=embedder, save_labels=True)
        assert (found.image_sets, found.resumed) == (1, resumed)
    assert {path.name for path in (field / place / "labels").rglob("*.tif")} == {"A06_labels.tif"}
    assert "results of microsnoop" in (field / place / "skipped.csv").read_text()


def test_saved_labels_of_the_planes_of_a_stack(tmp_path, embedder):
    planes = np.stack([real_field(NAME)[0], real_field(NAME)[0][::-1]])
    tifffile.imwrite(tmp_path / "a.ome.tif", planes, metadata={"axes": "ZYX"})
    planes_of = {"selection": PlaneSelection(plane="all")}
    found = profile(tmp_path / "a.ome.tif", tmp_path / "out", embedder=embedder, save_labels=True, **planes_of)
    for n, plane in enumerate(planes):
        (path,) = (tmp_path / "out/labels").rglob(f"a_z{n}_labels.tif")
        assert np.array_equal(tifffile.imread(path), segment_nuclei(plane))
    again = profile(
        tmp_path / "a.ome.tif", tmp_path / "again", embedder=embedder, labels=tmp_path / "out/labels", **planes_of
    )
    assert rows(found).equals(rows(again))


def test_mask(field, tmp_path, embedder):
    (tmp_path / "masks").mkdir()
    disc = np.hypot(*np.indices((60, 60)) - 30) < 12
    mask = np.pad(np.tile(disc, (4, 5)), ((0, 0), (0, 20))).astype(np.uint8) * 255
    tifffile.imwrite(tmp_path / "masks/A06.tif", mask)
    refused = profile(field, tmp_path / "a", embedder=embedder, labels=tmp_path / "masks")
    assert "labels are a black-and-white mask" in refused.failures[0].error
    taken = profile(field, tmp_path / "b", embedder=embedder, labels=tmp_path / "masks", label_mask=True)
    assert rows(taken)["ObjectNumber"].tolist() == list(range(1, 21))
    with pytest.raises(InputError, match="`label_mask` goes with label images: there are none"):
        profile(field, tmp_path / "c", embedder=embedder, label_mask=True)


def test_names_and_groups_of_outlines(field, tmp_path, embedder):
    rois = []
    for name, group, left in (("cell 7", 2, 10), ("", 0, 300), ("cell 3", 0, 150)):
        roi = roifile.ImagejRoi.frompoints(np.add([[0, 0], [30, 0], [30, 30], [0, 30]], (left, 20)), name=name)
        roi.group = group
        rois.append(roi)
    roifile.roiwrite(tmp_path / "a.zip", rois, mode="w")
    table = rows(profile(field, tmp_path / "out", embedder=embedder, rois=tmp_path / "a.zip"))
    assert table["ObjectNumber"].tolist() == [1, 2, 3]
    assert table["Metadata_ROI_Name"].tolist()[::2] == ["cell 7", "cell 3"]
    assert table["Metadata_ROI_Group"].tolist() == ["2", "", ""]


def test_settings_of_the_segmentation(field, tmp_path, embedder, caplog):
    dark = tmp_path / "dark"
    dark.mkdir()
    plane = real_field(NAME)[0]
    tifffile.imwrite(dark / "A06.tif", plane.max() - plane)
    assert profile(dark, tmp_path / "a", embedder=embedder).rows == 0
    assert "image set 1: no objects in channel 'Image': its contrast is low, or they are darker" in caplog.text
    inverted = profile(dark, tmp_path / "b", embedder=embedder, segmentation=SegmentationSettings(invert=True))
    assert inverted.rows == real_labels(NAME).max()
    settings, whole = SegmentationSettings(invert=True), CropSettings(mode="image")
    with pytest.raises(InputError, match="`invert` goes with `mode` cells"):
        profile(dark, tmp_path / "c", whole, embedder=embedder, segmentation=settings)
    with pytest.raises(InputError, match="`diameter` is 0: it must be a number of pixels above 0"):
        SegmentationSettings(diameter=0)


def test_outlines_on_a_plane():
    plane = np.arange(600 * 900).reshape(600, 900)
    labels = np.zeros((600, 900), int)
    labels[100:300, 100:400] = 70000
    picture = outlined(plane, labels)
    assert picture.shape == (320, 480, 3)
    yellow = (picture == (255, 200, 0)).all(-1)
    assert yellow.sum() == pytest.approx(2 * (200 + 300) * 480 / 900, rel=0.05)
    assert not yellow[:, 260:].any()

"""Read what iohub, ngio, ngff-zarr and bioio-ome-zarr left on a disk; name what SpatialData left."""

import logging
import pickle
import shutil
from pathlib import Path

import numpy as np
import pytest
from stores import put, upload_text

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_channels

pytest.importorskip("zarr", "3")
DATA = Path(__file__).resolve().parents[2] / "data" / "ome-zarr"
WRITTEN = {
    "iohub-0.3.11.zarr.zip": (["DNA", "GFP"], [None, "nuclei"]),
    "ngio-1.1.3.zarr.zip": (["DNA", "GFP"], ["nuclei"]),
    "ngff-zarr-0.50.0.zarr.zip": (["C1", "C2"], [None]),
    "ngff-zarr-0.50.0.ozx": (["C1", "C2"], [None]),
    "bioio-ome-zarr-3.8.1.zarr.zip": (["AF488_1", "AF488_2"], [None]),
}
"""Channels, and the label image of every field."""


def unpacked(tmp_path, name):
    folder = tmp_path / name.removesuffix(".zip").removesuffix(".ozx")
    shutil.unpack_archive(DATA / name, folder, "zip")
    return folder


@pytest.mark.parametrize("zipped", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("name", WRITTEN)
def test_images_and_labels_of_other_writers(tmp_path, name, zipped):
    channels, objects = WRITTEN[name]
    sets = find_image_sets(DATA / name if zipped else unpacked(tmp_path, name))
    assert [next(iter(one.labels), None) for one in sets] == objects
    for one in sets:
        assert list(one.channels) == channels
        image = read_channels(one, channels)
        assert np.array_equal(image, np.load(DATA / "image.npy"))
        for labels, source in one.labels.items():
            assert np.array_equal(read_labels(source, labels, image.shape[1:]), np.load(DATA / "labels.npy"))


@pytest.mark.parametrize("name", ["ngff-zarr-0.50.0.zarr.zip", "ngio-1.1.3.zarr.zip", "iohub-0.3.11.zarr.zip"])
def test_pixel_sizes_of_other_writers(name, caplog):
    caplog.set_level(logging.INFO)
    for one in find_image_sets(DATA / name, pixel_size=0.5):
        assert {source.level for source in one.channels.values()} == {0}
    assert "level 0, with pixels of 0.5 micrometers" in caplog.text


def test_a_plate_in_a_zip_has_the_name_of_the_file():
    assert {one.metadata["Plate"] for one in find_image_sets(DATA / "iohub-0.3.11.zarr.zip")} == {"iohub-0.3.11"}


def test_a_folder_in_a_zip(tmp_path):
    unpacked(tmp_path / "inside", "ngio-1.1.3.zarr.zip")
    shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "inside")
    (found,) = find_image_sets(tmp_path / "a.zarr.zip")
    assert np.array_equal(read_channels(found, ["DNA", "GFP"]), np.load(DATA / "image.npy"))


@pytest.mark.parametrize("name", ["iohub-0.3.11.zarr.zip", "ngff-zarr-0.50.0.ozx"])
def test_a_zip_in_a_store(bucket, name):
    address = put(bucket / "plates" / name, DATA / name)
    channels, objects = WRITTEN[name]
    sets = find_image_sets(str(address))
    assert [next(iter(one.labels), None) for one in sets] == objects
    for one in pickle.loads(pickle.dumps(sets)):
        assert np.array_equal(read_channels(one, channels), np.load(DATA / "image.npy"))
    broken = bucket / f"broken{name[-4:]}" if name.endswith(".ozx") else bucket / "broken.zarr.zip"
    upload_text(broken, "PK")
    with pytest.raises(InputError, match=r"s3://.*broken.* is damaged: it is no zip file"):
        find_image_sets(str(broken))


def test_zip_files_that_hold_no_ome_zarr(tmp_path):
    (tmp_path / "a.ozx").write_bytes(b"PK")
    with pytest.raises(InputError, match=r"a\.ozx' is damaged: it is no zip file"):
        find_image_sets(tmp_path / "a.ozx")
    (tmp_path / "other" / "folder").mkdir(parents=True)
    (tmp_path / "other" / "folder" / "a.txt").write_text("a")
    shutil.make_archive(str(tmp_path / "b.zarr"), "zip", tmp_path / "other")
    with pytest.raises(InputError, match=r"b\.zarr\.zip' holds no OME-Zarr, neither at its top nor in its only folder"):
        find_image_sets(tmp_path / "b.zarr.zip")


def test_channels_that_share_a_name_are_named(tmp_path, caplog):
    find_image_sets(unpacked(tmp_path, "bioio-ome-zarr-3.8.1.zarr.zip"))
    assert "channels share a name (AF488, AF488): they are AF488_1, AF488_2" in caplog.text


def test_labels_whose_list_another_program_emptied(tmp_path):
    folder = unpacked(tmp_path, "ngio-1.1.3.zarr.zip")
    (folder / "labels" / ".zattrs").write_text('{"labels": []}')
    (found,) = find_image_sets(folder)
    assert np.array_equal(read_labels(found.labels["nuclei"], "nuclei", (32, 48)), np.load(DATA / "labels.npy"))


@pytest.mark.parametrize("place", ["", "images/field", "labels/nuclei"])
def test_spatialdata_is_refused_by_name(tmp_path, place):
    folder = unpacked(tmp_path, "spatialdata-0.8.0.zarr.zip")
    with pytest.raises(InputError, match="a SpatialData folder, which keeps images and labels apart"):
        find_image_sets(folder / place)

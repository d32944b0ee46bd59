"""Find and read image sets in an object store, on a real S3 server of this machine, and by HTTP."""

import numpy as np
import pytest
import tifffile
from stores import http_server, put, upload_text, write_screen_of_five

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_channels, read_plane


@pytest.fixture
def screen(tmp_path):
    """A LoadData CSV of five image sets on the disk, the third of which lacks a file."""
    return write_screen_of_five(tmp_path / "screen")


def test_load_data_with_addresses(tmp_path, screen, bucket):
    put(bucket / "deep" / "images", screen.parent)
    address = f"{bucket}deep/images"
    content = (
        "FileName_DNA,PathName_DNA,URL_GFP,ObjectsURL_Nuclei\n"
        f"DNA1.tif,{address},{address}/GFP0.tif,{address}/labels.tif\n"
    )
    (tmp_path / "local.csv").write_text(content)
    upload_text(bucket / "deep" / "csv" / "LoadData.csv", content.replace(address, "../images"))
    expected = [tifffile.imread(screen.with_name(name)) for name in ("DNA1.tif", "GFP0.tif", "labels.tif")]
    for path in (tmp_path / "local.csv", bucket / "deep" / "csv" / "LoadData.csv"):
        (found,) = find_image_sets(path)
        planes = [read_plane(source, "") for source in (*found.channels.values(), *found.labels.values())]
        assert all(np.array_equal(*pair) for pair in zip(planes, expected, strict=True))
    upload_text(bucket / "absolute.csv", f"FileName_DNA,PathName_DNA\nDNA1.tif,{screen.parent}\n")
    (found,) = find_image_sets(bucket / "absolute.csv")
    assert found.channels["DNA"].path == screen.with_name("DNA1.tif")


def test_folders_images_and_labels_by_their_address(tmp_path, bucket):
    stack = np.random.default_rng(0).integers(0, 999, (2, 700, 900), np.uint16)
    names = {"axes": "CYX", "Channel": {"Name": ["DNA", "ER"]}}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, ome=True, metadata=names)
    put(bucket / "single" / "a.ome.tif", tmp_path / "a.ome.tif")
    for channel in range(2):
        tifffile.imwrite(tmp_path / "plane.tif", stack[channel])
        put(bucket / "plate" / "P1" / f"A01_s1_{['DNA', 'ER'][channel]}.tif", tmp_path / "plane.tif")
    labels = np.zeros((700, 900), np.uint16)
    labels[:9, :9] = 3
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    put(bucket / "labels" / "A01_s1_DNA_labels.tif", tmp_path / "labels.tif")
    found = [
        find_image_sets(bucket / "single")[0],
        find_image_sets(f"{bucket}single/a.ome.tif")[0],
        find_image_sets(bucket / "plate", "{Plate}/{Well}_s{Site}_{Channel}.tif", bucket / "labels")[0],
    ]
    for one in found:
        assert np.array_equal(read_channels(one, ["DNA", "ER"]), stack)
    assert found[2].metadata == {"Plate": "P1", "Well": "A01", "Site": 1}
    assert np.array_equal(read_plane(found[2].labels["Nuclei"], "Nuclei"), labels)
    with pytest.raises(InputError, match=r"fits the `pattern` .*; one of its files: 'a\.ome\.tif'"):
        find_image_sets(bucket / "single", "{Well}_{Channel}.png")
    upload_text(bucket / "a.npz", "")
    with pytest.raises(InputError, match=r"\.npz files are read from a disk only: copy it"):
        find_image_sets(bucket / "a.npz")


def test_images_by_http(tmp_path, screen, s3_server):
    with http_server(screen.parent) as address:
        (tmp_path / "a.csv").write_text(f"URL_DNA\n{address}/DNA1.tif\n{address}/none.tif\n")
        found, missing = find_image_sets(tmp_path / "a.csv")
        assert np.array_equal(read_channels(found, ["DNA"])[0], tifffile.imread(screen.with_name("DNA1.tif")))
        with pytest.raises(ImageError, match="there is no such file"):
            read_channels(missing, ["DNA"])

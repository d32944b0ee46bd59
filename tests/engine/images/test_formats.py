"""Read image files of every format."""

import numpy as np
import pytest
from image_files import GRAY, PLANE, PLANES, RGB, write
from PIL import Image

from microsnoop_engine.images.formats import read_planes
from microsnoop_engine.images.image_set import PlaneSource, Position
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.planes import read_plane


def channel_names(path):
    (image_set,) = find_image_sets(path)
    return list(image_set.channels)


TIFFS = {
    "plain": (PLANE, {}),
    "zlib": (PLANE, {"compression": "zlib"}),
    "lzw": (PLANE, {"compression": "lzw", "predictor": True}),
    "tiled": (PLANE, {"tile": (16, 16)}),
    "strips": (PLANE, {"rowsperstrip": 7}),
    "big-endian": (PLANE, {"byteorder": ">"}),
    "bigtiff": (PLANE, {"bigtiff": True}),
    "imagej": (PLANE, {"imagej": True}),
    "float": (PLANE.astype(np.float32) / 7, {}),
    "int8": (PLANE.astype(np.int8), {}),
    "one row": (PLANE[:1], {}),
    "one pixel": (PLANE[:1, :1], {}),
    "one plane of a stack": (PLANE[None, None], {"metadata": {"axes": "ZCYX"}, "ome": True}),
}


@pytest.mark.parametrize("kind", TIFFS)
def test_tiff_of_one_plane(tmp_path, kind):
    array, options = TIFFS[kind]
    path = write(tmp_path / "a.tif", array, **options)
    assert channel_names(path) == ["Image"]
    plane = read_plane(PlaneSource(path), "DNA")
    assert plane.dtype == array.dtype
    assert np.array_equal(plane, array.reshape(array.shape[-2:]))


MULTI = {
    "axes": ({"photometric": "minisblack", "metadata": {"axes": "CYX"}}, ["C1", "C2", "C3"]),
    "samples": ({"photometric": "minisblack", "planarconfig": "separate"}, ["C1", "C2", "C3"]),
    "imagej": (
        {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["DNA", "ER", "Actin"]}},
        ["DNA", "ER", "Actin"],
    ),
    "imagej without labels": ({"imagej": True, "metadata": {"axes": "CYX"}}, ["C1", "C2", "C3"]),
    "ome": ({"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["DNA", "ER", "µm"]}}}, ["DNA", "ER", "µm"]),
    "ome without names": ({"ome": True, "metadata": {"axes": "CYX"}}, ["C1", "C2", "C3"]),
    "ome with a name twice": (
        {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["A", "B", "A"]}}},
        ["A_1", "B", "A_2"],
    ),
}


@pytest.mark.parametrize("kind", MULTI)
def test_tiff_of_several_channels(tmp_path, kind):
    options, names = MULTI[kind]
    path = write(tmp_path / "a.tif", PLANES, **options)
    assert channel_names(path) == names
    assert np.array_equal(read_planes(path), PLANES)
    for index in range(3):
        source = PlaneSource(path, position=Position(channel=index))
        assert np.array_equal(read_plane(source, "DNA"), PLANES[index])


def test_stack_in_depth_plane_by_plane(tmp_path):
    path = write(tmp_path / "a.tif", PLANES, imagej=True, metadata={"axes": "ZYX"})
    assert channel_names(path) == ["Image"]
    assert np.array_equal(read_plane(PlaneSource(path, 2), "DNA"), PLANES[2])


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif"])
def test_colors(tmp_path, suffix):
    options = {"photometric": "rgb"} if suffix == "tif" else {"lossless": True} if suffix == "webp" else {}
    path = write(tmp_path / f"a.{suffix}", RGB, **options)
    assert channel_names(path) == ["Red", "Green", "Blue"]
    for index in range(3):
        assert np.array_equal(read_plane(PlaneSource(path, position=Position(color=index)), "Red"), RGB[..., index])


@pytest.mark.parametrize("array", [GRAY, PLANE])
def test_gray_png(tmp_path, array):
    path = write(tmp_path / "a.PNG", array)
    assert channel_names(path) == ["Image"]
    assert np.array_equal(read_plane(PlaneSource(path), "DNA"), array)


def test_transparency_is_left_out(tmp_path):
    alpha = np.where(GRAY > 99, 255, 0).astype(np.uint8)
    Image.fromarray(np.dstack([RGB, alpha])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([GRAY, alpha])).save(tmp_path / "la.png")
    assert np.array_equal(read_planes(tmp_path / "rgba.png"), np.moveaxis(RGB, -1, 0))
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "la.png"), "DNA"), GRAY)


def test_gif(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.gif")
    (image_set,) = find_image_sets(tmp_path / "a.gif")
    for source in image_set.channels.values():
        assert np.array_equal(read_plane(source, "Green"), GRAY)

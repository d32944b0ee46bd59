"""Read image files of every format."""

import numpy as np
import pytest
from image_files import GRAY, PLANE, PLANES, RGB, text, write
from PIL import Image

from microsnoop_engine.errors import ImageError, MissingExtraError
from microsnoop_engine.images.formats import channel_names, read_array
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.planes import read_plane

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
    assert channel_names(path) == []
    plane = read_plane(PlaneSource(path), "DNA")
    assert plane.dtype == array.dtype
    assert np.array_equal(plane, array.reshape(array.shape[-2:]))


MULTI = {
    "pages": ({"photometric": "minisblack"}, ["C1", "C2", "C3"]),
    "imagej": (
        {"imagej": True, "metadata": {"axes": "CYX", "Labels": ["DNA", "ER", "Actin"]}},
        ["DNA", "ER", "Actin"],
    ),
    "imagej without labels": ({"imagej": True, "metadata": {"axes": "CYX"}}, ["C1", "C2", "C3"]),
    "ome": ({"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["DNA", "ER", "µm"]}}}, ["DNA", "ER", "µm"]),
    "ome without names": ({"ome": True, "metadata": {"axes": "CYX"}}, ["C1", "C2", "C3"]),
    "ome with a name twice": (
        {"ome": True, "metadata": {"axes": "CYX", "Channel": {"Name": ["A", "B", "A"]}}},
        ["C1", "C2", "C3"],
    ),
}


@pytest.mark.parametrize("kind", MULTI)
def test_tiff_of_several_channels(tmp_path, kind):
    options, names = MULTI[kind]
    path = write(tmp_path / "a.tif", PLANES, **options)
    assert channel_names(path) == names
    assert np.array_equal(read_array(path), PLANES)
    for index in range(3):
        assert np.array_equal(read_plane(PlaneSource(path, index), "DNA"), PLANES[index])


def test_stack_in_depth_plane_by_plane(tmp_path):
    path = write(tmp_path / "a.tif", PLANES, imagej=True, metadata={"axes": "ZYX"})
    assert channel_names(path) == []
    assert np.array_equal(read_plane(PlaneSource(path, 2), "DNA"), PLANES[2])


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "tif"])
def test_colors(tmp_path, suffix):
    options = {"photometric": "rgb"} if suffix == "tif" else {"lossless": True} if suffix == "webp" else {}
    path = write(tmp_path / f"a.{suffix}", RGB, **options)
    assert channel_names(path) == ["Red", "Green", "Blue"]
    for index in range(3):
        assert np.array_equal(read_plane(PlaneSource(path, index), "Red"), RGB[..., index])


@pytest.mark.parametrize("array", [GRAY, PLANE])
def test_gray_png(tmp_path, array):
    path = write(tmp_path / "a.PNG", array)
    assert channel_names(path) == []
    assert np.array_equal(read_plane(PlaneSource(path), "DNA"), array)


def test_transparency_is_left_out(tmp_path):
    Image.fromarray(np.dstack([RGB, GRAY])).save(tmp_path / "rgba.png")
    Image.fromarray(np.dstack([GRAY, GRAY])).save(tmp_path / "la.png")
    assert np.array_equal(read_array(tmp_path / "rgba.png"), np.moveaxis(RGB, -1, 0))
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "la.png"), "DNA"), GRAY)


def test_gif(tmp_path):
    Image.fromarray(GRAY).save(tmp_path / "a.gif")
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "a.gif", 1), "Green"), GRAY)


def test_vendor_format_without_its_reader(tmp_path):
    try:
        import bioio  # noqa: F401
    except ImportError:
        text(tmp_path / "a.czi")
        with pytest.raises(MissingExtraError, match=r"reading 'a.czi' needs the package 'bioio': pip install \"micro"):
            read_plane(PlaneSource(tmp_path / "a.czi"), "DNA")
    else:
        with pytest.raises(ImageError, match="cannot be read"):
            read_plane(PlaneSource(text(tmp_path / "a.czi")), "DNA")

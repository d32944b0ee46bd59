"""Pixels and labels from files of many kinds, and what is said of files that are damaged or of the wrong kind."""

import subprocess
import sys

import imageio.v3 as imageio
import numpy as np
import pytest
import tifffile
from PIL import Image

from microsnoop_engine.errors import ImageError, MissingExtraError
from microsnoop_engine.images.formats import channel_names, read_array
from microsnoop_engine.images.image_set import ImageSet, PlaneSource
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_channels, read_plane

RNG = np.random.default_rng(0)
PLANES = RNG.integers(0, 60000, (3, 40, 50), np.uint16)
PLANE = PLANES[0]
GRAY = RNG.integers(0, 255, (40, 50), np.uint8)
RGB = RNG.integers(0, 255, (40, 50, 3), np.uint8)
LABELS = RNG.integers(0, 9, (40, 50), np.uint16)


def write(path, array, **options):
    """An image file, by the library that is at home with its kind."""
    if path.suffix == ".tif":
        tifffile.imwrite(path, array, **options)
    else:
        imageio.imwrite(path, array, **options)
    return path


def image_set(**planes):
    return ImageSet(1, {name: PlaneSource(path) for name, path in planes.items()})


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


def test_npz_rows(tmp_path):
    stack = RNG.random((4, 2, 5, 6))
    np.savez(tmp_path / "a.npz", images=stack, masks=LABELS[None])
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "a.npz", 1, 3), "GFP"), stack[3, 1])
    assert np.array_equal(read_labels(PlaneSource(tmp_path / "a.npz", None, 0, "masks"), "Nuclei", (40, 50)), LABELS)


def test_npz_that_changes_is_read_anew(tmp_path):
    import os

    for number in (1, 2):
        np.savez(tmp_path / "a.npz", images=np.full((1, 3, 3), number))
        os.utime(tmp_path / "a.npz", (number, number))
        assert read_plane(PlaneSource(tmp_path / "a.npz", None, 0), "DNA")[0, 0] == number


def test_read_channels_in_the_order_asked_for(tmp_path):
    paths = {name: write(tmp_path / f"{name}.tif", plane) for name, plane in zip("abc", PLANES, strict=True)}
    assert np.array_equal(read_channels(image_set(**paths), ["c", "a"]), PLANES[[2, 0]])


def test_read_channels_of_different_types(tmp_path):
    a, b = write(tmp_path / "a.tif", GRAY), write(tmp_path / "b.tif", PLANE)
    both = read_channels(image_set(a=a, b=b), ["a", "b"])
    assert np.array_equal(both[0], GRAY)
    assert np.array_equal(both[1], PLANE)


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_labels_of_every_type(tmp_path, kind):
    path = write(tmp_path / "a.tif", LABELS.astype(kind))
    labels = read_labels(PlaneSource(path), "Nuclei", (40, 50))
    assert labels.dtype.kind in "ui"
    assert np.array_equal(labels, LABELS)


def test_labels_without_objects(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((40, 50), np.uint8))
    assert not read_labels(PlaneSource(path), "Nuclei", (40, 50)).any()


# what cannot be used, and what is said of it


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def damage(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 200] = bytes(200)
    path.write_bytes(data)
    return path


def text(path):
    path.write_text("hello, I am a text")
    return path


def animation(path):
    Image.fromarray(RGB).save(path, save_all=True, append_images=[Image.fromarray(RGB[::-1])])
    return path


def archive(path, **arrays):
    np.savez(path, **arrays)
    return path


Z_STACK = {"imagej": True, "metadata": {"axes": "ZYX"}}
BAD_PLANES = {
    "missing file": (lambda d: PlaneSource(d / "a.tif"), "there is no such file"),
    "folder": (lambda d: PlaneSource(d), "there is no such file"),
    "empty file": (lambda d: PlaneSource(cut(write(d / "a.tif", PLANE), 0)), "cannot be read .*not a TIFF file"),
    "text called .tif": (
        lambda d: PlaneSource(text(d / "a.tif")),
        "cannot be read .*not a TIFF file.*damaged or incomplete",
    ),
    "text called .png": (lambda d: PlaneSource(text(d / "a.png")), "cannot be read .*: is it damaged or incomplete"),
    "truncated TIFF": (
        lambda d: PlaneSource(cut(write(d / "a.tif", PLANE), 0.6)),
        "is incomplete: 2[0-9]+ bytes of at least 4",
    ),
    "TIFF that lacks its last strip": (
        lambda d: PlaneSource(cut(write(d / "a.tif", PLANE, compression="zlib", tile=(16, 16)), 0.97)),
        "is incomplete",
    ),
    "TIFF cut within its second plane": (
        lambda d: PlaneSource(cut(write(d / "a.tif", PLANES, imagej=True, metadata={"axes": "CYX"}), 0.6), 1),
        "there is no plane 1",
    ),
    "damaged TIFF": (
        lambda d: PlaneSource(damage(write(d / "a.tif", PLANE, compression="zlib"))),
        "cannot be read .*damaged",
    ),
    "truncated PNG": (lambda d: PlaneSource(cut(write(d / "a.png", PLANE), 0.5)), "cannot be read .*truncated"),
    "truncated JPEG": (lambda d: PlaneSource(cut(write(d / "a.jpg", GRAY), 0.5)), "cannot be read .*truncated"),
    "complex numbers": (
        lambda d: PlaneSource(write(d / "a.tif", PLANE.astype(np.complex64))),
        "holds complex64 of shape",
    ),
    "text in an array": (
        lambda d: PlaneSource(archive(d / "a.npz", images=np.full((2, 4, 4), "x")), None, 0),
        "holds <U1",
    ),
    "volume in an array": (
        lambda d: PlaneSource(archive(d / "a.npz", images=np.zeros((1, 1, 1, 4, 4))), 0, 0),
        "holds float64",
    ),
    "row beyond the array": (
        lambda d: PlaneSource(archive(d / "a.npz", images=np.zeros((2, 4, 4))), None, 2),
        "cannot be read",
    ),
    "damaged npz": (lambda d: PlaneSource(damage(archive(d / "a.npz", images=PLANES)), None, 0), "cannot be read"),
    "Z-stack": (lambda d: PlaneSource(write(d / "a.tif", PLANES, **Z_STACK)), "is a stack with axes ZYX"),
    "Z-stack of channels": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES[None].repeat(2, 0), ome=True, metadata={"axes": "ZCYX"}), 0),
        "is a stack with axes ZCYX",
    ),
    "several planes": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, photometric="minisblack")),
        "has 3 planes or colors",
    ),
    "colors": (lambda d: PlaneSource(write(d / "a.png", RGB)), "has 3 planes or colors where one was expected"),
    "frame beyond the last": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, photometric="minisblack"), 3),
        "has planes 0 to 2: there is no plane 3",
    ),
    "frame of a single plane": (lambda d: PlaneSource(write(d / "a.tif", PLANE), 1), "there is no plane 1"),
    "animation": (lambda d: PlaneSource(animation(d / "a.gif")), "is an animation of 2 frames"),
}


@pytest.mark.parametrize("kind", BAD_PLANES)
def test_bad_plane(tmp_path, kind):
    make, message = BAD_PLANES[kind]
    source = make(tmp_path)
    with pytest.raises(ImageError, match=message) as caught:
        read_plane(source, "DNA")
    assert (caught.value.path, caught.value.channel) == (str(source.path), "DNA")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_pixels_that_are_not_finite(tmp_path, value):
    plane = PLANE.astype(np.float32)
    plane[3, 4:6] = value
    with pytest.raises(ImageError, match="2 of 2000 pixels are NaN or infinite") as caught:
        read_channels(image_set(DNA=write(tmp_path / "a.tif", plane)), ["DNA"])
    assert (caught.value.path, caught.value.channel) == (str(tmp_path / "a.tif"), "DNA")


def test_channels_of_different_sizes(tmp_path):
    a, b = write(tmp_path / "a.tif", PLANE), write(tmp_path / "b.tif", PLANE[:, :30])
    with pytest.raises(ImageError, match="is 30 x 40, but channel 'DNA' is 50 x 40: all channels") as caught:
        read_channels(image_set(DNA=a, GFP=b), ["DNA", "GFP"])
    assert (caught.value.path, caught.value.channel) == (str(b), "GFP")


def test_missing_channel(tmp_path):
    with pytest.raises(ImageError, match="channel 'RFP' is missing; there are DNA, GFP") as caught:
        read_channels(image_set(DNA=tmp_path, GFP=tmp_path), ["RFP"])
    assert caught.value.channel == "RFP"


BAD_LABELS = {
    "of another size": (LABELS[:, :20], "is 20 x 40, but the image is 50 x 40"),
    "fractions": (LABELS / 2, "does not hold whole numbers: give a label image, not intensities"),
    "NaN": (np.where(LABELS > 4, np.nan, LABELS), "does not hold whole numbers"),
    "negative": (LABELS.astype(np.int16) - 3, "holds negative numbers: 0 must be the background"),
    "negative floats": (LABELS - 3.0, "holds negative numbers"),
    "boolean": (LABELS > 4, "is a black-and-white mask: give a label image, in which every object has its own number"),
    "black and white": ((LABELS > 4).astype(np.uint8) * 255, "is a black-and-white mask"),
    "complex": (LABELS.astype(np.complex64), "holds complex64"),
    "colors": (RGB, "has 3 planes or colors"),
}


@pytest.mark.parametrize("kind", BAD_LABELS)
def test_bad_labels(tmp_path, kind):
    array, message = BAD_LABELS[kind]
    path = write(tmp_path / "a.tif", array)
    with pytest.raises(ImageError, match=message) as caught:
        read_labels(PlaneSource(path), "Nuclei", (40, 50))
    assert (caught.value.path, caught.value.channel) == (str(path), "Nuclei")


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


def test_npz_rows_are_read_without_the_whole_array_in_memory(tmp_path):
    images = np.zeros((200, 1, 512, 512), np.uint16)
    images[:, 0, 0, 0] = np.arange(200)
    np.savez_compressed(tmp_path / "a.npz", images=images)
    script = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from microsnoop_engine.images.image_set import PlaneSource\n"
        "from microsnoop_engine.images.planes import read_plane\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "for row in (5, 199, 0):\n"
        "    assert read_plane(PlaneSource(Path(sys.argv[1]), 0, row), 'DNA')[0, 0] == row\n"
        "print(peak() - before)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.npz"], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * (1 if sys.platform == "darwin" else 1024) < images.nbytes / 4

"""Read the planes and channels of image sets, and name the file and channel that cannot be used."""

import numpy as np
import pytest
from image_files import GRAY, PLANE, PLANES, RGB, animation, archive, cut, damage, image_set, text, write

from microsnoop_engine.errors import ImageError
from microsnoop_engine.images.image_set import PlaneSource, Position
from microsnoop_engine.images.planes import read_channels, read_plane


def test_read_channels_in_the_order_asked_for(tmp_path):
    paths = {name: write(tmp_path / f"{name}.tif", plane) for name, plane in zip("abc", PLANES, strict=True)}
    assert np.array_equal(read_channels(image_set(**paths), ["c", "a"]), PLANES[[2, 0]])


def test_read_channels_of_different_types(tmp_path):
    a, b = write(tmp_path / "a.tif", GRAY), write(tmp_path / "b.tif", PLANE)
    both = read_channels(image_set(a=a, b=b), ["a", "b"])
    assert np.array_equal(both[0], GRAY)
    assert np.array_equal(both[1], PLANE)


Z_STACK = {"imagej": True, "metadata": {"axes": "ZYX"}}
BAD_PLANES = {
    "missing file": (lambda d: PlaneSource(d / "a.tif"), "there is no such file"),
    "folder": (lambda d: PlaneSource(d), "there is no such file$"),
    "other capitals": (
        lambda d: PlaneSource(write(d / "A01.tif", PLANE).with_name("a01.TIF")),
        "there is no such file, but 'A01.tif': capitals count",
    ),
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
        "is incomplete: what follows its page 1 cannot be found",
    ),
    "damaged TIFF": (
        lambda d: PlaneSource(damage(write(d / "a.tif", PLANE, compression="zlib"))),
        "cannot be read .*damaged",
    ),
    "truncated PNG": (
        lambda d: PlaneSource(cut(write(d / "a.png", PLANE), 0.5)),
        "is incomplete: its [0-9]+ bytes lack the end",
    ),
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
    "Z-stack": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, **Z_STACK)),
        "is a stack of 3 planes in depth: choose `project`",
    ),
    "Z-stack of channels": (
        lambda d: PlaneSource(
            write(d / "a.tif", PLANES[None].repeat(2, 0), ome=True, metadata={"axes": "ZCYX"}),
            position=Position(channel=0),
        ),
        "is a stack of 2 planes in depth",
    ),
    "time series": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, imagej=True, metadata={"axes": "TYX"})),
        "is a series of 3 time points: choose `time`",
    ),
    "depth beyond the last": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, **Z_STACK), position=Position(plane=3)),
        "has planes 0 to 2: there is no plane 3",
    ),
    "axis of another kind": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, metadata={"axes": "HYX"}, photometric="minisblack")),
        r"has an axis 'H' \(lifetime\)",
    ),
    "two axes without a meaning": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES[None].repeat(2, 0), photometric="minisblack")),
        "holds 2 x 3 pages, and no metadata say what they are",
    ),
    "several planes": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, photometric="minisblack")),
        "holds 3 pages, and no metadata say what they are: choose `pages`",
    ),
    "several channels": (
        lambda d: PlaneSource(write(d / "a.tif", PLANES, imagej=True, metadata={"axes": "CYX"})),
        r"has 3 channels \(C1, C2, C3\) where one was expected",
    ),
    "colors": (lambda d: PlaneSource(write(d / "a.png", RGB)), r"is a color picture \(Red, Green, Blue\) where one"),
    "first frame of a color picture": (lambda d: PlaneSource(write(d / "a.png", RGB), 0), "is a color picture"),
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

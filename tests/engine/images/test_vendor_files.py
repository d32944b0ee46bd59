"""Read files of microscope makers, written by the makers' own library or by hand."""

import sys

import numpy as np
import pytest
from image_files import RNG, text
from lif_file import LifImage, write_lif
from nd2_file import write_nd2

from microsnoop_engine.errors import ImageError, MissingExtraError
from microsnoop_engine.images import bioio_files
from microsnoop_engine.images.file_image import PlaneNumber
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.pixel_sizes import pixel_sizes
from microsnoop_engine.images.planes import read_channels, read_plane
from microsnoop_engine.images.selection import PlaneSelection

STACK = RNG.integers(100, 60000, (2, 3, 3, 40, 50), np.uint16)
"""Scene, channel, depth, row, column."""


def pixels(image_set):
    return read_channels(image_set, list(image_set.channels))


@pytest.mark.parametrize(
    ("name", "module", "package", "extra"),
    [
        ("a.czi", "pylibCZIrw.czi", "bioio-czi", "czi"),
        ("a.nd2", "nd2", "bioio-nd2", "nd2"),
        ("a.lif", "liffile", "bioio-lif", "lif"),
        ("a.vsi", "bioio", "bioio-bioformats", "bioformats"),
    ],
)
def test_a_missing_reader_is_named(tmp_path, monkeypatch, name, module, package, extra):
    monkeypatch.setattr(bioio_files, "find_spec", lambda found: None)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=rf"reading '{name}' needs the package '{package}': .*\[{extra}\]"):
        read_plane(PlaneSource(text(tmp_path / name)), "DNA")


# ---- CZI


@pytest.fixture
def czi(tmp_path):
    library = pytest.importorskip("pylibCZIrw.czi")

    def write(planes, names=None, scale=1e-7, scale_y=None):
        path = tmp_path / "a.czi"
        with library.create_czi(str(path)) as file:
            for (scene, channel, depth), plane in planes.items():
                location = {} if scene is None else {"scene": scene, "location": (200 * scene, 0)}
                file.write(data=np.ascontiguousarray(plane), plane={"C": channel, "Z": depth}, **location)
            channel_names = dict(enumerate(names or []))
            file.write_metadata("a", channel_names=channel_names, scale_x=scale, scale_y=scale_y or scale)
        return path

    return write


def test_czi_channels_of_one_name(czi):
    path = czi({(None, c, 0): STACK[0, c, 0] for c in range(3)}, ["DAPI", "AF488", "AF488"])
    (image_set,) = find_image_sets(path)
    assert list(image_set.channels) == ["DAPI", "AF488_1", "AF488_2"]
    assert np.array_equal(pixels(image_set), STACK[0, :, 0])
    assert pixel_sizes([image_set]) == [pytest.approx(0.1)]


def test_czi_and_lif_of_pixels_that_are_no_squares(czi, tmp_path, caplog):
    pytest.importorskip("liffile")
    image = LifImage("A1", "YX", STACK[0, 0, 0], steps={"X": 0.1, "Y": 0.2})
    paths = [czi({(None, 0, 0): STACK[0, 0, 0]}, scale_y=2e-7), write_lif(tmp_path / "a.lif", [image])]
    for path in paths:
        caplog.clear()
        find_image_sets(path)
        assert f"such as '{path}' (0.1 wide, 0.2 high)" in caplog.text


def test_czi_channels_of_different_type(czi):
    small = (STACK[0, 0, 0] >> 8).astype(np.uint8)
    (image_set,) = find_image_sets(czi({(None, 0, 0): small, (None, 1, 0): STACK[0, 1, 0]}, ["TL", "GFP"]))
    assert np.array_equal(pixels(image_set), [small, STACK[0, 1, 0]])


def test_czi_colors(czi):
    rgb = RNG.integers(0, 256, (40, 50, 3), np.uint8)
    # the library writes blue, green, red
    (image_set,) = find_image_sets(czi({(None, 0, 0): rgb[..., ::-1]}))
    assert list(image_set.channels) == ["Red", "Green", "Blue"]
    assert np.array_equal(pixels(image_set), np.moveaxis(rgb, -1, 0))


@pytest.mark.parametrize("first", [0, 5])
def test_czi_scenes_and_depths(czi, first):
    every = {(s, c, first + z): STACK[s, c, z] for s in range(2) for c in range(3) for z in range(3)}
    path = czi(every, ["A", "B", "C"])
    sets = find_image_sets(path, selection=PlaneSelection(plane="all"))
    assert [(s.metadata["Series"], s.metadata["Plane"]) for s in sets] == [(s, z) for s in range(2) for z in range(3)]
    for image_set in sets:
        assert np.array_equal(pixels(image_set), STACK[image_set.metadata["Series"], :, image_set.metadata["Plane"]])
    projected = find_image_sets(path, selection=PlaneSelection(project="max"))
    assert np.array_equal(np.stack([pixels(s) for s in projected]), STACK.max(2))
    with pytest.raises(ImageError, match="is a stack of 3 planes in depth"):
        pixels(find_image_sets(path)[0])


@pytest.mark.parametrize(
    "place", [{"Shape": {"@Name": "D6", "ColumnIndex": "6", "RowIndex": "4"}}, {"ArrayName": "D6"}]
)
def test_czi_wells_of_scenes(czi, monkeypatch, place):
    # as ZEN writes them; the library writes no scenes into the metadata
    scenes = [{"@Index": "0", "@Name": "P1", **place}, {"@Index": "1", "@Name": "TR2"}]
    found = {"Information": {"Image": {"Dimensions": {"S": {"Scenes": {"Scene": scenes}}}}}}
    library = __import__("pylibCZIrw.czi").czi
    monkeypatch.setattr(library.CziReader, "metadata", {"ImageDocument": {"Metadata": found}})
    sets = find_image_sets(czi({(scene, 0, 0): STACK[scene, 0, 0] for scene in range(2)}))
    assert [(s.metadata["SeriesName"], s.metadata.get("Well")) for s in sets] == [("P1", "D06"), ("TR2", None)]


def test_czi_plane_that_was_not_acquired(czi):
    sets = find_image_sets(
        czi({(None, 0, 0): STACK[0, 0, 0], (None, 0, 1): STACK[0, 0, 1], (None, 1, 0): STACK[0, 1, 0]}),
        selection=PlaneSelection(plane="all"),
    )
    assert np.array_equal(pixels(sets[0]), STACK[0, :2, 0])
    with pytest.raises(ImageError, match="lacks channel 1 of depth 1, time 0: it was not acquired"):
        pixels(sets[1])


def test_czi_of_floats_is_not_called_damaged(czi):
    (image_set,) = find_image_sets(czi({(None, 0, 0): STACK[0, 0, 0].astype(np.float32)}))
    with pytest.raises(ImageError, match="holds pixels of type Gray32Float, which are not read: export it as OME-TIFF"):
        pixels(image_set)


def test_damaged_czi(tmp_path):
    pytest.importorskip("pylibCZIrw.czi")
    with pytest.raises(ImageError, match=r"cannot be read .*is it damaged or incomplete"):
        read_plane(PlaneSource(text(tmp_path / "a.czi")), "DNA")


# ---- LIF


def read_lif(path, *images):
    pytest.importorskip("liffile")
    return find_image_sets(write_lif(path / "a.lif", images), selection=PlaneSelection(plane="all", time="all"))


def test_lif_of_two_images_with_channels_of_one_name(tmp_path):
    luts = ("Gray", "Green", "Gray")
    # LAS X does not keep two images from having one name
    sets = read_lif(tmp_path, *(LifImage("A1", "CYX", scene[:, 0], luts) for scene in STACK))
    assert [list(s.channels) for s in sets] == [["Gray_1", "Green", "Gray_2"]] * 2
    assert [s.metadata["Series"] for s in sets] == [0, 1]
    assert np.array_equal(np.stack([pixels(s) for s in sets]), STACK[:, :, 0])
    assert pixel_sizes(sets) == [pytest.approx(0.2)] * 2


@pytest.mark.parametrize(
    ("luts", "expected"),
    [
        (("Gray", "Green", "Gray"), ["Gray--FLUO--A4", "Green--FLUO--L5", "Gray--FLUO--TX2"]),
        # a filter of each color, but in another order than the channels
        (("Gray", "Green"), ["Gray--FLUO--A4", "Green--FLUO--L5"]),
    ],
)
def test_lif_names_each_channel_by_its_own_filter(tmp_path, luts, expected):
    image = LifImage("A1", "CYX", STACK[0, : len(luts), 0], luts, ("A4", "L5", "TX2"))
    (image_set,) = read_lif(tmp_path, image)
    assert list(image_set.channels) == expected


def test_lif_times_depths_and_tiles(tmp_path):
    array = RNG.integers(0, 60000, (2, 4, 3, 2, 20, 30), np.uint16)
    sets = read_lif(tmp_path, LifImage("TileScan 1", "TMZCYX", array, ("Blue", "Red")))
    # no tile stands for the field, and tiles that overlap are not joined by guess
    assert sorted({s.metadata["SeriesName"] for s in sets}) == [f"TileScan 1 tile {n}" for n in (1, 2, 3, 4)]
    assert len(sets) == 24
    for image_set in sets:
        time, tile, depth = (image_set.metadata[name] for name in ("Time", "Series", "Plane"))
        assert np.array_equal(pixels(image_set), array[time, tile, depth])


@pytest.mark.parametrize(("tags", "order"), [((1, 2, 3), [0, 1, 2]), ((3, 2, 1), [2, 1, 0])])
def test_lif_colors(tmp_path, tags, order):
    rgb = RNG.integers(0, 256, (40, 50, 3), np.uint8)
    (image_set,) = read_lif(tmp_path, LifImage("slide", "YXS", rgb, tags=tags))
    assert list(image_set.channels) == ["Red", "Green", "Blue"]
    assert np.array_equal(pixels(image_set), np.moveaxis(rgb, -1, 0)[order])


def test_lif_image_that_cannot_be_read_leaves_the_others(tmp_path):
    array = STACK[0, :, 0]
    sets = read_lif(
        tmp_path,
        LifImage("spectrum", "λYX", array),
        LifImage("section", "ZX", array[0]),
        LifImage("A1", "CYX", array, ("Gray", "Green", "Red")),
    )
    assert np.array_equal(pixels(sets[2]), array)
    reasons = ("has an axis 'emission wavelength' of length 3", "is a scan in X and Z")
    for image_set, reason in zip(sets, reasons, strict=False):
        with pytest.raises(ImageError, match=f"its image '{image_set.metadata['SeriesName']}' {reason}"):
            pixels(image_set)


def test_lif_that_was_cut(tmp_path):
    images = [LifImage(name, "YX", STACK[0, 0, 0]) for name in ("A1", "A2")]
    sets = read_lif(tmp_path, *images)
    path = tmp_path / "a.lif"
    path.write_bytes(path.read_bytes()[:-200])
    assert np.array_equal(pixels(sets[0])[0], STACK[0, 0, 0])
    with pytest.raises(ImageError, match="is incomplete: it ends before the last pixels"):
        pixels(sets[1])


# ---- ND2

ND2 = RNG.integers(1, 60000, (2, 3, 4, 2, 20, 30), np.uint16)
"""Time, position, depth, channel, row, column."""


def test_nd2_positions_times_and_depths(tmp_path):
    pytest.importorskip("nd2")
    path = write_nd2(tmp_path / "a.nd2", ND2, ["DAPI", "GFP"])
    sets = find_image_sets(path, selection=PlaneSelection(plane="all", time="all"))
    assert len(sets) == 24
    for image_set in sets:
        time, position, depth = (image_set.metadata[name] for name in ("Time", "Series", "Plane"))
        assert list(image_set.channels) == ["DAPI", "GFP"]
        assert np.array_equal(pixels(image_set), ND2[time, position, depth])
    assert pixel_sizes(sets) == [pytest.approx(0.325)] * 24
    projected = find_image_sets(path, selection=PlaneSelection(project="max", time=1))
    assert np.array_equal(np.stack([pixels(s) for s in projected]), ND2[1].max(1))
    with pytest.raises(ImageError, match="is a stack of 4 planes in depth: choose `project`"):
        pixels(find_image_sets(path)[0])


def test_nd2_of_one_plane_with_channels_of_one_name(tmp_path):
    pytest.importorskip("nd2")
    (image_set,) = find_image_sets(write_nd2(tmp_path / "a.nd2", ND2[:1, :1, :1], ["AF488", "AF488"]))
    assert list(image_set.channels) == ["AF488_1", "AF488_2"]
    assert np.array_equal(pixels(image_set), ND2[0, 0, 0])


def test_nd2_that_was_stopped_or_cut(tmp_path):
    pytest.importorskip("nd2")
    path = write_nd2(tmp_path / "a.nd2", ND2, ["DAPI", "GFP"], lost=[22, 23])
    sets = find_image_sets(path, selection=PlaneSelection(plane="all", time=1))
    assert np.array_equal(pixels(sets[-3]), ND2[1, 2, 1])
    for lost in sets[-2:]:
        with pytest.raises(ImageError, match=r"lacks depth \d, time 1 of position 2: it was not acquired, or is lost"):
            pixels(lost)
    path.write_bytes(path.read_bytes()[:-20])
    (image_set,) = find_image_sets(path)
    with pytest.raises(ImageError, match=r"cannot be read .*damaged or incomplete"):
        pixels(image_set)


def test_nd2_plane_of_zeros_that_was_acquired(tmp_path):
    pytest.importorskip("nd2")
    # as processing leaves them, above and below a specimen
    array = ND2[:1, :1].copy()
    array[0, 0, 3] = 0
    path = write_nd2(tmp_path / "a.nd2", array, ["DAPI", "GFP"])
    sets = find_image_sets(path, selection=PlaneSelection(plane="all"))
    assert np.array_equal(np.stack([pixels(s) for s in sets]), array[0, 0])


# ---- by BioIO


def test_a_file_that_bioio_reads(tmp_path):
    pytest.importorskip("bioio_nd2")
    # stands for the formats that need Java
    path = write_nd2(tmp_path / "a.nd2", ND2[:1, :, :1], ["AF488", "AF488"])
    with bioio_files.open_file(path, True) as file:
        assert [(image.channels, image.name) for image in file.images] == [
            (("AF488_1", "AF488_2"), f"P{n}") for n in range(3)
        ]
        for position in range(3):
            for channel in range(2):
                plane = file.read(position, PlaneNumber(channel), True)
                assert np.array_equal(plane, ND2[0, position, 0, channel])

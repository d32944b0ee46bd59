"""Read files of microscope makers, written by the makers' own library or by hand."""

import struct

import numpy as np
import pytest
from image_files import RNG, text
from nd2_file import write_nd2

from microsnoop_engine.errors import ImageError, MissingExtraError
from microsnoop_engine.images import bioio_files
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
        ("a.czi", "pylibCZIrw", "bioio-czi", "czi"),
        ("a.nd2", "bioio_nd2", "bioio-nd2", "nd2"),
        ("a.lif", "bioio_lif", "bioio-lif", "lif"),
        ("a.vsi", "bioio_bioformats", "bioio-bioformats", "bioformats"),
    ],
)
def test_a_missing_reader_is_named(tmp_path, monkeypatch, name, module, package, extra):
    monkeypatch.setattr(bioio_files, "find_spec", lambda found: None)
    monkeypatch.setitem(__import__("sys").modules, f"{module}.czi", None)
    with pytest.raises(MissingExtraError, match=rf"reading '{name}' needs the package '{package}': .*\[{extra}\]"):
        read_plane(PlaneSource(text(tmp_path / name)), "DNA")


# ---- CZI


@pytest.fixture
def czi(tmp_path):
    library = pytest.importorskip("pylibCZIrw.czi")

    def write(planes, names=None, scale=1e-7):
        path = tmp_path / "a.czi"
        with library.create_czi(str(path)) as file:
            for (scene, channel, depth), plane in planes.items():
                location = {} if scene is None else {"scene": scene, "location": (200 * scene, 0)}
                file.write(data=np.ascontiguousarray(plane), plane={"C": channel, "Z": depth}, **location)
            channel_names = dict(enumerate(names or []))
            file.write_metadata("a", channel_names=channel_names, scale_x=scale, scale_y=scale)
        return path

    return write


def test_czi_channels_of_one_name(czi):
    path = czi({(None, c, 0): STACK[0, c, 0] for c in range(3)}, ["DAPI", "AF488", "AF488"])
    (image_set,) = find_image_sets(path)
    assert list(image_set.channels) == ["DAPI", "AF488_1", "AF488_2"]
    assert np.array_equal(pixels(image_set), STACK[0, :, 0])
    assert pixel_sizes([image_set]) == [pytest.approx(0.1)]


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


def test_czi_plane_that_was_not_acquired(czi):
    sets = find_image_sets(
        czi({(None, 0, 0): STACK[0, 0, 0], (None, 0, 1): STACK[0, 0, 1], (None, 1, 0): STACK[0, 1, 0]}),
        selection=PlaneSelection(plane="all"),
    )
    assert np.array_equal(pixels(sets[0]), STACK[0, :2, 0])
    with pytest.raises(ImageError, match="lacks channel 1 of depth 1, time 0: it was not acquired"):
        pixels(sets[1])


def test_damaged_czi(tmp_path):
    pytest.importorskip("pylibCZIrw.czi")
    with pytest.raises(ImageError, match=r"cannot be read .*is it damaged or incomplete"):
        read_plane(PlaneSource(text(tmp_path / "a.czi")), "DNA")


# ---- LIF


def lif(path, luts):
    """Write a LIF file of two images with a channel for each lookup table."""

    def block(name, data):
        head = (
            b"\x2a" + struct.pack("<q", len(data)) + b"\x2a" + struct.pack("<i", len(name)) + name.encode("utf-16-le")
        )
        return struct.pack("<ii", 0x70, len(head)) + head + data

    elements, blocks = "", b""
    for scene in range(2):
        array = np.ascontiguousarray(STACK[scene, : len(luts), 0])
        channels = "".join(
            '<ChannelDescription DataType="0" ChannelTag="0" Resolution="16" NameOfMeasuredQuantity="" Min="0" '
            f'Max="65535" Unit="" LUTName="{lut}" IsLUTInverted="0" BytesInc="{c * array.strides[0]}" BitInc="0"/>'
            for c, lut in enumerate(luts)
        )
        dimensions = "".join(
            f'<DimensionDescription DimID="{n}" NumberOfElements="{count}" Origin="0" Length="{(count - 1) * 2e-7}" '
            f'Unit="m" BitInc="0" BytesInc="{step}"/>'
            for n, count, step in ((1, 50, 2), (2, 40, 100))
        )
        elements += (
            f'<Element Name="A{scene + 1}" Visibility="1" UniqueID="u{scene}"><Data><Image><ImageDescription><Channels>'
            f"{channels}</Channels><Dimensions>{dimensions}</Dimensions></ImageDescription></Image></Data>"
            f'<Memory Size="{array.nbytes}" MemoryBlockID="MemBlock_{scene}"/><Children/></Element>'
        )
        blocks += block(f"MemBlock_{scene}", array.tobytes())
    xml = (
        '<LMSDataContainerHeader Version="2"><Element Name="p" Visibility="1" UniqueID="u"><Memory Size="0" '
        f'MemoryBlockID="MemBlock_9"/><Children>{elements}</Children></Element></LMSDataContainerHeader>'
    )
    head = b"\x2a" + struct.pack("<i", len(xml)) + xml.encode("utf-16-le")
    path.write_bytes(struct.pack("<ii", 0x70, len(head)) + head + blocks + block("MemBlock_9", b""))
    return path


def test_lif_of_two_images_with_channels_of_one_name(tmp_path):
    pytest.importorskip("bioio_lif")
    sets = find_image_sets(lif(tmp_path / "a.lif", ("Gray", "Green", "Gray")))
    assert [list(s.channels) for s in sets] == [["Gray_1", "Green", "Gray_2"]] * 2
    assert [s.metadata["Series"] for s in sets] == [0, 1]
    assert np.array_equal(np.stack([pixels(s) for s in sets]), STACK[:, :, 0])
    assert pixel_sizes(sets) == [pytest.approx(0.2, rel=0.05)] * 2


# ---- ND2

ND2 = RNG.integers(1, 60000, (2, 3, 4, 2, 20, 30), np.uint16)
"""Time, position, depth, channel, row, column."""


def test_nd2_positions_times_and_depths(tmp_path):
    pytest.importorskip("bioio_nd2")
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
    pytest.importorskip("bioio_nd2")
    (image_set,) = find_image_sets(write_nd2(tmp_path / "a.nd2", ND2[:1, :1, :1], ["AF488", "AF488"]))
    assert list(image_set.channels) == ["AF488_1", "AF488_2"]
    assert np.array_equal(pixels(image_set), ND2[0, 0, 0])


def test_nd2_that_was_stopped_or_cut(tmp_path):
    pytest.importorskip("bioio_nd2")
    path = write_nd2(tmp_path / "a.nd2", ND2, ["DAPI", "GFP"], lost=[22, 23])
    sets = find_image_sets(path, selection=PlaneSelection(plane="all", time=1))
    assert np.array_equal(pixels(sets[-3]), ND2[1, 2, 1])
    for lost in sets[-2:]:
        with pytest.raises(ImageError, match="holds zeros alone: it was not acquired, or is lost"):
            pixels(lost)
    path.write_bytes(path.read_bytes()[:-20])
    (image_set,) = find_image_sets(path)
    with pytest.raises(ImageError, match=r"cannot be read .*damaged or incomplete"):
        pixels(image_set)

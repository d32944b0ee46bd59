"""Files that are TIFF inside (SVS, QPTIFF, SCN, NDPI, LSM, STK, BTF): the full image is read, by its true channels."""

import struct

import numpy as np
import pytest
import tifffile
from image_files import RNG
from tiff_bytes import FLOAT, LONG, RATIONAL, write_tiff

from microsnoop_engine.errors import ImageError
from microsnoop_engine.images.inputs import find_image_sets
from microsnoop_engine.images.pixel_sizes import pixel_sizes
from microsnoop_engine.images.planes import read_channels
from microsnoop_engine.images.selection import PlaneSelection

STACK = RNG.integers(0, 60000, (3, 64, 96), np.uint16)
COLORS = RNG.integers(0, 255, (64, 96, 3), np.uint8)
TILED = {"tile": (32, 32), "metadata": None}


def pixels(image_set):
    return read_channels(image_set, list(image_set.channels))


def smaller(array, step):
    return np.ascontiguousarray(array[::step, ::step])


def test_svs(tmp_path):
    """Aperio: the full image, a thumbnail, lower resolutions, then label and macro."""
    with tifffile.TiffWriter(tmp_path / "a.svs") as tiff:
        description = "Aperio Image Library v11\n96x64 [0,0 96x64] (32x32)|AppMag = 20|MPP = 0.4990"
        tiff.write(COLORS, photometric="rgb", description=description, **TILED)
        tiff.write(smaller(COLORS, 3), photometric="rgb", description="Aperio\n96x64 -> 32x22", metadata=None)
        tiff.write(smaller(COLORS, 2), photometric="rgb", description="Aperio\n96x64 -> 48x32", **TILED)
        tiff.write(COLORS[:20, :20], photometric="rgb", description="Aperio\nlabel 20x20", subfiletype=1, metadata=None)
        tiff.write(COLORS[:30, :40], photometric="rgb", description="Aperio\nmacro", subfiletype=9, metadata=None)
    (image_set,) = find_image_sets(tmp_path / "a.svs")
    assert list(image_set.channels) == ["Red", "Green", "Blue"]
    assert np.array_equal(pixels(image_set), np.moveaxis(COLORS, -1, 0))
    assert pixel_sizes([image_set]) == [pytest.approx(0.499)]


@pytest.mark.parametrize("pyramid", [True, False])
def test_qptiff(tmp_path, pyramid):
    """Akoya, PerkinElmer: a page for every channel, a thumbnail, lower resolutions, macro and label."""

    def description(kind, name=""):
        return (
            f"<?xml version='1.0' encoding='utf-8'?><PerkinElmer-QPI-ImageDescription><ImageType>{kind}</ImageType>"
            f"<Name>{name}</Name></PerkinElmer-QPI-ImageDescription>"
        )

    names = ["DAPI", "Opal 520", "Opal 690"]
    options = {"software": "PerkinElmer-QPI", "resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(tmp_path / "a.qptiff") as tiff:
        for plane, name in zip(STACK, names, strict=True):
            tiff.write(plane, description=description("FullResolution", name), **options, **TILED)
        if pyramid:
            tiff.write(COLORS[:16, :24], photometric="rgb", description=description("Thumbnail"), metadata=None)
            for plane, name in zip(STACK, names, strict=True):
                tiff.write(smaller(plane, 2), description=description("ReducedResolution", name), **TILED)
            tiff.write(COLORS[:30, :40], photometric="rgb", description=description("Overview"), metadata=None)
            tiff.write(COLORS[:20, :20], photometric="rgb", description=description("Label"), metadata=None)
    (image_set,) = find_image_sets(tmp_path / "a.qptiff")
    assert list(image_set.channels) == names
    assert np.array_equal(pixels(image_set), STACK)
    assert pixel_sizes([image_set]) == [pytest.approx(0.5)]


def test_scn(tmp_path):
    """Leica: an overview of the slide, then the scan, each with its resolutions and channels."""

    def image(name, pages, size):
        dimensions = "".join(
            f'<dimension sizeX="{size[1]}" sizeY="{size[0]}" c="{c}" r="{r}" z="0" ifd="{ifd}"/>' for ifd, r, c in pages
        )
        return f'<image name="{name}"><pixels sizeX="{size[1]}" sizeY="{size[0]}">{dimensions}</pixels></image>'

    scan = [(1 + 3 * r + c, r, c) for r in range(2) for c in range(3)]
    xml = (
        '<?xml version="1.0"?><scn xmlns="http://www.leica-microsystems.com/scn/2010/10/01"><collection name="s">'
        f"{image('macro', [(0, 0, 0)], (30, 40))}{image('scan', scan, STACK[0].shape)}</collection></scn>"
    )
    with tifffile.TiffWriter(tmp_path / "a.scn", bigtiff=True) as tiff:
        tiff.write(COLORS[:30, :40], photometric="rgb", description=xml, metadata=None)
        for step in (1, 2):
            for plane in STACK:
                tiff.write(smaller(plane, step), **TILED)
    (image_set,) = find_image_sets(tmp_path / "a.scn")
    assert len(image_set.channels) == 3
    assert np.array_equal(pixels(image_set), STACK)


@pytest.mark.parametrize("depths", [1, 3])
def test_ndpi(tmp_path, depths):
    """Hamamatsu: focal planes of every resolution, macro and map, in directories of 64 bit."""

    def page(array, magnification, focus=0):
        tags = {
            271: (2, 10, b"Hamamatsu\0"),
            65420: (LONG, 1, struct.pack("<I", 1)),
            65421: (FLOAT, 1, struct.pack("<f", magnification)),
            65424: (LONG, 1, struct.pack("<I", focus)),
        }
        return [array], tags

    planes = [np.roll(COLORS, n, 0) for n in range(depths)]
    pages = [page(plane, 20.0, 1000 * n) for n, plane in enumerate(planes)]
    pages += [page(smaller(plane, 2), 10.0, 1000 * n) for n, plane in enumerate(planes)]
    pages += [page(COLORS[:30, :40], -1.0), page(COLORS[:20, :30, 0], -2.0)]
    write_tiff(tmp_path / "a.ndpi", pages, wide=True)
    sets = find_image_sets(tmp_path / "a.ndpi", selection=PlaneSelection(plane="all"))
    assert len(sets) == depths
    for image_set, plane in zip(sets, planes, strict=True):
        assert list(image_set.channels) == ["Red", "Green", "Blue"]
        assert np.array_equal(pixels(image_set), np.moveaxis(plane, -1, 0))


@pytest.mark.parametrize(("depth", "name"), [(True, "Plane"), (False, "Time")])
def test_stk(tmp_path, depth, name):
    """MetaMorph: one directory, the planes one after the other."""
    uic2 = b"".join(struct.pack("<6I", 5 * depth, 10, 2459000, 1000 * n, 0, 0) for n in range(3))
    tags = {
        # one directory for all planes, which lie behind the first
        273: (LONG, 1, struct.pack("<I", 8)),
        279: (LONG, 1, struct.pack("<I", STACK[0].nbytes)),
        33628: (LONG, 1, struct.pack("<2I", 0, 1)),
        33629: (RATIONAL, 3, uic2),
        33630: (RATIONAL, 3, struct.pack("<2I", 525, 1) * 3),
    }
    write_tiff(tmp_path / "a.stk", [(list(STACK), tags)])
    selection = PlaneSelection(plane="all") if depth else PlaneSelection(time="all")
    sets = find_image_sets(tmp_path / "a.stk", selection=selection)
    assert [each.metadata[name] for each in sets] == [0, 1, 2]
    assert np.array_equal(np.concatenate([pixels(each) for each in sets]), STACK)
    with pytest.raises(ImageError, match="stack of 3 planes in depth" if depth else "series of 3 time points"):
        pixels(find_image_sets(tmp_path / "a.stk")[0])


@pytest.mark.parametrize("depths", [1, 2])
def test_lsm(tmp_path, depths):
    """Zeiss: every image is followed by its thumbnail; channels are strips of a page."""
    volume = np.stack([STACK, STACK[::-1]])[:depths]
    info = struct.pack(
        "<Ii6i2i6dH", 0x0400494C, 512, 96, 64, depths, 3, 1, 2, 12, 8, 2e-7, 2e-7, 1e-6, 0.0, 0.0, 0.0, 0
    ).ljust(512, b"\0")
    pages = []
    for n, channels in enumerate(volume):
        tags = {"samples": 3, 254: (LONG, 1, bytes(4))}
        if n == 0:
            tags[34412] = (1, len(info), info)
        pages.append((list(channels), tags))
        pages.append(([COLORS[:8, :12]], {254: (LONG, 1, struct.pack("<I", 1))}))
    write_tiff(tmp_path / "a.lsm", pages)
    sets = find_image_sets(tmp_path / "a.lsm", selection=PlaneSelection(plane="all"))
    assert len(sets) == depths
    for image_set, channels in zip(sets, volume, strict=True):
        assert len(image_set.channels) == 3
        assert np.array_equal(pixels(image_set), channels)
    assert pixel_sizes(sets) == [pytest.approx(0.2)] * depths


def test_btf(tmp_path):
    """A TIFF of 64 bit, with pages that no metadata explain."""
    with tifffile.TiffWriter(tmp_path / "a.btf", bigtiff=True) as tiff:
        for plane in STACK:
            tiff.write(plane, metadata=None, contiguous=False)
    (image_set,) = find_image_sets(tmp_path / "a.btf")
    with pytest.raises(ImageError, match="holds 3 pages, and no metadata say what they are: choose `pages`"):
        pixels(image_set)
    (image_set,) = find_image_sets(tmp_path / "a.btf", selection=PlaneSelection(pages="channels"))
    assert np.array_equal(pixels(image_set), STACK)

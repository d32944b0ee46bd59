"""Read pixels as they are meant: all bits, upright, not inverted, corrected; and pixel sizes."""

import struct
import zlib

import numpy as np
import pytest
import tifffile
from image_files import GRAY, LABELS, PLANE, PLANES, RGB, RNG
from PIL import Image

from microsnoop_engine.errors import ImageError, InputError
from microsnoop_engine.images.image_set import ImageSet, PlaneSource, Position
from microsnoop_engine.images.image_set_file import read_image_sets, write_image_sets
from microsnoop_engine.images.inputs import find_image_sets, find_inputs
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.orientation import upright
from microsnoop_engine.images.pixel_sizes import pixel_sizes
from microsnoop_engine.images.planes import read_channels, read_plane
from microsnoop_engine.images.reading_options import ReadingOptions


def png(path, array, color_type, chunks=()):
    """Write a PNG of 16 bits by hand, which Pillow cannot do for colors."""
    data = array.astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in data)

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", array.shape[1], array.shape[0], 16, color_type, 0, 0, 0)
    body = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*each) for each in body))
    return path


@pytest.mark.parametrize(("color_type", "samples"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_of_16_bits(tmp_path, color_type, samples):
    array = RNG.integers(0, 65536, (20, 30, samples), np.uint16)
    if color_type > 2:
        array[..., -1] = 65535
    (image_set,) = find_image_sets(png(tmp_path / "a.png", array, color_type))
    assert list(image_set.channels) == (["Image"] if samples < 3 else ["Red", "Green", "Blue"])
    planes = read_channels(image_set, list(image_set.channels))
    assert np.array_equal(planes, np.moveaxis(array[..., : 1 if samples < 3 else 3], -1, 0))


ORIENTED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.T,
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).T,
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", ORIENTED)
@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp"])
def test_orientation(tmp_path, suffix, orientation):
    path = tmp_path / f"a.{suffix}"
    exif = Image.Exif()
    exif[0x112] = orientation
    if suffix == "tif":
        tifffile.imwrite(path, GRAY, extratags=[(274, 3, 1, orientation, True)])
    elif suffix == "webp":
        Image.fromarray(RGB).save(path, exif=exif, lossless=True)
    else:
        Image.fromarray(GRAY).save(path, exif=exif, **({"quality": 100} if suffix == "jpg" else {}))
    stored = RGB[..., 1] if suffix == "webp" else np.asarray(Image.open(path)) if suffix == "jpg" else GRAY
    plane = read_plane(PlaneSource(path, position=Position(color=1 if suffix == "webp" else None)), "DNA")
    assert np.array_equal(plane, ORIENTED[orientation](stored))
    assert np.array_equal(upright(RGB, 9), RGB)
    if suffix == "png":
        Image.fromarray(LABELS.astype(np.uint8)).save(path, exif=exif)
    elif suffix == "tif":
        tifffile.imwrite(path, LABELS, extratags=[(274, 3, 1, orientation, True)])
    else:
        return
    labels = ORIENTED[orientation](LABELS)
    assert np.array_equal(read_labels(PlaneSource(path), "Nuclei", labels.shape), labels)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "int16", "float32"])
def test_min_is_white(tmp_path, dtype):
    shown = RNG.integers(0, 100, (20, 30)).astype(dtype)
    stored = {"u": lambda a: np.iinfo(a.dtype).max - a, "i": lambda a: -1 - a, "f": lambda a: 99 - a}[shown.dtype.kind](
        shown
    )
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="miniswhite")
    plane = read_plane(PlaneSource(tmp_path / "a.tif"), "DNA").astype(float)
    assert plane.std() > 0
    assert np.array_equal(plane - plane.min(), shown.astype(float) - shown.min())


def test_labels_are_not_inverted(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", LABELS, photometric="miniswhite")
    assert np.array_equal(read_labels(PlaneSource(tmp_path / "a.tif"), "Nuclei", LABELS.shape), LABELS)


@pytest.mark.parametrize("count", [2, 4, 5])
def test_alpha_of_a_tiff(tmp_path, count):
    array = RNG.integers(0, 255, (20, 30, count), np.uint8)
    if count < 5:
        array[..., -1] = np.where(array[..., 0] > 50, 255, 0)
    photometric = "rgb" if count == 4 else "minisblack"
    extra = ["unassalpha"] if count < 5 else None
    tifffile.imwrite(tmp_path / "a.tif", array, photometric=photometric, extrasamples=extra, planarconfig="contig")
    (image_set,) = find_image_sets(tmp_path / "a.tif")
    kept = {2: 1, 4: 3, 5: 5}[count]
    assert len(image_set.channels) == kept
    assert np.array_equal(read_channels(image_set, list(image_set.channels)), np.moveaxis(array, -1, 0)[:kept])


FOUR = RNG.integers(0, 4000, (4, 20, 30), np.uint16)


def test_four_planes_that_a_library_called_colors(tmp_path):
    """Versions of tifffile and scikit-image write four planes so, if the user does not say what they are."""
    tifffile.imwrite(tmp_path / "a.tif", FOUR, photometric="rgb", planarconfig="separate")
    (image_set,) = find_image_sets(tmp_path / "a.tif")
    assert list(image_set.channels) == ["Red", "Green", "Blue", "C4"]
    assert np.array_equal(read_channels(image_set, list(image_set.channels)), FOUR)
    tifffile.imwrite(tmp_path / "b.tif", np.moveaxis(FOUR, 0, -1), photometric="rgb", extrasamples=["unspecified"])
    (image_set,) = find_image_sets(tmp_path / "b.tif")
    assert np.array_equal(read_channels(image_set, ["C4"])[0], FOUR[3])


def test_tiff_that_is_called_png(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", FOUR[:3], photometric="rgb", planarconfig="separate")
    (image_set,) = find_image_sets((tmp_path / "a.tif").rename(tmp_path / "a.png"))
    assert np.array_equal(read_channels(image_set, ["Red", "Green", "Blue"]), FOUR[:3])


@pytest.mark.parametrize("name", ["a.tif", "a.ome.tif", "a.png"])
@pytest.mark.parametrize("count", [2, 4])
def test_a_channel_in_place_of_transparency_is_no_transparency(tmp_path, name, count):
    samples = np.moveaxis(FOUR[:count], 0, -1)
    if name.endswith("png"):
        png(tmp_path / name, samples, {2: 4, 4: 6}[count])
    else:
        photometric = "rgb" if count == 4 else "minisblack"
        options = {"photometric": photometric, "extrasamples": ["unassalpha"], "planarconfig": "contig"}
        tifffile.imwrite(tmp_path / name, samples, **options, metadata={"axes": "YXS"})
    (image_set,) = find_image_sets(tmp_path / name)
    with pytest.raises(ImageError, match=rf"sample {count} is transparency .* holds an image: write the {count} chann"):
        read_channels(image_set, list(image_set.channels))


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_colors_for_print_are_refused(tmp_path, suffix):
    Image.fromarray(RGB).convert("CMYK").save(tmp_path / f"a.{suffix}")
    with pytest.raises(ImageError, match="has CMYK colors: save it as gray or RGB"):
        read_plane(PlaneSource(tmp_path / f"a.{suffix}"), "DNA")


@pytest.mark.parametrize("suffix", ["png", "webp", "gif"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_animations_are_refused(tmp_path, suffix, mode):
    frames = [Image.fromarray(plane).convert(mode) for plane in (GRAY, GRAY[::-1])]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    with pytest.raises(ImageError, match="is an animation of 2 frames: save each frame"):
        read_plane(PlaneSource(tmp_path / f"a.{suffix}"), "DNA")


# ---- illumination


FUNCTION = np.linspace(1, 3, PLANE.size).reshape(PLANE.shape)


def illuminated(folder, name="IllumDNA.npy"):
    tifffile.imwrite(folder / "A01_DNA.tif", PLANE)
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npy":
        np.save(path, FUNCTION)
    else:
        tifffile.imwrite(path, FUNCTION.astype(np.float32))
    return path


@pytest.mark.parametrize("name", ["IllumDNA.npy", "IllumDNA.tif"])
@pytest.mark.parametrize(("image", "function"), [("OrigDNA", "IllumDNA"), ("DNA", "IllumDNA"), ("DNA", "IllumOrigDNA")])
def test_illumination_of_load_data(tmp_path, name, image, function, caplog):
    illuminated(tmp_path, name)
    (tmp_path / "a.csv").write_text(f"FileName_{image},FileName_{function},Metadata_Well\nA01_DNA.tif,{name},A01\n")
    caplog.set_level("INFO")
    (image_set,) = find_image_sets(tmp_path / "a.csv")
    assert list(image_set.channels) == [image]
    assert np.allclose(read_channels(image_set, [image])[0], PLANE / FUNCTION)
    assert f"{image} is divided by {function}" in caplog.text
    (tmp_path / "b.csv").write_text(f"FileName_{image},Metadata_Well\nA01_DNA.tif,A01\n")
    assert find_image_sets(tmp_path / "b.csv")[0].channels[image].key() != image_set.channels[image].key()


def test_illumination_without_its_channel_is_no_channel(tmp_path, caplog):
    illuminated(tmp_path)
    (tmp_path / "a.csv").write_text("FileName_ER,FileName_IllumDNA\nA01_DNA.tif,IllumDNA.npy\n")
    (image_set,) = find_image_sets(tmp_path / "a.csv")
    assert list(image_set.channels) == ["ER"]
    assert "IllumDNA is no function of a channel and is left out" in caplog.text


@pytest.mark.parametrize(
    "name", ["IllumDNA.npy", "P1_IllumDNA.npy", "P1/P1_IllumDNA.npy", "DNA.npy", "P1/Illum_DNA.tif"]
)
def test_folder_of_illumination_functions(tmp_path, name):
    (tmp_path / "images").mkdir()
    (tmp_path / "functions").mkdir()
    illuminated(tmp_path / "images", "../functions/" + name)
    (image_set,) = find_image_sets(tmp_path / "images", "{Well}_{Channel}.tif", illumination=tmp_path / "functions")
    assert np.allclose(read_channels(image_set, ["DNA"])[0], PLANE / FUNCTION)


def test_functions_beside_images_are_no_images(tmp_path):
    illuminated(tmp_path, "P1_IllumDNA.tif")
    for pattern in (None, "{Well}_{Channel}.tif"):
        inputs = find_inputs(tmp_path, ReadingOptions(pattern))
        (image_set,) = inputs.image_sets
        assert next(iter(image_set.channels.values())).path.name == "A01_DNA.tif"
        reasons = {each.path.name: each.reason for each in inputs.left_out}
        assert reasons["P1_IllumDNA.tif"] == "an illumination function: apply it by `illumination`"


def test_bad_illumination(tmp_path):
    path = illuminated(tmp_path)
    source = PlaneSource(tmp_path / "A01_DNA.tif", illumination=path)
    for values, message in (
        (FUNCTION[:5], "the illumination function is 50 x 5, but the image is 50 x 40"),
        (np.zeros(PLANE.shape), "is not positive everywhere"),
    ):
        np.save(path, values)
        with pytest.raises(ImageError, match=message) as caught:
            read_plane(source, "DNA")
        assert caught.value.path == str(path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="`illumination`: there is no illumination function of channel 'DNA'"):
        find_image_sets(tmp_path, "{Well}_{Channel}.tif", illumination=tmp_path / "empty")


def test_image_sets_are_read_back(tmp_path):
    sources = {
        "A": PlaneSource(tmp_path / "a.czi", position=Position(1, 2, "max", 3)),
        "B": PlaneSource(tmp_path / "b.tif", 4, illumination=tmp_path / "b.npy"),
    }
    write_image_sets(tmp_path, [ImageSet(1, sources)], ["A", "B"])
    assert read_image_sets(tmp_path)[0][1].channels == sources
    assert len({str(PlaneSource(tmp_path, position=Position(*([0] * n), 1)).key()) for n in range(5)}) == 5


# ---- pixel sizes


SIZES = {
    "OME": ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm"}}, 0.325),
    "OME without a unit": ({"ome": True, "metadata": {"axes": "YX", "PhysicalSizeX": 0.325}}, 0.325),
    "ImageJ": ({"imagej": True, "resolution": (1 / 0.325, 1 / 0.325), "metadata": {"unit": "um"}}, 0.325),
    "ImageJ, micron": ({"imagej": True, "resolution": (1 / 0.325, 1 / 0.325), "metadata": {"unit": "micron"}}, 0.325),
    "centimeters": ({"resolution": (1e4 / 0.325, 1e4 / 0.325), "resolutionunit": 3}, 0.325),
    "a screen": ({"resolution": (72, 72), "resolutionunit": 2}, None),
    "no unit": ({"resolution": (3.07, 3.07), "resolutionunit": 1}, None),
    "nothing": ({}, None),
}


@pytest.mark.parametrize("kind", SIZES)
def test_pixel_size_of_a_tiff(tmp_path, kind):
    options, size = SIZES[kind]
    tifffile.imwrite(tmp_path / "a.tif", PLANE, **options)
    assert pixel_sizes(find_image_sets(tmp_path)) == [pytest.approx(size, rel=1e-4) if size else None]


RAMP = np.arange(256)
COLORFUL = RNG.integers(0, 256, (3, 256))


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        ([RAMP, RAMP, RAMP], GRAY),
        # a lookup table shows intensities in green, and unused numbers at its end as black
        ([0 * RAMP, np.where(RAMP < 255, RAMP, 0), 0 * RAMP], GRAY),
        ([255 - RAMP] * 3, 255 - GRAY),
    ],
)
def test_tiff_with_a_palette_of_intensities(tmp_path, colors, expected):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="palette", colormap=np.array(colors, np.uint16) * 257)
    (image_set,) = find_image_sets(tmp_path)
    assert np.array_equal(read_channels(image_set, ["Image"])[0], expected)
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "a.tif"), "Nuclei", intensities=False), GRAY)


def test_tiff_with_a_palette_of_colors(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", GRAY, photometric="palette", colormap=(COLORFUL * 257).astype(np.uint16))
    (image_set,) = find_image_sets(tmp_path)
    assert np.array_equal(read_channels(image_set, ["Red", "Green", "Blue"]), COLORFUL[:, GRAY])
    # Pillow agrees
    assert np.array_equal(
        np.moveaxis(np.asarray(Image.open(tmp_path / "a.tif").convert("RGB")), -1, 0), COLORFUL[:, GRAY]
    )
    with pytest.raises(ImageError, match="is a picture with a palette, and its number 0 is the color"):
        read_labels(PlaneSource(tmp_path / "a.tif"), "Nuclei", GRAY.shape)
    shown = np.where(RAMP > 0, COLORFUL, 0).astype(np.uint16) * 257
    tifffile.imwrite(tmp_path / "b.tif", LABELS.astype(np.uint8), photometric="palette", colormap=shown)
    assert np.array_equal(read_labels(PlaneSource(tmp_path / "b.tif"), "Nuclei", LABELS.shape), LABELS)


RECTANGLES = {
    "OME-TIFF": {"metadata": {"axes": "YX", "PhysicalSizeX": 0.325, "PhysicalSizeY": 0.65}},
    "OME-TIFF, other units": {
        "metadata": {"axes": "YX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.65}
    },
    "ImageJ": {"imagej": True, "resolution": (1 / 0.325, 1 / 0.65), "metadata": {"unit": "um"}},
    "centimeters": {"resolution": (1e4 / 0.325, 1e4 / 0.65), "resolutionunit": 3},
}


@pytest.mark.parametrize("kind", RECTANGLES)
def test_pixels_that_are_no_squares(tmp_path, caplog, kind):
    path = tmp_path / ("a.ome.tif" if "OME" in kind else "a.tif")
    tifffile.imwrite(path, PLANE, **RECTANGLES[kind])
    (image_set,) = find_image_sets(tmp_path)
    assert f"1 of 1 image has pixels that are no squares, such as '{path}' (0.325 wide, 0.65 high)" in caplog.text
    assert pixel_sizes([image_set]) == [pytest.approx(0.325)]
    # cells of a half the height would be compared with whole ones
    with pytest.raises(InputError, match=r"`pixel_size`: 1 of 1 .*: resample them to squares first"):
        find_image_sets(tmp_path, pixel_size=0.325)


@pytest.mark.parametrize(
    "options",
    [
        {"metadata": {"axes": "YX", "PhysicalSizeX": 0.325}},
        {"metadata": {"axes": "YX", "PhysicalSizeX": 0.325, "PhysicalSizeY": 0.3251}},
        {"metadata": {"axes": "YX", "PhysicalSizeX": 325, "PhysicalSizeXUnit": "nm", "PhysicalSizeY": 0.325}},
    ],
)
def test_pixels_that_are_squares_as_far_as_is_known(tmp_path, caplog, options):
    tifffile.imwrite(tmp_path / "a.ome.tif", PLANE, **options)
    find_image_sets(tmp_path)
    assert "squares" not in caplog.text


def test_mixed_pixel_sizes(tmp_path, caplog):
    for name, size in (("a", 0.325), ("b", 0.325), ("c", 0.65)):
        tifffile.imwrite(tmp_path / f"{name}.ome.tif", PLANE, metadata={"axes": "YX", "PhysicalSizeX": size})
    find_image_sets(tmp_path)
    assert "pixels of 0.325 (2 image sets), 0.65 (1 image set) micrometers" in caplog.text
    assert [s.scale for s in find_image_sets(tmp_path, pixel_size=0.65)] == [0.5, 0.5, 1]
    tifffile.imwrite(tmp_path / "d.tif", PLANES[1])
    with pytest.raises(InputError, match=r"`pixel_size`: 1 of 4 image sets do not say their pixel size, .*d\.tif"):
        find_image_sets(tmp_path, pixel_size=0.65)

"""Images of every type and shape, through the plugin and through Python: the engine gets the pixels as they are."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from imagej_host import feature_names, results, save_hyperstack

from cellprofiler_plugins._microsnoop_client import close_engines
from fiji_bridge import measure
from fiji_bridge.imagej import ImageJError
from microsnoop_engine.images.image_set import PlaneSource
from microsnoop_engine.images.labels import read_labels
from microsnoop_engine.images.planes import read_plane
from microsnoop_engine.model.checkpoints import Card, save_weights
from microsnoop_engine.model.registry import make_network
from microsnoop_engine.modes import measure as measuring
from microsnoop_engine.modes.settings import CropSettings

FITTED = CropSettings(scale="each")
RANDOM = np.random.default_rng(3)
GRAY = RANDOM.integers(0, 250, (90, 70))
IMAGES = {
    "8-bit": GRAY.astype(np.uint8),
    "16-bit": (GRAY * 250).astype(np.uint16),
    "32-bit": (GRAY / 7 - 11).astype(np.float32),
    "RGB": RANDOM.integers(0, 256, (90, 70, 3)).astype(np.uint8),
    "signed": (GRAY * 100 - 9000).astype(np.int16),
}


@pytest.fixture(scope="module", autouse=True)
def _own_engine_ends():
    """The engine of the Python functions, which is another than the plugin's, ends with these tests."""
    yield
    close_engines()


def through_plugin(java, ij, imp, folder, options):
    """Features, and all of the table, from the macro call."""
    path = folder / "table.csv"
    imp.show()
    java.jimport("ij.WindowManager").setCurrentWindow(imp.getWindow())
    ij.run("Measure Microsnoop Features", f"{options} csv=[{path}]")
    frame = pd.read_csv(path)
    table = results(java)
    assert int(table.size()) == len(frame)
    return frame[[name for name in frame if "_Microsnoop_E" in name]].to_numpy(), frame


def expected(embedder, image, mode="image"):
    return measuring.measure(embedder, image, settings=CropSettings(mode=mode)).features


def test_files_of_imagej(java, ij, tmp_path):
    """Numbers that ImageJ saves in other ones than it shows: signed labels, and an inverted lookup table of 8 bits."""
    labels = np.zeros((90, 70), np.int16)
    labels[10:30, 10:30], labels[40:60, 20:50] = 1, 2
    for name, array in (("labels", labels), ("image", IMAGES["8-bit"])):
        tifffile.imwrite(tmp_path / f"{name}.tif", array)
        imp = ij.openImage(str(tmp_path / f"{name}.tif"))
        if name == "image":
            imp.getProcessor().invertLut()
            imp = java.jimport("ij.ImagePlus")("", imp.getProcessor())
        ij.saveAsTiff(imp, str(tmp_path / f"{name}.tif"))
    assert np.array_equal(read_labels(PlaneSource(tmp_path / "labels.tif"), "Cells", labels.shape), labels)
    assert np.array_equal(read_plane(PlaneSource(tmp_path / "image.tif"), "DNA"), 255 - IMAGES["8-bit"])


@pytest.mark.parametrize("kind", IMAGES)
def test_types(java, ij, embedder, tmp_path, kind):
    path = tmp_path / "image.tif"
    tifffile.imwrite(path, IMAGES[kind], **({"photometric": "rgb"} if kind == "RGB" else {}))
    imp = ij.openImage(str(path))
    assert int(imp.getBitDepth()) == {"8-bit": 8, "32-bit": 32, "RGB": 24}.get(kind, 16)
    image = np.moveaxis(IMAGES[kind], -1, 0) if kind == "RGB" else IMAGES[kind]
    want = expected(embedder, image)
    assert np.isfinite(want).all()
    found, frame = through_plugin(java, ij, imp, tmp_path, "objects=[Whole image] mode=rescale")
    np.testing.assert_allclose(found, want, atol=1e-4)
    names = ["Red", "Green", "Blue"] if kind == "RGB" else ["Image"]
    assert [name for name in frame if name.endswith("E000_" + names[-1])]
    rows = measure(None, imp, None, mode="rescale")
    assert list(rows)[-256 * len(names) :] == feature_names(*names)
    np.testing.assert_allclose(rows[feature_names(*names)], want, atol=1e-4)


def test_color_tables_do_not_change_the_numbers(java, ij, embedder, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", IMAGES["RGB"], photometric="rgb")
    imp = ij.openImage(str(tmp_path / "image.tif"))
    ij.run(imp, "8-bit Color", "number=256")
    assert int(imp.getType()) == int(java.jimport("ij.ImagePlus").COLOR_256)
    found, _ = through_plugin(java, ij, imp, tmp_path, "objects=[Whole image] mode=rescale")
    numbers = np.frombuffer(memoryview(imp.getProcessor().getPixels()), np.uint8).reshape(90, 70)
    np.testing.assert_allclose(found, expected(embedder, numbers), atol=1e-4)


STACK = RANDOM.integers(0, 4000, (2, 3, 2, 60, 70)).astype(np.uint16)
PLACES = [(t, z) for t in range(2) for z in range(3)]


@pytest.fixture
def hyperstack(ij, tmp_path):
    save_hyperstack(tmp_path / "stack.tif", STACK, "TZCYX")
    return ij.openImage(str(tmp_path / "stack.tif"))


def test_every_slice_and_frame_is_a_row(java, ij, hyperstack, embedder, tmp_path):
    want = np.concatenate([expected(embedder, STACK[place]) for place in PLACES])
    found, frame = through_plugin(java, ij, hyperstack, tmp_path, "objects=[Whole image] mode=rescale slices=all")
    np.testing.assert_allclose(found, want, atol=1e-4)
    places = [(t + 1, z + 1) for t, z in PLACES]
    assert list(zip(frame["Metadata_Frame"], frame["Metadata_Slice"], strict=True)) == places
    assert frame["ImageNumber"].tolist() == [1, 2, 3, 4, 5, 6]
    table = results(java)
    assert [(int(table.getValue("Frame", r)), int(table.getValue("Slice", r))) for r in range(6)] == places
    rows = measure(None, hyperstack, None, mode="rescale", slices="all")
    np.testing.assert_allclose(rows[feature_names("C1", "C2")], want, atol=1e-4)
    assert list(zip(rows["Frame"], rows["Slice"], strict=True)) == places


def test_the_slice_that_is_shown(java, ij, hyperstack, embedder, tmp_path):
    hyperstack.setPosition(2, 3, 2)
    want = expected(embedder, STACK[1, 2])
    found, _ = through_plugin(java, ij, hyperstack, tmp_path, "objects=[Whole image] mode=rescale")
    np.testing.assert_allclose(found, want, atol=1e-4)
    rows = measure(None, hyperstack, None, mode="rescale")
    np.testing.assert_allclose(rows[feature_names("C1", "C2")], want, atol=1e-4)


def test_rois_are_measured_where_they_belong(java, ij, hyperstack, embedder, tmp_path):
    roi = java.jimport("ij.gui.Roi")
    overlay = java.jimport("ij.gui.Overlay")()
    everywhere, there = roi(5, 5, 30, 30), roi(30, 20, 25, 25)
    there.setPosition(0, 2, 1)
    everywhere.setName("everywhere")
    there.setName("there")
    overlay.add(everywhere)
    overlay.add(there)
    hyperstack.setOverlay(overlay)
    found, frame = through_plugin(java, ij, hyperstack, tmp_path, "objects=Overlay slices=all")
    assert frame["Metadata_Roi"].tolist() == ["everywhere", "everywhere", "there", *["everywhere"] * 4]
    labels = np.zeros((2, 60, 70), np.int32)
    labels[0, 5:35, 5:35], labels[1, 20:45, 30:55] = 1, 2
    want = measuring.measure(embedder, STACK[0, 1], labels, FITTED).features
    np.testing.assert_allclose(found[1:3], want, atol=1e-4)
    rows = measure(None, hyperstack, "overlay", slices="all")
    assert rows["Label"].tolist() == [f"stack.tif:{name}" for name in frame["Metadata_Roi"]]
    np.testing.assert_allclose(rows[feature_names("C1", "C2")], found, atol=1e-4)
    scaled = measure(None, hyperstack, "overlay", slices="all", diameter=20)
    want = measuring.measure(embedder, STACK[0, 1], labels, CropSettings(diameter=20)).features
    np.testing.assert_allclose(scaled[feature_names("C1", "C2")][1:3], want, atol=1e-4)


def test_label_images_of_8_16_and_32_bit_and_of_every_slice(java, ij, hyperstack, embedder, tmp_path):
    labels = np.zeros((2, 3, 60, 70), np.uint8)
    labels[..., 5:30, 5:35], labels[1, ..., 35:50, 35:60] = 7, 2
    want = [measuring.measure(embedder, STACK[place], labels[place].astype(int), FITTED).features for place in PLACES]
    for dtype in (np.uint8, np.uint16, np.float32):
        save_hyperstack(tmp_path / "labels.tif", labels.astype(dtype), "TZYX")
        numbered = ij.openImage(str(tmp_path / "labels.tif"))
        numbered.show()
        options = "objects=[Label image] labels=labels.tif slices=all"
        found, frame = through_plugin(java, ij, hyperstack, tmp_path, options)
        np.testing.assert_allclose(found, np.concatenate(want), atol=1e-4)
        assert frame["ObjectNumber"].tolist() == [7, 7, 7, 2, 7, 2, 7, 2, 7]
        numbered.close()
        results(java).reset()


def labeled(java, ij, tmp_path, numbers, dtype):
    """Measure two squares with these numbers in a label image of this type; their numbers in the table."""
    tifffile.imwrite(tmp_path / "image.tif", RANDOM.integers(0, 4000, (64, 64)).astype(np.uint16))
    labels = np.zeros((64, 64), dtype)
    labels[4:24, 4:24], labels[34:60, 34:60] = numbers
    tifffile.imwrite(tmp_path / "labels.tif", labels)
    ij.openImage(str(tmp_path / "labels.tif")).show()
    imp = ij.openImage(str(tmp_path / "image.tif"))
    _, frame = through_plugin(java, ij, imp, tmp_path, "objects=[Label image] labels=labels.tif clear")
    ij.run("Close All")
    return frame["ObjectNumber"].tolist()


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint32])
def test_numbers_of_label_images_are_those_of_the_file(java, ij, tmp_path, dtype):
    assert labeled(java, ij, tmp_path, (1, 300), dtype) == [1, 300]


def test_the_largest_numbers_of_a_label_image(java, ij, tmp_path):
    assert labeled(java, ij, tmp_path, (16777214, 16777215), np.uint32) == [16777214, 16777215]


@pytest.mark.parametrize(
    ("numbers", "dtype", "said"),
    [
        ((16777216, 16777217), np.uint32, "holds numbers from 16777216, which ImageJ cannot tell apart"),
        ((5, 16777216), np.uint32, "holds numbers from 16777216, which ImageJ cannot tell apart"),
        ((1, -2), np.int16, "holds the value -2.0. Give an image in which 0 is background"),
    ],
)
def test_numbers_of_label_images_that_are_refused(java, ij, tmp_path, numbers, dtype, said):
    with pytest.raises(java.jimport("java.lang.RuntimeException")):
        labeled(java, ij, tmp_path, numbers, dtype)
    assert said in str(ij.getLog())
    assert int(results(java).size()) == 0


def test_a_label_image_that_may_have_run_out_of_numbers_is_measured_with_a_warning(java, ij, tmp_path):
    assert labeled(java, ij, tmp_path, (7, 65534), np.uint16) == [7, 65534]
    assert "holds the largest number of a 16-bit image" not in str(ij.getLog())
    assert labeled(java, ij, tmp_path, (7, 65535), np.uint16) == [7, 65535]
    assert "holds the largest number of a 16-bit image, 65535. Analyze Particles gives" in str(ij.getLog())


def test_names_of_channels(java, ij, tmp_path):
    for names, want in (
        (["DNA", "my ER, new"], ["DNA", "my_ER_new"]),
        (["c:1/2 - DAPI", "c:2/2 - GFP"], ["DAPI", "GFP"]),
        (["same", "same"], ["C1", "C2"]),
        (["dna.tif", "er.tif"], ["dna", "er"]),
        (["A02_s1_DNA.tif", "A02_s1_RNA.tif"], ["DNA", "RNA"]),
        (["DNA-A02 raw.TIF", "DNA_2-A02 raw.TIF"], ["DNA", "DNA_2"]),
        (["Plate 1_DNA", "Plate 1_RNA"], ["Plate_1_DNA", "Plate_1_RNA"]),
        (["A02_1.tif", "A02_2.tif"], ["C1", "C2"]),
        (["1", "2"], ["C1", "C2"]),
        (["405", "488"], ["405", "488"]),
        (None, ["C1", "C2"]),
    ):
        save_hyperstack(tmp_path / "image.tif", STACK[0, 0], "CYX", names)
        imp = ij.openImage(str(tmp_path / "image.tif"))
        _, frame = through_plugin(java, ij, imp, tmp_path, "objects=[Whole image] mode=rescale clear")
        assert [name.split("E000_")[1] for name in frame if "_E000_" in name] == want
        assert list(measure(None, imp, None, mode="rescale"))[2::256] == feature_names(*want)[::256]
        imp.close()


def test_channels_are_named_as_in_macros(java, ij, tmp_path):
    save_hyperstack(tmp_path / "image.tif", STACK[0, 0], "CYX", ["DNA", "ER"])
    imp = ij.openImage(str(tmp_path / "image.tif"))
    whole = measure(None, imp, None, mode="rescale")
    text = java.jimport("java.lang.String")
    for channels, columns, want in (
        ("all", ["DNA", "ER"], ["DNA", "ER"]),
        (text("er"), ["ER"], ["ER"]),
        ("2,DNA", ["ER", "DNA"], ["ER", "DNA"]),
        ("2=GFP", ["GFP"], ["ER"]),
        ([2, "DNA"], ["ER", "DNA"], ["ER", "DNA"]),
        ([text("DNA"), np.int64(2)], ["DNA", "ER"], ["DNA", "ER"]),
        ({1: "Hoechst", "ER": "Concanavalin"}, ["Hoechst", "Concanavalin"], ["DNA", "ER"]),
    ):
        rows = measure(None, imp, None, channels, mode="rescale")
        assert list(rows)[2:] == feature_names(*columns)
        np.testing.assert_allclose(rows[feature_names(*columns)], whole[feature_names(*want)], atol=1e-5)
    for channels, said in (
        ("GFP", "there is no channel 'GFP'; there are DNA, ER"),
        ([1, "DNA"], "name each once"),
        ({1: "X", 2: "X"}, "name each once"),
        ([], "name each once"),
    ):
        with pytest.raises(ImageJError, match=said):
            measure(None, imp, None, channels)


def test_a_color_image_that_became_hundreds_of_channels_is_refused(java, ij):
    imp = ij.createImage("color", "8-bit ramp", 3, 40, 20)
    imp.setDimensions(20, 1, 1)
    with pytest.raises(ImageJError, match=r"the image has 20 channels: .*xarray.DataArray\(array, dims=\('row', 'col'"):
        measure(None, imp, None, mode="rescale")
    assert len(list(measure(None, imp, None, "all", mode="rescale"))) == 2 + 20 * 256


@pytest.fixture
def small_weights(tmp_path):
    """Untrained weights that make 32 features per channel."""
    path = tmp_path / "small.safetensors"
    state = make_network("vit", 32, decoder=False).state_dict()
    card = Card("small", architecture="vit", dimension=32)
    save_weights({name: value.numpy() for name, value in state.items()}, card, path)
    return path


def test_the_dimension_comes_from_the_weights(java, ij, hyperstack, small_weights, tmp_path):
    ij.run("Microsnoop Settings", f"weights=[{small_weights}]")
    try:
        found, frame = through_plugin(java, ij, hyperstack, tmp_path, "objects=[Whole image] mode=rescale")
    finally:
        ij.run("Microsnoop Settings", "weights=fast")
    assert found.shape == (1, 64)
    assert list(frame)[-32:] == [f"Image_Microsnoop_E{index:03d}_C2" for index in range(32)]
    table = results(java)
    names = [str(name) for name in table.getHeadings() if str(name).startswith("Microsnoop_")]
    assert (names[0], names[32], names[-1], len(names)) == (
        "Microsnoop_E000_C1",
        "Microsnoop_E000_C2",
        "Microsnoop_E031_C2",
        64,
    )
    rows = measure(None, hyperstack, None, mode="rescale", weights=str(small_weights))
    assert [name for name in rows if name.startswith("Microsnoop_")] == names
    np.testing.assert_allclose(rows[names], found, atol=1e-4)


def test_outlines_of_more_pixels_than_an_int_counts(java, ij):
    """2,000 outlines of 1,100 x 1,100 pixels have 2.4 billion."""
    boxes = java.jimport("java.util.ArrayList")()
    for _ in range(2000):
        boxes.add(java.jimport("java.awt.Rectangle")(5, 5, 1100, 1100))
    core = ij.getClassLoader().loadClass("microsnoop.MeasureCore")
    area = next(method for method in core.getDeclaredMethods() if str(method.getName()) == "area")
    area.setAccessible(True)
    assert int(area.invoke(None, boxes)) == 2000 * 1100**2 > 2**31

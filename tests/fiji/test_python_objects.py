"""Labels and ROIs in the forms in which ImageJ and PyImageJ hold them, through ``fiji_bridge.measure`` and ``show``.

ImageJ2's gateway is on no registry that tests reach: a small one stands for it, and so do ROITree and ImgLabeling.
Images of ImgLib2 are the real ones.
"""

import jpype
import numpy as np
import pytest
from imagej_gateway import Gateway, to_imglib
from imagej_host import feature_names, maven_jars, save_hyperstack

from cellprofiler_plugins._microsnoop_client import close_engines
from fiji_bridge import measure, show
from fiji_bridge.imagej import ImageJError
from microsnoop_engine.modes import measure as measuring
from microsnoop_engine.modes.settings import CropSettings

FITTED = CropSettings(scale="each")
RANDOM = np.random.default_rng(5)
DEPTHS, TIMES = 3, 2
IMAGE = RANDOM.integers(0, 4000, (TIMES, DEPTHS, 60, 70)).astype(np.uint16)
LABELS = np.zeros((TIMES, DEPTHS, 60, 70), np.uint16)
for number in range(1, 1 + TIMES * DEPTHS):
    LABELS[np.unravel_index(number - 1, (TIMES, DEPTHS))][5:30, 5 + number : 35 + number] = number
SINGLE = np.zeros((60, 70), np.uint16)
SINGLE[5:30, 5:35], SINGLE[40:55, 40:60] = 7, 300


@pytest.fixture(scope="module", autouse=True)
def _own_engine_ends():
    """The engine of the Python functions, which is another than the plugin's, ends with these tests."""
    yield
    close_engines()


@pytest.fixture
def image(java, tmp_path):
    """Open an array as an image of ImageJ."""

    def opened(array, axes, name="image"):
        path = tmp_path / f"{name}.tif"
        save_hyperstack(path, array, axes)
        return java.jimport("ij.IJ").openImage(str(path))

    return opened


def imglib(array):
    """An array as an image of ImgLib2."""
    maven_jars("imglib2")
    return to_imglib(array)


GATEWAY = Gateway()


def features(rows):
    return rows[feature_names("Image")].to_numpy()


def expected(embedder, image, labels):
    return measuring.measure(embedder, image, labels.astype(np.int32), FITTED).features


def test_a_stack_of_labels_goes_plane_by_plane_with_a_stack_of_images(image, embedder):
    """Every object used to be measured on every slice."""
    imp = image(IMAGE[0], "ZYX")
    want = np.concatenate([expected(embedder, IMAGE[0, z], LABELS[0, z]) for z in range(DEPTHS)])
    for labels in (LABELS[0], LABELS[0][None], LABELS[0].astype(np.int64), LABELS[0].astype(np.float32)):
        rows = measure(None, imp, labels, slices="all")
        assert rows["ObjectNumber"].tolist() == [1, 2, 3]
        assert rows["Slice"].tolist() == [1, 2, 3]
        np.testing.assert_allclose(features(rows), want, atol=1e-4)
    imp.setSlice(2)
    rows = measure(None, imp, LABELS[0])
    assert rows["ObjectNumber"].tolist() == [2]
    np.testing.assert_allclose(features(rows), want[1:2], atol=1e-4)


def test_labels_of_depths_and_times(image, embedder):
    imp = image(IMAGE, "TZYX")
    want = np.concatenate([expected(embedder, IMAGE[t, z], LABELS[t, z]) for t in range(TIMES) for z in range(DEPTHS)])
    for labels in (LABELS, image(LABELS, "TZYX", "labels")):
        rows = measure(None, imp, labels, slices="all")
        assert rows["ObjectNumber"].tolist() == [1, 2, 3, 4, 5, 6]
        assert list(zip(rows["Frame"], rows["Slice"], strict=True)) == [(1, 1), (1, 2), (1, 3), (2, 1), (2, 2), (2, 3)]
        np.testing.assert_allclose(features(rows), want, atol=1e-4)


def test_one_plane_of_labels_is_measured_on_every_slice(image, embedder):
    rows = measure(None, image(IMAGE[0], "ZYX"), SINGLE, slices="all")
    assert rows["ObjectNumber"].tolist() == [7, 300] * DEPTHS
    np.testing.assert_allclose(features(rows)[2:4], expected(embedder, IMAGE[0, 1], SINGLE), atol=1e-4)


def test_planes_of_objects_that_overlap_in_a_single_image(image, embedder):
    labels = np.zeros((2, 60, 70), np.int32)
    labels[0, 5:30, 5:35], labels[1, 20:50, 20:60] = 1, 2
    rows = measure(None, image(IMAGE[0, 0], "YX"), labels)
    np.testing.assert_allclose(features(rows), expected(embedder, IMAGE[0, 0], labels), atol=1e-4)


def test_a_label_image_whose_frames_were_opened_as_slices(image):
    """A stack of TIFF pages is opened as slices, whatever they mean."""
    rows = measure(None, image(IMAGE[:, 0], "TYX"), image(LABELS[:, 0], "ZYX", "labels"), slices="all")
    assert rows["ObjectNumber"].tolist() == [1, 4]
    assert rows["Frame"].tolist() == [1, 2]


@pytest.mark.parametrize("kind", ["image", "processor", "float", "8-bit", "xarray", "imglib", "labeling"])
def test_labels_as_pyimagej_holds_them(java, image, embedder, kind):
    imp = image(IMAGE[0, 0], "YX")
    numbers = SINGLE if kind != "8-bit" else np.where(SINGLE == 300, 30, SINGLE)
    numbered = image(numbers.astype({"float": np.float32, "8-bit": np.uint8}.get(kind, np.uint16)), "YX", "labels")
    labels = {
        "processor": numbered.getProcessor,
        "xarray": lambda: pytest.importorskip("xarray").DataArray(SINGLE.T[None], dims=("ch", "col", "row")),
        "imglib": lambda: imglib(SINGLE),
        "labeling": lambda: labeling([set(), {"cell"}]),
    }.get(kind, lambda: numbered)()
    rows = measure(GATEWAY, imp, labels)
    assert rows["ObjectNumber"].tolist() == ([7, 30] if kind == "8-bit" else [7, 300])
    assert rows["Label"].tolist()[0] == "image.tif:7"
    np.testing.assert_allclose(features(rows), expected(embedder, IMAGE[0, 0], SINGLE), atol=1e-4)


def labeling(sets):
    """The stand-in of an ImgLabeling with these labels behind its indices."""
    java = jpype.java.util
    behind = java.ArrayList([java.HashSet(java.ArrayList(list(labels))) for labels in sets])
    return jpype.JClass("net.imglib2.roi.labeling.ImgLabeling").fromImageAndLabelSets(imglib(SINGLE), behind)


def test_a_labeling_of_objects_that_overlap_is_refused(java, image):
    with pytest.raises(ImageJError, match="the objects of this ImgLabeling overlap: pass their outlines"):
        measure(GATEWAY, image(IMAGE[0, 0], "YX"), labeling([set(), {"one"}, {"one", "other"}]))


def test_xarray_of_a_dataset_with_depths_and_times(image):
    xarray = pytest.importorskip("xarray")
    dataset = xarray.DataArray(np.moveaxis(LABELS, 1, -1), dims=("t", "row", "col", "pln"))
    rows = measure(None, image(IMAGE, "TZYX"), dataset, slices="all")
    assert rows["ObjectNumber"].tolist() == [1, 2, 3, 4, 5, 6]
    several = xarray.DataArray(np.stack([SINGLE, SINGLE]), dims=("ch", "row", "col"))
    with pytest.raises(ImageJError, match="the labels have 2 planes along 'ch': pass one of them"):
        measure(None, image(IMAGE[0, 0], "YX"), several)


@pytest.mark.parametrize("kind", ["one", "list", "java list", "array", "overlay", "tree"])
def test_rois_as_pyimagej_holds_them(java, image, embedder, kind):
    imp = image(IMAGE[0, 0], "YX")
    roi, overlay = java.jimport("ij.gui.Roi")(5, 5, 30, 25), java.jimport("ij.gui.Overlay")()
    overlay.add(roi)
    rois = {
        "one": lambda: roi,
        "list": lambda: [roi],
        "java list": lambda: jpype.java.util.ArrayList([roi]),
        "array": lambda: overlay.toArray(),
        "overlay": lambda: overlay,
        "tree": lambda: GATEWAY.convert().convert(overlay, jpype.JClass("net.imagej.roi.ROITree")),
    }[kind]()
    rows = measure(GATEWAY, imp, rois)
    assert rows["Label"].tolist() == ["image.tif:0001"]
    np.testing.assert_allclose(features(rows), expected(embedder, IMAGE[0, 0], np.where(SINGLE == 7, 1, 0)), atol=1e-4)


def wrong_labels(java, image):
    """Labels and what is said of them."""
    color = java.jimport("ij.IJ").createImage("color", "RGB black", 70, 60, 1)
    return [
        (
            LABELS[0],
            r"shape \(3, 60, 70\): for this image it must be \(60, 70\), or \(2, 60, 70\) with a plane for each",
        ),
        (SINGLE.T, r"shape \(70, 60\): for this image it must be \(60, 70\)"),
        (SINGLE > 0, "a black-and-white mask: all objects have the same number"),
        ((SINGLE > 0).astype(np.uint8) * 255, "a black-and-white mask"),
        (SINGLE + 0.5, "fractions or NaN"),
        (np.where(SINGLE > 0, np.nan, 0), "fractions or NaN"),
        (np.where(SINGLE > 0, 2.0**24, 0).astype(np.float32), "numbers from 16777216"),
        (-SINGLE.astype(np.int32), "the number -300: objects have numbers from 1"),
        (np.zeros_like(SINGLE), "the labels are empty"),
        (image(np.stack([SINGLE, SINGLE]), "CYX", "two"), "'two.tif' has 2 channels"),
        (
            image(LABELS[0], "ZYX", "deep"),
            "'deep.tif' has 1 channels, 3 slices and 1 frames, but 'image.tif'",
        ),
        (image(SINGLE.T, "YX", "turned"), "'turned.tif' is 60 x 70 pixels, but 'image.tif' is 70 x 60"),
        (color, "'color' is a color picture"),
        (imglib(SINGLE), "which only PyImageJ's gateway converts"),
        (jpype.JClass("net.imagej.roi.ROITree")(), "which only PyImageJ's gateway converts"),
        (5, "rois is a int: it must be 'manager', 'overlay', labels, ROIs, or None"),
        (jpype.java.util.HashMap(), "rois is a java.util.HashMap: it must be"),
        ([java.jimport("ij.gui.Line")(1, 2, 30, 40)], r"ROI 1 \('0001'\), a Straight Line, has no area"),
        ([], "the list of ROIs is empty"),
        ("others", "rois is 'others': it must be"),
        ("manager", "no ROIs in the ROI Manager: add some"),
        ("overlay", "no ROIs in the overlay: add some"),
    ]


def test_what_is_no_label_and_no_roi_is_refused_in_one_sentence(java, ij, image):
    imp = image(IMAGE[:, 0], "TYX")
    for labels, said in wrong_labels(java, image):
        with pytest.raises(ImageJError, match=said) as raised:
            measure(None, imp, labels)
        assert "\n" not in str(raised.value)


def test_the_warning_of_a_full_label_image(image, caplog):
    imp = image(IMAGE[0], "ZYX")
    full = np.where(SINGLE == 300, 65535, LABELS[0]).astype(np.uint16)
    measure(None, imp, image(full, "ZYX", "full"), slices="all")
    assert [
        record.message for record in caplog.records if "the largest number of a 16-bit image, 65535" in record.message
    ]
    assert len(caplog.records) == 1


def test_how_many_slices_had_objects(java, image, caplog):
    imp = image(IMAGE[0], "ZYX")
    roi = java.jimport("ij.gui.Roi")(5, 5, 30, 25)
    roi.setPosition(2)
    rows = measure(None, imp, [roi], slices="all")
    assert rows["Slice"].tolist() == [2]
    assert caplog.messages == ["image.tif: measured 1 of 3 slices: the others have no objects"]


def test_group_and_properties_of_rois_are_columns(java, image):
    rois = [java.jimport("ij.gui.Roi")(5 + 10 * i, 5, 30, 25) for i in range(3)]
    rois[1].setGroup(4)
    rois[0].setProperty("class", "mitotic: early")
    rois[2].setProperty("my score", "0.5")
    rows = measure(None, image(IMAGE[0, 0], "YX"), rois)
    assert list(rows)[:7] == ["Label", "ObjectNumber", "Group", "Roi_class", "Roi_my_score", "Center_X", "Center_Y"]
    assert rows["Group"].tolist() == [0, 4, 0]
    assert rows["Roi_class"].tolist() == ["mitotic: early", None, None]
    assert rows["Roi_my_score"].tolist() == [None, None, "0.5"]


def test_an_image_without_a_title_has_a_name(java, image):
    imp = image(IMAGE[0, 0], "YX")
    imp.setTitle("")
    assert measure(None, imp, SINGLE)["Label"].tolist() == ["image:7", "image:300"]
    assert measure(None, imp, None)["Label"].tolist() == ["image"]


def colors(roi):
    """Colors of the pixels of an ImageRoi, in the order in which they come."""
    pixels = np.frombuffer(memoryview(roi.getProcessor().getPixels()), np.int32)
    return {f"{int(color) & 0xFFFFFF:06x}" for color in np.unique(pixels)}


def test_what_was_measured_from_labels_is_drawn(java, image):
    imp = image(IMAGE[0], "ZYX")
    frame = measure(None, imp, LABELS[0], slices="all").assign(cluster=[1, 2, 1])
    for _ in range(2):
        show(None, frame, imp=imp, rois=LABELS[0], color="cluster")
        drawn = list(imp.getOverlay().toArray())
        assert [int(roi.getPosition()) for roi in drawn] == [1, 2, 3]
        assert [colors(roi) for roi in drawn] == [{"000000", "1f77b4"}, {"000000", "ff7f0e"}, {"000000", "1f77b4"}]
        pixels = np.frombuffer(memoryview(drawn[1].getProcessor().getPixels()), np.int32).reshape(60, 70)
        np.testing.assert_array_equal(pixels & 0xFFFFFF > 0, LABELS[0, 1] > 0)
    with pytest.raises(ImageJError, match="row ObjectNumber 1 is none of the labels"):
        show(None, frame, imp=imp, rois=LABELS[0][::-1], color="cluster")
    assert int(imp.getOverlay().size()) == 3


def test_rois_are_drawn_where_they_were_measured(java, image):
    imp = image(IMAGE, "TZYX")
    roi = java.jimport("ij.gui.Roi")(5, 5, 30, 25)
    frame = measure(None, imp, roi, slices="all").assign(cluster=[1, 2, 1, 2, 1, 2])
    show(None, frame, imp=imp, rois=roi, color="cluster")
    places = [(int(roi.getTPosition()), int(roi.getZPosition())) for roi in imp.getOverlay().toArray()]
    assert places == list(zip(frame["Frame"], frame["Slice"], strict=True))


def test_an_empty_table_is_shown(java, image):
    frame = measure(None, image(IMAGE[0, 0], "YX"), SINGLE, ["1=DNA"])
    for kept in (frame[:0], frame[:0].reset_index(drop=True), frame.drop(columns="Label")[:0]):
        table = show(None, kept, table="Nothing")
        assert int(table.size()) == 0
    java.jimport("ij.WindowManager").getFrame("Nothing").close(False)

"""Where objects lie in a stack, and what their outlines say of them, through the plugin."""

import numpy as np
import pandas as pd
import pytest
import tifffile
from imagej_host import results, save_hyperstack

from microsnoop_engine.classification.labels import labels_of_column

STACK = np.random.default_rng(2).integers(0, 4000, (14, 50, 60)).astype(np.uint16)


@pytest.fixture
def measured(java, ij, tmp_path):
    """Measure an image; the rows of the file."""

    def run(imp, options, name="cells.csv"):
        imp.show()
        java.jimport("ij.WindowManager").setCurrentWindow(imp.getWindow())
        ij.run("Measure Microsnoop Features", f"{options} csv=[{tmp_path / name}]")
        return pd.read_csv(tmp_path / name)

    return run


@pytest.fixture
def log(java, ij):
    """What was logged in this test."""
    ij.log("\\Clear")
    return lambda: str(ij.getLog() or "")


def opened(ij, path, array, axes):
    save_hyperstack(path, array, axes)
    return ij.openImage(str(path))


def overlay_of(java, positions):
    """Rectangles on slices of a stack; 0 is every slice."""
    overlay = java.jimport("ij.gui.Overlay")()
    for number, position in enumerate(positions):
        roi = java.jimport("ij.gui.Roi")(5 + number, 5, 30, 25)
        roi.setPosition(position)
        overlay.add(roi)
    return overlay


def test_how_many_slices_had_outlines(java, ij, measured, log, tmp_path):
    imp = opened(ij, tmp_path / "stack.tif", STACK, "ZYX")
    imp.setOverlay(overlay_of(java, [2, 4, 5, 9]))
    rows = measured(imp, "objects=Overlay slices=all")
    assert rows["Metadata_Slice"].tolist() == [2, 4, 5, 9]
    said = 'Microsnoop: measured 4 of 14 slices of "stack.tif": no ROI has its position on the others. ROIs without'
    assert log().count(said) == 1
    imp.setOverlay(overlay_of(java, [0]))
    ij.log("\\Clear")
    assert len(measured(imp, "objects=Overlay slices=all")) == 14
    assert "measured" not in log()


def test_how_many_slices_had_labels(ij, measured, log, tmp_path):
    labels = np.zeros(STACK.shape, np.uint16)
    labels[3, 5:30, 5:35] = 8
    opened(ij, tmp_path / "labels.tif", labels, "ZYX").show()
    rows = measured(opened(ij, tmp_path / "stack.tif", STACK, "ZYX"), "objects=[Label image] slices=all")
    assert rows["Metadata_Slice"].tolist() == [4]
    assert 'measured 1 of 14 slices of "stack.tif": the label image has no objects on the others.' in log()


@pytest.mark.parametrize(("image_axes", "label_axes"), [("TYX", "ZYX"), ("ZYX", "TYX")])
def test_labels_whose_frames_were_opened_as_slices(ij, measured, tmp_path, image_axes, label_axes):
    labels = np.zeros((3, 50, 60), np.uint16)
    for number in range(3):
        labels[number, 5:30, 5:35] = number + 1
    opened(ij, tmp_path / "labels.tif", labels, label_axes).show()
    imp = opened(ij, tmp_path / "stack.tif", STACK[:3], image_axes)
    rows = measured(imp, "objects=[Label image] labels=labels.tif slices=all")
    assert rows["ObjectNumber"].tolist() == [1, 2, 3]
    assert rows["Metadata_Frame" if image_axes == "TYX" else "Metadata_Slice"].tolist() == [1, 2, 3]


def test_groups_and_properties_of_outlines_are_columns(java, ij, measured, tmp_path):
    imp = opened(ij, tmp_path / "image.tif", STACK[0], "YX")
    overlay = overlay_of(java, [0, 0, 0])
    overlay.get(1).setGroup(4)
    overlay.get(0).setProperty("class", "mitotic: early")
    overlay.get(2).setProperty("my score", "0.5")
    imp.setOverlay(overlay)
    rows = measured(imp, "objects=Overlay")
    assert rows["Metadata_Group"].tolist() == [0, 4, 0]
    labels = labels_of_column(rows, "Metadata_Group")
    assert (labels.values.tolist(), labels.ungrouped) == ([None, "4", None], 2)
    assert rows["Metadata_Roi_class"].fillna("").tolist() == ["mitotic: early", "", ""]
    assert rows["Metadata_Roi_my_score"].tolist()[2] == 0.5
    table = results(java)
    assert [table.getValue("Group", row) for row in range(3)] == [0, 4, 0]
    assert str(table.getStringValue("Roi_class", 0)) == "mitotic: early"
    assert np.isnan([table.getValue("Roi_my_score", row) for row in (0, 1)]).all()
    assert table.getValue("Roi_my_score", 2) == 0.5


def test_outlines_without_groups_have_no_column_of_them_in_the_table(java, ij, measured, tmp_path):
    imp = opened(ij, tmp_path / "image.tif", STACK[0], "YX")
    imp.setOverlay(overlay_of(java, [0]))
    assert measured(imp, "objects=Overlay")["Metadata_Group"].tolist() == [0]
    assert "Group" not in [str(name) for name in results(java).getHeadings()]


def test_an_image_without_a_title_has_a_name(java, ij, measured, tmp_path):
    tifffile.imwrite(tmp_path / "image.tif", STACK[0])
    imp = ij.openImage(str(tmp_path / "image.tif"))
    imp.setTitle("")
    imp.setRoi(5, 5, 30, 30)
    assert measured(imp, "objects=[Active selection]")["Metadata_Image"].tolist() == ["image"]
    assert str(results(java).getLabel(0)) == "image:selection"

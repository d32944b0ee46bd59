"""The macro call in ImageJ's -batch mode: every source of objects, tables, files, clusters."""

import numpy as np
import pandas as pd
import pytest
from waiting import PATIENCE

from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.outlines import measure_rois
from microsnoop_engine.modes.settings import CropSettings

MACRO = """
measure = "Measure Microsnoop Features";
setBatchMode(true);
open("{folder}/labels.tif"); rename("numbers");
open("{folder}/field.tif");
id = getImageID();
makeOval(20, 30, 40, 60); Roi.setName("first cell"); Roi.setPosition(0); roiManager("add");
makeRectangle(100, 100, 41, 25); roiManager("add");
makePolygon(105, 90, 160, 95, 150, 150, 110, 140); Roi.setName("over it"); roiManager("add");
makeOval(240, 200, 60, 60); Roi.setName("at the edge"); roiManager("add");
makeOval(60, 150, 60, 60); setKeyDown("alt"); makeOval(75, 165, 30, 30); setKeyDown("none");
Roi.setName("ring"); roiManager("add");
run("Select None");
n = roiManager("count");
run(measure, "objects=[ROI Manager] csv=[{out}/manager.csv]");
Table.save("{out}/manager-results.csv", "Microsnoop Results");
masked = "mode=[masked object] rescale_constant=0.6 csv=[{out}/masked.parquet]";
run(measure, "objects=[ROI Manager] channels=ER,1 " + masked);
run(measure, "objects=[ROI Manager] channels=DNA diameter=40 csv=[{out}/scaled.csv]");
if (roiManager("count") != n) exit("the ROI Manager was changed");
mine = "objects=[ROI Manager] table=Mine channels=[1=Nucleus] cluster=2 overlay";
run(measure, mine + " csv=[{out}/cluster.csv]");
if (Overlay.size != n) exit("no overlay");
run(measure, mine);
if (Overlay.size != n) exit("the overlay was drawn twice");
Overlay.remove;
Overlay.drawEllipse(20, 30, 40, 60); Overlay.show;
run(measure, "objects=Overlay clear csv=[{out}/overlay.csv]");
File.saveString("" + Table.size("Microsnoop Results"), "{out}/rows.txt");
makeRectangle(50, 60, 70, 30);
run(measure, "objects=[Active selection] csv=[{out}/selection.csv]");
run("Select None");
run(measure, "objects=[Label image] labels=numbers name=Nuclei cluster=3 overlay csv=[{out}/labels.csv]");
run(measure, "objects=[Whole image] csv=[{out}/tile.csv]");
run(measure, "objects=[Whole image] diameter=40 csv=[{out}/scaled-tile.csv]");
run(measure, "objects=[Whole image] mode=rescale diameter=40 csv=[{out}/scaled-rescale.csv]");
run(measure, "objects=[Whole image] mode=rescale csv=[{out}/rescale.csv]");
run(measure, "objects=[Whole image] mode=rescale csv=[{out}/rescale.csv] append");
File.saveString("done", "{out}/done.txt");
"""


@pytest.fixture(scope="module")
def outputs(home, field, tmp_path_factory):
    """The folder of what one run of the macro wrote."""
    import subprocess

    from imagej_host import command_of

    folder = tmp_path_factory.mktemp("out")
    (folder / "macro.ijm").write_text(MACRO.format(folder=field[0].parent, out=folder))
    done = subprocess.run(command_of(home, folder / "macro.ijm"), capture_output=True, text=True, timeout=PATIENCE)
    assert (folder / "done.txt").exists(), done.stdout + done.stderr
    return folder


def features(path, prefix="Objects"):
    frame = pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)
    return frame, frame[[name for name in frame if name.startswith(f"{prefix}_Microsnoop_E")]].to_numpy()


def outlines():
    """The boxes and masks of the macro's ROIs, drawn here by ImageJ's rule."""
    from microsnoop_engine.images.imagej_roi import fill, oval

    polygon = fill([np.array([[105, 90], [160, 95], [150, 150], [110, 140]], float)])
    ring = oval(60, 60)
    ring[15:45, 15:45] &= ~oval(30, 30)
    return [
        ((30, 20, 90, 60), oval(60, 40)),
        ((100, 100, 125, 141), np.ones((25, 41), bool)),
        polygon,
        ((200, 240, 260, 300), oval(60, 60)),
        ((150, 60, 210, 120), ring),
    ]


FITTED = CropSettings(scale="each")


def expected(embedder, image, settings=FITTED):
    boxes, masks = zip(*outlines(), strict=True)
    return measure_rois(embedder, image, np.array(boxes), np.concatenate([m.ravel() for m in masks]), settings)


def test_outlines_that_overlap_are_measured_each_by_itself(outputs, field, embedder):
    frame, found = features(outputs / "manager.csv")
    want = expected(embedder, field[1])
    np.testing.assert_allclose(found, want.features, atol=1e-4)
    assert frame["Metadata_Roi"].tolist()[0::2] == ["first cell", "over it", "ring"]
    assert frame["Metadata_Image"].unique().tolist() == ["field.tif"]
    assert frame["ObjectNumber"].tolist() == [1, 2, 3, 4, 5]
    assert frame["Metadata_Object_TouchesBorder"].tolist() == [0, 0, 0, 1, 0]
    np.testing.assert_array_equal(
        frame[[f"Metadata_Crop_{c}" for c in ("MinY", "MinX", "MaxY", "MaxX")]], want.regions.box
    )
    np.testing.assert_allclose(frame["Objects_Location_Center_X"], want.regions.center[:, 1], rtol=1e-6)
    assert list(frame)[-768].endswith("E000_DNA")
    assert list(frame)[-1].endswith("E255_Actin")


def test_the_results_table_holds_the_same_to_nine_decimals(outputs):
    table = pd.read_csv(outputs / "manager-results.csv")
    _, found = features(outputs / "manager.csv")
    names = [name for name in table if name.startswith("Microsnoop_E")]
    assert (names[0], names[256], len(names)) == ("Microsnoop_E000_DNA", "Microsnoop_E000_ER", 768)
    np.testing.assert_allclose(table[names], found, atol=1e-9)
    assert table["Label"].tolist()[::2] == ["field.tif:first cell", "field.tif:over it", "field.tif:ring"]


def test_masked_objects_of_chosen_channels_in_their_order(outputs, field, embedder):
    frame, found = features(outputs / "masked.parquet")
    settings = CropSettings(mask="object", rescale_constant=0.6, scale="each")
    np.testing.assert_allclose(found, expected(embedder, field[1][[1, 0]], settings).features, atol=1e-4)
    assert "Objects_Microsnoop_E000_ER" in frame
    assert "Objects_Microsnoop_E000_Actin" not in frame


def test_all_boxes_scaled_by_a_typical_diameter(outputs, field, embedder):
    _, found = features(outputs / "scaled.csv")
    want = expected(embedder, field[1][:1], CropSettings(diameter=40)).features
    np.testing.assert_allclose(found, want, atol=1e-4)
    assert np.abs(found - expected(embedder, field[1][:1]).features).max() > 1e-2


def test_clusters_and_a_name_for_a_channel(outputs):
    frame, found = features(outputs / "cluster.csv")
    assert found.shape == (5, 256)
    assert list(frame)[-1] == "Objects_Microsnoop_E255_Nucleus"
    sizes = frame["Metadata_Cluster"].value_counts()
    assert sorted(sizes.index) == [1, 2]
    assert sizes[1] >= sizes[2]


def test_the_overlay_and_the_table_emptied_first(outputs, field, embedder):
    _, found = features(outputs / "overlay.csv")
    np.testing.assert_allclose(found, expected(embedder, field[1]).features[:1], atol=1e-4)
    assert (outputs / "rows.txt").read_text().strip() == "1"


def test_the_active_selection(outputs, field, embedder):
    _, found = features(outputs / "selection.csv")
    labels = np.zeros((256, 256), np.int32)
    labels[60:90, 50:120] = 1
    np.testing.assert_allclose(found, measure(embedder, field[1], labels, FITTED).features, atol=1e-4)


def test_a_label_image(outputs, field, embedder):
    frame, found = features(outputs / "labels.csv", "Nuclei")
    want = measure(embedder, field[1], field[2], FITTED)
    np.testing.assert_allclose(found, want.features, atol=1e-4)
    np.testing.assert_array_equal(frame["ObjectNumber"], want.regions.object_number)
    assert sorted(frame["Metadata_Cluster"].unique()) == [1, 2, 3]


@pytest.mark.parametrize("mode", ["tile", "rescale"])
def test_whole_images(outputs, field, embedder, mode):
    frame, found = features(outputs / f"{mode}.csv", "Image")
    want = measure(embedder, field[1], settings=CropSettings(mode="tile" if mode == "tile" else "image")).features
    for row in found:
        np.testing.assert_allclose(row, want.mean(0), atol=1e-4)
    assert frame["ImageNumber"].tolist() == ([1] if mode == "tile" else [1, 2])


def test_tiles_are_scaled_by_a_typical_diameter_and_a_rescaled_image_is_not(outputs, field, embedder):
    _, tiles = features(outputs / "scaled-tile.csv", "Image")
    want = measure(embedder, field[1], settings=CropSettings(mode="tile", diameter=40)).features
    np.testing.assert_allclose(tiles, want, atol=1e-4)
    _, rescaled = features(outputs / "scaled-rescale.csv", "Image")
    want = measure(embedder, field[1], settings=CropSettings(mode="image")).features
    np.testing.assert_allclose(rescaled, want, atol=1e-4)


def test_the_file_is_a_table_of_the_engine(outputs, tmp_path):
    from microsnoop_engine.cli.main import main

    assert (
        main(["aggregate", str(outputs / "manager.csv"), "--level", "image", "--out", str(tmp_path / "a.parquet")]) == 0
    )
    assert len(pd.read_parquet(tmp_path / "a.parquet")) == 1

"""Classify Cells: the classes are those of ``microsnoop classify`` on the same rows."""

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from imagej_host import (
    CHANNELS,
    IJ_JAR,
    REPOSITORY,
    command_of,
    numbers,
    press,
    results,
    save_hyperstack,
    window,
)
from waiting import PATIENCE, wait_for

from microsnoop_engine.classification.application import apply_to_table
from microsnoop_engine.classification.model_file import load_classifier
from microsnoop_engine.classification.training import train_on_table
from microsnoop_engine.cli.main import main
from microsnoop_engine.images.imagej_roi import read_rois
from microsnoop_engine.images.synthetic import render_field

CLASSIFY = "Classify Cells"
ROUND, STRETCHED = 1, 2
EXAMPLES = 6
"""Of each kind."""


@pytest.fixture(scope="module")
def cells(tmp_path_factory):
    """Folder with an image and the labels of its nuclei; the kind of each nucleus, by its number."""
    halves = [
        render_field(phenotype, 1.0, np.random.default_rng(seed), shape=(256, 200), n_cells=14)
        for seed, phenotype in enumerate(("control", "compact_nuclei"))
    ]
    folder = tmp_path_factory.mktemp("cells")
    first, second = (half[1] for half in halves)
    labels = np.hstack([first, np.where(second > 0, second + first.max(), 0)]).astype(np.uint16)
    save_hyperstack(folder / "cells.tif", np.concatenate([half[0] for half in halves], axis=2), "CYX", CHANNELS)
    tifffile.imwrite(folder / "labels.tif", labels, imagej=True)
    return folder, labels, {n: ROUND if n <= first.max() else STRETCHED for n in np.unique(labels)[1:].tolist()}


def is_example(kinds, number):
    """The first nuclei of each kind are examples."""
    return sum(kinds[other] == kinds[number] and other < number for other in kinds) < EXAMPLES


@pytest.fixture
def opened(java, ij, cells):
    """The image in a window, and the outlines of its nuclei in the ROI Manager, some of them with a group."""
    folder, labels, kinds = cells
    java.jimport("ij.gui.Roi").setGroupNames("round")
    imp = ij.openImage(str(folder / "cells.tif"))
    imp.show()
    manager = java.jimport("ij.plugin.frame.RoiManager")()
    numbered = ij.openImage(str(folder / "labels.tif")).getProcessor()
    for number, kind in kinds.items():
        y, x = np.argwhere(labels == number)[0].tolist()
        wand = java.jimport("ij.gui.Wand")(numbered)
        wand.autoOutline(x, y, float(number), float(number))
        roi = java.jimport("ij.gui.PolygonRoi")(wand.xpoints, wand.ypoints, wand.npoints, 4)
        roi.setName(f"nucleus {number}")
        roi.setGroup(kind if is_example(kinds, number) else 0)
        manager.addRoi(roi)
    ij.log("\\Clear")
    yield imp
    java.jimport("ij.gui.Roi").setGroupNames("")


@pytest.fixture
def group_colors(home):
    """The colors of groups 0 to 2, from the lookup table that Fiji brings and Debian's ImageJ lacks."""
    colors = np.zeros((256, 3), np.uint8)
    colors[:3] = [255, 255, 255], [0, 0, 255], [255, 0, 0]
    path = home / "ImageJ" / "luts" / "glasbey.lut"
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(colors.T.tobytes())
    yield colors
    path.unlink()


def groups_of(rois):
    return [int(roi.getGroup()) for roi in rois]


def manager_rois(java):
    return list(java.jimport("ij.plugin.frame.RoiManager").getInstance().getRoisAsArray())


def classes_of(table):
    return [str(table.getStringValue("Microsnoop_Class", row)) for row in range(int(table.size()))]


def log_of(ij):
    return str(ij.getLog() or "")


@pytest.fixture
def run(java, ij):
    """Run the command on an image, whichever window is in front; its log if it fails."""
    windows = java.jimport("ij.WindowManager")

    def run_on(imp, options):
        windows.setTempCurrentImage(imp)
        try:
            ij.run(CLASSIFY, options)
        except java.jimport("java.lang.RuntimeException") as error:
            raise AssertionError(log_of(ij)) from error
        finally:
            windows.setTempCurrentImage(None)

    return run_on


@pytest.fixture
def refused(run):
    """Run the command, which must fail; its log."""

    def run_on(imp, options):
        with pytest.raises(AssertionError) as error:
            run(imp, options)
        return str(error.value)

    return run_on


def test_classes_are_those_of_the_command_line(java, ij, opened, cells, group_colors, tmp_path, run):
    kinds = cells[2]
    path, saved = tmp_path / "cells.csv", tmp_path / "model.safetensors"
    before = groups_of(manager_rois(java))
    run(opened, f"objects=[ROI Manager] csv=[{path}] save=[{saved}] overlay")
    frame = pd.read_csv(path)
    names = {ROUND: "round", STRETCHED: "2"}
    wanted = [names[kind] if is_example(kinds, number) else None for number, kind in kinds.items()]
    assert [None if pd.isna(name) else name for name in frame["Metadata_Label"]] == wanted

    training = train_on_table(path, label="Metadata_Label")
    expected = apply_to_table(path, training.model).frame
    assert frame["Metadata_Class"].tolist() == expected["Metadata_Class"].tolist()
    for name in ("2", "round"):
        column = f"Metadata_Class_Probability_{name}"
        np.testing.assert_allclose(frame[column], expected[column], atol=1e-6)
    loaded = load_classifier(saved)
    assert loaded.features == training.model.features
    np.testing.assert_allclose(loaded.classifier.weights, training.model.classifier.weights, atol=1e-9)
    assert loaded.network[0].weights.startswith("microsnoop-fast ")
    right = [names[kind] for kind in kinds.values()]
    assert np.mean(np.array(right) == frame["Metadata_Class"]) > 0.9

    table = results(java)
    assert classes_of(table) == frame["Metadata_Class"].tolist()
    probability = frame[["Metadata_Class_Probability_2", "Metadata_Class_Probability_round"]].max(axis=1)
    np.testing.assert_allclose(numbers(table, ["Microsnoop_Probability"])[:, 0], probability, atol=1e-6)

    drawn = [roi.getStrokeColor() for roi in opened.getOverlay().toArray()]
    group = {"round": 1, "2": 2}
    assert [[c.getRed(), c.getGreen(), c.getBlue()] for c in drawn] == [
        group_colors[group[name]].tolist() for name in frame["Metadata_Class"]
    ]
    assert groups_of(manager_rois(java)) == before
    log = log_of(ij)
    assert f"{2 * EXAMPLES} labeled cells, 768 features" in log
    assert re.search(r"balanced accuracy [\d.]+ % \([\d.]+ to [\d.]+ over 12 cells\), single cells held out", log)
    counts = frame["Metadata_Class"].value_counts()
    assert f'"cells.tif": {counts["2"]} of group 2, {counts["round"]} round (group 1)' in log


def test_the_dialog_is_recorded_and_the_line_gives_the_same_classes(java, ij, opened, tmp_path):
    path, saved = tmp_path / "cells.csv", tmp_path / "a model.safetensors"
    recorder = java.jimport("ij.plugin.frame.Recorder")()
    java.jimport("ij.WindowManager").setCurrentWindow(opened.getWindow())
    ij.doCommand(CLASSIFY)
    dialog = wait_for(lambda: window(java, CLASSIFY))
    assert str(dialog.getChoices().get(0).getSelectedItem()) == "ROI Manager"
    channels, model, save, _, file = dialog.getStringFields()
    channels.setText("DNA")
    assert str(model.getText()) == ""
    save.setText(str(saved))
    file.setText(str(path))
    assert [bool(box.getState()) for box in dialog.getCheckboxes()] == [True, False, False, False]
    press(java, dialog, "OK")
    line = (
        f'run("{CLASSIFY}", "objects=[ROI Manager] channels=DNA mode=box rescale_constant=2 table=[Microsnoop Results] '
        f'csv={path} save=[{saved}] overlay");'
    )
    wait_for(lambda: line in str(recorder.getText()))
    wait_for(lambda: 'Microsnoop: "cells.tif"' in log_of(ij))
    recorder.close()
    first, written = classes_of(results(java)), path.read_bytes()
    path.unlink()
    saved.unlink()
    results(java).reset()
    opened.setOverlay(None)
    ij.runMacro(line)
    assert classes_of(results(java)) == first
    assert path.read_bytes() == written
    assert saved.exists()
    assert int(opened.getOverlay().size()) == len(first)


def test_the_class_is_put_into_the_group_only_when_asked_and_is_no_example(
    java, ij, opened, cells, tmp_path, run, refused
):
    kinds = cells[2]
    examples = [kind if is_example(kinds, number) else 0 for number, kind in kinds.items()]
    options = "objects=[ROI Manager] channels=DNA clear"
    run(opened, f"{options} set_groups")
    first = classes_of(results(java))
    found = groups_of(manager_rois(java))
    assert found == [example or {"round": 1, "2": 2}[name] for example, name in zip(examples, first, strict=True)]
    java.jimport("ij.plugin.frame.RoiManager").getInstance().runCommand("Save", str(tmp_path / "rois.zip"))
    assert [roi.group for roi in read_rois(tmp_path / "rois.zip")] == [str(example or "") for example in examples]
    ij.log("\\Clear")
    run(opened, options)
    assert classes_of(results(java)) == first
    assert f"{2 * EXAMPLES} labeled cells" in log_of(ij)
    assert not [name for name in results(java).getHeadings() if "microsnoop_group" in str(name)]
    # a group that the user corrects is an example
    number = examples.index(0)
    manager_rois(java)[number].setGroup(3 - found[number])
    ij.log("\\Clear")
    run(opened, options)
    assert f"{2 * EXAMPLES + 1} labeled cells" in log_of(ij)
    for example, roi in zip(examples, manager_rois(java), strict=True):
        if example or roi is manager_rois(java)[number]:
            roi.setGroup(0)
    manager_rois(java)[number].setGroup(found[number])
    assert "Only this command has given outlines a group" in refused(opened, options)


@pytest.mark.parametrize(
    ("groups", "options", "said"),
    [
        ([], "", "No outline has a group, so that there are no examples."),
        ([1, 1, 1], "", "All examples (3) are of the group round. Give examples of the other cells another group."),
        ([1, 1, 2], "", "The group 2 has one example. Give two or more this group, better twenty."),
        ([1, 1, 2, 2], "save=/tmp/classifier.txt", "must end in .safetensors: add the ending."),
        ([1, 1, 2, 2], "save=/nowhere/a.safetensors", 'there is no folder "/nowhere"'),
        ([1, 1, 2, 2], "model=a.safetensors save=b.safetensors", "leave one of the two files out."),
        ([1, 1, 2, 2], "objects=[Whole image]", "Whole images have no outlines with groups"),
        ([1, 1, 2, 2], "cluster=3", 'There is no option "cluster"'),
        ([1, 1, 2, 2], "model=/nowhere/a.safetensors", "There is no classifier '/nowhere/a.safetensors'"),
    ],
)
def test_what_is_refused_before_anything_is_measured(java, opened, groups, options, said, refused):
    for roi, group in zip(manager_rois(java), [*groups, *[0] * 99], strict=False):
        roi.setGroup(group)
    log = refused(opened, f"channels=DNA {options}")
    assert said in log
    assert len(log[log.index("Microsnoop:") :].splitlines()) <= 3
    assert results(java).size() == 0


@pytest.fixture(scope="module")
def classifier(cells, tmp_path_factory):
    """A classifier that the command line trained on the nuclei of the label image, in their own boxes."""
    folder, _, kinds = cells
    out = tmp_path_factory.mktemp("classifier")
    profiles, saved = str(out / "profiles"), out / "model.safetensors"
    files = [str(folder / "cells.tif"), "--labels", str(folder / "labels.tif"), "--out", profiles]
    assert main(["profile", *files, "--scale", "each", "--threads", "1", "--quiet"]) == 0
    labels = pd.DataFrame(
        {"ImageNumber": 1, "ObjectNumber": list(kinds), "Label": [f"kind{k}" for k in kinds.values()]}
    )
    labels[[is_example(kinds, number) for number in kinds]].to_csv(out / "labels.csv", index=False)
    assert main(["classify", "train", profiles, "--labels", str(out / "labels.csv"), "-o", str(saved), "--quiet"]) == 0
    return saved, apply_to_table(profiles, saved).frame["Metadata_Class"].tolist()


def test_a_classifier_of_the_command_line_is_applied(java, ij, opened, cells, classifier, tmp_path, run):
    saved, expected = classifier
    for roi in manager_rois(java):
        roi.setGroup(0)
    run(opened, f"objects=[ROI Manager] model=[{saved}] set_groups")
    assert classes_of(results(java)) == expected
    assert "balanced accuracy" not in log_of(ij)
    # group 1 is called "round" already, so the classes are the next ones, by their own names
    assert set(groups_of(manager_rois(java))) == {2, 3}
    names = [str(java.jimport("ij.gui.Roi").getGroupName(group)) for group in groups_of(manager_rois(java))]
    assert names == expected
    ij.open(str(cells[0] / "labels.tif"))
    run(opened, f"objects=[Label image] labels=labels.tif model=[{saved}] clear overlay")
    assert classes_of(results(java)) == expected


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("channels=DNA,3", "needs the channels DNA, ER, Actin, but no ER is among DNA, Actin: choose these channels"),
        ("model=[{folder}/cells.tif]", "holds no classifier of 'microsnoop classify train'"),
        ("model=[{folder}/other.safetensors]", "was measured with microsnoop-fast"),
        (
            "rescale_constant=0.6 model=[{folder}/own.safetensors]",
            "Rescale constant is 0.6, but the classifier was trained",
        ),
    ],
)
def test_classifiers_that_do_not_go_with_the_image(java, opened, cells, classifier, options, said, refused):
    from dataclasses import replace

    from microsnoop_engine.classification.model_file import save_classifier
    from microsnoop_engine.tables.provenance import Computed

    model = load_classifier(classifier[0])
    save_classifier(cells[0] / "other.safetensors", replace(model, network=(Computed("other 0123", "float32"),)))
    save_classifier(cells[0] / "own.safetensors", replace(model, crops={"rescale_constant": 2.0}))
    options = options.format(folder=cells[0])
    options += "" if "model=" in options else f" model=[{classifier[0]}]"
    log = refused(opened, options)
    assert said in log
    assert len(log[log.index("Microsnoop:") :].splitlines()) == 1
    assert results(java).size() == 0


def test_points_with_a_group_mark_objects_of_a_label_image(java, ij, opened, cells, tmp_path, run, refused):
    folder, labels, kinds = cells
    ij.open(str(folder / "labels.tif"))
    options = f"objects=[Label image] labels=labels.tif channels=DNA overlay csv=[{tmp_path / 'cells.csv'}]"
    run(opened, options)
    # the outlines in the ROI Manager are those of the label image
    outlined = pd.read_csv(tmp_path / "cells.csv")
    manager = java.jimport("ij.plugin.frame.RoiManager").getInstance()
    manager.reset()
    overlay = java.jimport("ij.gui.Overlay")()
    for kind in (ROUND, STRETCHED):
        points = java.jimport("ij.gui.PointRoi")(0.0, 0.0)
        for number in kinds:
            if kinds[number] == kind and is_example(kinds, number):
                y, x = np.argwhere(labels == number)[len(np.argwhere(labels == number)) // 2].tolist()
                points.addPoint(float(x), float(y))
        points.setGroup(kind)
        overlay.add(points)
    opened.setOverlay(overlay)
    ij.log("\\Clear")
    run(opened, options)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "cells.csv"), outlined)
    assert "2 places with a group lie on no object of the label image" in log_of(ij)
    assert groups_of(opened.getOverlay().toArray()) == [1, 2, 0]
    overlay.get(1).addPoint(float(x), float(y))
    overlay.get(0).addPoint(float(x), float(y))
    said = f"The object {labels[y, x]} of the label image is marked with two groups, 1 and 2."
    assert said in refused(opened, options)


def stack_of(java, ij, cells, path, planes=4):
    """A stack of the same cells with other noise in each slice, with an outline of each nucleus at its slice."""
    folder, labels, kinds = cells
    random = np.random.default_rng(5)
    plane = tifffile.imread(folder / "cells.tif")[0].astype(float)
    stack = np.stack([plane + random.normal(0, 20, plane.shape) for _ in range(planes)]).clip(0, 65535)
    save_hyperstack(path, stack.astype(np.uint16), "ZYX")
    imp = ij.openImage(str(path))
    overlay = java.jimport("ij.gui.Overlay")()
    for number, kind in kinds.items():
        (top, left), (bottom, right) = (f(np.argwhere(labels == number), 0).tolist() for f in (np.min, np.max))
        roi = java.jimport("ij.gui.Roi")(left, top, right - left + 1, bottom - top + 1)
        roi.setPosition(1 + number % planes)
        roi.setGroup(kind if is_example(kinds, number) else 0)
        overlay.add(roi)
    imp.setOverlay(overlay)
    imp.show()
    return imp


def test_examples_in_some_slices(java, ij, cells, tmp_path, run, refused):
    kinds = cells[2]
    imp = stack_of(java, ij, cells, tmp_path / "stack.tif")
    ij.log("\\Clear")
    run(imp, "objects=Overlay slices=all")
    assert results(java).size() == len(kinds)
    assert f"{2 * EXAMPLES} labeled cells of 4 images" in log_of(ij)
    assert "images held out" in log_of(ij)
    for roi in imp.getOverlay().toArray():
        roi.setGroup(0 if int(roi.getPosition()) == 1 else int(roi.getGroup()))
    assert "lie on other slices than the one that is shown. Go to their slice" in refused(imp, "objects=Overlay")
    imp.setSlice(2)
    for roi in imp.getOverlay().toArray():
        roi.setPosition(2 if int(roi.getGroup()) else int(roi.getPosition()))
    imp.getOverlay().get(0).setGroup(1)
    imp.getOverlay().get(0).setPosition(3)
    ij.log("\\Clear")
    run(imp, "objects=Overlay")
    assert "1 ROIs with a group lie on other slices, and are no examples" in log_of(ij)


BATCH = """
open("{folder}/cells.tif");
{outlines}
options = "objects=[ROI Manager] channels=DNA overlay csv=[{out}/batch.csv]";
run("Classify Cells", options + " save=[{out}/batch.safetensors]");
if (Overlay.size != {count}) exit("no overlay");
answer = call("microsnoop.ClassifyCommand.macro", "objects=Overlay channels=DNA");
File.saveString(answer, "{out}/answer.txt");
"""
HEADLESS = """
import sys
import scyjava
scyjava.config.set_java_constraints(fetch="never")
scyjava.config.endpoints.clear()
for path in sys.argv[1:3]:
    scyjava.config.add_classpath(path)
scyjava.config.add_option("-Djava.awt.headless=true")
scyjava.start_jvm()
imp = scyjava.jimport("ij.IJ").openImage(sys.argv[3])
overlay = scyjava.jimport("ij.gui.Overlay")()
for text in sys.argv[5:]:
    x, y, width, height, group = map(int, text.split(","))
    roi = scyjava.jimport("ij.gui.Roi")(x, y, width, height)
    roi.setGroup(group)
    overlay.add(roi)
imp.setOverlay(overlay)
table = scyjava.jimport("microsnoop.ClassifyCommand").classify(imp, "channels=DNA csv=[" + sys.argv[4] + "]")
print("rows", table.size())
"""


def test_batch_mode_and_a_jvm_without_display_give_the_same_classes(batch, jar, cells, tmp_path):
    folder, labels, kinds = cells
    boxes = []
    for number, kind in kinds.items():
        (top, left), (bottom, right) = (f(np.argwhere(labels == number), 0).tolist() for f in (np.min, np.max))
        group = kind if is_example(kinds, number) else 0
        boxes.append((left, top, right - left + 1, bottom - top + 1, group))
    outlines = "".join(
        f'makeRectangle({x}, {y}, {w}, {h}); Roi.setGroup({group}); roiManager("add");\n' for x, y, w, h, group in boxes
    )
    text = "setBatchMode(true);\n" + BATCH.format(folder=folder, out=tmp_path, outlines=outlines, count=len(boxes))
    done = batch(text)
    assert (tmp_path / "answer.txt").exists(), done.stdout + done.stderr
    assert "has no overlay with outlines" in (tmp_path / "answer.txt").read_text()
    assert "balanced accuracy" in done.stdout
    assert load_classifier(tmp_path / "batch.safetensors").classifier.classes == ("1", "2")

    command = [sys.executable, "-c", HEADLESS, IJ_JAR, str(jar), str(folder / "cells.tif"), str(tmp_path / "own.csv")]
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    environment["MICROSNOOP_PYTHON"] = sys.executable
    arguments = [",".join(map(str, box)) for box in boxes]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, timeout=PATIENCE, env=environment)
    assert f"rows {len(boxes)}" in done.stdout, done.stdout + done.stderr
    columns = ["Metadata_Label", "Metadata_Class", "Metadata_Class_Probability_1", "Metadata_Class_Probability_2"]
    first, second = (pd.read_csv(tmp_path / name)[columns] for name in ("batch.csv", "own.csv"))
    pd.testing.assert_frame_equal(first, second)


def test_the_example_macro_classifies_a_folder(home, cells, classifier, tmp_path):
    from roifile import ImagejRoi, roiwrite

    folder, labels, kinds = cells
    saved, expected = classifier
    images, rois = tmp_path / "images", tmp_path / "rois"
    images.mkdir()
    rois.mkdir()
    for name in ("a", "b", "c"):
        (images / f"{name}.tif").write_bytes((folder / "cells.tif").read_bytes())
    tifffile.imwrite(images / "d.tif", labels, imagej=True)
    for name in ("a", "c", "d"):
        outlines = [ImagejRoi.frompoints(box_of(labels, number)) for number in kinds]
        roiwrite(rois / f"{name}.zip", outlines)
    macro = REPOSITORY / "examples" / "fiji" / "classify_folder.ijm"
    argument = f"{images},{rois},{saved},{tmp_path / 'classes.csv'}"
    done = subprocess.run(
        command_of(home, macro, argument), capture_output=True, text=True, timeout=PATIENCE, cwd=tmp_path
    )
    assert "Classified the outlines of 2 images (2 failed)" in done.stdout, done.stdout + done.stderr
    assert f"Failed: b.tif (there is no {rois}/b.zip)" in done.stdout
    assert "Failed: d.tif (The classifier 'model.safetensors' needs the channels DNA, ER, Actin" in done.stdout
    frame = pd.read_csv(tmp_path / "classes.csv")
    assert frame["Metadata_Image"].tolist() == ["a.tif"] * len(kinds) + ["c.tif"] * len(kinds)
    assert frame["Metadata_Class"].tolist() == expected * 2


def box_of(labels, number):
    """Corners of the rectangle around an object."""
    (top, left), (bottom, right) = (f(np.argwhere(labels == number), 0).tolist() for f in (np.min, np.max))
    return [(left, top), (right + 1, top), (right + 1, bottom + 1), (left, bottom + 1)]

"""ImageJ with its windows: dialogs, recorder, settings, map, and messages to a user who waits."""

import numpy as np
import pandas as pd
import pytest
from imagej_host import TABLE, components, feature_names, numbers, own_workers, press, results, wait_for, window

from microsnoop_engine.modes.measure import measure

MEASURE = "Measure Microsnoop Features"


@pytest.fixture
def opened(java, ij, field):
    """The field in a window, with the outlines of its nuclei in the ROI Manager."""
    labels = field[2]
    imp = ij.openImage(str(field[0]))
    imp.show()
    manager = java.jimport("ij.plugin.frame.RoiManager")()
    numbered = ij.openImage(str(field[0].parent / "labels.tif")).getProcessor()
    for number in np.unique(labels)[1:].tolist():
        y, x = np.argwhere(labels == number)[0].tolist()
        wand = java.jimport("ij.gui.Wand")(numbered)
        wand.autoOutline(x, y, float(number), float(number))
        roi = java.jimport("ij.gui.PolygonRoi")(wand.xpoints, wand.ypoints, wand.npoints, 4)
        roi.setName(f"cell {number}")
        manager.addRoi(roi)
    return imp


@pytest.fixture
def recorder(java, imagej):
    found = java.jimport("ij.plugin.frame.Recorder")()
    yield found
    found.close()


def start(java, imp, command):
    """Choose a command from the menu."""
    if imp is not None:
        java.jimport("ij.WindowManager").setCurrentWindow(imp.getWindow())
    java.jimport("ij.IJ").doCommand(command)
    return wait_for(lambda: window(java, command))


def test_the_dialog_is_recorded_and_the_line_gives_the_same_rows(java, ij, opened, recorder, embedder, field, tmp_path):
    path = tmp_path / "a folder" / "cells.csv"
    path.parent.mkdir()
    dialog = start(java, opened, MEASURE)
    choices = [str(choice.getSelectedItem()) for choice in dialog.getChoices()]
    assert choices == ["ROI Manager", "(no other image of this size)", "box", "tile"]
    enabled = [bool(choice.isEnabled()) for choice in dialog.getChoices()]
    assert enabled == [True, False, True, False]
    channels, _, file = dialog.getStringFields()
    channels.setText("DNA,3")
    file.setText(str(path))
    dialog.getNumericFields().get(0).setText("1.5")
    dialog.getNumericFields().get(1).setText("30")
    dialog.getNumericFields().get(2).setText("3")
    dialog.getCheckboxes().get(0).setState(True)
    press(java, dialog, "OK")
    wait_for(lambda: results(java).size() > 0 and "csv=" in str(recorder.getText()))
    line = str(recorder.getText()).strip()
    assert line == (
        f'run("{MEASURE}", "objects=[ROI Manager] channels=DNA,3 mode=box rescale_constant=1.5 diameter=30 '
        f'table=[Microsnoop Results] csv=[{path}] cluster=3 overlay");'
    )
    wait_for(path.exists)
    from microsnoop_engine.modes.settings import CropSettings

    want = measure(embedder, field[1][[0, 2]], field[2], CropSettings(rescale_constant=1.5, diameter=30)).features
    names = feature_names("DNA", "Actin")
    first = numbers(results(java), names)
    np.testing.assert_allclose(first, want, atol=1e-4)
    assert str(results(java).getLabel(0)) == "field.tif:cell 1"
    assert int(opened.getOverlay().size()) == len(want)
    written = path.read_bytes()
    path.unlink()
    results(java).reset()
    ij.runMacro(line)
    np.testing.assert_array_equal(numbers(results(java), names), first)
    assert path.read_bytes() == written
    assert int(java.jimport("ij.plugin.frame.RoiManager").getInstance().getCount()) == len(want)


def test_the_dialog_offers_what_is_there(java, ij, field, imagej):
    imp = ij.openImage(str(field[0]))
    imp.show()
    dialog = start(java, imp, MEASURE)
    assert str(dialog.getChoices().get(0).getSelectedItem()) == "Whole image"
    press(java, dialog, "Cancel")
    wait_for(lambda: window(java, MEASURE) is None)
    imp.setRoi(10, 10, 50, 50)
    dialog = start(java, imp, MEASURE)
    assert str(dialog.getChoices().get(0).getSelectedItem()) == "Active selection"
    press(java, dialog, "Cancel")
    wait_for(lambda: window(java, MEASURE) is None)
    assert results(java).size() == 0


def test_a_user_who_waits_gets_a_message(java, ij):
    ij.doCommand(MEASURE)
    dialog = wait_for(lambda: window(java, "Microsnoop"))
    (label,) = components(java, dialog, "ij.gui.MultiLineLabel")
    lines = label.getClass().getDeclaredField("lines")
    lines.setAccessible(True)
    said = " ".join(str(line).strip() for line in lines.get(label))
    press(java, dialog, "OK")
    wait_for(lambda: window(java, "Microsnoop") is None)
    assert said == "There is no image open. Open one with File > Open, and run this command again."


def test_settings_are_kept_and_tested(java, ij, recorder, home):
    dialog = start(java, None, "Microsnoop Settings")
    engine, _ = dialog.getStringFields()
    engine.setText("/nowhere/python")
    press(java, dialog, "Test engine")
    (answer,) = components(java, dialog, "java.awt.TextArea")
    wait_for(lambda: 'the setting "Engine" says "/nowhere/python"' in str(answer.getText()))
    engine.setText("")
    press(java, dialog, "Test engine")
    wait_for(lambda: "The engine works: microsnoop" in str(answer.getText()))
    dialog.getChoices().get(0).select("cpu")
    press(java, dialog, "OK")
    line = 'run("Microsnoop Settings", "engine=[] weights=fast device=cpu");'
    wait_for(lambda: line in str(recorder.getText()))
    assert str(java.jimport("ij.Prefs").get("microsnoop.device", "")) == "cpu"
    assert any("microsnoop.device=cpu" in path.read_text() for path in home.rglob("IJ_Prefs.txt"))
    ij.runMacro(line.replace("cpu", "auto"))
    assert str(java.jimport("ij.Prefs").get("microsnoop.device", "")) == "auto"


def test_there_is_one_warm_engine(java, ij, opened):
    ij.run(MEASURE, "objects=[ROI Manager]")
    first = own_workers()
    ij.run(MEASURE, "objects=[ROI Manager]")
    assert len(first) == 1
    assert own_workers() == first


def test_rows_are_added_to_the_window_as_to_the_table(java, ij, opened):
    ij.run(MEASURE, "objects=[ROI Manager] channels=1")
    count = int(results(java).size())
    ij.run(MEASURE, "objects=[ROI Manager] channels=1")
    panel = java.jimport("ij.WindowManager").getFrame(TABLE).getTextPanel()
    assert int(panel.getLineCount()) == int(results(java).size()) == 2 * count
    for row in (0, count - 1, count, 2 * count - 1):
        assert str(panel.getLine(row)) == str(results(java).getRowAsString(row))
    ij.run(MEASURE, "objects=[ROI Manager] channels=2")
    assert int(panel.getLineCount()) == 3 * count
    assert "Microsnoop_E000_ER" in str(panel.getColumnHeadings())
    missing = numbers(results(java), feature_names("ER"))
    assert np.isnan(missing[: 2 * count]).all()
    assert np.isfinite(missing[2 * count :]).all()
    ij.run(MEASURE, "objects=[ROI Manager] channels=2 clear")
    assert int(panel.getLineCount()) == int(results(java).size()) == count


def test_a_click_on_the_map_selects_the_object(java, ij, opened, field):
    ij.run(MEASURE, "objects=[ROI Manager] cluster=2")
    ij.run("Microsnoop Embedding Map", "method=PCA color=cluster")
    windows = java.jimport("ij.WindowManager")
    map_window = windows.getCurrentWindow()
    assert str(map_window.getTitle()).startswith(f"Microsnoop map of {TABLE}")
    plot = map_window.getPlot()
    count = int(results(java).size())
    points = plotted_points(java, plot)
    assert len(points) == count
    opened.killRoi()
    x, y = points[0]
    click(java, map_window, int(plot.scaleXtoPxl(x)), int(plot.scaleYtoPxl(y)))
    roi = wait_for(lambda: opened.getRoi())
    assert str(roi.getName()).startswith("cell ")
    panel = java.jimport("ij.WindowManager").getFrame(TABLE).getTextPanel()
    row = int(panel.getSelectionStart())
    assert str(results(java).getLabel(row)) == f"field.tif:{roi.getName()}"
    map_window.close()


def test_a_click_on_the_map_shows_the_nearest_objects(java, ij, opened, field):
    """In the order of the distance of all features; the first picture is that of the clicked object, as it is shown."""
    ij.run(MEASURE, "objects=[ROI Manager]")
    ij.run("Microsnoop Embedding Map", "method=PCA color=none nearest")
    windows = java.jimport("ij.WindowManager")
    map_window, table = windows.getCurrentWindow(), results(java)
    x, y = plotted_points(java, map_window.getPlot())[2]
    click(java, map_window, int(map_window.getPlot().scaleXtoPxl(x)), int(map_window.getPlot().scaleYtoPxl(y)))
    labels = [str(table.getLabel(row)) for row in range(int(table.size()))]
    montage = wait_for(lambda: next((i for i in images(java) if str(i.getTitle()).startswith("Nearest to ")), None))
    clicked = labels.index(str(montage.getTitle()).removeprefix("Nearest to "))
    features = numbers(table, feature_names("DNA", "ER", "Actin"))
    order = np.argsort(np.linalg.norm(features - features[clicked], axis=1), kind="stable")
    lines = str(montage.getProperty("Info")).splitlines()
    assert lines == [f"{number}  {labels[row]}" for number, row in enumerate(order, start=1)]
    assert order[0] == clicked
    side = int(1.5 * max(opened.getRoi().getBounds().width, opened.getRoi().getBounds().height))
    shown = pixels_of(java.jimport("ij.process.ColorProcessor")(opened.getImage()))
    column, row = (int(table.getValue(name, clicked)) for name in ("Center_X", "Center_Y"))
    tile = pixels_of(montage.getProcessor())[4:100, 4:100]
    middle = np.array([shown[row, column] >> shift & 255 for shift in (16, 8, 0)])
    found = np.array([tile[48, 48] >> shift & 255 for shift in (16, 8, 0)])
    assert side < 96
    assert np.abs(middle - found).max() <= 40
    for imp in (montage, map_window.getImagePlus()):
        imp.close()


def images(java):
    """The open images."""
    windows = java.jimport("ij.WindowManager")
    return [windows.getImage(number) for number in windows.getIDList()]


def pixels_of(processor):
    """The colors of an image as numbers."""
    shape = (int(processor.getHeight()), int(processor.getWidth()))
    return np.frombuffer(memoryview(processor.getPixels()), np.int32).reshape(shape)


def test_the_map_is_colored_by_groups_and_properties_of_rois(java, ij, opened):
    manager = java.jimport("ij.plugin.frame.RoiManager").getInstance()
    count = int(manager.getCount())
    for number in range(count):
        manager.getRoi(number).setGroup(1 + number % 2)
        manager.getRoi(number).setProperty("class", "early" if number < 2 else "late")
    ij.run(MEASURE, "objects=[ROI Manager]")
    for color, sizes in (("Group", {count // 2, count - count // 2}), ("Roi_class", {2, count - 2})):
        ij.run("Microsnoop Embedding Map", f"color={color}")
        window = java.jimport("ij.WindowManager").getCurrentWindow()
        table = window.getPlot().getResultsTable(True)
        frame = pd.DataFrame({str(n): list(table.getColumnAsDoubles(i)) for i, n in enumerate(table.getHeadings())})
        assert {int(frame[column].notna().sum()) for column in list(frame)[0::2]} == sizes
        window.close()
    with pytest.raises(java.jimport("java.lang.RuntimeException")):
        ij.run("Microsnoop Embedding Map", "color=Roi_other")
    assert 'color is "Roi_other": give one of cluster, image, none' in str(ij.getLog())


def plotted_points(java, plot):
    """The points of all groups of a scatter plot."""
    table = plot.getResultsTable(True)
    columns = [str(name) for name in table.getHeadings()]
    xs, ys = columns[0::2], columns[1::2]
    frame = pd.DataFrame({name: list(table.getColumnAsDoubles(i)) for i, name in enumerate(columns)})
    pairs = [frame[[x, y]].dropna().to_numpy() for x, y in zip(xs, ys, strict=True)]
    return np.concatenate(pairs)


def click(java, map_window, x, y):
    canvas = map_window.getCanvas()
    event = java.jimport("java.awt.event.MouseEvent")
    clicked = event(canvas, event.MOUSE_CLICKED, 0, 0, canvas.screenX(x), canvas.screenY(y), 1, False)
    for listener in canvas.getMouseListeners():
        if "microsnoop" in str(listener.getClass().getName()):
            listener.mouseClicked(clicked)


def test_help_opens(java, ij):
    ij.doCommand("Microsnoop Help")
    dialog = wait_for(lambda: window(java, "Microsnoop Help"))
    dialog.dispose()

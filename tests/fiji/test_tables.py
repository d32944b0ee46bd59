"""ImageJ's own measurements and the plugin's side by side: no number lands in a column of another name."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from imagej_host import IJ_JAR, TABLE, save_hyperstack

START = """
open("{folder}/field.tif");
run("Set Measurements...", "area mean standard min centroid display redirect=None decimal=3");
makeRectangle(100, 100, 40, 30); roiManager("add");
"""
MICROSNOOP = 'run("Measure Microsnoop Features", "objects=[ROI Manager] channels=DNA {options}");\n'
MEASURE = 'selectWindow("field.tif"); roiManager("select", 0); run("Measure");\n'
PARTICLES = """
run("Select None"); setSlice(1); run("Duplicate...", "title=m"); setAutoThreshold("Otsu dark");
run("Analyze Particles...", "size=100-Infinity display");
"""
SAVE = 'Table.save("{out}/results.csv", "Results");\n'
SAVE_OWN = 'Table.save("{out}/own.csv", "' + TABLE + '");\n'
END = 'eval("script", "java.lang.System.exit(0);");'
"""Or ImageJ asks whether to save its measurements."""


@pytest.fixture
def tables(ij, field, tmp_path):
    """Run a macro; the tables that it saved, by name."""

    def run(text, options=""):
        ij.runMacro((START + text).format(folder=field[0].parent, out=tmp_path, options=options))
        return {path.stem: pd.read_csv(path) for path in tmp_path.glob("*.csv")}

    return run


def deep(frame):
    return frame.filter(like="Microsnoop_E").to_numpy(float)


def test_measure_after_microsnoop(tables, field):
    found = tables(MICROSNOOP + MEASURE + SAVE + SAVE_OWN)
    own, measured = found["own"], found["results"]
    assert own["ObjectNumber"].tolist() == [1]
    assert np.isfinite(deep(own)).all()
    assert measured["Area"].tolist() == [1200]
    np.testing.assert_allclose(measured["Mean"], field[1][0, 100:130, 100:140].mean(), atol=1e-3)
    assert not [name for name in measured if "Microsnoop" in name or name == "ObjectNumber"]


def test_measure_after_microsnoop_without_a_results_window(batch, field, tmp_path):
    """With -batch ImageJ opens none; saveAs("Results") would save whatever table is in front."""
    columns = ("Area", "Mean", "ObjectNumber", "Microsnoop_E000_DNA")
    said = "".join(f'print("{name}=" + getResult("{name}", 0));' for name in columns)
    text = START + MICROSNOOP + MEASURE + SAVE_OWN + 'print("rows=" + nResults);' + said + END
    done = batch(text.format(folder=field[0].parent, out=tmp_path, options=""))
    assert np.isfinite(deep(pd.read_csv(tmp_path / "own.csv"))).all()
    found = dict(line.split("=") for line in done.stdout.splitlines() if line.startswith(("rows", *columns)))
    mean = field[1][0, 100:130, 100:140].mean()
    assert [float(found[name]) for name in ("rows", "Area")] == [1, 1200]
    assert float(found["Mean"]) == pytest.approx(mean, abs=1e-3)
    assert found["ObjectNumber"] == found["Microsnoop_E000_DNA"] == "NaN"


def test_particles_after_microsnoop(tables):
    found = tables(MICROSNOOP + PARTICLES + SAVE + SAVE_OWN)
    assert len(found["own"]) == 1
    assert len(found["results"]) > 3
    assert (found["results"]["Area"] >= 100).all()
    assert not [name for name in found["results"] if "Microsnoop" in name or name == "ObjectNumber"]


def test_measure_before_microsnoop(tables):
    found = tables(MEASURE + MICROSNOOP + SAVE + SAVE_OWN)
    assert found["results"]["Area"].tolist() == [1200]
    assert len(found["own"]) == 1
    assert "Area" not in found["own"]


@pytest.mark.parametrize("first", ["microsnoop", "imagej"])
def test_together_in_the_results_table_what_is_not_measured_is_nan(tables, field, first):
    """With table=Results both are rows of one table."""
    both = (MICROSNOOP, MEASURE) if first == "microsnoop" else (MEASURE, MICROSNOOP)
    mixed = tables("".join(both) + SAVE, "table=Results")["results"]
    assert len(mixed) == 2
    ours, theirs = (0, 1) if first == "microsnoop" else (1, 0)
    assert np.isnan(mixed["Area"][ours])
    assert mixed["Area"][theirs] == 1200
    np.testing.assert_allclose(mixed["Mean"][theirs], field[1][0, 100:130, 100:140].mean(), atol=1e-3)
    assert np.isfinite(deep(mixed)[ours]).all()
    assert np.isnan(deep(mixed)[theirs]).all()
    assert mixed["ObjectNumber"][ours] == 1
    assert np.isnan(mixed["ObjectNumber"][theirs])
    assert deep(mixed).shape == (2, 256)


def test_other_measurements_leave_our_columns_in_the_results_table(tables):
    """'Set Measurements...' removes what it takes for columns of former measurements."""
    text = (
        MICROSNOOP
        + MEASURE
        + 'run("Set Measurements...", "area perimeter redirect=None decimal=3");\n'
        + MEASURE
        + SAVE
    )
    mixed = tables(text, "table=Results")["results"]
    assert mixed["Area"].tolist()[1:] == [1200, 1200]
    assert np.isfinite(deep(mixed)[0]).all()
    assert deep(mixed).shape == (3, 256)


def test_slices_and_frames_in_the_results_table(tables, tmp_path):
    stack = np.random.default_rng(0).integers(0, 4000, (2, 3, 40, 50)).astype(np.uint16)
    save_hyperstack(tmp_path / "stack.tif", stack, "TZYX")
    # from 1.54 the ROI Manager keeps the slice on which an outline was drawn
    text = 'open("{out}/stack.tif"); makeRectangle(5, 5, 20, 20);\n'
    text += MICROSNOOP.replace("DNA", "all").replace("ROI Manager", "Active selection") + SAVE
    mixed = tables(text, "slices=all table=Results")["results"]
    assert mixed["Slice"].tolist() == [1, 2, 3] * 2
    assert mixed["Frame"].tolist() == [1, 1, 1, 2, 2, 2]


def test_names_of_columns_have_the_same_digits_everywhere(batch, field, tmp_path):
    """Where people count with other digits, Java formats with them too."""
    text = (START + MICROSNOOP + 'run("Microsnoop Embedding Map", "color=none");\n' + SAVE_OWN + END).replace(
        'roiManager("add");', 'for (i = 0; i < 5; i++) {{ makeOval(20 + 30 * i, 60, 40, 40); roiManager("add"); }}'
    )
    text = text.format(folder=field[0].parent, out=tmp_path, options="")
    done = batch(text, JAVA_TOOL_OPTIONS="-Duser.language=ar -Duser.country=EG -Duser.extensions=u-nu-arab")
    own = pd.read_csv(tmp_path / "own.csv")
    assert len(own) == 5, done.stderr
    assert list(own)[-256:] == [f"Microsnoop_E{index:03d}_DNA" for index in range(256)]
    assert own["Label"].str.fullmatch(r"field.tif:[0-9-]+").all()


def test_brackets_in_the_title_of_a_label_image(batch, field, tmp_path):
    save_hyperstack(tmp_path / "time.tif", np.stack([field[1][0]] * 2), "TYX")
    save_hyperstack(tmp_path / "labels.tif", np.stack([field[2]] * 2).astype(np.uint16), "TYX")
    title = "Label Image [0.5] x"
    done = batch(
        f'open("{tmp_path}/time.tif"); open("{tmp_path}/labels.tif"); rename("{title}"); selectWindow("time.tif");\n'
        'run("Measure Microsnoop Features", '
        f'"objects=[Label image] labels=[{title}] slices=all csv=[{tmp_path}/cells.csv]");\n'
    )
    cells = pd.read_csv(tmp_path / "cells.csv") if (tmp_path / "cells.csv").exists() else done.stderr
    assert len(cells) == 2 * len(np.unique(field[2])[1:]), cells


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
imp.setRoi(100, 100, 40, 40)
command = scyjava.jimport("microsnoop.MeasureCommand")
for expected in (1, 2):
    table = command.measure(imp, "objects=[Active selection] table=Cells")
    print("rows", table.size(), "columns", len(table.getHeadings()))
"""


def test_a_table_without_windows(jar, field):
    """Headless, scripts get the table, and rows are added to it."""
    command = [sys.executable, "-c", HEADLESS, IJ_JAR, str(jar), str(field[0])]
    environment = {name: value for name, value in os.environ.items() if name != "DISPLAY"}
    environment["MICROSNOOP_PYTHON"] = sys.executable
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, env=environment)
    assert "rows 1 columns 772\nrows 2 columns 772\n" in done.stdout, done.stdout + done.stderr

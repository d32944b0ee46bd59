"""A short core of the plugin on the oldest and newest ImageJ and Java at hand: objects of every kind, files, errors."""

import os
import re
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from imagej_host import IJ_JAR, command_of, maven_jars
from waiting import PATIENCE

from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.settings import CropSettings

MACRO = """
setBatchMode(true);
print("ImageJ " + IJ.getFullVersion + ", Java " + getInfo("java.version"));
open("{folder}/labels.tif"); rename("numbers");
open("{folder}/field.tif");
makeRectangle(50, 60, 70, 30); Roi.setGroup(2); roiManager("add"); run("Select None");
run("Measure Microsnoop Features", "objects=[ROI Manager] csv=[{out}/manager.csv]");
run("Measure Microsnoop Features", "objects=[Label image] labels=numbers cluster=2 overlay csv=[{out}/labels.csv]");
run("Measure Microsnoop Features", "objects=[Whole image] mode=rescale csv=[{out}/whole.csv]");
Table.save("{out}/table.csv", "Microsnoop Results");
print("said: " + call("microsnoop.ImageFile.open", "{out}/manager.csv"));
run("Measure Microsnoop Features", "objects=Nonsense");
print("went on");
"""


def javas():
    """The Java of the path, and the newest one that is installed."""
    found = {}
    for java in Path("/usr/lib/jvm").glob("*/bin/java"):
        version = re.search(
            r'version "(?:1\.)?(\d+)', subprocess.run([java, "-version"], capture_output=True).stderr.decode()
        )
        found[int(version[1])] = str(java)
    return {"java": "java", "newest java": found[max(found)] if found else "java"}


@pytest.mark.parametrize("java", ["java", "newest java"])
@pytest.mark.parametrize("imagej", ["Debian's ImageJ", "ImageJ of Fiji"])
def test_the_core(home, field, embedder, tmp_path, imagej, java):
    (ij_jar,) = [IJ_JAR] if imagej == "Debian's ImageJ" else maven_jars("ij")
    macro = tmp_path / "macro.ijm"
    macro.write_text(MACRO.format(folder=field[0].parent, out=tmp_path))
    command = command_of(home, macro)
    command[0], command[command.index("-jar") + 1] = javas()[java], ij_jar
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, env=os.environ, cwd=tmp_path)
    print(done.stdout)
    assert "went on" not in done.stdout
    assert 'objects is "Nonsense": give one of ROI Manager' in done.stdout, done.stdout + done.stderr
    assert 'said: "manager.csv" cannot be read as an image' in done.stdout
    box = np.zeros((256, 256), np.int32)
    box[60:90, 50:120] = 1
    fitted = CropSettings(scale="each")
    for name, prefix, want in (
        ("manager", "Objects", measure(embedder, field[1], box, fitted)),
        ("labels", "Objects", measure(embedder, field[1], field[2], fitted)),
        ("whole", "Image", measure(embedder, field[1], settings=CropSettings(mode="image"))),
    ):
        frame = pd.read_csv(tmp_path / f"{name}.csv")
        found = frame[[column for column in frame if column.startswith(f"{prefix}_Microsnoop_E")]].to_numpy()
        np.testing.assert_allclose(found, want.features, atol=1e-4)
    assert pd.read_csv(tmp_path / "manager.csv")["Metadata_Group"].tolist() == [2]
    assert len(pd.read_csv(tmp_path / "table.csv")) == 1 + len(np.unique(field[2])[1:]) + 1

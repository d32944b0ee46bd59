"""Run a session of CellProfiler's real window (cellprofiler_window.py) for a user of its own."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from cellprofiler_examples import build
from cellprofiler_host import REPOSITORY, run_engine_script, set_objects
from cellprofiler_runs import insert, save

DRIVER = Path(__file__).with_name("cellprofiler_window.py")
OLD = REPOSITORY / "tests" / "data" / "cellprofiler"
PREFERENCES = r"""PreferencesVersion=1
Telemetry=0
Telemetry\ prompt=0
StartupBlurb=0
ShowExitingTestModeDlg=No
ShowAnalysisCompleteDlg=No
MaxWorkers=2
"""
"""Of somebody who has used CellProfiler before; a new user would be asked things first."""
SETS = {"Nuclei": ("Box", 2.0), "Cells": ("Box", 0.6), "Cytoplasm": ("Masked object", 0.6)}


def missing_for_the_window():
    """What is missing for a session; blank if nothing is."""
    if importlib.util.find_spec("wx") is None:
        return "wxPython (make cellprofiler-window adds it; without a wheel it builds one in about 25 minutes)"
    if not (shutil.which("xvfb-run") and shutil.which("xauth")):
        return "Xvfb (make cellprofiler-window installs it)"
    return ""


def three_object_sets(path, scope):
    """Write a pipeline that measures nuclei, cells and cytoplasm of the drawn screen."""
    pipeline = build(["DNA", "ER"], (10, 60))
    for name in ("ExportToDatabase", "MeasureObjectIntensity"):
        pipeline.remove_module(next(module.module_num for module in pipeline.modules() if module.module_name == name))
    insert(pipeline, 3, "IdentifySecondaryObjects", x_name="Nuclei", y_name="Cells", image_name="ER")
    names = {"primary_objects_name": "Nuclei", "secondary_objects_name": "Cells", "subregion_objects_name": "Cytoplasm"}
    insert(pipeline, 4, "IdentifyTertiaryObjects", **names)
    for module in pipeline.modules()[2:4]:
        module.show_window = False
    module = pipeline.modules()[4]
    module.scope.value = scope
    set_objects(module, SETS)
    for group in module.object_sets:
        group.crop.value, group.rescale_constant.value = SETS[group.name.value]
    return save(pipeline, path)


def run_session(folder, engine_python, scope="Both", shape=(240, 240), cells=14, height=1100, steps=()):
    """Install the module for a new user, start CellProfiler, and go through the steps.

    Parameters
    ----------
    folder : Path
        Receives ``seen``, with the observations (seen.json) and the pictures.
    engine_python : str
        The engine's interpreter.
    scope : str
        What is measured.
    shape, cells
        Of the drawn images.
    height : int
        Of the screen, in pixels.
    steps : sequence of str
        By default all.

    Returns
    -------
    dict
        What the session has seen.
    """
    home, images, out, temporary = (folder / name for name in ("home", "images", "seen", "tmp"))
    for path in (home / ".config", out, temporary):
        path.mkdir(parents=True)
    (home / ".config" / "CellProfilerLocal.cfg").write_text(PREFERENCES)
    script = (
        "import sys; from microsnoop_engine.images.synthetic import write_screen; "
        "height, width, cells = map(int, sys.argv[2:]); "
        "write_screen(sys.argv[1], plates=1, shape=(height, width), n_cells=cells)"
    )
    run_engine_script(engine_python, script, images, *shape, cells)
    table = images / "LoadData.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    pipeline = three_object_sets(folder / "three.cppipe", scope)
    environment = {**os.environ, "HOME": str(home), "TMPDIR": str(temporary)}
    for name in ("XDG_CONFIG_HOME", "MICROSNOOP_PYTHON"):
        environment.pop(name, None)
    install = [engine_python, "-m", "microsnoop_engine", "install", "cellprofiler"]
    subprocess.run(install, env=environment, cwd=str(REPOSITORY), check=True, stdout=subprocess.DEVNULL)
    # without -noreset the screen starts again when the first window closes, and refuses the next one meanwhile
    screen = ["xvfb-run", "-a", "-s", f"-screen 0 1400x{height}x24 -noreset"]
    command = [*screen, sys.executable, DRIVER, pipeline, images, out, OLD, *steps]
    with (folder / "log.txt").open("w") as log:
        done = subprocess.run([str(word) for word in command], env=environment, stdout=log, stderr=subprocess.STDOUT)
    assert done.returncode == 0, (folder / "log.txt").read_text()[-3000:]
    return json.loads((out / "seen.json").read_text())

"""Run CellProfiler in this process, without a window and with the plugin of this checkout.

Imported before anything else imports CellProfiler: its plugins are loaded once.
"""
# ruff: noqa: E402

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGINS = REPOSITORY / "cellprofiler_plugins"

os.environ.setdefault("MICROSNOOP_PYTHON", str(REPOSITORY / ".venv" / "bin" / "python"))
if "JAVA_HOME" not in os.environ and shutil.which("javac"):
    os.environ["JAVA_HOME"] = str(Path(shutil.which("javac")).resolve().parents[1])

from cellprofiler_core.preferences import set_headless, set_plugin_directory

set_headless()
set_plugin_directory(str(PLUGINS), globally=False)

import cellprofiler_core.modules  # noqa: F401  (loads all modules, the plugin too)
import numpy as np
from cellprofiler_core.image import Image, ImageSetList
from cellprofiler_core.measurement import Measurements
from cellprofiler_core.object import Objects, ObjectSet
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_core.workspace import Workspace
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from waiting import wait_for


def make_module(images=("DNA",), objects=("Nuclei",), scope="Objects", number=1):
    """A MeasureMicrosnoopFeatures module with these settings."""
    module = instantiate_module("MeasureMicrosnoopFeatures")
    module.images_list.value = ", ".join(images)
    set_objects(module, objects)
    module.scope.value = scope
    module.set_module_num(number)
    module.show_window = False
    return module


def set_objects(module, names):
    """Let a module measure these object sets, with the settings of a new one."""
    del module.object_sets[:]
    for name in names:
        module.add_object_set()
        module.object_sets[-1].name.value = name


def make_pipeline(*modules):
    """A pipeline of modules that collects what would be shown as an error."""
    pipeline = Pipeline()
    pipeline.errors = []
    pipeline.add_listener(lambda _, event: pipeline.errors.append(event) if "Error" in type(event).__name__ else None)
    for module in modules:
        pipeline.add_module(module)
    return pipeline


def make_workspace(module, images, objects=None, pipeline=None):
    """Workspace of one image set: images by name, and objects by name as labels (h, w) or as (i, j, label) rows."""
    image_set = ImageSetList().get_image_set(0)
    for name, pixels in images.items():
        image_set.add(name, pixels if isinstance(pixels, Image) else Image(pixels))
    object_set = ObjectSet()
    for name, labels in (objects or {}).items():
        made = labels
        if not isinstance(labels, Objects):
            made = Objects()
            made.segmented = labels
        object_set.add_objects(made, name)
    return Workspace(pipeline or make_pipeline(module), module, image_set, object_set, Measurements(), ImageSetList())


def written(workspace, name):
    """What was written for an object set, as an array with one column per feature, in the declared order."""
    measurements = workspace.measurements
    return np.array([measurements.get_current_measurement(name, f) for f in features_of(workspace, name)]).T


def features_of(workspace, name):
    """Declared features of an object set."""
    columns = workspace.module.get_measurement_columns(workspace.pipeline)
    return [feature for owner, feature, _ in columns if owner == name]


class FigureStandIn:
    """CellProfiler's figure window, as far as `display` uses it, on a plain matplotlib figure."""

    def __init__(self):
        self.figure = Figure(figsize=(6.4, 4.8), constrained_layout=True)  # 640 x 480 pixels, as new windows have
        self.figure.set_constrained_layout_pads(w_pad=0.1, h_pad=0.05, wspace=0, hspace=0)
        FigureCanvasAgg(self.figure)

    def set_subplots(self, shape):
        self.grid = self.figure.add_gridspec(shape[1], shape[0])
        self.axes = {}

    def subplot(self, x, y):
        if (x, y) not in self.axes:
            self.axes[x, y] = self.figure.add_subplot(self.grid[y, x])
        return self.axes[x, y]


def wait_until_busy(folder):
    """Wait until an engine was given the arrays of a request and had time to begin."""
    wait_for(lambda: len(list(Path(folder).iterdir())) > 1)
    time.sleep(0.5)


def kill_once_busy(pid, folder):
    """Kill an engine in the middle of a request."""
    wait_until_busy(folder)
    os.kill(pid, signal.SIGKILL)


def run_engine_script(python, script, *arguments):
    """Run a script in the engine's environment."""
    done = subprocess.run(
        [python, "-c", script, *map(str, arguments)], capture_output=True, text=True, cwd=str(REPOSITORY)
    )
    assert done.returncode == 0, done.stderr
    return done.stdout

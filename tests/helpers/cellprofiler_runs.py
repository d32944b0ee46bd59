"""Whole runs of CellProfiler in processes of their own: their inputs, their outputs, and what must not remain."""

import csv
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
import tifffile
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_examples import EXAMPLES
from cellprofiler_host import PLUGINS, run_engine_script
from engine_processes import cmdline
from real_crops import real_field
from waiting import assert_gone

MARK = "MICROSNOOP_TEST_RUN"
CELLPROFILER = [sys.executable, "-m", "cellprofiler", "-c", "-r", "-L", "INFO"]
WELLS = ("A01", "A06", "B12")
WHOLE = "A01"
"""The well that the test data have as a whole; of the others they have the same part that is used of it."""


def write_wells(folder):
    """Three wells of the real plate as TIFF files with a LoadData.csv; a part of each field, two tiles wide."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for well in WELLS:
        image = real_field(f"bbbc013_{well}")
        row = {}
        for channel, plane in zip(("GFP", "DNA"), image if well != WHOLE else image[:, 200:340, 200:440]):  # noqa: B905 Python 3.9 has no strict
            row[f"FileName_{channel}"] = f"{well}_{channel}.tif"
            row[f"PathName_{channel}"] = "images"
            tifffile.imwrite(folder / "images" / f"{well}_{channel}.tif", plane)
        rows.append({**row, "Metadata_Plate": "BBBC013", "Metadata_Well": well, "Metadata_Row": well[0]})
    with (folder / "LoadData.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder


def example(name):
    """An example pipeline as CellProfiler loads it."""
    pipeline = Pipeline()
    with (EXAMPLES / name).open() as file:
        pipeline.loadtxt(file, raise_on_error=True)
    return pipeline


def insert(pipeline, position, name, **settings):
    """Put a module into a pipeline."""
    module = instantiate_module(name)
    module.set_module_num(position)
    for setting, value in settings.items():
        getattr(module, setting).value = value
    pipeline.add_module(module)


def match_by_metadata(pipeline, channels, expression):
    """Let the input modules read a pipeline's images: files whose names end in a channel, matched by well and site."""
    for position, name in enumerate(("Images", "Metadata", "NamesAndTypes", "Groups"), start=1):
        insert(pipeline, position, name)
    metadata, names = pipeline.modules()[1:3]
    metadata.wants_metadata.value = True
    metadata.extraction_methods[0].file_regexp.value = expression
    names.assignment_method.value = "Images matching rules"
    for number, channel in enumerate(channels):
        if number:
            names.add_assignment()
        assignment = names.assignments[number]
        assignment.rule_filter.value = f'and (file does contain "_{channel}")'
        assignment.image_name.value = channel
        assignment.load_as_choice.value = "Grayscale image"
    names.matching_choice.value = "Metadata"
    names.join.value = repr([dict.fromkeys(channels, key) for key in ("Well", "Site")])


def save(pipeline, path):
    """Write a pipeline file."""
    with path.open("w") as file:
        pipeline.dump(file, save_image_plane_details=False)
    return path


def save_labels(pipeline, well_image):
    """Let a pipeline write the nuclei's labels as WELL_CHANNEL_labels.tiff."""
    insert(pipeline, 3, "ConvertObjectsToImage", object_name="Nuclei", image_name="Labels", image_mode="uint16")
    insert(
        pipeline,
        4,
        "SaveImages",
        image_name="Labels",
        file_image_name=well_image,
        wants_file_name_suffix="Yes",
        file_name_suffix="_labels",
        bit_depth="16-bit integer",
    )
    return pipeline


class Run:
    """A run of CellProfiler, with a temporary folder and a mark of its own by which its processes are known."""

    def __init__(self, folder, command, environment=None):
        self.out = folder / "out"
        self.temporary = folder / "tmp"
        self.temporary.mkdir(parents=True)
        self.out.mkdir()
        self.mark = str(folder)
        self.process = subprocess.Popen(
            [*map(str, command), "-o", str(self.out)],
            env={**os.environ, "TMPDIR": str(self.temporary), MARK: self.mark, **(environment or {})},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
        )

    def wait(self):
        """Wait for the end; returns what was printed. Nothing of the run may remain."""
        text = self.process.communicate()[0]
        self.assert_nothing_remains()
        return text

    def engines(self):
        """Engine processes of this run."""
        return [process for process in self.processes() if "microsnoop_engine" in cmdline(process)]

    def read_until(self, text):
        """Read what is printed until a line holds this text."""
        for line in self.process.stdout:
            if text in line:
                return
        pytest.fail(f"the run ended before it printed {text!r}")

    def processes(self):
        """All processes of this run that still live."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found

    def assert_nothing_remains(self):
        """Fail if a process or a folder of an engine is left."""
        assert_gone(self.processes())
        assert not list(self.temporary.glob("microsnoop-worker-*"))


def headless(folder, pipeline, images, plugins=PLUGINS, arguments=(), environment=None):
    """Start CellProfiler without its window."""
    command = [*CELLPROFILER, "-p", pipeline, "-i", images, "--plugins-directory", plugins, *arguments]
    return Run(folder, command, environment)


def analysis(folder, pipeline, images, workers=2):
    """Start CellProfiler's analysis in workers, as its window does."""
    host = Path(__file__).with_name("cellprofiler_analysis.py")
    return Run(folder, [sys.executable, host, pipeline, PLUGINS, workers, "-i", images])


def completed(run):
    """Wait for a run that has to succeed."""
    text = run.wait()
    assert run.process.returncode == 0, text
    return run.out


def feature_columns(images, prefix=""):
    """Names of the declared columns."""
    return [f"{prefix}Microsnoop_E{index:03d}_{image}" for image in images for index in range(256)]


def read_csv(path):
    """Column names and rows of a table of ExportToSpreadsheet."""
    with Path(path).open(newline="") as file:
        reader = csv.DictReader(file)
        return reader.fieldnames, list(reader)


def csv_features(path, images):
    """{well: features} of a table of ExportToSpreadsheet, after a look at its columns."""
    names, rows = read_csv(path)
    expected = feature_columns(images)
    assert {name for name in names if name.startswith("Microsnoop_")} == set(expected)
    result = {}
    for row in rows:
        result.setdefault(row["Metadata_Well"], []).append([float(row[name]) for name in expected])
    return {well: np.array(values) for well, values in result.items()}


def database_features(path, table, images):
    """{well: features} of a table of ExportToDatabase (SQLite), after a look at its columns."""
    expected = feature_columns(images, f"{table}_")
    with sqlite3.connect(str(path)) as connection:
        wells = dict(connection.execute("select ImageNumber, Image_Metadata_Well from Per_Image"))
        names = [column[1] for column in connection.execute(f"pragma table_info(Per_{table})")]
        assert {name for name in names if name.startswith(f"{table}_Microsnoop_")} == set(expected)
        order = "ImageNumber" if table == "Image" else "ImageNumber, Nuclei_Number_Object_Number"
        rows = connection.execute(f"select ImageNumber, {', '.join(expected)} from Per_{table} order by {order}")
        result = {}
        for number, *values in rows:
            result.setdefault(wells[number], []).append(values)
    return {well: np.array(values, float) for well, values in result.items()}


def engine_features(python, images, labels, result):
    """What the engine itself makes of the same images and labels: {well: (nuclei, image)}.

    ``images`` holds WELL_CHANNEL.tif, ``labels`` WELL_GFP_labels.tiff; the values travel in the file ``result``.
    """
    script = """
import sys
from pathlib import Path
import numpy as np, tifffile
from microsnoop_engine import CropSettings, Embedder, measure
images, labels, result = map(Path, sys.argv[1:4])
embedder, found = Embedder(), {}
for well in sys.argv[4:]:
    image = np.stack([tifffile.imread(images / f"{well}_{channel}.tif") for channel in ("GFP", "DNA")])
    nuclei = measure(embedder, image, tifffile.imread(labels / f"{well}_GFP_labels.tiff"), CropSettings(scale="each"))
    found[well + "_nuclei"] = nuclei.features
    found[well + "_image"] = measure(embedder, image, settings=CropSettings(mode="tile")).features
np.savez(result, **found)
"""
    run_engine_script(python, script, images, labels, result, *WELLS)
    with np.load(result) as found:
        return {well: (found[f"{well}_nuclei"], found[f"{well}_image"]) for well in WELLS}

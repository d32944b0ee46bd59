"""Seconds of CellProfiler's MeasureTexture on FOLDER/*.npz (image (c, h, w), labels (h, w)); run by throughput.py.

First on the nuclei with the module's default settings, then as Cell Painting uses it: nuclei and cells, three scales.
"""
# ruff: noqa: E402, B905 (CellProfiler's Python)

import sys
import time
from pathlib import Path

from cellprofiler_core.preferences import set_headless

set_headless()

import cellprofiler_core.modules  # noqa: F401
import numpy as np
from cellprofiler_core.image import Image, ImageSetList
from cellprofiler_core.measurement import Measurements
from cellprofiler_core.object import Objects, ObjectSet
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_core.workspace import Workspace
from skimage.segmentation import expand_labels


def texture_seconds(image, labels_of, scales):
    """Seconds (wall, CPU) of one run on an image (c, h, w) for object sets by name."""
    names = [f"Channel{number}" for number in range(len(image))]
    image_set = ImageSetList().get_image_set(0)
    for name, plane in zip(names, image):
        image_set.add(name, Image(plane / np.float32(np.iinfo(plane.dtype).max)))
    object_set = ObjectSet()
    for name, labels in labels_of.items():
        objects = Objects()
        objects.segmented = labels
        object_set.add_objects(objects, name)
    module = instantiate_module("MeasureTexture")
    module.images_list.value = ", ".join(names)
    module.objects_list.value = ", ".join(labels_of)
    module.images_or_objects.value = "Objects"
    for position, scale in enumerate(scales):
        if position:
            module.add_scale()
        module.scale_groups[position].scale.value = scale
    module.show_window = False
    module.set_module_num(1)
    pipeline = Pipeline()
    pipeline.add_module(module)
    workspace = Workspace(pipeline, module, image_set, object_set, Measurements(), ImageSetList())
    began, spent = time.perf_counter(), time.process_time()
    module.run(workspace)
    seconds = np.array([time.perf_counter() - began, time.process_time() - spent])
    for name, labels in labels_of.items():
        columns = [c[1] for c in module.get_measurement_columns(pipeline) if c[0] == name]
        assert len(columns) == 13 * 4 * len(scales) * len(image)
        assert len(workspace.measurements.get_current_measurement(name, columns[-1])) == labels.max()
    return seconds


nuclei_seconds = usual_seconds = 0.0
for path in sorted(Path(sys.argv[1]).glob("*.npz")):
    with np.load(path) as data:
        image, nuclei = data["image"], data["labels"]
    nuclei_seconds += texture_seconds(image, {"Nuclei": nuclei}, [3])
    both = {"Nuclei": nuclei, "Cells": expand_labels(nuclei, 15)}
    usual_seconds += texture_seconds(image, both, [3, 5, 10])
print(*nuclei_seconds, *usual_seconds)

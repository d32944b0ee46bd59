"""Seconds of CellProfiler's MeasureTexture on FOLDER/*.npz (image (c, h, w), labels (h, w)); run by throughput.py."""
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

seconds = 0.0
for path in sorted(Path(sys.argv[1]).glob("*.npz")):
    with np.load(path) as data:
        image, labels = data["image"], data["labels"]
    names = [f"Channel{number}" for number in range(len(image))]
    image_set = ImageSetList().get_image_set(0)
    for name, plane in zip(names, image):
        image_set.add(name, Image(plane / np.float32(np.iinfo(plane.dtype).max)))
    objects = Objects()
    objects.segmented = labels
    object_set = ObjectSet()
    object_set.add_objects(objects, "Nuclei")
    module = instantiate_module("MeasureTexture")
    module.images_list.value = ", ".join(names)
    module.objects_list.value = "Nuclei"
    module.images_or_objects.value = "Objects"
    module.show_window = False
    module.set_module_num(1)
    pipeline = Pipeline()
    pipeline.add_module(module)
    workspace = Workspace(pipeline, module, image_set, object_set, Measurements(), ImageSetList())
    began = time.perf_counter()
    module.run(workspace)
    seconds += time.perf_counter() - began
print(seconds)

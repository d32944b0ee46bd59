"""Objects have the parents that CellProfiler's RelateObjects gives them."""

import subprocess

import numpy as np
import pytest
from cellprofiler_core.image import ImageSetList
from cellprofiler_core.measurement import Measurements
from cellprofiler_core.object import Objects, ObjectSet
from cellprofiler_core.pipeline import Pipeline
from cellprofiler_core.utilities.core.modules import instantiate_module
from cellprofiler_core.workspace import Workspace

OWN = """
import sys, numpy as np
from microsnoop_engine.images.label_overlap import find_parents
children, parents = np.load(sys.argv[1])
np.save(sys.argv[2], np.stack(find_parents(children, parents)[:2]))
"""


def discs(rng, count, radius):
    """Overlapping discs, numbered from 1; later ones cover earlier ones, so that some are in parts."""
    y, x = np.indices((150, 180))
    labels = np.zeros(y.shape, np.int32)
    for cy, cx in rng.uniform((0, 0), y.shape, (count, 2)):
        labels[(y - cy) ** 2 + (x - cx) ** 2 < rng.uniform(0.5, 1) * radius**2] = labels.max() + 1
    return np.unique(labels, return_inverse=True)[1].reshape(y.shape).astype(np.int32)


def parents_by_cellprofiler(children, parents):
    module = instantiate_module("RelateObjects")
    module.x_name.value, module.y_name.value = "Cells", "Nuclei"
    module.find_parent_child_distances.value = "None"
    module.wants_per_parent_means.value = False
    module.show_window = False
    object_set = ObjectSet()
    for name, labels in (("Cells", parents), ("Nuclei", children)):
        objects = Objects()
        objects.segmented = labels
        object_set.add_objects(objects, name)
    measurements = Measurements()
    image_set = ImageSetList().get_image_set(0)
    module.run(Workspace(Pipeline(), module, image_set, object_set, measurements, ImageSetList()))
    return measurements.get_current_measurement("Nuclei", "Parent_Cells")


@pytest.mark.parametrize("seed", range(3))
def test_parents_are_those_of_relate_objects(engine_python, tmp_path, seed):
    rng = np.random.default_rng(seed)
    children, parents = discs(rng, 60, 9), discs(rng, 40, 22)
    expected = parents_by_cellprofiler(children, parents).astype(int)
    np.save(tmp_path / "labels.npy", np.stack([children, parents]))
    subprocess.run([engine_python, "-c", OWN, str(tmp_path / "labels.npy"), str(tmp_path / "own.npy")], check=True)
    child, parent = np.load(tmp_path / "own.npy")
    found = np.zeros(children.max(), int)
    found[child - 1] = parent
    assert 0 < (found == 0).sum() < len(found) / 2
    np.testing.assert_array_equal(found, expected)

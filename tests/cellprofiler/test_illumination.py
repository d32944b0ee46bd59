"""Illumination functions are those of CellProfiler's CorrectIlluminationCalculate."""

import subprocess

import cellprofiler_core.image
import numpy as np
from cellprofiler.modules.correctilluminationcalculate import CorrectIlluminationCalculate

OWN = """
import sys, numpy as np
from microsnoop_engine.images.illumination_functions import illumination_function
planes, size, out = sys.argv[1:]
np.save(out, illumination_function(np.load(planes), "mean", float(size)))
"""


def test_the_functions_are_those_of_cellprofiler(engine_python, tmp_path):
    rng = np.random.default_rng(0)
    y, x = np.indices((120, 150))
    planes = (rng.random((6, 120, 150)) * 4000 * (1 + x / 100 + (y / 90) ** 2)).astype(np.uint16)
    module = CorrectIlluminationCalculate()
    module.smoothing_method.value = "Gaussian Filter"
    module.automatic_object_width.value = "Manually"
    module.size_of_smoothing_filter.value = 40
    module.rescale_option.value = "Yes"
    average = cellprofiler_core.image.Image(np.mean(planes / 65535, axis=0))
    expected = module.apply_scaling(module.apply_smoothing(average)).pixel_data
    np.save(tmp_path / "planes.npy", planes)
    command = [engine_python, "-c", OWN, str(tmp_path / "planes.npy"), "40", str(tmp_path / "own.npy")]
    subprocess.run(command, check=True)
    np.testing.assert_allclose(np.load(tmp_path / "own.npy"), expected, rtol=1e-6)

"""Choose a segmenter by its name."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.segmentation.nuclei import segment_nuclei
from microsnoop_engine.segmentation.segmenter import segmenter


@pytest.mark.parametrize("name", ["otsu", "", "cellpose", "cellpose:", "Nuclei"])
def test_unknown_segmentation(name):
    with pytest.raises(InputError, match=rf"segmentation '{name}' is unknown: use 'nuclei' or 'cellpose:MODEL'"):
        segmenter(name)


def test_segmenter_of_nuclei():
    image, _ = render_field("control", 0.0, np.random.default_rng(2))
    assert np.array_equal(segmenter("nuclei")(image[0]), segment_nuclei(image[0]))

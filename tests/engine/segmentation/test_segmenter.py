"""Choose a segmenter by its name."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.segmentation.nuclei import segment_nuclei
from microsnoop_engine.segmentation.segmenter import segmenter
from microsnoop_engine.segmentation.settings import SegmentationSettings


@pytest.mark.parametrize("name", ["otsu", "", "cellpose", "cellpose:", "instanseg:", "nuclei:x", "Nuclei"])
def test_unknown_segmentation(name):
    with pytest.raises(InputError, match=rf"segmentation '{name}' is unknown: use nuclei, cellpose:MODEL"):
        segmenter(name)


def test_segmenter_of_nuclei():
    image, _ = render_field("control", 0.0, np.random.default_rng(2))
    assert np.array_equal(segmenter("nuclei")(image[0]), segment_nuclei(image[0]))


@pytest.mark.parametrize(
    ("name", "setting", "owner"),
    [
        ("cellpose:cyto3", {"min_contrast": 9.0}, "nuclei"),
        ("instanseg:model.pt", {"diameter": 20.0}, "nuclei or cellpose"),
        ("nuclei", {"segment_pixel_size": 0.5}, "instanseg"),
    ],
)
def test_settings_of_another_segmenter_are_refused(name, setting, owner):
    with pytest.raises(InputError, match=rf"`{next(iter(setting))}` goes with `segment` {owner}, not with"):
        segmenter(name, settings=SegmentationSettings(**setting))

"""Outlines that overlap and reach out of the image, against one measurement per outline."""

import numpy as np
import pytest
from scipy import ndimage

from microsnoop_engine.errors import Cancelled, InputError
from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.outlines import measure_rois
from microsnoop_engine.modes.settings import CropSettings

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 3000, (2, 100, 120)).astype(np.uint16)
BOXES = np.array([[10, 10, 40, 45], [20, 20, 60, 50], [-10, 90, 25, 130], [15, 15, 50, 60], [200, 5, 230, 40]])


def ragged(height, width):
    """A mask full of holes, in one piece: stray pixels of a label do not count."""
    pieces = ndimage.label(RANDOM.random((height, width)) < 0.7)[0]
    return pieces == np.bincount(pieces[pieces > 0]).argmax()


MASKS = [ragged(y1 - y0, x1 - x0) for y0, x0, y1, x1 in BOXES]
FLAT = np.concatenate([mask.ravel() for mask in MASKS])


def alone(number):
    """The labels of one outline."""
    plane = np.zeros((300, 300), np.int32)
    y0, x0, y1, x1 = BOXES[number] + 50
    plane[y0:y1, x0:x1] = MASKS[number]
    return plane[50:150, 50:170]


SETTINGS = [
    CropSettings(scale="none"),
    CropSettings(scale="none", mask="object", rescale_constant=0.6),
    CropSettings(scale=0.7, rescale_constant=1.0),
    CropSettings(scale=1.7, mask="object", rescale_constant=0.6),
    CropSettings(scale="each", mask="object"),
    CropSettings(diameter=25),
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_outline_is_measured_as_if_it_were_alone(embedder, settings):
    found = measure_rois(embedder, IMAGE, BOXES, FLAT, settings)
    for row in range(4):
        expected = measure(embedder, IMAGE, alone(row), settings)
        np.testing.assert_allclose(found.features[row], expected.features[0], atol=1e-5)
        np.testing.assert_array_equal(found.regions.box[row], expected.regions.box[0])
        np.testing.assert_allclose(found.regions.center[row], expected.regions.center[0])
    assert found.regions.object_number.tolist() == [1, 2, 3, 4, 5]
    assert found.regions.border.tolist() == [False, False, True, False, False]
    assert np.isnan(found.features[4]).all()
    assert np.isnan(found.regions.center[4]).all()
    assert [(p.object_number, p.channel) for p in found.problems] == [(5, 0), (5, 1)]
    assert found.problems[0].reason == "no pixels inside the image"


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=str)
def test_outlines_on_a_device(embedder, on_device, settings):
    """One outline without pixels in the image does not keep the others off the device."""
    found, expected = (measure_rois(e, IMAGE, BOXES, FLAT, settings) for e in (on_device, embedder))
    np.testing.assert_allclose(found.features, expected.features, atol=1e-4)
    assert found.problems == expected.problems
    assert found.regions.box.tolist() == expected.regions.box.tolist()


def test_outlines_at_the_edge_are_left_out(embedder):
    """Not measured and no failures: the rows of the others keep the numbers of their outlines."""
    settings = CropSettings(scale="none", drop_border=True, mask="object")
    found = measure_rois(embedder, IMAGE, BOXES, FLAT, settings)
    assert found.regions.object_number.tolist() == [1, 2, 4, 5]
    assert {problem.object_number for problem in found.problems} == {5}
    whole = measure_rois(embedder, IMAGE, BOXES, FLAT, CropSettings(scale="none", mask="object"))
    np.testing.assert_allclose(found.features, whole.features[[0, 1, 3, 4]], atol=1e-5)


def test_other_modes_are_refused(embedder):
    with pytest.raises(InputError, match="`mode` is 'tile': outlines are measured in mode cells"):
        measure_rois(embedder, IMAGE, BOXES, FLAT, CropSettings(scale="none", mode="tile"))


def test_progress_and_stopping(embedder):
    many, progress = (np.tile(BOXES[:1], (20, 1)), np.tile(MASKS[0].ravel(), 20)), []
    settings = CropSettings(scale="none")
    measure_rois(embedder, IMAGE, *many, settings, on_batch=lambda *numbers: progress.append(numbers))
    assert progress == [(done, 40) for done in range(8, 41, 8)]

    def stop(current, maximum):
        raise Cancelled

    with pytest.raises(Cancelled):
        measure_rois(embedder, IMAGE, *many, settings, on_batch=stop)

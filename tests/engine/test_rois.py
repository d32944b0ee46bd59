"""Outlines that overlap and reach out of the image, against one measurement per outline."""

import numpy as np
import pytest

from microsnoop_engine.errors import Cancelled
from microsnoop_engine.modes import outlines
from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.outlines import measure_rois
from microsnoop_engine.modes.settings import CropSettings

RANDOM = np.random.default_rng(5)
IMAGE = RANDOM.integers(0, 3000, (2, 100, 120)).astype(np.uint16)
BOXES = np.array([[10, 10, 40, 45], [20, 20, 60, 50], [-10, 90, 25, 130], [15, 15, 50, 60], [200, 5, 230, 40]])
MASKS = [RANDOM.random((y1 - y0, x1 - x0)) < 0.7 for y0, x0, y1, x1 in BOXES]
FLAT = np.concatenate([mask.ravel() for mask in MASKS])


def alone(number):
    """The labels of one outline."""
    plane = np.zeros((300, 300), np.int32)
    y0, x0, y1, x1 = BOXES[number] + 50
    plane[y0:y1, x0:x1] = MASKS[number]
    return plane[50:150, 50:170]


@pytest.mark.parametrize("settings", [CropSettings(), CropSettings(mask="object", rescale_constant=0.6)])
@pytest.mark.parametrize("planes", [1, 16])
def test_every_outline_is_measured_as_if_it_were_alone(embedder, monkeypatch, settings, planes):
    monkeypatch.setattr(outlines, "PLANE_BYTES", planes * 4 * 100 * 120)
    told = []
    found = measure_rois(embedder, IMAGE, BOXES, FLAT, settings, lambda *progress: told.append(progress))
    for row in range(4):
        want = measure(embedder, IMAGE, alone(row), settings)
        np.testing.assert_allclose(found.features[row], want.features[0], atol=1e-5)
        np.testing.assert_array_equal(found.regions.box[row], want.regions.box[0])
        np.testing.assert_allclose(found.regions.center[row], want.regions.center[0])
    assert found.regions.border.tolist() == [False, False, True, False, False]
    assert np.isnan(found.features[4]).all()
    assert [(p.object_number, p.channel) for p in found.problems] == [(5, 0), (5, 1)]
    assert found.problems[0].reason == "no pixels inside the image"
    assert all(current <= maximum == 10 for current, maximum in told)


def test_a_measurement_can_be_stopped(embedder):
    def stop(current, maximum):
        raise Cancelled

    many = np.tile(BOXES[:1], (20, 1))
    with pytest.raises(Cancelled):
        measure_rois(embedder, IMAGE, many, np.tile(MASKS[0].ravel(), 20), on_batch=stop)

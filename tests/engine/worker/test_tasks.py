"""The tasks of the worker give the numbers of the Python API, in files and in shared memory."""

import re
from pathlib import Path

import numpy as np
import pytest
from appose import NDArray
from worker_process import IMAGE, LABELS, npy, shared

from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.outlines import measure_rois
from microsnoop_engine.modes.settings import CropSettings

RANDOM = np.random.default_rng(0)


def measured(embedder, **settings):
    """Measure as a worker does: without a diameter, every box fills the network's view."""
    if not settings.keys() & {"scale", "diameter"}:
        settings["scale"] = "each"
    return measure(embedder, IMAGE, LABELS, CropSettings(**settings))


def test_info(service):
    outputs = service.task("info").wait_for().outputs
    assert outputs["protocol"] == 1
    assert (outputs["weights"], outputs["dimension"], outputs["device"]) == ("microsnoop-fast", 256, "cpu")
    assert len(outputs["sha256"]) == 64
    assert Path(outputs["folder"]).is_dir()
    assert Path(outputs["folder"]).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("settings", [{"rescale_constant": 1.5}, {"scale": "none"}, {"diameter": 25}], ids=str)
def test_objects_in_files(service, embedder, tmp_path, settings):
    inputs = {"image": npy(tmp_path, "i", IMAGE), "labels": npy(tmp_path, "l", LABELS), **settings}
    outputs = service.task("measure_objects", inputs).wait_for().outputs
    arrays = {name: np.load(value["npy"]) for name, value in outputs.items() if isinstance(value, dict)}
    reference = measured(embedder, **settings)
    np.testing.assert_allclose(arrays["features"], reference.features, atol=1e-6)
    assert arrays["features"].dtype == np.float32
    assert arrays["object_number"].tolist() == [1, 5]
    assert arrays["box"].tolist() == reference.regions.box.tolist()
    assert arrays["border"].tolist() == [False, False]
    assert arrays["center"].tolist() == [[29.5, 29.5], [74.5, 79.5]]
    assert outputs["failed"] == []
    assert outputs["seconds"] > 0


def test_objects_in_shared_memory(service, embedder):
    with shared(IMAGE) as image, shared(LABELS) as labels:
        outputs = service.task("measure_objects", {"image": image, "labels": labels}).wait_for().outputs
    features = outputs["features"]
    np.testing.assert_allclose(features.ndarray(), measured(embedder).features, atol=1e-6)
    assert outputs["object_number"].ndarray().tolist() == [1, 5]
    for value in outputs.values():
        if isinstance(value, NDArray):
            value.shm.unlink_on_dispose(True)
            value.shm.dispose()


def test_outlines(service, embedder, tmp_path):
    boxes = np.array([[20, 20, 40, 40], [60, 70, 90, 90], [300, 300, 310, 310]], np.int32)
    masks = np.ones(400 + 600 + 100, np.uint8)
    inputs = {
        name: npy(tmp_path, name, value) for name, value in (("image", IMAGE), ("boxes", boxes), ("masks", masks))
    }
    outputs = service.task("measure_rois", {**inputs, "mask": "object"}).wait_for().outputs
    expected = measure_rois(embedder, IMAGE, boxes, masks, CropSettings(mask="object", scale="each"))
    np.testing.assert_allclose(np.load(outputs["features"]["npy"]), expected.features, atol=1e-6)
    assert np.load(outputs["box"]["npy"]).tolist() == expected.regions.box.tolist()
    assert [failure["object_number"] for failure in outputs["failed"]] == [3, 3]


@pytest.mark.parametrize("mode", ["tile", "image"])
def test_whole_images(service, embedder, tmp_path, mode):
    image = RANDOM.random((1, 300, 260)).astype(np.float32)
    outputs = service.task("measure_image", {"image": npy(tmp_path, "i", image), "mode": mode}).wait_for().outputs
    reference = measure(embedder, image, settings=CropSettings(mode=mode)).features
    np.testing.assert_allclose(np.load(outputs["features"]["npy"]), reference, atol=1e-6)
    if mode == "tile":
        tiles = measure(embedder, image, settings=CropSettings(mode=mode), reduce=None).features
        assert len(tiles) == 4
        np.testing.assert_allclose(reference, tiles.mean(0, keepdims=True), atol=1e-6)


def test_tiles(service, embedder, tmp_path):
    image = RANDOM.random((2, 300, 260)).astype(np.float32)
    outputs = service.task("measure_tiles", {"image": npy(tmp_path, "i", image)}).wait_for().outputs
    reference = measure(embedder, image, settings=CropSettings(mode="tile"), reduce=None)
    np.testing.assert_allclose(np.load(outputs["features"]["npy"]), reference.features, atol=1e-6)
    assert np.load(outputs["box"]["npy"]).tolist() == reference.regions.box.tolist()


def test_what_cannot_be_measured_is_nan_and_named(service, tmp_path):
    image = IMAGE.copy()
    image[1, :60, :60] = 9
    inputs = {"image": npy(tmp_path, "i", image), "labels": npy(tmp_path, "l", LABELS), "rescale_constant": 1.0}
    outputs = service.task("measure_objects", inputs).wait_for().outputs
    assert outputs["failed"] == [{"object_number": 1, "channel": 1, "reason": "constant"}]
    features = np.load(outputs["features"]["npy"])
    assert np.isnan(features[0, 256:]).all()
    assert np.isfinite(features[0, :256]).all()


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"image": np.array([["a"]])}, "array of numbers"),
        ({"image": np.array([{}], object)}, "array of numbers|pickle"),
        (
            {"image": np.zeros((2, 3, 4, 5))},
            r"^image is float64 of shape \(2, 3, 4, 5\): it must hold numbers of shape \(channels",
        ),
        ({"labels": LABELS[:50]}, "^labels are 120 x 50, but the image is 120 x 120 pixels"),
        ({"labels": LABELS.astype(float)}, "^labels are float64.*give integers"),
        ({"labels": LABELS - 1}, "labels run from -1"),
        ({"rescale_constant": "large"}, "^rescale constant is 'large': it must be a number"),
        ({"rescale_constant": 0}, "^rescale constant is 0"),
        ({"mask": "circle"}, "^mask is 'circle': it must be one of box, object"),
        ({"normalize": 3}, "^normalize is '3'"),
    ],
)
def test_bad_inputs_are_refused_by_name(raw, tmp_path, inputs, message):
    given = {"image": IMAGE, "labels": LABELS, **inputs}
    given = {
        name: npy(tmp_path, name, value) if isinstance(value, np.ndarray) else value for name, value in given.items()
    }
    reply = raw.execute("measure_objects", **given)
    assert reply["responseType"] == "FAILURE"
    assert re.search(message, reply["error"])

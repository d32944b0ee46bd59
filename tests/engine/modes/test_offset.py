"""An offset and a gain of the camera change nothing: x, x + c and x * k have the same embedding."""

import numpy as np
import pytest

from microsnoop_engine import CropSettings, measure
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.modes.crops import crops
from microsnoop_engine.modes.masks import LabelMasks
from microsnoop_engine.modes.outlines import measure_rois
from microsnoop_engine.modes.regions import regions_of

SETTINGS = [
    CropSettings(scale="none"),
    CropSettings(scale="none", mask="object", rescale_constant=0.6),
    CropSettings(mask="object", rescale_constant=0.6, scale="each"),
    CropSettings(scale=0.7),
    CropSettings(scale="none", mode="single-cell"),
    CropSettings(scale="none", mode="tile"),
    CropSettings(scale="none", mode="image"),
]
TYPES = {
    "int8": -128,
    "uint8": 190,
    "int16": -32768,
    "uint16": 65475,
    "int32": -(2**31),
    "uint32": 2**32 - 61,
    "int64": 2**50,
    "uint64": 2**50,
    "float16": 1000,
    "float32": -1000,
    "float64": 1e9,
}
"""An offset for pixels from 0 to 60 of each type."""


@pytest.fixture(scope="module")
def field():
    """One channel (1, 150, 240) of whole numbers from 0 to 60, the pixels of nuclei at the edge and in the middle."""
    image, labels = render_field("control", 0.5, np.random.default_rng(0), (150, 240), 3)
    image = image[:1].astype(float)
    return np.rint((image - image.min()) / np.ptp(image) * 60), labels


def least_cosine(a, b):
    assert np.isfinite(a).all()
    return ((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min()


@pytest.mark.parametrize("dtype", TYPES)
def test_every_type(embedder, field, dtype):
    image, labels = field
    settings = CropSettings(diameter=30)
    expected = measure(embedder, image, labels, settings).features
    for changed in (image.astype(dtype), image.astype(dtype) * np.array(2, dtype)):
        assert least_cosine(measure(embedder, changed, labels, settings).features, expected) > 0.999
    shifted = image.astype(dtype) + np.array(TYPES[dtype], dtype)
    assert np.array_equal(shifted - np.array(TYPES[dtype], dtype), image)
    assert least_cosine(measure(embedder, shifted, labels, settings).features, expected) > 0.999


@pytest.mark.parametrize("change", [(np.uint16, 1, 65475), (np.float32, 1, -1000), (np.float64, 1e-7, 0.5)], ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting(embedder, field, settings, change):
    dtype, gain, offset = change
    image, labels = field
    objects = labels if settings.mode == "cells" else None
    changed = (image * gain + offset).astype(dtype)
    expected = measure(embedder, image.astype(np.uint8), objects, settings, reduce=None).features
    assert least_cosine(measure(embedder, changed, objects, settings, reduce=None).features, expected) > 0.999


@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[1]], ids=str)
def test_crops_of_a_device(on_device, embedder, field, settings):
    image, labels = field
    expected = measure(embedder, image, labels, settings).features
    for changed in (image + 65475, image - 1e9):
        assert least_cosine(measure(on_device, changed, labels, settings).features, expected) > 0.999


@pytest.mark.parametrize("settings", SETTINGS[1:4], ids=str)
def test_outlines(embedder, field, settings):
    image, _ = field
    boxes, masks = np.array([[-5, 20, 40, 70]]), np.random.default_rng(1).random((45, 50)) < 0.8
    found = [measure_rois(embedder, image + c, boxes, masks.ravel(), settings).features for c in (0, -1e9)]
    assert least_cosine(*found) > 0.999


@pytest.mark.parametrize("scale", ["none", "each", 1.7])
def test_pixels_outside_an_object_count_for_nothing(field, scale):
    """Whatever is there: neither for the percentiles nor, blurred by resizing, for the pixels of the object."""
    image, labels = field[0] + np.random.default_rng(2).random(field[0].shape), field[1]
    number = labels.max()
    settings = CropSettings(mask="object", rescale_constant=0.6, scale=scale)
    regions = regions_of(labels.shape, labels * (labels == number), settings)
    windows = []
    for outside in (0, 65535, np.nan):
        pixels = np.where(labels == number, image, outside)
        (part,) = crops(pixels, regions, settings, LabelMasks(labels[None], regions))
        windows.append(part.windows[0])
    assert np.array_equal(windows[0], windows[1])
    assert np.array_equal(windows[0], windows[2])
    inside = windows[0][windows[0] != 0]
    # where an object is enlarged, its outline is mixed with the zeros around it
    assert np.percentile(inside, (1, 99)) == pytest.approx((0, 1), abs=0.01 if scale == "none" else 0.05)

"""Crops: the pixels in them, against frames made by hand."""

import numpy as np
import pytest
from label_images import random_labels

from microsnoop_engine.modes.crops import crops
from microsnoop_engine.modes.masks import LabelMasks
from microsnoop_engine.modes.regions import regions_of
from microsnoop_engine.modes.settings import CropSettings


def cut(image, labels, settings):
    """Cut the crops of an image.

    Returns
    -------
    regions : Regions
    windows : dict of (row, channel) to array
    problems : dict of (row, channel) to str
    """
    regions = regions_of(image.shape[1:], labels, settings)
    masks = LabelMasks(labels.reshape(-1, *labels.shape[-2:]), regions) if settings.masked else None
    windows, problems = {}, {}
    for part in crops(image, regions, settings, masks):
        places = [divmod(int(index), len(image)) for index in part.indices]
        windows.update(zip(places, part.windows, strict=True))
        problems.update({divmod(index, len(image)): reason for index, reason in part.problems})
    return regions, windows, problems


def normalized(frame):
    low, high = np.percentile(frame, (1, 99))
    return (frame - low) / (high - low)


def in_frame(window):
    frame = np.zeros((224, 224))
    start = (224 - len(window)) // 2
    frame[start : start + len(window), start : start + len(window)] = window
    return frame


@pytest.mark.parametrize("mask", ["box", "object"])
def test_crops_of_cells(mask):
    labels = random_labels(6)
    image = np.random.default_rng(6).integers(10, 4000, (2, *labels.shape), np.uint16)
    settings = CropSettings(scale="none", mask=mask, rescale_constant=1.0, normalize="pad-first")
    regions, windows, problems = cut(image, labels, settings)
    assert sorted([*windows, *problems]) == [(row, channel) for row in range(len(regions)) for channel in (0, 1)]
    assert len(windows) > 5
    for (row, channel), window in windows.items():
        y0, x0, y1, x1 = regions.box[row]
        pixels = image[channel].astype(float)
        if mask == "object":
            pixels = np.where(labels == regions.object_number[row], pixels, 0)
        frame = np.zeros((224, 224))
        top, left = (224 - (y1 - y0)) // 2, (224 - (x1 - x0)) // 2
        frame[top : top + y1 - y0, left : left + x1 - x0] = pixels[y0:y1, x0:x1]
        assert np.abs(in_frame(window) - normalized(frame)).max() < 1e-5


def test_the_channels_of_a_region_come_together():
    """One channel needs the whole frame, as its padding is not 0 after normalization; one is constant."""
    labels = np.zeros((120, 120), np.int32)
    labels[30:90, 30:90] = 4
    rng = np.random.default_rng(3)
    image = np.stack([rng.uniform(1, 2, (120, 120)), np.ones((120, 120)), rng.uniform(-2, -1, (120, 120))] * 2)
    settings = CropSettings(scale="none", rescale_constant=0.5, normalize="pad-first")
    parts = list(crops(image.astype(np.float32), regions_of((120, 120), labels, settings), settings))
    assert [part.windows.shape for part in parts] == [(2, 64, 64), (2, 224, 224), (0, 224, 224)]
    assert [part.indices.tolist() for part in parts] == [[0, 3], [2, 5], []]
    assert [list(part.problems) for part in parts] == [[], [], [(1, "constant"), (4, "constant")]]


def test_small_masked_objects_are_measured_unless_their_padding_is_to_count():
    labels = np.zeros((200, 200), np.int32)
    labels[90:102, 90:102] = 1
    image = np.random.default_rng(9).integers(100, 200, (1, 200, 200), np.uint8)

    def crop(**settings):
        _, windows, problems = cut(image, labels, CropSettings(mask="object", scale="none", **settings))
        return windows.get((0, 0)), problems.get((0, 0))

    window, problem = crop(normalize="pad-first")
    assert window is None
    assert "less than 1 % of the frame" in problem
    window, _ = crop()
    inside = image[0, 90:102, 90:102].astype(float)
    frame = np.zeros((224, 224))
    frame[106:118, 106:118] = normalized(inside)
    np.testing.assert_allclose(in_frame(window), frame, atol=1e-6)


def test_mask_object_sees_every_plane():
    labels = np.zeros((2, 60, 60), np.int32)
    labels[0, 10:40, 10:40], labels[1, 20:50, 20:50] = 1, 2
    image = np.random.default_rng(7).integers(1, 200, (1, 60, 60), np.uint8)
    settings = CropSettings(scale="none", mask="object", rescale_constant=0.5)
    _, masked, _ = cut(image, labels, settings)
    # each object fills its own box, so that the mask must not take anything away
    _, unmasked, _ = cut(image, labels, CropSettings(scale="none", rescale_constant=0.5))
    assert masked.keys() == unmasked.keys() == {(0, 0), (1, 0)}
    assert all(np.array_equal(masked[place], unmasked[place]) for place in masked)


def test_crops_leave_the_image_alone():
    labels = random_labels(8)
    image = np.random.default_rng(8).random((1, *labels.shape), np.float32)
    before = image.copy()
    cut(image, labels, CropSettings(scale="none", mask="object"))
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    ("mode", "shape", "windows"),
    [
        ("single-cell", (64, 64), [64]),
        ("single-cell", (50, 70), [80]),
        ("single-cell", (300, 400), [224]),
        ("image", (64, 64), [224]),
        ("image", (500, 300), [224]),
        ("tile", (300, 400), [224] * 4),
        ("tile", (100, 90), [128]),
    ],
)
def test_windows_of_each_mode(mode, shape, windows):
    image = np.random.default_rng(9).random((1, *shape), np.float32)
    _, found, _ = cut(image, None, CropSettings(scale="none", mode=mode))
    assert [len(window) for window in found.values()] == windows


def crops_of(image, labels, **settings):
    _, windows, _ = cut(image, labels, CropSettings(rescale_constant=1.0, **settings))
    return list(windows.values())


@pytest.mark.parametrize("mask", ["box", "object"])
def test_resized_crops_are_the_same_at_every_magnification(mask):
    labels = np.zeros((120, 150), np.int32)
    labels[20:60, 30:70], labels[90:120, 80:120] = 1, 2
    rows, columns = np.mgrid[:120, :150]
    image = (2 + np.sin(rows / 9) + np.cos(columns / 7)).astype(np.float32)[None]
    twice = np.kron(image, np.ones((1, 2, 2), np.float32)), np.kron(labels, np.ones((2, 2), np.int32))
    once = crops_of(image, labels, mask=mask, scale="each")
    for small, large in zip(once, crops_of(*twice, mask=mask, scale="each"), strict=True):
        assert small.shape == large.shape == (224, 224)
        assert np.abs(small - large).max() < 0.2  # half a pixel of the smaller one
        assert np.corrcoef(small.ravel(), large.ravel())[0, 1] > 0.998
    assert not np.allclose(once[0], once[1])


def test_crops_that_have_the_size_are_not_changed_by_resizing():
    labels = np.zeros((200, 200), np.int32)
    labels[60:108, 70:118] = 1
    image = np.random.default_rng(1).random((1, 200, 200), np.float32)
    own = crops_of(image, labels, scale="none")[0]
    assert np.array_equal(crops_of(image, labels, scale="auto", diameter=112)[0], own)


def test_a_crop_at_the_edge_keeps_its_shape_when_it_is_resized():
    labels = np.zeros((40, 100), np.int32)
    labels[10:30, 40:60] = 1
    image = np.random.default_rng(2).uniform(1, 2, (1, 40, 100)).astype(np.float32)
    settings = CropSettings(rescale_constant=2.0, scale=2.0)
    (window,) = cut(image, labels, settings)[1].values()
    filled = window != 0
    assert filled.any(1).sum() == pytest.approx(80, abs=1)
    assert filled.any(0).sum() == 160

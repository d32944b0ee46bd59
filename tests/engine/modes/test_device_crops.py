"""Crops cut on the device are those that NumPy cuts, number by number; a CPU stands for the GPU."""

import numpy as np
import pytest
import torch

from microsnoop_engine import CropSettings, measure
from microsnoop_engine.errors import DeviceError
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.modes.batcher import Batcher
from microsnoop_engine.modes.crops import crops
from microsnoop_engine.modes.device_crops import DeviceCropper, Pixels, _percentile
from microsnoop_engine.modes.masks import LabelMasks
from microsnoop_engine.modes.measure import start_measurement
from microsnoop_engine.modes.regions import regions_of
from microsnoop_engine.segmentation.nuclei import segment_nuclei

SETTINGS = [
    CropSettings(scale="none"),
    CropSettings(scale="none", rescale_constant=0.6),
    CropSettings(scale="none", rescale_constant=5.0),
    CropSettings(scale="none", mask="object"),
    CropSettings(scale="none", mask="object", normalize="pad-first"),
    CropSettings(scale="none", normalize="pad-first"),
    CropSettings(scale="none", mode="tile"),
    CropSettings(scale="none", mode="tile", normalize="pad-first"),
]


def cut(image, labels, settings, at_once=7):
    """Windows and problems by index, from the device and from NumPy."""
    regions = regions_of(image.shape[1:], labels, settings)
    masks = LabelMasks(labels.reshape(-1, *labels.shape[-2:]), regions) if settings.masked else None
    windows, problems = {}, {}
    for part in DeviceCropper("cpu").crops(image, regions, settings, masks, at_once):
        assert len(part.windows) == len(part.indices) <= at_once
        windows |= dict(zip(part.indices.tolist(), part.windows.numpy(), strict=True))
        problems |= dict(part.problems)
    expected_windows, expected_problems = {}, {}
    for part in crops(image, regions, settings, masks):
        expected_windows |= dict(zip(part.indices.tolist(), part.windows, strict=True))
        expected_problems |= dict(part.problems)
    return windows, problems, expected_windows, expected_problems


def assert_same(image, labels, settings):
    windows, problems, expected, expected_problems = cut(image, labels, settings)
    assert problems == expected_problems
    assert windows.keys() == expected.keys()
    for index, window in windows.items():
        assert window.dtype == np.float32
        assert np.array_equal(window, expected[index])
    return windows, problems


@pytest.fixture(scope="module")
def field():
    """Drawn cells, some at the border, with a constant and a nearly constant patch and tiny objects in them."""
    image, labels = render_field("control", 0.5, np.random.default_rng(0), (260, 330), 14)
    image = image[:2].astype(np.uint16) * 100
    image[0, :60, :60] = 7
    image[1, 100:170, 100:170] = 3
    image[1, 120, 120] = 65535
    labels[20:30, 20:30] = 900
    labels[130:136, 130:136] = 901
    labels[200, 200], labels[0, 300] = 902, 903
    return image, labels


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_drawn_field(field, settings):
    windows, problems = assert_same(*field, settings)
    assert windows
    if settings == CropSettings(scale="none", normalize="pad-first"):
        assert {len(window) for window in windows.values()} > {48, 64}
        assert set(problems.values()) == {"constant", "covers less than 1 % of the frame: use a larger `scale`"}


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_real_field(bbbc013, settings):
    image = bbbc013[0][0][:, :230, :240]
    windows, problems = assert_same(image, segment_nuclei(image[1]), settings)
    assert len(windows) + len(problems) >= 8


@pytest.mark.parametrize(
    "kind", [bool, np.uint8, np.int8, np.uint16, ">u2", np.int16, np.int32, np.uint32, np.int64, np.float32, float]
)
@pytest.mark.parametrize("settings", [SETTINGS[0], SETTINGS[3]], ids=str)
def test_every_type(field, kind, settings):
    image, labels = field[0][:, :150, :150], field[1][:150, :150]
    assert_same((image % 120 - (0 if np.dtype(kind).kind in "ub" else 50)).astype(kind), labels, settings)


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_odd_numbers(field, settings):
    """Negative, minus zero, NaN, infinite, tiny and huge floats."""
    image, labels = field
    rng = np.random.default_rng(1)
    image = (image * rng.choice([-1e-3, 1, 1e4], image.shape) * rng.choice([0, 1], image.shape)).astype(np.float32)
    image[0, labels == 5], image[1, labels == 6] = np.nan, -np.inf
    _, problems = assert_same(image, labels, settings)
    assert "NaN or infinite pixels" in problems.values()


def test_labels_in_several_planes(field):
    image, labels = field
    planes = np.stack([np.where(labels % 2 == part, labels, 0) for part in (0, 1)]).astype(np.uint64)
    assert_same(image, planes, CropSettings(scale="none", mask="object"))


def test_nearly_full_frames_keep_their_padding_as_it_is():
    """Percentile 1 is not among so few zeros."""
    image = np.random.default_rng(2).integers(500, 900, (2, 223, 224), np.uint16)
    windows, _ = assert_same(image, None, CropSettings(scale="none", mode="single-cell", normalize="pad-first"))
    assert all((window[-1] < 0).all() for window in windows.values())


def test_negative_padding_makes_whole_frames():
    image = np.random.default_rng(3).normal(-500, 30, (1, 50, 60)).astype(np.float32)
    windows, _ = assert_same(image, None, CropSettings(scale="none", mode="single-cell", normalize="pad-first"))
    assert [window.shape for window in windows.values()] == [(224, 224)]


def test_no_objects(field):
    assert cut(field[0], np.zeros((260, 330), int), CropSettings(scale="none"))[:2] == ({}, {})


@pytest.mark.parametrize("zeros", [0, 1, 7, 500, 49_000])
@pytest.mark.parametrize("seed", range(6))
def test_percentiles(seed, zeros):
    """As np.percentile has them; in each row another number of integers that stand for no pixel."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 300, 5)
    rows = rng.normal(rng.choice([-2, 0, 2]), 1, (5, 300)).astype(np.float32)
    rows[rng.random(rows.shape) < rng.choice([0, 0.3])] = 0
    pixels = Pixels(rows[None], torch.from_numpy)
    ordered = pixels.gather(*(torch.from_numpy(part) for part in (np.zeros((5, 1), int), *np.ogrid[:5, :300])))
    assert torch.equal(pixels.values(ordered), torch.from_numpy(rows))
    ordered[torch.arange(300) >= torch.from_numpy(counts)[:, None]] = 2**31 - 1
    for percent in (1, 99):
        found = _percentile(pixels, ordered, torch.from_numpy(counts), torch.full((5,), zeros), percent)
        expected = [
            np.percentile([*row[:n].astype(float), *[0.0] * zeros], percent)
            for row, n in zip(rows, counts, strict=True)
        ]
        assert found.numpy() == pytest.approx(expected, abs=1e-6)


def test_memory_runs_out(field, monkeypatch):
    from microsnoop_engine.modes import device_crops

    real, sizes = device_crops.normalized_windows, []

    def greedy(pixels, inside, table, *arguments):
        if len(table) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        sizes.append(len(table))
        return real(pixels, inside, table, *arguments)

    monkeypatch.setattr(device_crops, "normalized_windows", greedy)
    assert_same(*field, CropSettings(scale="none"))
    assert max(sizes) == 3


def test_no_memory_for_the_image(field, monkeypatch):
    def upload(self, values):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(DeviceCropper, "_upload", upload)
    with pytest.raises(DeviceError, match="the image does not fit into the device's memory"):
        cut(*field, CropSettings(scale="none"))


@pytest.mark.parametrize(
    "settings",
    [
        CropSettings(scale="none", rescale_constant=0.6),
        CropSettings(scale="none", mode="image"),
        CropSettings(diameter=30),
    ],
    ids=str,
)
def test_measure(field, embedder, on_device, settings):
    """Features, problems and regions are those of the other path; so where images are resized, on the CPU."""
    seen, field = [], (field[0][:, :220, :220], field[1][:220, :220])
    found = measure(on_device, *field, settings, on_batch=lambda done, count: seen.append((done, count)))
    expected = measure(embedder, *field, settings)
    assert np.isnan(found.features).tolist() == np.isnan(expected.features).tolist()
    assert np.nanmax(np.abs(found.features - expected.features)) < 1e-4
    assert found.problems == expected.problems
    assert found.regions.box.tolist() == expected.regions.box.tolist()
    if settings.mode == "cells":
        assert found.problems
        assert seen == sorted(seen)
        assert {count for _, count in seen} == {2 * len(found.features)}


def test_images_that_share_their_batches(on_device, field):
    """Embeddings that come a batch later land where they belong, and what still waits is said."""
    batcher = Batcher(on_device)
    image, labels = field[0][:, :200, :200], field[1][:200, :200]
    settings = CropSettings(scale="none", rescale_constant=0.6)
    flipped = np.ascontiguousarray(image[:, ::-1]), np.ascontiguousarray(labels[::-1])
    pairs = {"a": (image, labels), "b": flipped}
    both = {name: start_measurement(batcher, *pair, settings, 256, name) for name, pair in pairs.items()}
    waiting = {name: int(np.isnan(part.features).sum()) // 256 - len(part.problems) for name, part in both.items()}
    assert {name: batcher.pending[name] for name in both} == waiting
    assert waiting["b"] > 5
    batcher.flush()
    assert not any(batcher.pending.values())
    for name, pair in pairs.items():
        alone = measure(on_device, *pair, settings).features
        assert np.nanmax(np.abs(both[name].features - alone)) < 1e-5
        assert np.array_equal(np.isnan(both[name].features), np.isnan(alone))

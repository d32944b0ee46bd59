"""Training crops, compared with SciPy's interpolation and NumPy's percentiles, and their reproducibility."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import ndimage

from microsnoop_engine.trainer.batches import Batches, CropBatch, normalize, patch_mask, variation
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.pool import Pool

RANDOM = np.random.default_rng(0)
POOL = Pool(
    [RANDOM.integers(0, 255, shape).astype(np.uint8) for shape in ((90, 120), (64, 64), (40, 30))],
    {"a": [0, 1], "b": [2]},
)
CONFIG = TrainConfig(categories=("a", "b"), crop=32, batch=6, epochs=2, warmup_epochs=1, images_per_epoch=12)
CPU = torch.device("cpu")


@pytest.fixture
def batches():
    return Batches(POOL, CONFIG, CPU)


@pytest.mark.parametrize("plane", [0, 2])
def test_crops_equal_those_of_scipy(batches, plane):
    batch = CropBatch(
        np.full(3, plane),
        RANDOM.random((3, 2)) * 30 + 5,
        np.array([0.0, 0.7, 4.0]),
        np.array([1.0, 0.8, 1.3]),
        np.array([False, True, False]),
        np.ones(3),
    )
    crops = batches.cut(batch).numpy()[:, 0]
    offset = np.arange(32) - 15.5
    for row in range(3):
        y, x = np.meshgrid(offset, offset * (-1 if batch.flip[row] else 1), indexing="ij")
        y, x = y / batch.scale[row], x / batch.scale[row]
        sine, cosine = np.sin(batch.angle[row]), np.cos(batch.angle[row])
        rows = batch.center[row, 0] - 0.5 + y * cosine - x * sine
        columns = batch.center[row, 1] - 0.5 + y * sine + x * cosine
        padded = np.pad(POOL.planes[plane].astype(float), 60)
        expected = ndimage.map_coordinates(padded, [rows + 60, columns + 60], order=1)
        np.testing.assert_allclose(crops[row], expected, atol=0.05)


def test_percentiles_become_0_and_1():
    crops = torch.from_numpy(RANDOM.gamma(2, 50, (4, 1, 64, 64)).astype(np.float32))
    result = normalize(crops).flatten(1).numpy()
    low, high = np.percentile(crops.flatten(1).numpy(), (1, 99), axis=1)
    np.testing.assert_allclose(result, (crops.flatten(1).numpy() - low[:, None]) / (high - low)[:, None], atol=0.02)
    assert (normalize(torch.full((1, 1, 8, 8), 7.0)) == 0).all()


def test_percentiles_of_every_second_pixel():
    crops = torch.from_numpy(RANDOM.gamma(2, 50, (4, 1, 64, 64)).astype(np.float32))
    some = crops[..., ::2, ::2].flatten(1).numpy()
    low, high = np.percentile(some, (1, 99), axis=1, method="nearest")
    expected = (crops.flatten(1).numpy() - low[:, None]) / (high - low)[:, None]
    np.testing.assert_allclose(normalize(crops, 2).flatten(1).numpy(), expected, atol=1e-5)
    config = replace(CONFIG, percentile_step=2, padding=0.5, intensity=0.5)
    batches = Batches(POOL, config, CPU)
    batch = batches.draw(0)
    assert torch.equal(batches.crops(batch), normalize(batches.cut(batch) * batches.shown(batch), 2))
    assert torch.equal(
        batches.with_changes(percentile_step=1).crops(batch),
        Batches(POOL, replace(config, percentile_step=1), CPU).crops(batch),
    )


def test_categories_take_turns_and_a_step_is_always_the_same(batches):
    assert set(batches.draw(0).plane) <= {0, 1}
    assert set(batches.draw(1).plane) == {2}
    again = Batches(POOL, CONFIG, CPU)
    assert torch.equal(batches.crops(batches.draw(5)), again.crops(again.draw(5)))
    assert not torch.equal(batches.crops(batches.draw(4)), batches.crops(batches.draw(6)))


def test_two_views_show_the_same_part_of_an_image(batches):
    for step in range(0, 20, 2):
        place = batches.draw(step)
        views = first, second = batches.views(step)
        for view in views:
            assert np.array_equal(place.plane, view.plane)
            far = np.abs(place.center - view.center).max(1)
            assert (far <= CONFIG.crop * (CONFIG.shift + 0.5) / CONFIG.scale_low * CONFIG.scale_jitter).all()
            ratio = place.scale / view.scale
            assert (np.maximum(ratio, 1 / ratio) <= CONFIG.scale_jitter).all()
            assert ratio.std() > 0.05
        assert not np.array_equal(first.angle, second.angle)
        assert not np.array_equal(first.scale, second.scale)


def test_crops_lie_inside_planes_that_are_large_enough(batches):
    for step in range(0, 20, 2):
        batch = batches.draw(step)
        half = CONFIG.crop / batch.scale[:, None] / 2
        shapes = np.array([POOL.planes[n].shape for n in batch.plane])
        assert ((batch.center >= half - 1e-9) & (batch.center <= shapes - half + 1e-9)).all()


def test_masks_cover_their_share_of_whole_patches():
    mask = patch_mask(CONFIG, 3, CPU)
    assert mask.shape == (6, 1, 32, 32)
    blocks = mask.view(6, 2, 16, 2, 16)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert torch.allclose(mask.mean((1, 2, 3)), torch.tensor(0.25))
    assert not torch.equal(mask, patch_mask(CONFIG, 4, CPU))


def test_intensity_changes_keep_the_percentiles():
    batches = Batches(POOL, TrainConfig(**{**CONFIG.__dict__, "intensity": 1.0}), CPU)
    crops = batches.crops(batches.draw(0))
    varied = batches.vary(crops, torch.ones_like(crops), 0, 0, slice(0, 6))
    assert not torch.allclose(varied, crops, atol=0.05)
    low, high = np.percentile(varied.flatten(1).numpy(), (1, 99), axis=1)
    np.testing.assert_allclose(low, 0, atol=0.03)
    np.testing.assert_allclose(high, 1, atol=0.03)
    assert torch.allclose(
        batches.vary(crops[2:4], torch.ones_like(crops[2:4]), 0, 0, slice(2, 4)), varied[2:4], atol=1e-6
    )


def test_several_crops_per_image():
    batch = Batches(POOL, replace(CONFIG, crops_per_image=3, categories=("a+b",)), CPU).draw(0)
    assert (batch.plane.reshape(2, 3) == batch.plane.reshape(2, 3)[:, :1]).all()
    assert len(np.unique(batch.center, axis=0)) > 2


def test_the_candidate_with_the_most_texture_is_kept():
    plane = np.full((320, 480), 9, np.uint8)
    plane[96:128, 352:384] = RANDOM.integers(0, 255, (32, 32))
    blank = np.full((64, 64), 3, np.uint8)
    pool = Pool([blank, plane, blank], {"a": [1]})
    config = replace(CONFIG, categories=("a",), batch=64, scale_low=1.0, scale_high=1.0)
    for candidates, least in ((1, 0), (100, 18)):
        center = Batches(pool, replace(config, crop_candidates=candidates), CPU).draw(0).center
        hits = ((center // 32).astype(int) == (3, 11)).all(1).sum()
        assert least <= hits <= 64 * (candidates > 1) + 5
    assert variation(plane).shape == (10, 15)
    assert np.isclose(variation(plane)[3, 11], plane[96:128, 352:384].std())
    assert variation(plane[:33, :31]).shape == (2, 1)


def test_padding_leaves_a_window_in_zeros():
    config = replace(CONFIG, categories=("a",), padding=1.0, batch=64, intensity=1.0)
    batches = Batches(POOL, config, CPU)
    batch = batches.draw(0)
    crops = batches.vary(batches.crops(batch), batches.shown(batch), 0, 0, slice(0, 64))
    filled = (crops != 0).float()
    side = filled.amax((1, 2)).sum(1)
    assert (side.numpy() <= np.ceil(batch.window * 32)).all()
    assert side.min() < 20
    assert torch.equal(filled.amax((1, 2)), filled.amax((1, 2)).flip(1))
    nothing = Batches(POOL, replace(config, padding=0.0), CPU)
    assert (nothing.shown(nothing.draw(0)) == 1).all()

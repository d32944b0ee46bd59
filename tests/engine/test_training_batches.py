"""Training crops: against scipy's interpolation, NumPy's percentiles, and what a seed must fix."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from microsnoop_engine.pool import Pool
from microsnoop_engine.training_batches import Batches, Places, normalise, patch_mask
from microsnoop_engine.training_config import TrainConfig

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
def test_crops_are_what_scipy_interpolates(batches, plane):
    places = Places(
        np.full(3, plane),
        RANDOM.random((3, 2)) * 30 + 5,
        np.array([0.0, 0.7, 4.0]),
        np.array([1.0, 0.8, 1.3]),
        np.array([False, True, False]),
    )
    found = batches.cut(places).numpy()[:, 0]
    offset = np.arange(32) - 15.5
    for row in range(3):
        y, x = np.meshgrid(offset, offset * (-1 if places.flip[row] else 1), indexing="ij")
        y, x = y / places.scale[row], x / places.scale[row]
        sine, cosine = np.sin(places.angle[row]), np.cos(places.angle[row])
        rows = places.center[row, 0] - 0.5 + y * cosine - x * sine
        columns = places.center[row, 1] - 0.5 + y * sine + x * cosine
        padded = np.pad(POOL.planes[plane].astype(float), 60)
        wanted = ndimage.map_coordinates(padded, [rows + 60, columns + 60], order=1)
        np.testing.assert_allclose(found[row], wanted, atol=0.05)


def test_percentiles_become_0_and_1():
    crops = torch.from_numpy(RANDOM.gamma(2, 50, (4, 1, 64, 64)).astype(np.float32))
    result = normalise(crops).flatten(1).numpy()
    low, high = np.percentile(crops.flatten(1).numpy(), (1, 99), axis=1)
    np.testing.assert_allclose(result, (crops.flatten(1).numpy() - low[:, None]) / (high - low)[:, None], atol=0.02)
    assert (normalise(torch.full((1, 1, 8, 8), 7.0)) == 0).all()


def test_categories_take_turns_and_a_step_is_always_the_same(batches):
    assert set(batches.places(0).plane) <= {0, 1}
    assert set(batches.places(1).plane) == {2}
    again = Batches(POOL, CONFIG, CPU)
    assert torch.equal(batches.crops(batches.places(5)), again.crops(again.places(5)))
    assert not torch.equal(batches.crops(batches.places(4)), batches.crops(batches.places(6)))


def test_two_views_show_one_place(batches):
    for step in range(0, 20, 2):
        first = batches.places(step)
        second = batches.second_view(first, step)
        assert np.array_equal(first.plane, second.plane)
        far = np.abs(first.center - second.center).max(1)
        assert (far <= CONFIG.crop * (CONFIG.shift + 0.5) / CONFIG.scale_low).all()
        assert not np.array_equal(first.angle, second.angle)


def test_crops_lie_inside_planes_that_are_large_enough(batches):
    for step in range(0, 20, 2):
        places = batches.places(step)
        half = CONFIG.crop / places.scale[:, None] / 2
        shapes = np.array([POOL.planes[n].shape for n in places.plane])
        assert ((places.center >= half - 1e-9) & (places.center <= shapes - half + 1e-9)).all()


def test_masks_cover_their_share_of_whole_patches():
    mask = patch_mask(CONFIG, 3, CPU)
    assert mask.shape == (6, 1, 32, 32)
    blocks = mask.view(6, 2, 16, 2, 16)
    assert (blocks == blocks[:, :, :1, :, :1]).all()
    assert torch.allclose(mask.mean((1, 2, 3)), torch.tensor(0.25))
    assert not torch.equal(mask, patch_mask(CONFIG, 4, CPU))


def test_intensity_changes_keep_the_percentiles():
    batches = Batches(POOL, TrainConfig(**{**CONFIG.__dict__, "intensity": 1.0}), CPU)
    crops = batches.crops(batches.places(0))
    varied = batches.vary(crops, 0, 0, slice(0, 6))
    assert not torch.allclose(varied, crops, atol=0.05)
    low, high = np.percentile(varied.flatten(1).numpy(), (1, 99), axis=1)
    np.testing.assert_allclose(low, 0, atol=0.03)
    np.testing.assert_allclose(high, 1, atol=0.03)
    assert torch.allclose(batches.vary(crops[2:4], 0, 0, slice(2, 4)), varied[2:4], atol=1e-6)

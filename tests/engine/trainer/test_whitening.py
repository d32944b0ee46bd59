"""Whitening as part of the weights: uncorrelated embeddings of equal variance, the same in every backend."""

import numpy as np
import pytest
import torch

from microsnoop_engine import Embedder, load_model
from microsnoop_engine.errors import WeightsError
from microsnoop_engine.model.checkpoints import Card, load_weights, save_weights
from microsnoop_engine.model.frame import PAPER, Frame
from microsnoop_engine.model.registry import build
from microsnoop_engine.trainer.batches import Batches
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.pool import Pool
from microsnoop_engine.trainer.whitening import crops_like_cells, fit_whitening

RANDOM = np.random.default_rng(0)


def test_whitened_numbers_vary_equally_and_independently():
    embeddings = RANDOM.normal(size=(500, 12)) @ RANDOM.normal(size=(12, 12)) + 3
    matrix, offset = fit_whitening(embeddings, regularization=0)
    white = embeddings @ matrix + offset
    np.testing.assert_allclose(white.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(np.cov(white.T), np.eye(12), atol=1e-3)


def test_regularization_bounds_the_gain():
    embeddings = RANDOM.normal(size=(500, 3)) * [1, 1, 1e-6]
    values = np.linalg.eigvalsh(fit_whitening(embeddings, regularization=0.01)[0])
    assert values.max() < 1 / np.sqrt(0.01 * embeddings.var(0, ddof=1).mean()) + 1e-3
    assert np.isfinite(fit_whitening(np.ones((5, 3)) * RANDOM.random((5, 1)))[0]).all()


def test_crops_are_shown_as_cells_are():
    pool = Pool([RANDOM.integers(50, 255, (300, 300)).astype(np.uint8)], {"a": [0]})
    batches = Batches(pool, TrainConfig(categories=("a",), percentile_step=2), torch.device("cpu"))
    enlarged, padded = crops_like_cells(batches, 64, PAPER)
    assert enlarged.shape == padded.shape == (32, 1, 224, 224)
    filled = (padded != 0).float().mean((1, 2, 3))
    assert filled.min() > 0.9 * (40 / 224) ** 2
    assert filled.max() < 1.1 * (130 / 224) ** 2
    assert (enlarged != 0).float().mean() > 0.9
    levels = np.percentile(enlarged.flatten(1).numpy(), (1, 99), axis=1, method="nearest")
    np.testing.assert_allclose(levels, [[0] * 32, [1] * 32], atol=1e-6)  # of all pixels, as inference takes them
    (whole,) = crops_like_cells(batches, 32, Frame(96, zeros=False))
    assert whole.shape == (32, 1, 96, 96)


@pytest.fixture
def whitened(tmp_path, paper_weights):
    state, card = load_weights(paper_weights)
    state = {key: value for key, value in state.items() if not key.startswith("whiten.")}
    plain = build(state, card)
    state |= {"whiten.weight": RANDOM.normal(size=(256, 256)), "whiten.bias": RANDOM.normal(size=256)}
    state = {key: np.asarray(value, np.float32) for key, value in state.items()}
    save_weights(state, Card("white"), tmp_path / "white.safetensors")
    return tmp_path / "white.safetensors", plain, state


@pytest.mark.parametrize("backend", ["openvino", "torch"])
@pytest.mark.parametrize("size", [64, 224])
def test_every_backend_whitens(whitened, backend, size):
    path, plain, state = whitened
    crops = RANDOM.random((2, 1, size, size), dtype=np.float32)
    frames = np.zeros((2, 1, 224, 224), np.float32)
    start = (224 - size) // 2
    frames[:, :, start : start + size, start : start + size] = crops
    expected = plain.embed(torch.from_numpy(frames)).numpy() @ state["whiten.weight"].T + state["whiten.bias"]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    embeddings = Embedder(path, device="cpu", backend=backend, precision="float32").embed(crops)
    np.testing.assert_allclose(embeddings, expected, atol=1e-4)
    np.testing.assert_allclose(load_model(path).embed(torch.from_numpy(frames)), expected, atol=1e-4)


def test_half_a_whitening_is_refused(whitened):
    _, _, state = whitened
    del state["whiten.bias"]
    with pytest.raises(WeightsError, match=r"missing: whiten\.bias"):
        build(state, Card("white"))

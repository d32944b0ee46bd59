"""Training with targets: the crops are those of the file, the network learns to predict, and wrong files are named."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from microsnoop_engine.errors import InputError, ResumeError
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.trainer.batches import Batches
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.pool import Pool
from microsnoop_engine.trainer.targets import Targets, read_targets
from microsnoop_engine.trainer.train import whiten
from microsnoop_engine.trainer.trainer import Trainer

RANDOM = np.random.default_rng(0)
POOL = Pool([RANDOM.integers(0, 255, (96, 96)).astype(np.uint8) for _ in range(3)], {"a": [0, 1, 2]})
SMALL = {"categories": (), "crop": 32, "batch": 8, "images_per_epoch": 32, "epochs": 3, "warmup_epochs": 1}


@pytest.fixture
def file(tmp_path):
    """Twelve crops of four sizes, whose targets tell their planes apart."""
    plane = np.repeat(np.arange(3), 4)
    side = np.tile([16.0, 24.0, 32.0, 64.0], 3)
    target = np.eye(3)[plane].astype(np.float16)
    Targets(plane, np.full((12, 2), 48.0), side, target, ("planes",)).save(tmp_path / "targets.npz", POOL)
    return tmp_path / "targets.npz"


@pytest.fixture
def config(file):
    return TrainConfig(**SMALL, reconstruction_weight=0.0, targets=str(file), scale_jitter=1.0, shift=0.0, padding=1.0)


def test_a_file_is_read_as_it_was_saved(file):
    targets = read_targets(file, POOL)
    assert targets.target.shape == (12, 3)
    assert targets.sources == ("planes",)
    assert len(targets.sha256) == 64


def test_a_crop_is_enlarged_in_one_view_and_padded_in_the_other(file, config):
    batches = Batches(POOL, config, torch.device("cpu"), read_targets(file, POOL))
    sizes = set()
    for step in range(5):
        enlarged, padded = batches.views(step)
        side = 32 / enlarged.scale
        np.testing.assert_array_equal(enlarged.plane, batches.targets(step).numpy().argmax(1))
        np.testing.assert_array_equal(enlarged.plane, padded.plane)
        np.testing.assert_allclose(enlarged.center, 48)
        np.testing.assert_allclose(padded.scale, np.minimum(32 / side, 1))
        shown = (batches.crops(padded) != 0).any(1).float().sum((1, 2)).sqrt().numpy()
        assert (abs(shown - np.minimum(side, 32)) <= 1).all()
        sizes |= set(side)
    assert sizes == {16, 24, 32, 64}


def test_only_a_share_of_the_second_views_is_padded_and_no_first_view(file, config):
    batches = Batches(POOL, replace(config, padding=0.5), torch.device("cpu"), read_targets(file, POOL))
    padded = []
    for step in range(40):
        first, second = batches.views(step)
        assert (first.window == 1).all()
        same = np.isclose(first.scale, second.scale)
        assert (second.window[same] == 1).all()
        padded += list(second.window[first.scale > 1] < 1)
    assert 0.4 < np.mean(padded) < 0.6


def test_crops_of_one_image_lie_side_by_side(file, config):
    targets = read_targets(file, POOL)
    batches = Batches(POOL, replace(config, crops_per_image=4), torch.device("cpu"), targets)
    for step in range(5):
        plane = batches.draw(step).plane.reshape(2, 4)
        assert (plane == plane[:, :1]).all()
        sides = np.sort(32 / batches.draw(step).scale.reshape(2, 4), axis=1)
        np.testing.assert_allclose(sides, [[16, 24, 32, 64]] * 2)  # none of the four twice
    with pytest.raises(InputError, match="crops_per_image is 8, but no image has so many crops in the file"):
        Batches(POOL, replace(config, crops_per_image=8), torch.device("cpu"), targets)


def test_the_targets_are_learned_and_the_card_names_their_origin(file, config, tmp_path):
    grains = [RANDOM.integers(0, 255, (96 // k, 96 // k)).repeat(k, 0).repeat(k, 1) for k in (1, 3, 8)]
    pool = Pool([grain.astype(np.uint8) for grain in grains], {"a": [0, 1, 2]})
    read_targets(file, POOL).save(file, pool)
    losses = []
    trainer = Trainer(replace(config, epochs=10, whitening=32), pool, tmp_path / "run")
    trainer.run(on_step=lambda entry: losses.append(entry["distillation"]))
    whiten(trainer)
    assert np.mean(losses[-3:]) < 0.6 * np.mean(losses[:3])
    assert np.mean(losses[-4:]) < 0.9 * (1 - 3**-0.5)  # of one and the same prediction for all
    card = export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)
    assert card.training["targets"] == {"sources": ["planes"], "sha256": trainer.targets.sha256}
    assert not [name for name in load_weights(tmp_path / "mine.safetensors")[0] if "predictor" in name]
    assert Embedder(tmp_path / "mine.safetensors", device="cpu").embed(np.ones((1, 1, 48, 48))).shape == (1, 256)


def test_a_resumed_run_equals_an_uninterrupted_one(config, tmp_path):
    whole = Trainer(config, POOL, tmp_path / "whole")
    whole.run()
    part = Trainer(config, POOL, tmp_path / "part")
    for _ in range(5):
        part.train_step()
    part.save()
    rest = Trainer(config, POOL, tmp_path / "part")
    rest.run()
    for a, b in ((whole.model, rest.model), (whole.predictor, rest.predictor)):
        assert all(torch.equal(x, y) for x, y in zip(a.state_dict().values(), b.state_dict().values(), strict=True))


def test_wrong_files_are_named(file, config, tmp_path):
    with pytest.raises(InputError, match=r"targets: there is no file '.*none\.npz'"):
        read_targets(tmp_path / "none.npz", POOL)
    np.savez(tmp_path / "other.npz", x=1)
    with pytest.raises(InputError, match=r"other\.npz' is not a file of targets"):
        read_targets(tmp_path / "other.npz", POOL)
    with pytest.raises(InputError, match="is for 3 planes that are not these 2"):
        Trainer(config, Pool(POOL.planes[:2], {"a": [0, 1]}), tmp_path / "run")
    Trainer(config, POOL, tmp_path / "run").save()
    with pytest.raises(ResumeError, match="distillation"):
        Trainer(
            TrainConfig(**SMALL, reconstruction_weight=0.0, targets=str(file), distillation_weight=2.0),
            POOL,
            tmp_path / "run",
        )


def test_there_must_be_something_to_learn(file):
    with pytest.raises(InputError, match="nothing to learn"):
        TrainConfig(**SMALL, reconstruction_weight=0.0)
    with pytest.raises(InputError, match="nothing to learn"):
        TrainConfig(**SMALL, reconstruction_weight=0.0, targets=str(file), distillation_weight=0.0)

"""The trainer: the schedule, learning, resumed runs, and runs that must stop."""

import csv
import math

import pytest
import torch
from training_runs import ALL_IMAGES, BOTH_LOSSES

from microsnoop_engine.errors import InputError, ResumeError
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.pool import Pool
from microsnoop_engine.trainer.trainer import CHECKPOINT, Trainer, learning_rate


def weights_of(trainer):
    return {**trainer.model.state_dict(), **{f"head.{k}": v for k, v in trainer.head.state_dict().items()}}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_schedule_is_the_papers():
    config = TrainConfig()
    for epoch, expected in ((20, 0.0005), (40, 0.001), (520, 0.0005), (1000, 0.0)):
        assert learning_rate(config, epoch * config.steps_per_epoch) == pytest.approx(expected, abs=2e-6)
    epoch = 300 + 0.5 / 750
    exact = 0.001 * 0.5 * (1 + math.cos(math.pi * (epoch - 40) / (1000 - 40)))
    assert learning_rate(config, 300 * 750) == pytest.approx(exact, rel=1e-12)


@pytest.mark.parametrize("changes", [{}, {"reconstruction_weight": 0.0, "contrast_weight": 1.0}])
def test_it_learns(pool, tmp_path, changes):
    config = TrainConfig(**{**ALL_IMAGES, "epochs": 20, "batch": 8, "learning_rate": 3e-4, **changes})
    trainer, entries = Trainer(config, pool, tmp_path), []
    (before,) = trainer.validate(pool).values()
    trainer.run(on_step=entries.append)
    (after,) = trainer.validate(pool).values()
    assert after < 0.8 * before
    losses = [entry["loss"] for entry in entries]
    assert len(losses) == 40
    with (tmp_path / "log.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == losses


def test_a_resumed_run_equals_an_uninterrupted_one(pool, tmp_path):
    whole = Trainer(BOTH_LOSSES, pool, tmp_path / "whole")
    whole.run()
    part = Trainer(BOTH_LOSSES, pool, tmp_path / "part")
    for _ in range(5):
        part.train_step()
    part.save()
    part.train_step()
    resumed = Trainer(BOTH_LOSSES, pool, tmp_path / "part")
    assert resumed.step == 5
    resumed.run()
    assert same(weights_of(whole), weights_of(resumed))


def test_another_configuration_is_refused(pool, tmp_path):
    Trainer(BOTH_LOSSES, pool, tmp_path).save()
    with pytest.raises(ResumeError, match=r"another configuration: batch \(there 4, now 8\)"):
        Trainer(TrainConfig(**{**ALL_IMAGES, "batch": 8}, contrast_weight=0.5, intensity=0.5), pool, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ResumeError, match=r"checkpoint\.pt' is damaged"):
        Trainer(BOTH_LOSSES, pool, tmp_path)


def test_a_loss_that_is_not_finite_stops_and_leaves_the_checkpoint(pool, tmp_path):
    trainer = Trainer(BOTH_LOSSES, pool, tmp_path)
    trainer.train_step()
    trainer.save()
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        trainer.model.encoder[0].convs[0].conv.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"not finite at step 1 \(category two\)"):
        trainer.run()
    assert (tmp_path / "checkpoint.pt").read_bytes() == good


def test_a_pool_lacking_a_category_is_refused(pool, tmp_path):
    with pytest.raises(InputError, match="no training images of category 'fluorescence'; there are one, two"):
        Trainer(TrainConfig(), Pool(pool.planes, pool.categories), tmp_path)


def test_a_network_that_does_not_compile(pool, tmp_path, monkeypatch):
    def broken(function):
        def call(*_):
            raise NameError("name 'buf127' is not defined")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    trainer = Trainer(TrainConfig(**ALL_IMAGES), pool, tmp_path, compiled=True)
    with pytest.raises(InputError, match=r"NameError: name 'buf127' is not defined\): train without `compiled`"):
        trainer.run()


def test_a_run_of_another_version_is_refused(pool, tmp_path):
    """Its settings have other names: it must neither resume with default values nor end in a TypeError."""
    Trainer(BOTH_LOSSES, pool, tmp_path).save()
    state = torch.load(tmp_path / CHECKPOINT, weights_only=True)
    state["config"]["places_per_image"] = state["config"].pop("crops_per_image")
    torch.save(state, tmp_path / CHECKPOINT)
    with pytest.raises(
        ResumeError, match=r"another version .* with the settings places_per_image and without the settings crops_per"
    ):
        Trainer(BOTH_LOSSES, pool, tmp_path)


def test_precisions_that_training_has_not(pool, tmp_path):
    with pytest.raises(InputError, match="`precision`: training computes in float32 or bfloat16, not in float16"):
        Trainer(BOTH_LOSSES, pool, tmp_path, precision="float16")


def test_validation_takes_the_categories_that_it_has(pool, tmp_path):
    """The losses are those of the category that both have."""
    trainer = Trainer(TrainConfig(**{**ALL_IMAGES, "categories": ("one", "two")}), pool, tmp_path)
    part = Pool([pool.planes[n] for n in pool.categories["two"]], {"two": list(range(len(pool.categories["two"])))})
    assert trainer.batches_of(part).categories == ("two",)
    assert trainer.validate(part)["reconstruction"] > 0

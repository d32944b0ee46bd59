"""Training: runs that stop and go on, several processes as one, and what a run leaves."""

import csv
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from microsnoop_engine.errors import InputError, ResumeError, WeightsError
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.registry import load_model, make_network
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.pool import Pool, read_pool
from microsnoop_engine.trainer.train import train
from microsnoop_engine.trainer.trainer import Trainer, learning_rate, read_checkpoint
from microsnoop_engine.trainer.warm_start import freeze_stages

SMALL = {"categories": (), "crop": 32, "batch": 4, "images_per_epoch": 16, "epochs": 3, "warmup_epochs": 1}
BOTH = TrainConfig(**SMALL, contrast_weight=0.5, intensity=0.5)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of 24 images in two categories, each with a texture of its own."""
    folder = tmp_path_factory.mktemp("images")
    random = np.random.default_rng(0)
    for category in ("one", "two"):
        (folder / category).mkdir()
        for number in range(12):
            coarse = ndimage.gaussian_filter(random.random((48, 56)), 0.3 + 0.3 * number, mode="wrap")
            texture = (coarse - coarse.min()) / np.ptp(coarse) * 255
            Image.fromarray(texture.astype(np.uint8)).save(folder / category / f"{number:02d}.png")
    return folder


@pytest.fixture(scope="module")
def pool(images):
    return read_pool(images)


def weights_of(trainer):
    return {**trainer.model.state_dict(), **{f"head.{k}": v for k, v in trainer.head.state_dict().items()}}


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def test_the_schedule_is_the_papers():
    config = TrainConfig()
    for epoch, wanted in ((20, 0.0005), (40, 0.001), (520, 0.0005), (1000, 0.0)):
        assert learning_rate(config, epoch * config.steps_per_epoch) == pytest.approx(wanted, abs=2e-6)
    epoch = 300 + 0.5 / 750
    closed = 0.001 * 0.5 * (1 + math.cos(math.pi * (epoch - 40) / (1000 - 40)))
    assert learning_rate(config, 300 * 750) == pytest.approx(closed, rel=1e-12)


@pytest.mark.parametrize("changes", [{}, {"reconstruction_weight": 0.0, "contrast_weight": 1.0}])
def test_it_learns(pool, tmp_path, changes):
    config = TrainConfig(**{**SMALL, "epochs": 20, "batch": 8, "learning_rate": 3e-4, **changes})
    trainer, said = Trainer(config, pool, tmp_path), []
    (before,) = trainer.validate(pool).values()
    trainer.run(on_step=said.append)
    (after,) = trainer.validate(pool).values()
    assert after < 0.8 * before
    losses = [entry["loss"] for entry in said]
    assert len(losses) == 40
    with (tmp_path / "log.csv").open() as file:
        assert [float(row["loss"]) for row in csv.DictReader(file)] == losses


def test_a_stopped_run_goes_on_bit_for_bit(pool, tmp_path):
    whole = Trainer(BOTH, pool, tmp_path / "whole")
    whole.run()
    part = Trainer(BOTH, pool, tmp_path / "part")
    for _ in range(5):
        part.train_step()
    part.save()
    part.train_step()
    resumed = Trainer(BOTH, pool, tmp_path / "part")
    assert resumed.step == 5
    resumed.run()
    assert same(weights_of(whole), weights_of(resumed))


def test_another_configuration_is_refused(pool, tmp_path):
    Trainer(BOTH, pool, tmp_path).save()
    with pytest.raises(ResumeError, match=r"another configuration: batch \(there 4, now 8\)"):
        Trainer(TrainConfig(**{**SMALL, "batch": 8}, contrast_weight=0.5, intensity=0.5), pool, tmp_path)
    (tmp_path / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(ResumeError, match=r"checkpoint\.pt' is damaged"):
        Trainer(BOTH, pool, tmp_path)


def test_a_loss_that_is_not_finite_stops_and_leaves_the_checkpoint(pool, tmp_path):
    trainer = Trainer(BOTH, pool, tmp_path)
    trainer.train_step()
    trainer.save()
    good = (tmp_path / "checkpoint.pt").read_bytes()
    with torch.no_grad():
        trainer.model.encoder[0].convs[0].conv.weight.fill_(float("nan"))
    with pytest.raises(InputError, match=r"not finite at step 1 \(category two\)"):
        trainer.run()
    assert (tmp_path / "checkpoint.pt").read_bytes() == good


COMMAND = ["-m", "microsnoop_engine", "train"]
OPTIONS = ["--device", "cpu", "--precision", "float32", "--save-minutes", "0.01"]
OPTIONS += [f"--set={key}={value}" for key, value in SMALL.items() if key != "categories"]
OPTIONS += ["--set=categories=", "--set=contrast_weight=0.5", "--set=intensity=0.5"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_from_outside_is_continued(images, tmp_path, number):
    options = [*OPTIONS, "--set=epochs=2000"]
    process = subprocess.Popen([sys.executable, *COMMAND, images, "--out", tmp_path, *options])
    deadline = time.monotonic() + 90
    while not (tmp_path / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.5)
    os.kill(process.pid, number)
    assert process.wait(60) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    step = read_checkpoint(tmp_path)["step"]
    assert 0 < step < 8000
    resume = ["--out", tmp_path, "--resume", "--max-minutes", "0.02", "--device", "cpu", "--precision", "float32"]
    done = subprocess.run([sys.executable, *COMMAND, images, *resume], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"step {step} of 8000" in done.stdout
    with (tmp_path / "log.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == list(range(1, read_checkpoint(tmp_path)["step"] + 1))


TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]


def test_a_step_of_two_processes_is_that_of_one(images, tmp_path):
    script = Path(__file__).parents[1] / "helpers" / "parallel_step.py"
    for count in ("1", "2"):
        command = [sys.executable, *TORCHRUN, count, script, images, tmp_path]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
    for name in ("reconstruction", "contrast"):
        one, two = (torch.load(tmp_path / f"{name}-{count}.pt") for count in (1, 2))
        assert len(one["gradients"]) > 50
        for kind in one:
            for a, b in zip(one[kind], two[kind], strict=True):
                assert (a - b).double().norm() <= 1e-4 * a.double().norm() + 1e-9


def test_two_processes_learn_as_one(images, tmp_path):
    losses = []
    for name, start in (("one", []), ("two", [*TORCHRUN, "2"])):
        command = [sys.executable, *start, *COMMAND, images, "--out", tmp_path / name, *OPTIONS, "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
        assert done.returncode == 0, done.stderr
        with (tmp_path / name / "log.csv").open() as file:
            losses.append([float(row["loss"]) for row in csv.DictReader(file)])
    assert len(losses[0]) == 12
    # the steps are the same (see above), but Adam makes rounding errors of float32 grow
    np.testing.assert_allclose(*losses, rtol=0.03)


def test_a_batch_that_cannot_be_shared_is_refused(images, tmp_path):
    command = [sys.executable, *TORCHRUN, "2", *COMMAND, images, "--out", tmp_path / "run", *OPTIONS, "--set=batch=5"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "batch is 5: give a multiple of the 2 processes" in done.stderr


def test_what_a_run_leaves_and_what_is_exported_from_it(images, tmp_path):
    small = {key: value for key, value in SMALL.items() if key != "categories"}
    report = train(images, tmp_path / "run", changes={**small, "epochs": 5}, device="cpu", precision="float32")
    text = report.read_text()
    assert "80 images seen" in text
    assert "On the validation images: reconstruction" in text
    assert f"- 22 of {images.name}" in text
    with Image.open(tmp_path / "run" / "reconstruction-0005.png") as picture:
        assert picture.size == (3 * 36 - 4, 2 * 36 - 4)
        assert len(np.unique(np.asarray(picture))) > 50
    card = export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=False)
    assert (card.training["samples_seen"], card.training["finished"]) == (80, True)
    assert (
        json.loads((tmp_path / "mine.json").read_text())["sha256"]
        == load_weights(tmp_path / "mine.safetensors")[1].sha256
    )
    crop = np.random.default_rng(0).random((2, 1, 224, 224)).astype(np.float32)
    model = load_model(tmp_path / "mine.safetensors")
    fast = Embedder(tmp_path / "mine.safetensors", device="cpu", precision="float32").embed(crop)
    np.testing.assert_allclose(fast, model.embed(torch.from_numpy(crop)), atol=1e-4)
    assert model(torch.from_numpy(crop)).shape == (2, 1, 224, 224)
    export(tmp_path / "run", tmp_path / "encoder.safetensors", "encoder", "CC0", encoder_only=True)
    np.testing.assert_array_equal(Embedder(tmp_path / "encoder.safetensors", precision="float32").embed(crop), fast)


def test_a_whitening_is_fitted_at_the_end_and_exported(images, tmp_path):
    small = {key: value for key, value in SMALL.items() if key != "categories"}
    changes = {**small, "epochs": 2, "batch": 8, "intensity": 0.5, "decorrelation_weight": 0.1, "whitening": 64}
    train(images, tmp_path / "run", "contrast", changes, device="cpu", precision="float32")
    with (tmp_path / "run" / "log.csv").open() as file:
        assert all(float(row["decorrelation"]) > 0 for row in csv.DictReader(file))
    export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)
    state = load_weights(tmp_path / "mine.safetensors")[0]
    crop = torch.from_numpy(np.random.default_rng(0).random((2, 1, 224, 224), dtype=np.float32))
    white = load_model(tmp_path / "mine.safetensors")
    plain = white.network.embed(crop) @ torch.from_numpy(state["whiten.weight"]).T + torch.from_numpy(
        state["whiten.bias"]
    )
    torch.testing.assert_close(white.embed(crop), plain / plain.norm(dim=1, keepdim=True))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", "--out", "run"], "there is no folder 'nowhere'"),
        ([".", "--out", "run"], "no image of the split 'train'"),
        ([".", "--out", "run", "--config", "best"], "no preset or file 'best'"),
        ([".", "--out", "run", "--set", "crop"], "--set crop: give KEY=VALUE"),
        ([".", "--out", "run", "--set", "sizes=3"], "unknown setting sizes"),
        ([".", "--out", "run", "--resume"], "holds no training run to continue"),
        ([".", "--out", "run", "--resume", "--set", "crop=64"], "leave --config and --set out"),
    ],
)
def test_bad_requests_are_said_in_one_line(tmp_path, arguments, said):
    done = subprocess.run([sys.executable, *COMMAND, *arguments], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_pool_lacking_a_category_is_refused(pool, tmp_path):
    with pytest.raises(InputError, match="no training images of category 'fluorescence'; there are one, two"):
        Trainer(TrainConfig(), Pool(pool.planes, pool.categories), tmp_path)


def test_a_run_starts_from_finished_weights(pool, tmp_path):
    first = TrainConfig(**{**SMALL, "epochs": 1, "warmup_epochs": 0})
    Trainer(first, pool, tmp_path / "first").run()
    card = export(tmp_path / "first", tmp_path / "first.safetensors", "first", "CC0", encoder_only=False)
    settings = TrainConfig(**SMALL, init_weights=str(tmp_path / "first.safetensors"), seed=7)
    trainer = Trainer(settings, pool, tmp_path / "second")
    for key, value in load_weights(tmp_path / "first.safetensors")[0].items():
        np.testing.assert_array_equal(trainer.model.state_dict()[key].numpy(), value.astype(np.float32))
    assert trainer.started_from["sha256"] == card.sha256
    trainer.run(max_minutes=0)
    (tmp_path / "first.safetensors").unlink()  # not needed to go on
    Trainer(settings, pool, tmp_path / "second").run()
    later = export(tmp_path / "second", tmp_path / "second.safetensors", "second", "CC0", encoder_only=True)
    assert later.training["start"] == {"name": "first", "sha256": card.sha256, "samples_seen": 16, "hours": 0.0}


def test_frozen_stages_stay_and_the_others_learn(pool, tmp_path):
    Trainer(TrainConfig(**SMALL), pool, tmp_path / "first").run()
    export(tmp_path / "first", tmp_path / "first.safetensors", "first", "CC0", encoder_only=True)
    start = str(tmp_path / "first.safetensors")
    config = TrainConfig(**SMALL, contrast_weight=1.0, reconstruction_weight=0.0, init_weights=start, frozen_stages=2)
    trainer = Trainer(config, pool, tmp_path / "run")
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    trainer.run()
    changed = {key for key, value in trainer.model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if key.startswith(("encoder.2.", "encoder.3."))}
    with pytest.raises(WeightsError, match="'vit' cannot be frozen in part: set frozen to 0"):
        freeze_stages(make_network("vit"), 2, "vit")


def test_finished_weights_may_be_the_mean_with_their_start(pool, tmp_path):
    Trainer(TrainConfig(**SMALL), pool, tmp_path / "first").run()
    export(tmp_path / "first", tmp_path / "first.safetensors", "first", "CC0", encoder_only=True)
    config = TrainConfig(
        **SMALL,
        contrast_weight=1.0,
        reconstruction_weight=0.0,
        init_weights=str(tmp_path / "first.safetensors"),
        init_average=0.25,
    )
    trainer = Trainer(config, pool, tmp_path / "run")
    trainer.run(max_minutes=0)
    start = load_weights(tmp_path / "first.safetensors")[0]
    (tmp_path / "first.safetensors").unlink()  # not needed to go on
    trainer = Trainer(config, pool, tmp_path / "run")
    trainer.run()
    export(tmp_path / "run", tmp_path / "own.safetensors", "own", "CC0", encoder_only=True)
    own = load_weights(tmp_path / "own.safetensors")[0]
    for key, value in own.items():
        wanted = 0.75 * trainer.model.state_dict()[key].numpy() + 0.25 * start[key].astype(np.float32)
        np.testing.assert_allclose(value, wanted, rtol=1e-3, atol=1e-5, err_msg=key)
        assert value.size == 1 or not np.array_equal(value, start[key]), key  # one number may round to what it was


def test_weights_of_another_network_are_no_start(pool, tmp_path):
    with pytest.raises(WeightsError, match="are of a 'unet', not of a 'vit'"):
        Trainer(TrainConfig(**SMALL, architecture="vit", init_weights="microsnoop-base"), pool, tmp_path)


def test_a_network_that_does_not_compile_is_said(pool, tmp_path, monkeypatch):
    def broken(function):
        def call(*_):
            raise NameError("name 'buf127' is not defined")

        return call

    monkeypatch.setattr(torch, "compile", broken)
    trainer = Trainer(TrainConfig(**SMALL), pool, tmp_path, compiled=True)
    with pytest.raises(InputError, match="NameError: name 'buf127' is not defined"):
        trainer.run()

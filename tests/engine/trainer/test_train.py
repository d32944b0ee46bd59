"""Training from a folder of images to a report, by the command and from Python."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image
from training_runs import COMMAND, OPTIONS, SMALL
from waiting import PATIENCE, wait_for

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import DeviceError, ResumeError
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.model.registry import load_model
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.train import train
from microsnoop_engine.trainer.trainer import CHECKPOINT, read_checkpoint


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_stopped_by_a_signal_is_resumed(images, tmp_path, number):
    options = [*OPTIONS, "--save-minutes", "0.01", "--set=epochs=2000"]
    process = subprocess.Popen([sys.executable, *COMMAND, images, "--out", tmp_path, *options])
    wait_for((tmp_path / "checkpoint.pt").exists)
    time.sleep(0.5)
    os.kill(process.pid, number)
    assert process.wait(PATIENCE) == (0 if number == signal.SIGTERM else -signal.SIGKILL)
    step = read_checkpoint(tmp_path)["step"]
    assert 0 < step < 8000
    resume = ["--out", tmp_path, "--resume", "--max-minutes", "0.02", "--device", "cpu", "--precision", "float32"]
    done = subprocess.run([sys.executable, *COMMAND, images, *resume], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"step {step} of 8000" in done.stdout
    with (tmp_path / "log.csv").open() as file:
        steps = [int(row["step"]) for row in csv.DictReader(file)]
    assert steps == list(range(1, read_checkpoint(tmp_path)["step"] + 1))


def test_what_a_run_leaves_and_what_is_exported_from_it(images, tmp_path):
    report = train(images, tmp_path / "run", changes={**SMALL, "epochs": 5}, device="cpu", precision="float32")
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
    changes = {**SMALL, "crop": 64, "epochs": 2, "batch": 8, "decorrelation_weight": 0.1, "whitening": 64}
    train(images, tmp_path / "run", "base", changes, device="cpu", precision="float32")
    with (tmp_path / "run" / "log.csv").open() as file:
        assert all(float(row["decorrelation"]) > 0 for row in csv.DictReader(file))
    card = export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)
    assert (card.frame, card.input_size) == ("crop", 64)
    state = load_weights(tmp_path / "mine.safetensors")[0]
    crop = torch.from_numpy(np.random.default_rng(0).random((2, 1, 64, 64), dtype=np.float32))
    white = load_model(tmp_path / "mine.safetensors")
    plain = white.network.embed(crop) @ torch.from_numpy(state["whiten.weight"]).T + torch.from_numpy(
        state["whiten.bias"]
    )
    torch.testing.assert_close(white.embed(crop), plain / plain.norm(dim=1, keepdim=True))


def test_training_in_a_thread(images, tmp_path):
    """A notebook or server trains in another thread, where Python allows no signal handlers."""
    messages, entries = [], []

    def on_step(entry, steps):
        entries.append((entry["step"], steps))

    with ThreadPoolExecutor(1) as threads:
        arguments = (images, tmp_path / "run", "paper", SMALL)
        options = {"device": "cpu", "precision": "float32", "on_message": messages.append, "on_step": on_step}
        report = threads.submit(train, *arguments, **options).result()
    assert report == tmp_path / "run" / "report.md"
    assert entries == [(step, 12) for step in range(1, 13)]
    assert messages == ["22 images; cpu, float32; step 0 of 12"]


@pytest.mark.parametrize(
    ("categories", "message", "validated"),
    [
        (("fluorescence", "tissue"), "there are no validation images of: fluorescence", True),
        (("fluorescence",), "there are no validation images of: fluorescence", False),
    ],
)
def test_validation_images_lack_a_category(tmp_path, categories, message, validated):
    """The tenth image of a folder alone is for validation, so that a category of nine may have none."""
    folder = tmp_path / "images"
    for category, count in (("fluorescence", 8), ("tissue", 6)):
        (folder / category).mkdir(parents=True)
        for number in range(count):
            texture = np.random.default_rng(number).integers(0, 255, (48, 48)).astype(np.uint8)
            Image.fromarray(texture).save(folder / category / f"{number}.png")
    messages = []
    changes = {**SMALL, "epochs": 2, "categories": categories}
    report = train(
        folder, tmp_path / "run", changes=changes, device="cpu", precision="float32", on_message=messages.append
    )
    assert messages[1:] == [message]
    text = report.read_text()
    assert f"T{message[1:]}." in text
    assert ("On the validation images: reconstruction" in text) == validated


def test_a_device_that_is_not_there(images, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this computer has CUDA")
    with pytest.raises(DeviceError, match="finds no 'cuda' device here"):
        train(images, tmp_path / "run", device="cuda")
    assert not (tmp_path / "run").exists()


def test_a_run_of_another_version_is_not_resumed(images, tmp_path):
    train(images, tmp_path / "run", changes={**SMALL, "epochs": 2}, device="cpu", precision="float32")
    state = torch.load(tmp_path / "run" / CHECKPOINT, weights_only=True)
    state["config"]["frozen"] = state["config"].pop("frozen_stages")
    torch.save(state, tmp_path / "run" / CHECKPOINT)
    message = (
        "run' holds a run of another version of microsnoop, with the settings frozen and without the settings froz"
    )
    with pytest.raises(ResumeError, match=message):
        train(images, tmp_path / "run", resume=True, device="cpu", precision="float32")
    with pytest.raises(ResumeError, match=message):
        export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)


def test_the_command_offers_no_precision_that_it_would_replace(images, tmp_path, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["train", str(images), "-o", str(tmp_path / "run"), "--precision", "float16"])
    assert stop.value.code == 2
    assert "invalid choice: 'float16'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere", "--out", "run"], "there is no folder 'nowhere'"),
        ([".", "--out", "run"], "no image of the split 'train'"),
        ([".", "--out", "run", "--config", "best"], "no preset or file 'best'"),
        ([".", "--out", "run", "--set", "crop"], "--set crop: it must be KEY=VALUE"),
        ([".", "--out", "run", "--set", "sizes=3"], "unknown setting sizes"),
        ([".", "--out", "run", "--resume"], "holds no training run to continue"),
        ([".", "--out", "run", "--resume", "--set", "crop=64"], "leave --config and --set out"),
        ([".", "-o", "run", "--set", "batch=1"], "batch is 1: it must be a whole number from 2"),
    ],
)
def test_a_bad_request_is_answered_in_one_line(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["train", *arguments]) == 1
    assert message in capsys.readouterr().err

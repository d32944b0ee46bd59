"""The report of a training run."""

import numpy as np
import pytest
from training_runs import ALL_IMAGES

from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.report import epoch_losses, sheet, write_report
from microsnoop_engine.trainer.targets import Targets
from microsnoop_engine.trainer.trainer import Trainer


def test_the_report_lists_every_loss(pool, tmp_path):
    count = len(pool.planes)
    target = np.random.default_rng(0).normal(size=(count, 3))
    targets = Targets(np.arange(count), np.full((count, 2), 24.0), np.full(count, 24.0), target)
    targets.save(tmp_path / "targets.npz", pool)
    weights = {"contrast_weight": 1.0, "decorrelation_weight": 0.1, "targets": str(tmp_path / "targets.npz")}
    trainer = Trainer(TrainConfig(**{**ALL_IMAGES, "epochs": 2}, **weights), pool, tmp_path / "run")
    entries = []
    trainer.run(on_step=entries.append)
    losses = ("loss", "reconstruction", "contrast", "decorrelation", "distillation")
    first, second = epoch_losses(tmp_path / "run")
    for name in losses:
        assert first[name] == pytest.approx(np.mean([entry[name] for entry in entries[:4]]))
    assert (first["epoch"], second["epoch"], second["images"]) == (1, 2, 32)
    text = write_report(trainer, pool, {"contrast": 1.5}).read_text()
    assert "| epoch | images | " + " | ".join(losses) + " |" in text
    assert f"| {second['distillation']:.5f} |" in text
    assert "On the validation images: contrast 1.50000." in text


def test_a_sheet_has_white_gaps():
    plane = np.full((4, 4), 0.5)
    result = sheet([[plane, plane], [plane, plane]])
    assert result.shape == (12, 12)
    assert (result[4:8] == 255).all()
    assert (result[:4, :4] == 128).all()

"""Training that starts from finished weights, with frozen stages."""

import numpy as np
import pytest
import torch
from training_runs import ALL_IMAGES

from microsnoop_engine.errors import WeightsError
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.registry import make_network
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.trainer import Trainer
from microsnoop_engine.trainer.warm_start import freeze_stages


def test_a_run_starts_from_finished_weights(pool, tmp_path):
    first = TrainConfig(**{**ALL_IMAGES, "epochs": 1, "warmup_epochs": 0})
    Trainer(first, pool, tmp_path / "first").run()
    card = export(tmp_path / "first", tmp_path / "first.safetensors", "first", "CC0", encoder_only=False)
    settings = TrainConfig(**ALL_IMAGES, init_weights=str(tmp_path / "first.safetensors"), seed=7)
    trainer = Trainer(settings, pool, tmp_path / "second")
    for key, value in load_weights(tmp_path / "first.safetensors")[0].items():
        np.testing.assert_array_equal(trainer.model.state_dict()[key].numpy(), value.astype(np.float32))
    assert trainer.started_from["sha256"] == card.sha256
    trainer.run(max_minutes=0)
    (tmp_path / "first.safetensors").unlink()  # not needed to resume
    Trainer(settings, pool, tmp_path / "second").run()
    later = export(tmp_path / "second", tmp_path / "second.safetensors", "second", "CC0", encoder_only=True)
    assert later.training["start"] == {"name": "first", "sha256": card.sha256, "samples_seen": 16, "hours": 0.0}


def test_frozen_stages_stay_and_the_others_learn(pool, tmp_path):
    Trainer(TrainConfig(**ALL_IMAGES), pool, tmp_path / "first").run()
    export(tmp_path / "first", tmp_path / "first.safetensors", "first", "CC0", encoder_only=True)
    start = str(tmp_path / "first.safetensors")
    config = TrainConfig(
        **ALL_IMAGES, contrast_weight=1.0, reconstruction_weight=0.0, init_weights=start, frozen_stages=2
    )
    trainer = Trainer(config, pool, tmp_path / "run")
    before = {key: value.clone() for key, value in trainer.model.state_dict().items()}
    trainer.run()
    changed = {key for key, value in trainer.model.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if key.startswith(("encoder.2.", "encoder.3."))}
    with pytest.raises(
        WeightsError, match="frozen_stages is 2, but stages of the architecture 'vit' cannot be frozen: set it to 0"
    ):
        freeze_stages(make_network("vit"), 2, "vit")


def test_weights_of_another_network_are_refused(pool, tmp_path):
    with pytest.raises(WeightsError, match="init_weights: 'microsnoop-base' are weights of a 'unet', not of a 'vit'"):
        Trainer(TrainConfig(**ALL_IMAGES, architecture="vit", init_weights="microsnoop-base"), pool, tmp_path)

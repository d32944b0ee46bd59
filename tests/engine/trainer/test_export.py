"""Export of a training run as weights."""

import numpy as np
from training_runs import ALL_IMAGES

from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.trainer.config import TrainConfig
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.train import whiten
from microsnoop_engine.trainer.trainer import Trainer


def test_finished_weights_may_be_the_mean_with_their_start(pool, tmp_path):
    Trainer(TrainConfig(**ALL_IMAGES), pool, tmp_path / "first").run()
    export(tmp_path / "first", tmp_path / "first.safetensors", "first", "CC0", encoder_only=True)
    config = TrainConfig(
        **ALL_IMAGES,
        contrast_weight=1.0,
        reconstruction_weight=0.0,
        init_weights=str(tmp_path / "first.safetensors"),
        init_average=0.25,
    )
    trainer = Trainer(config, pool, tmp_path / "run")
    trainer.run(max_minutes=0)
    start = load_weights(tmp_path / "first.safetensors")[0]
    (tmp_path / "first.safetensors").unlink()  # not needed to resume
    trainer = Trainer(config, pool, tmp_path / "run")
    trainer.run()
    export(tmp_path / "run", tmp_path / "mean.safetensors", "mean", "CC0", encoder_only=True)
    mean = load_weights(tmp_path / "mean.safetensors")[0]
    for key, value in mean.items():
        expected = 0.75 * trainer.model.state_dict()[key].numpy() + 0.25 * start[key].astype(np.float32)
        np.testing.assert_allclose(value, expected, rtol=1e-3, atol=1e-5, err_msg=key)
        assert value.size == 1 or not np.array_equal(value, start[key]), key  # one number may round to what it was


def test_another_dimension_reaches_the_embeddings(pool, tmp_path):
    """From the setting through the heads of the losses, whitening, card and weights to the embedder."""
    settings = {**ALL_IMAGES, "epochs": 2, "contrast_weight": 1.0, "dimension": 64, "whitening": 32}
    trainer = Trainer(TrainConfig(**settings), pool, tmp_path / "run")
    trainer.run()
    whiten(trainer)
    card = export(tmp_path / "run", tmp_path / "small.safetensors", "small", "CC0", encoder_only=True)
    assert card.dimension == 64
    embeddings = Embedder(tmp_path / "small.safetensors", device="cpu").embed(np.zeros((2, 1, 48, 48)))
    assert embeddings.shape == (2, 64)

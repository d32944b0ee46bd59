"""The recipes `compact` and `base` on real fields: learning, moving average, resume, and the exported weights."""

import copy
import csv
import math

import numpy as np
import pytest
import torch
from real_crops import real_crops, real_field

from microsnoop_engine.errors import InputError
from microsnoop_engine.model.checkpoints import load_weights
from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.trainer.config import make_config
from microsnoop_engine.trainer.export import export
from microsnoop_engine.trainer.pool import Pool, to_uint8
from microsnoop_engine.trainer.train import whiten
from microsnoop_engine.trainer.trainer import Trainer, read_checkpoint

SHORT = {"categories": (), "crop": 64, "batch": 8, "images_per_epoch": 16, "epochs": 3, "warmup_epochs": 1}


@pytest.fixture(scope="module")
def fields():
    """The planes of four real fields."""
    planes = [to_uint8(plane) for name in ("bbbc013_A06", "bbbc013_B12", "bbbc039_A06") for plane in real_field(name)]
    return Pool(planes, {"fluorescence": list(range(len(planes)))})


def compact(**changes):
    return make_config("compact", {**SHORT, "whitening": 0, **changes})


@pytest.mark.parametrize("preset", ["compact", "base"])
def test_weights_of_a_recipe_see_the_crop_itself(fields, tmp_path, preset):
    config = make_config(preset, {**SHORT, "epochs": 2, "whitening": 64})
    trainer = Trainer(config, fields, tmp_path / "run")
    trainer.run()
    whiten(trainer)
    card = export(tmp_path / "run", tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)
    assert (card.architecture, card.frame, card.input_size) == (config.architecture, "crop", 64)
    assert card.training["configuration"]["percentile_step"] == 2
    crops = np.stack(real_crops()[:4])[:, None].astype(np.float32) / 255
    embeddings = Embedder(tmp_path / "mine.safetensors", device="cpu", precision="float32").embed(crops)
    state = load_weights(tmp_path / "mine.safetensors")[0]
    plain = trainer.embed(torch.from_numpy(crops)).numpy() @ state["whiten.weight"].T + state["whiten.bias"]
    expected = plain / np.linalg.norm(plain, axis=1, keepdims=True)
    np.testing.assert_allclose(embeddings, expected, atol=0.01)  # the weights are float16 in the file


def test_it_learns(fields, tmp_path):
    losses = []
    config = compact(batch=32, images_per_epoch=32, epochs=16, crops_per_image=1)
    Trainer(config, fields, tmp_path).run(on_step=lambda entry: losses.append(entry["contrast"]))
    chance = math.log(2 * 32 - 1)
    assert np.mean(losses[:3]) > 0.95 * chance
    assert np.mean(losses[-3:]) < 0.93 * chance


def test_the_average_is_the_closed_form(fields, tmp_path):
    """After t steps: d^(t-1) times the weights of step 1, and (1-d) d^(t-s) times those of each later step s."""
    decay = 0.7
    trainer, seen = Trainer(compact(average_decay=decay), fields, tmp_path), []
    while trainer.step < 4:
        trainer.train_step()
        seen.append(copy.deepcopy(trainer.model.state_dict()))
    shares = [decay**3, *((1 - decay) * decay ** (3 - s) for s in (1, 2, 3))]
    average = trainer.finished.state_dict()
    for key, value in average.items():
        if value.dtype.is_floating_point:  # running statistics of the normalization as well
            expected = sum(share * state[key].double() for share, state in zip(shares, seen, strict=True))
            np.testing.assert_allclose(value.numpy(), expected.numpy(), rtol=1e-4, atol=1e-6, err_msg=key)
    assert not torch.equal(average["encoder.out.weight"], trainer.model.state_dict()["encoder.out.weight"])
    trainer.save()
    export(tmp_path, tmp_path / "mine.safetensors", "mine", "CC0", encoder_only=True)
    stored = load_weights(tmp_path / "mine.safetensors")[0]["encoder.out.weight"]
    np.testing.assert_allclose(stored, average["encoder.out.weight"], atol=1e-3)
    np.testing.assert_array_equal(stored, average["encoder.out.weight"].half())


def test_a_resumed_run_equals_an_uninterrupted_one(fields, tmp_path):
    config = compact(average_decay=0.9)
    Trainer(config, fields, tmp_path / "whole").run()
    part = Trainer(config, fields, tmp_path / "part")
    for _ in range(3):
        part.train_step()
    part.save()
    part.train_step()
    Trainer(config, fields, tmp_path / "part").run()
    whole, resumed = (read_checkpoint(tmp_path / name) for name in ("whole", "part"))
    for name in ("model", "head", "average"):
        assert whole[name].keys() == resumed[name].keys()
        assert whole[name]
        assert all(torch.equal(whole[name][key], resumed[name][key]) for key in whole[name]), name


def test_the_same_seed_gives_the_same_run(fields, tmp_path):
    losses = []
    for name, seed in (("one", 0), ("again", 0), ("other", 1)):
        Trainer(compact(seed=seed, epochs=2), fields, tmp_path / name).run()
        with (tmp_path / name / "log.csv").open() as file:
            losses.append([row["loss"] for row in csv.DictReader(file)])
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


def test_long_gradients_are_shortened_and_norms_do_not_decay(fields, tmp_path):
    trainer = Trainer(compact(clip=1e-3), fields, tmp_path / "clipped")
    trainer.train_step()
    norm = torch.stack([p.grad.norm() for p in (*trainer.model.parameters(), *trainer.head.parameters())]).norm()
    assert norm.item() == pytest.approx(1e-3, rel=1e-3)
    trainer = Trainer(compact(weight_decay=0.2), fields, tmp_path / "decay")
    decays = {p: group["weight_decay"] for group in trainer._optimizer.param_groups for p in group["params"]}
    for name, parameter in (*trainer.model.named_parameters(), *trainer.head.named_parameters()):
        assert decays[parameter] == (0.2 if parameter.ndim > 1 else 0), name
    paper = make_config("paper", {**SHORT, "crop": 32})
    groups = Trainer(paper, fields, tmp_path / "paper")._optimizer.param_groups
    assert [group["weight_decay"] for group in groups] == [0.01]


def test_the_compact_network_does_not_reconstruct():
    with pytest.raises(InputError, match=r"reconstruction_weight is 1\.0, but the network 'compact' has no decoder"):
        make_config("paper", {"architecture": "compact", "frame": "crop", "crop": 64})

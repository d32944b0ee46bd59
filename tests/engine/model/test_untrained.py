"""Random weights for the network of other weights: reproducible, and seen as what they are."""

import numpy as np
import pytest
import torch

from microsnoop_engine import Embedder
from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import WeightsError
from microsnoop_engine.model.checkpoints import Card, load_weights, save_weights
from microsnoop_engine.model.untrained import write_untrained


@pytest.mark.parametrize("like", ["fast", "base"])
def test_the_network_and_its_sight_are_those_of_the_weights(like, tmp_path):
    _, known = load_weights(like)
    card = write_untrained(like, tmp_path / "untrained.safetensors")
    for name in ("architecture", "dimension", "input_size", "frame", "options"):
        assert getattr(card, name) == getattr(known, name)
    assert card.training == {"data": "none: random weights", "seed": 0, "network of": f"{known.name} {known.sha256}"}
    crops = np.random.default_rng(0).random((2, 1, 224, 224), np.float32)
    embeddings = Embedder(tmp_path / "untrained.safetensors", device="cpu").embed(crops)
    assert embeddings.shape == (2, known.dimension)
    np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-3)
    assert not np.allclose(embeddings[0], embeddings[1])


def test_a_seed_decides_and_leaves_other_random_numbers_alone(tmp_path):
    before = torch.random.get_rng_state()
    hashes = [write_untrained("fast", tmp_path / "u.safetensors", seed).sha256 for seed in (3, 3, 4)]
    assert hashes[0] == hashes[1] != hashes[2]
    assert torch.equal(torch.random.get_rng_state(), before)


def test_networks_of_other_programs_are_refused(tmp_path):
    file = tmp_path / "timm.safetensors"
    save_weights({"x": np.ones(1, np.float32)}, Card("t", architecture="timm", options={"model": "resnet18"}), file)
    with pytest.raises(WeightsError, match="network of another program"):
        write_untrained(file, tmp_path / "untrained.safetensors")


def test_the_command(tmp_path, capsys):
    out = tmp_path / "untrained.safetensors"
    assert main(["weights", "untrained", "--seed", "5", "--out", str(out)]) == 0
    assert f"wrote {out}" in capsys.readouterr().out
    assert load_weights(out)[1].training["seed"] == 5
    assert main(["weights", "untrained", "--out", str(tmp_path / "u.pth")]) == 1
    assert "must end in .safetensors" in capsys.readouterr().err

"""Weights on disk: writing, reading, and every way in which the files can be wrong."""

import json

import numpy as np
import pytest
import torch

from microsnoop_engine import load_model
from microsnoop_engine.errors import WeightsError
from microsnoop_engine.model.checkpoints import Card, find_weights, load_weights, read_card, save_weights
from microsnoop_engine.model.registry import build

CARD = Card("mine", training={"samples_seen": 7}, license="BSD-3-Clause")


@pytest.fixture
def saved(tmp_path):
    """A small weights file without damage."""
    save_weights({"encoder.0.a": np.arange(6.0)}, CARD, tmp_path / "mine.safetensors")
    return tmp_path / "mine.safetensors"


def test_round_trip(tmp_path):
    rng = np.random.default_rng(1)
    state = {"b": rng.random((3, 4)).astype(np.float32).T, "a": rng.random(5).astype(np.float16)}
    card = save_weights(state, CARD, tmp_path / "deep" / "mine.safetensors")
    loaded, read = load_weights(str(tmp_path / "deep" / "mine.safetensors"))
    assert read == card
    assert len(card.sha256) == 64
    assert loaded.keys() == state.keys()
    for key, value in state.items():
        assert loaded[key].dtype == value.dtype
        assert np.array_equal(loaded[key], value)


def test_saving_and_building_keeps_the_embedding(model, tmp_path):
    save_weights(load_weights("base")[0], CARD, tmp_path / "copy.safetensors")
    x = torch.rand(1, 1, 64, 64)
    assert torch.equal(load_model(tmp_path / "copy.safetensors").embed(x), model.embed(x))


@pytest.mark.parametrize(("name", "architecture"), [("fast", "compact"), ("base", "unet")])
def test_shipped_weights_have_a_whole_card(name, architecture):
    _, card = load_weights(name)
    assert (card.name, card.architecture) == (f"microsnoop-{name}", architecture)
    assert (card.dimension, card.input_size, card.frame) == (256, 128, "crop")
    assert card.license
    assert card.training


def test_unknown_name_lists_the_names():
    with pytest.raises(WeightsError, match="no weights named 'bse': choose base, fast or"):
        find_weights("bse")


def test_a_folder_with_the_name_of_shipped_weights_does_not_hide_them(tmp_path, monkeypatch):
    (tmp_path / "base").mkdir()
    monkeypatch.chdir(tmp_path)
    assert find_weights("base") == find_weights("microsnoop-base")
    assert find_weights("base").is_file()


def test_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no weights file at '.*other.safetensors'"):
        load_weights(tmp_path / "other.safetensors")


def test_checkpoint_in_place_of_weights(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"")
    with pytest.raises(WeightsError, match="convert it with 'microsnoop weights import"):
        load_weights(tmp_path / "a.pth")


def test_exchanged_file(saved):
    blob = bytearray(saved.read_bytes())
    blob[-1] ^= 1
    saved.write_bytes(blob)
    with pytest.raises(
        WeightsError, match=r"is not the file that its card describes \(sha256 \w{12} instead of \w{12}\)"
    ):
        load_weights(saved)


def test_file_that_is_no_safetensors(saved):
    import hashlib

    saved.write_bytes(b"something else")
    card = {"name": "mine", "sha256": hashlib.sha256(b"something else").hexdigest()}
    saved.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match="is not a safetensors file"):
        load_weights(saved)


def test_missing_card(saved):
    saved.with_suffix(".json").unlink()
    with pytest.raises(WeightsError, match=r"the card '.*mine.json' is missing: keep it beside 'mine.safetensors'"):
        load_weights(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b'{"name": "mi', "is not valid JSON"),
        (b"\xff\xfe", "is not valid JSON"),
        (b'["name"]', "must be a JSON object with a 'name'"),
        (b'{"dimension": 256}', "must be a JSON object with a 'name'"),
        (b'{"name": "a", "color": 1, "age": 2}', "unknown fields: age, color; known are name, arch"),
        (
            b'{"name": "a", "normalization": "percentile 1 -> 0"}',
            "unknown fields: normalization;.*\nIf another version",
        ),
        (b'{"name": "a", "dimension": "256", "sha256": null}', "has values of the wrong type: dimension, sha256"),
    ],
)
def test_damaged_card(saved, content, message):
    saved.with_suffix(".json").write_bytes(content)
    with pytest.raises(WeightsError, match=message):
        read_card(saved)


def test_build_refuses_weights_of_another_dimension():
    state = load_weights("base")[0]
    with pytest.raises(WeightsError, match=r"encoder\.3\.proj\.conv\.weight: shape .* instead of \(128, 128, 1, 1\)"):
        build(state, Card("mine", dimension=128))

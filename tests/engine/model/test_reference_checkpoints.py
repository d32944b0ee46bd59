"""Import of checkpoints in the layout of the reference implementation, and files that are not such checkpoints."""

import pickle

import numpy as np
import pytest
import torch

from microsnoop_engine import load_model
from microsnoop_engine.errors import WeightsError
from microsnoop_engine.model.checkpoints import Card, load_weights
from microsnoop_engine.model.reference_checkpoints import import_reference, rename_reference
from microsnoop_engine.model.unet import Microsnoop

CARD = Card("mine", training={"samples_seen": 7}, license="BSD-3-Clause")


def reference_name(key):
    """Return the reference's name of one of our tensors, written down independently of `rename_reference`."""
    part, *rest = key.split(".")
    if part == "head":
        return f"decoder.base_{ {'norm': 'bn', 'conv': 'conv'}[rest[0]] }.{rest[1]}"
    stage, rest = rest[0], rest[1:]
    block = "encoder.downsample.down.res_down_" if part == "encoder" else "decoder.upsample.up.res_up_"
    if rest[0] == "proj":
        return f"{block}{stage}.proj.{ {'norm': 0, 'conv': 1}[rest[1]] }.{rest[2]}"
    number, kind, tensor = rest[1:]
    middle = {"norm": "0", "conv": "2", "style": "full"}[kind]
    if part == "decoder" and number != "0" and kind != "style":
        middle = f"conv.{middle}"
    return f"{block}{stage}.conv.conv_{number}.{middle}.{tensor}"


@pytest.fixture(scope="module")
def tensors():
    """A state dict in the reference's layout, of random numbers that float16 holds exactly."""
    rng = np.random.default_rng(0)
    state = Microsnoop().state_dict()
    return {
        reference_name(key): value
        if key.endswith("num_batches_tracked")
        else torch.from_numpy(rng.uniform(0.1, 1, tuple(value.shape)).astype(np.float16)).float()
        for key, value in state.items()
    }


def save_pth(tensors, path):
    torch.save({"model": tensors}, path)
    return path


def test_rename_reference_finds_the_name_of_every_tensor():
    ours = list(Microsnoop().state_dict())
    assert [rename_reference(reference_name(key)) for key in ours] == ours
    assert [rename_reference(f"module.{reference_name(key)}") for key in ours] == ours


@pytest.mark.parametrize("prefix", ["", "module."])
def test_import(tensors, tmp_path, prefix):
    source = save_pth({prefix + k: v for k, v in tensors.items()}, tmp_path / "a.pth")
    card = import_reference(source, tmp_path / "new" / "a.safetensors", CARD)
    state, read = load_weights(tmp_path / "new" / "a.safetensors")
    assert read == card
    assert card.training == {"samples_seen": 7}
    expected = {rename_reference(k): v for k, v in tensors.items() if not k.endswith("num_batches_tracked")}
    assert state.keys() == expected.keys()
    assert all(np.array_equal(state[key], expected[key].numpy()) for key in expected)


def test_import_without_decoder(tensors, tmp_path):
    import_reference(save_pth(tensors, tmp_path / "a.pth"), tmp_path / "a.safetensors", CARD, decoder=False)
    state, _ = load_weights(tmp_path / "a.safetensors")
    assert {key.split(".")[0] for key in state} == {"encoder"}
    with pytest.raises(WeightsError, match="hold the encoder only"):
        load_model(tmp_path / "a.safetensors")(torch.zeros(1, 1, 16, 16))


def test_import_keeps_numbers_that_float16_cannot_hold(tensors, tmp_path):
    name = "encoder.downsample.down.res_down_3.conv.conv_3.0.running_var"
    source = save_pth({**tensors, name: torch.full((256,), 1e6)}, tmp_path / "a.pth")
    import_reference(source, tmp_path / "a.safetensors", CARD)
    assert (load_weights(tmp_path / "a.safetensors")[0]["encoder.3.convs.3.norm.running_var"] == 1e6).all()


@pytest.mark.parametrize("decoder", [True, False])
def test_import_lists_all_that_does_not_fit(tensors, tmp_path, decoder):
    wrong = dict(tensors)
    del wrong["encoder.downsample.down.res_down_0.proj.1.bias"], wrong["encoder.downsample.down.res_down_2.proj.0.bias"]
    wrong["classifier.weight"] = torch.zeros(2)
    wrong["encoder.downsample.down.res_down_1.proj.1.bias"] = torch.zeros(65)
    wrong["encoder.downsample.down.res_down_1.conv.conv_0.0.bias"] = torch.full((32,), torch.nan)
    with pytest.raises(WeightsError) as caught:
        import_reference(save_pth(wrong, tmp_path / "a.pth"), tmp_path / "a.safetensors", CARD, decoder=decoder)
    assert str(caught.value).splitlines()[1:] == [
        "  encoder.1.convs.0.norm.bias: NaN or infinite numbers",
        "  encoder.1.proj.conv.bias: shape (65,) instead of (64,)",
        "  missing: encoder.0.proj.conv.bias",
        "  missing: encoder.2.proj.norm.bias",
        "  not of this network: classifier.weight",
    ]
    assert not (tmp_path / "a.safetensors").exists()


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_import_runs_no_code_of_the_file(tmp_path, save):
    save({"model": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pth")
    with pytest.raises(WeightsError, match=r"'.*bomb.pth' is not a checkpoint of the form"):
        import_reference(tmp_path / "bomb.pth", tmp_path / "a.safetensors", CARD)
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize("content", [{"weights": {}}, [1, 2], {"model": {"a": 1}}])
def test_import_of_another_checkpoint(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=r"'.*a.pth' is not a checkpoint of the form \{'model': state_dict\}: \S"):
        import_reference(tmp_path / "a.pth", tmp_path / "a.safetensors", CARD)


def test_import_of_a_missing_file(tmp_path):
    with pytest.raises(WeightsError, match=r"there is no checkpoint at '.*nothing.pth'"):
        import_reference(tmp_path / "nothing.pth", tmp_path / "a.safetensors", CARD)

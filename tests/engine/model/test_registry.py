"""Networks by name: the interface that each of them keeps, and one of another package."""

import dataclasses
from importlib.metadata import EntryPoint

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from microsnoop_engine import Embedder, load_model
from microsnoop_engine.errors import InputError, WeightsError
from microsnoop_engine.model import architectures
from microsnoop_engine.model.architectures import ARCHITECTURES, GROUP
from microsnoop_engine.model.checkpoints import Card, save_weights
from microsnoop_engine.model.network import Network
from microsnoop_engine.model.registry import build, make_network
from microsnoop_engine.model.vit import MaskedViT

OURS = [name for name, architecture in ARCHITECTURES.items() if not architecture.imported]
CROPS = torch.from_numpy(np.random.default_rng(0).random((3, 1, 64, 64), dtype=np.float32))


def first_patches(count):
    """Masks of 16 pixels, of which the first ``count`` are set."""
    mask = (torch.arange(16) < count).float().view(1, 1, 4, 4).expand(3, 1, 4, 4)
    return F.interpolate(mask, scale_factor=16.0)


@pytest.mark.parametrize("name", ["unet", "vit"])
def test_a_network_embeds_and_reconstructs_what_it_sees(name):
    network = make_network(name).eval()
    assert isinstance(network, Network)
    with torch.no_grad():
        embeddings = network.embed(CROPS)
        assert embeddings.shape == (3, 256)
        torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))
        mask = first_patches(4)
        changed = CROPS + mask * torch.rand_like(CROPS)
        output = network(CROPS, mask)
        assert output.shape == CROPS.shape
        torch.testing.assert_close(network(changed, mask), output, atol=1e-5, rtol=1e-5)
        assert (network(changed) - network(CROPS)).abs().max() > 1e-3


def test_the_compact_network_embeds_only():
    network = make_network("compact").eval()
    torch.testing.assert_close(network.embed(CROPS).norm(dim=1), torch.ones(3))
    with pytest.raises(WeightsError, match="the compact network embeds only"):
        network(CROPS)


@pytest.mark.parametrize("name", OURS)
def test_weights_of_every_network_load_and_embed(name, tmp_path):
    network = make_network(name, decoder=False).eval()
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    assert all(key.startswith("encoder.") for key in state)
    save_weights(state, Card("mine", architecture=name), tmp_path / "mine.safetensors")
    crops = np.random.default_rng(0).random((2, 1, 224, 224), dtype=np.float32)
    embeddings = Embedder(tmp_path / "mine.safetensors", device="cpu", precision="float32").embed(crops)
    expected = load_model(tmp_path / "mine.safetensors").embed(torch.from_numpy(crops)).detach().numpy()
    np.testing.assert_allclose(embeddings, expected, atol=1e-4)


def test_openvino_refuses_other_networks(tmp_path):
    state = {k: v.numpy() for k, v in make_network("vit", decoder=False).state_dict().items()}
    save_weights(state, Card("mine", architecture="vit"), tmp_path / "mine.safetensors")
    with pytest.raises(InputError, match="'mine' is a vit"):
        Embedder(tmp_path / "mine.safetensors", backend="openvino")


def test_a_network_of_another_package(monkeypatch):
    point = EntryPoint("small", "torch.nn:LayerNorm", GROUP)
    monkeypatch.setattr(architectures, "entry_points", lambda group: [point])
    assert isinstance(make_network("small", 8, True), torch.nn.LayerNorm)
    with pytest.raises(
        WeightsError, match="no architecture 'tiny'; there are unet, compact, vit, timm, torchscript, small"
    ):
        make_network("tiny")


def test_an_imported_network_cannot_be_trained():
    with pytest.raises(WeightsError, match="'timm' cannot be trained here: import their weights"):
        make_network("timm")


def test_options_that_do_not_fit():
    state = {k: v.numpy() for k, v in make_network("vit", decoder=False).state_dict().items()}
    with pytest.raises(WeightsError, match=r"the card of 'mine' has `options` that do not fit: .*'colour'"):
        build(state, Card("mine", architecture="vit", options={"colour": 3}))


def test_the_card_decides_the_network():
    state = {k: v.numpy() for k, v in make_network("vit", decoder=False).state_dict().items()}
    card = Card("mine", architecture="vit")
    assert isinstance(build(state, card), MaskedViT)
    with pytest.raises(WeightsError, match=r"missing: encoder\.0"):
        build(state, dataclasses.replace(card, architecture="unet"))


@pytest.mark.parametrize("name", OURS)
def test_a_network_of_another_dimension(name, tmp_path):
    """The card's dimension decides how many numbers an embedding has, from the network to the embedder."""
    network = make_network(name, 64, decoder=False).eval()
    state = {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}
    save_weights(state, Card("small", architecture=name, dimension=64), tmp_path / "small.safetensors")
    embedder = Embedder(tmp_path / "small.safetensors", device="cpu", precision="float32")
    assert embedder.embed(np.zeros((2, 1, 48, 48))).shape == (2, 64)

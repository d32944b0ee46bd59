"""The PyTorch backend around its network: copies, memory, precision and compiling, on a CPU in place of a GPU."""

import logging

import numpy as np
import pytest
import torch

from microsnoop_engine import Embedder
from microsnoop_engine.errors import DeviceError, InputError
from microsnoop_engine.model.backends.torch_backend import Compiled, _choose_precision, check_device
from microsnoop_engine.model.checkpoints import Card


@pytest.fixture(scope="module")
def torch_embedder(paper_weights):
    return Embedder(paper_weights, backend="torch", device="cpu", precision="float32", threads=2)


@pytest.fixture(scope="module")
def crops():
    return np.random.default_rng(0).uniform(-0.2, 1.2, (5, 1, 48, 48)).astype(np.float32)


def network(crops):
    return torch.nn.functional.normalize(crops[:, 0, 0])


def test_crops_on_the_device(torch_embedder, embedder, crops):
    finish = torch_embedder.start(torch.from_numpy(crops))
    assert np.abs(finish() - embedder.embed(crops)).max() < 1e-4
    assert not torch_embedder.takes_tensors
    assert not embedder.takes_tensors


def test_memory_runs_out_on_the_device(crops, torch_embedder, paper_weights):
    other = Embedder(paper_weights, backend="torch", device="cpu", precision="float32", threads=2)
    launch, sizes = other.backend.launch, []

    def launch_two(part):
        sizes.append(len(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return launch(part)

    other.backend.launch = launch_two
    assert np.abs(other.start(torch.from_numpy(crops))() - torch_embedder.embed(crops)).max() < 1e-5
    assert sizes == [5, 2, 2, 1]
    assert other.batch_size == 2


def test_numbers_too_large_for_float16(torch_embedder, crops, paper_weights):
    """A crop with one hot pixel is computed in float32, the others in float16."""
    crops = crops[:3].copy()
    crops[1, 0, 20, 20] = 60_000
    half = Embedder(paper_weights, backend="torch", device="cpu", precision="float16", threads=2)
    assert not torch.isfinite(half.backend.launch(torch.from_numpy(crops))[1]).all()
    embeddings, expected = half.embed(crops), torch_embedder.embed(crops)
    assert np.abs(embeddings[1] - expected[1]).max() < 1e-5
    assert (embeddings * expected).sum(1).min() > 0.9998


def test_a_frequent_shape_is_compiled(monkeypatch):
    calls = []

    def compile_it(function, dynamic):
        assert not dynamic
        return lambda crops: calls.append(len(crops)) or function(crops)

    monkeypatch.setattr(torch, "compile", compile_it)
    compiled = Compiled(network, after=8)
    full, part = torch.rand(4, 1, 9, 9), torch.rand(3, 1, 9, 9)
    for crops in (full, part, full, part, full):
        assert torch.equal(compiled(crops), network(crops))
    assert calls == [4, 4, 4]  # checked, then used, at the second full batch; used at the third


def broken(function, dynamic):
    raise RuntimeError("no C++ compiler\nis installed")


def different(function, dynamic):
    return lambda crops: -function(crops)


@pytest.mark.parametrize(("way", "reason"), [(broken, "no C++ compiler"), (different, "its embeddings differ")])
def test_compiling_fails(monkeypatch, caplog, way, reason):
    monkeypatch.setattr(torch, "compile", way)
    compiled = Compiled(network, after=4)
    crops = torch.rand(4, 1, 9, 9)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert torch.equal(compiled(crops), network(crops))
    assert len(caplog.records) == 1
    assert f"cannot be compiled ({reason}" in caplog.text


def test_memory_runs_out_while_compiling(monkeypatch):
    """The error is passed on, so that the batch is halved."""

    def greedy(function, dynamic):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(torch, "compile", greedy)
    with pytest.raises(torch.OutOfMemoryError):
        Compiled(network, after=1)(torch.rand(2, 1, 9, 9))


@pytest.mark.parametrize(
    ("device", "architecture", "whitened", "chosen"),
    [
        ("cuda", "unet", True, "float16"),
        ("cuda:3", "unet", False, "float16"),
        ("cuda", "compact", True, "float16"),
        ("cuda", "vit", False, "float32"),
        ("cuda", "vit", True, "float32"),
        ("cpu", "unet", True, "float32"),
        ("mps", "unet", True, "float32"),
    ],
)
def test_automatic_precision(device, architecture, whitened, chosen):
    assert _choose_precision(device, "auto", Card("w", architecture), whitened) == chosen


@pytest.mark.parametrize(
    ("precision", "architecture", "message"),
    [
        ("bfloat16", "unet", "the weights 'w' are whitened, .*: set `precision` to float16 \\(or auto\\)"),
        ("bfloat16", "vit", "the weights 'w' are whitened, .*: set `precision` to float32 \\(or auto\\)"),
        ("float16", "vit", "`precision` float16 is for the networks unet, compact: 'w' is a vit"),
    ],
)
def test_precisions_that_do_not_fit(precision, architecture, message):
    with pytest.raises(InputError, match=message):
        _choose_precision("cuda", precision, Card("w", architecture), whitened=True)


def test_devices_by_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    for device in ("cpu", "cuda", "cuda:0", "cuda:1"):
        check_device(device)
    with pytest.raises(DeviceError, match="there is no device 'cuda:2': this computer has cuda:0 to cuda:1"):
        check_device("cuda:2")


def test_the_network_can_be_traced_whole(torch_embedder, crops):
    """The compiler sees the whole network as one graph: a break would cost the speed of compiling."""
    network = torch_embedder.backend._network_in("float32")
    traced = torch.compile(network.embed, backend="eager", fullgraph=True, dynamic=False)
    with torch.inference_mode():
        assert torch.equal(traced(torch.from_numpy(crops)), network.embed(torch.from_numpy(crops)))

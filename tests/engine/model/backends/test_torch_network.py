"""The network for inference with PyTorch, compared with the plain one over whole frames."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from crop_windows import normalized_windows

from microsnoop_engine.model.backends.torch_network import for_inference
from microsnoop_engine.model.compact import Compact
from microsnoop_engine.model.frame import PAPER, Frame
from microsnoop_engine.model.registry import Whitened
from microsnoop_engine.model.vit import MaskedViT

FRAME = 64


def framed(crops, frame=224):
    return F.pad(crops, [(frame - crops.shape[-1]) // 2] * 4)


@torch.inference_mode()
@pytest.mark.parametrize("size", range(2, FRAME + 1, 2))
def test_every_size_of_crop(odd_network, size):
    crops = torch.from_numpy(np.random.default_rng(size).uniform(-1, 2, (2, 1, size, size)).astype(np.float32))
    embeddings = for_inference(odd_network, Frame(FRAME), torch.float32).embed(crops)
    assert (embeddings - odd_network.embed(framed(crops, FRAME))).abs().max() < 2e-6


@torch.inference_mode()
def test_real_cells_in_float32(model, real_crops):
    network = for_inference(model, PAPER, torch.float32)
    crops = torch.from_numpy(normalized_windows(real_crops[::3]))
    assert (network.embed(crops) - model.embed(framed(crops))).abs().max() < 1e-5


@torch.inference_mode()
def test_real_cells_in_float16(model, real_crops):
    """Whitening enlarges rounding errors; in bfloat16 they leave a cosine of 0.995."""
    network = for_inference(model, PAPER, torch.float16)
    crops = torch.from_numpy(normalized_windows(real_crops[::12]))
    embeddings = network.embed(crops)
    assert embeddings.dtype == torch.float32
    assert (embeddings * model.embed(framed(crops))).sum(1).min() > 0.9998


@torch.inference_mode()
def test_whitened_weights_stay_whitened(odd_network):
    whitened = Whitened(odd_network, torch.randn(6, 6), torch.randn(6))
    crops = torch.rand(2, 1, 20, 20)
    embeddings = for_inference(whitened, Frame(FRAME), torch.float32).embed(crops)
    assert (embeddings - whitened.embed(framed(crops, FRAME))).abs().max() < 1e-5


@torch.inference_mode()
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.bfloat16, 0.02)])
def test_other_networks_see_the_whole_frame(dtype, tolerance):
    torch.manual_seed(0)
    network = MaskedViT(dimension=32, decoder=False).eval()
    crops = torch.rand(2, 1, 48, 48)
    embeddings = for_inference(network, PAPER, dtype).embed(crops)
    assert embeddings.dtype == torch.float32
    assert (embeddings - network.embed(framed(crops))).abs().max() < tolerance


@torch.inference_mode()
def test_no_crops(odd_network):
    for size in (20, FRAME):
        assert for_inference(odd_network, Frame(FRAME), torch.float32).embed(torch.empty(0, 1, size, size)).shape == (
            0,
            6,
        )


@torch.inference_mode()
@pytest.mark.parametrize("size", [8, 24, 64])
def test_crops_without_a_frame(odd_network, size):
    """The network sees the crop itself, of any size."""
    crops = torch.rand(2, 1, size, size)
    embeddings = for_inference(odd_network, Frame(FRAME, zeros=False), torch.float32).embed(crops)
    assert (embeddings - odd_network.embed(crops)).abs().max() < 2e-6


@torch.inference_mode()
@pytest.mark.parametrize("zeros", [True, False])
def test_the_compact_network(zeros):
    """With BatchNorms folded into the convolutions before them."""
    torch.manual_seed(1)
    network = Compact(dimension=16, widths=(4, 6, 8, 10)).eval()
    for name, tensor in network.state_dict().items():
        if name.endswith(("norm.bias", "norm1.bias", "norm2.bias", "running_mean")):
            tensor.normal_(0, 0.5)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    crops = torch.rand(3, 1, 64, 64)
    folded = for_inference(network, Frame(128, zeros=zeros), torch.float32)
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in folded.modules()) == 9
    assert sum(isinstance(module, torch.nn.BatchNorm2d) for module in network.modules()) == 18
    assert (folded.embed(crops) - network.embed(framed(crops, 128) if zeros else crops)).abs().max() < 2e-6

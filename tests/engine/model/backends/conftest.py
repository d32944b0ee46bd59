"""A network that shows every mistake at the edges of a crop."""

import pytest
import torch

from microsnoop_engine.model.unet import Microsnoop


@pytest.fixture(scope="module")
def odd_network():
    """A narrow network of four stages that responds strongly to zeros."""
    torch.manual_seed(0)
    network = Microsnoop((3, 4, 5, 6), decoder=False).eval().requires_grad_(False)
    for name, tensor in network.state_dict().items():
        if name.endswith(("bias", "running_mean")):
            tensor.normal_(0, 0.5)
        elif name.endswith("norm.weight"):
            tensor.normal_(0, 1)
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return network

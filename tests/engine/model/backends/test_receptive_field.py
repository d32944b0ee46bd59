"""The receptive field: the squares of each stage, compared with the outputs of a whole network."""

import pytest
import torch
import torch.nn.functional as F

from microsnoop_engine.model.backends.receptive_field import stage_windows


def framed(crops):
    return F.pad(crops, [(224 - crops.shape[-1]) // 2] * 4)


@torch.inference_mode()
@pytest.mark.parametrize("size", [2, 20, 48, 64, 160, 222, 224])
def test_the_squares_contain_all_that_changes(odd_network, size):
    """The squares are as large as the part of each output that differs from that of zeros, and no larger."""
    crops = torch.rand(1, 1, size, size) + 1
    windows = stage_windows(size, 224, 4)
    outputs = zip(odd_network.encode(framed(crops)), odd_network.encode(framed(crops * 0)), strict=True)
    for n, (window, (output, background)) in enumerate(zip(windows, outputs, strict=True)):
        changed = (output != background).any(1)[0].any(0).nonzero()[:, 0]
        edge, length = window.edges[-1], 224 >> n
        assert edge <= changed.min()
        assert changed.max() < length - edge
        assert edge == 0 or changed.min() - edge <= 1 + n  # pairs of pixels, and what pooling leaves of them
        assert set(window.padding) <= {0, 1}

"""The training losses, compared with values in closed form."""

import math

import pytest
import torch

from microsnoop_engine.trainer.losses import contrast_loss, decorrelation_loss, distillation_loss, reconstruction_loss


def test_reconstruction_loss_weighs_the_masked_pixels():
    target, mask = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4, 4)
    mask[..., :1] = 1
    output = 2 * mask + 1 * (1 - mask)
    assert reconstruction_loss(output, target, mask, 1.0).item() == pytest.approx((4 * 4 + 12 * 1) / 16)
    assert reconstruction_loss(output, target, mask, 3.0).item() == pytest.approx((3 * 4 * 4 + 12) / (3 * 4 + 12))


def test_contrast_loss_against_a_loop():
    first, second = torch.randn(2, 5, 7, generator=torch.Generator().manual_seed(0))
    views = [v / v.norm() for v in [*first, *second]]
    total = 0.0
    for n in range(10):
        similar = [math.exp((views[n] @ views[m]).item() / 0.3) if m != n else 0.0 for m in range(10)]
        total -= math.log(similar[(n + 5) % 10] / sum(similar))
    assert contrast_loss(first, second, 0.3).item() == pytest.approx(total / 10, rel=1e-5)


def test_decorrelation_loss_by_hand():
    alike = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, 1.0], [-1.0, -1.0]])
    assert decorrelation_loss(alike).item() == pytest.approx(1.0, abs=1e-4)
    apart = torch.tensor([[1.0, 1.0], [-1.0, 1.0], [1.0, -1.0], [-1.0, -1.0]])
    assert decorrelation_loss(apart).item() == pytest.approx(0.0, abs=1e-4)
    unequal = apart * torch.tensor([1.0, 3.0])
    assert decorrelation_loss(unequal).item() == pytest.approx(0.25, abs=1e-4)


def test_distillation_loss_by_hand():
    predicted = torch.tensor([[3.0, 0.0], [0.0, 2.0], [1.0, 1.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, -1.0], [1.0, 0.0]])
    assert distillation_loss(predicted, target).item() == pytest.approx((0 + 2 + 1 - 0.5**0.5) / 3)

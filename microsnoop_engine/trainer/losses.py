"""What a training makes small: the paper's reconstruction, and three losses beyond it."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def reconstruction_loss(output: Tensor, target: Tensor, mask: Tensor, masked_weight: float) -> Tensor:
    """Mean squared error over all pixels (Methods), those under the mask weighted.

    Parameters
    ----------
    output, target : Tensor (n, 1, s, s)
    mask : Tensor (n, 1, s, s)
        1 where the network saw nothing.
    masked_weight : float
        Weight of these pixels; 1 in the paper.
    """
    weight = 1 + (masked_weight - 1) * mask
    return ((output - target) ** 2 * weight).sum() / weight.sum()


def contrast_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Cross-entropy of finding, by cosine, the other view of a place among all views of a batch (NT-Xent).

    Parameters
    ----------
    first, second : Tensor (n, d)
        Two views of each place.
    temperature : float
    """
    views = F.normalize(torch.cat([first, second]))
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    similarity = (views @ views.T / temperature).masked_fill(itself, -math.inf)
    count = len(first)
    partner = (torch.arange(2 * count, device=views.device) + count) % (2 * count)
    return F.cross_entropy(similarity, partner)


def distillation_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """One minus the cosine of predictions (n, t) and targets (n, t), mean over the rows."""
    return 1 - F.cosine_similarity(predicted, target).mean()


def decorrelation_loss(embeddings: Tensor) -> Tensor:
    """How far the covariance of embeddings (n, d) is from the same variance in all numbers and no correlation.

    The mean square of the off-diagonal correlations, plus that of the standard deviations' distance from their mean, in
    units of it.
    """
    centered = embeddings - embeddings.mean(0)
    deviation = (centered.square().mean(0) + 1e-6).sqrt()
    correlation = (centered / deviation).T @ (centered / deviation) / len(embeddings)
    apart = correlation - torch.eye(len(correlation), device=correlation.device)
    return apart.square().sum(1).mean() + (deviation / deviation.mean() - 1).square().mean()

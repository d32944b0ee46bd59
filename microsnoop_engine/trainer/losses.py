"""Training losses: masked reconstruction (Xun et al. 2023, Methods) and three losses beyond the paper."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def reconstruction_loss(output: Tensor, target: Tensor, mask: Tensor, masked_weight: float) -> Tensor:
    """Compute the mean squared error over all pixels (Methods), with a weight for masked pixels.

    Parameters
    ----------
    output, target : Tensor (n, 1, s, s)
    mask : Tensor (n, 1, s, s)
        1 where the network did not see the target, else 0.
    masked_weight : float
        Weight of masked pixels; 1 in the paper. Visible pixels have weight 1.

    Returns
    -------
    Tensor ()
    """
    weight = 1 + (masked_weight - 1) * mask
    return ((output - target) ** 2 * weight).sum() / weight.sum()


def contrast_loss(first: Tensor, second: Tensor, temperature: float) -> Tensor:
    """Compute the cross-entropy of finding the other view of each crop among all views of a batch, by cosine.

    This is NT-Xent (Chen et al. 2020, *A simple framework for contrastive learning*, equation 1).

    Parameters
    ----------
    first, second : Tensor (n, d)
        Projected embeddings of two views of each crop.
    temperature : float
        Divisor of the cosines.

    Returns
    -------
    Tensor ()
    """
    views = F.normalize(torch.cat([first, second]))
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    similarity = (views @ views.T / temperature).masked_fill(itself, -math.inf)
    count = len(first)
    partner = (torch.arange(2 * count, device=views.device) + count) % (2 * count)
    return F.cross_entropy(similarity, partner)


def distillation_loss(predicted: Tensor, target: Tensor) -> Tensor:
    """Compute one minus the cosine of predictions and targets, mean over the rows.

    Parameters
    ----------
    predicted, target : Tensor (n, t)

    Returns
    -------
    Tensor ()
        0 to 2.
    """
    return 1 - F.cosine_similarity(predicted, target).mean()


def decorrelation_loss(embeddings: Tensor) -> Tensor:
    """Compute how far the numbers of embeddings are from equal variances and no correlation.

    The loss is the sum of the squared correlations of a number with the others, mean over the numbers, plus the squared
    coefficient of variation of the standard deviations.

    Parameters
    ----------
    embeddings : Tensor (n, d)

    Returns
    -------
    Tensor ()
        0 for equal variances without correlations.
    """
    centered = embeddings - embeddings.mean(0)
    deviation = (centered.square().mean(0) + 1e-6).sqrt()
    correlation = (centered / deviation).T @ (centered / deviation) / len(embeddings)
    excess = correlation - torch.eye(len(correlation), device=correlation.device)
    return excess.square().sum(1).mean() + (deviation / deviation.mean() - 1).square().mean()

"""The terms of MUSE's loss against sums by hand."""

import numpy as np
import pytest
import torch

from microsnoop_engine.multimodal.network import (
    JointAutoencoder,
    reconstruction_loss,
    selection_penalty,
    triplet_loss,
)


def test_the_triplet_loss_takes_the_hardest_partners():
    random = np.random.default_rng(0)
    z, clusters = random.normal(size=(40, 5)), random.integers(4, size=40)
    clusters[0] = 9  # alone in its cluster: no anchor, but a negative of the others
    costs = []
    for row in range(40):
        distances = np.linalg.norm(z - z[row], axis=1)
        same = (clusters == clusters[row]) & (np.arange(40) != row)
        if same.any():
            costs.append(max(distances[same].max() - distances[clusters != clusters[row]].min() + 0.7, 0))
    assert len(costs) == 39
    assert triplet_loss(torch.tensor(z), torch.tensor(clusters), 0.7).item() == pytest.approx(np.mean(costs))


@pytest.mark.parametrize("clusters", [[1, 1, 1], [1, 2, 3]])
def test_a_batch_without_triplets_costs_nothing(clusters):
    z = torch.randn(3, 2, requires_grad=True)
    loss = triplet_loss(z, torch.tensor(clusters), 1.0)
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert not z.grad.any()


def test_equal_cells_have_a_finite_gradient():
    z = torch.zeros(4, 3, requires_grad=True)
    torch.autograd.backward(triplet_loss(z, torch.tensor([1, 1, 2, 2]), 1.0))
    assert torch.isfinite(z.grad).all()


def test_genes_that_are_zero_do_not_count():
    genes, decoded = torch.tensor([[0.0, 2.0], [4.0, 0.0]]), torch.tensor([[9.0, 1.0], [1.0, 9.0]])
    assert reconstruction_loss(decoded, genes, genes > 0).item() == pytest.approx((1 + 9) / 2)
    assert reconstruction_loss(decoded, genes).item() == pytest.approx((81 + 1 + 9 + 81) / 4)


def test_the_penalty_is_one_of_groups():
    """A matrix of one row costs less than the same entries spread over rows: dimensions are turned off whole."""
    together, spread = torch.zeros(4, 4), torch.zeros(4, 4)
    together[1] = 3.0
    spread.fill_diagonal_(3.0)
    assert selection_penalty(together).item() == pytest.approx(6 / 4, abs=1e-5)
    assert selection_penalty(spread).item() == pytest.approx(12 / 4, abs=1e-5)


def test_the_joint_representation_comes_from_both_modalities():
    torch.manual_seed(0)
    network = JointAutoencoder((6, 3), 4)
    images, genes = torch.randn(5, 6), torch.randn(5, 3)
    z, (of_images, of_genes) = network.encode((images, genes))
    assert z.shape == (5, 4)
    assert of_images.shape == of_genes.shape == (5, 128)
    assert [decoded.shape for decoded in network.decode(z)] == [(5, 6), (5, 3)]
    for other in ((torch.randn(5, 6), genes), (images, torch.randn(5, 3))):
        assert not torch.allclose(network.encode(other)[0], z)

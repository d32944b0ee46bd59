"""MUSE on simulated cells: it finds what neither modality sees alone, the same each time."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.metrics import adjusted_rand_score

from microsnoop_engine import MUSE
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.clustering import graph_clusters
from microsnoop_engine.multimodal.simulation import simulate_cells

QUICK = {"dimension": 20, "warmup": 10, "epochs": 20, "renewal": 10, "learning_rate": 2e-3}
SMALL = {"cells": 240, "types": 6, "genes": 300, "image_features": 300, "merging": 1.0, "gene_decay": 5}


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(**SMALL)


@pytest.fixture(scope="module")
def fitted(cells):
    return MUSE(**QUICK).fit(cells.images, cells.genes)


def ari(cells, features):
    return adjusted_rand_score(cells.types, graph_clusters(features))


def test_joint_clusters_are_better_than_those_of_each_modality(cells, fitted):
    assert max(adjusted_rand_score(cells.types, seen) for seen in (cells.image_types, cells.gene_types)) < 0.7
    assert ari(cells, fitted.joint_) > 0.1 + max(ari(cells, cells.images), ari(cells, cells.genes))


def test_cells_of_different_modalities_cannot_be_joined(cells, fitted):
    """The images of other cells say nothing of the genes: the joint representation must get worse, not better."""
    order = np.random.default_rng(0).permutation(len(cells.genes))
    mixed = MUSE(**QUICK).fit_transform(cells.images[order], cells.genes)
    assert ari(cells, mixed) < ari(cells, fitted.joint_) - 0.2


def test_every_term_gets_smaller(fitted):
    first, refined, last = (fitted.losses_[epoch] for epoch in (0, QUICK["warmup"], -1))
    assert set(first) == {"images", "genes", "sparsity"}
    assert all(last[name] < first[name] for name in first)
    for name in ("image_triplets", "gene_triplets"):
        assert last[name] < 0.8 * refined[name]
    assert len(fitted.losses_) == QUICK["warmup"] + QUICK["epochs"]


def test_the_seed_decides_bit_by_bit(cells, fitted):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    again = clone(fitted).fit(cells.images, cells.genes)
    assert torch.equal(torch.get_rng_state(), before)  # the caller's random numbers stay
    assert np.array_equal(again.joint_, fitted.joint_)
    assert np.array_equal(again.gene_clusters_, fitted.gene_clusters_)
    other = clone(fitted).set_params(seed=1).fit(cells.images, cells.genes)
    assert not np.allclose(other.joint_, fitted.joint_)


def test_cells_of_the_fit_are_transformed_to_the_same(cells, fitted):
    joint = fitted.transform(cells.images[:30], cells.genes[:30])
    assert joint.dtype == np.float32
    np.testing.assert_allclose(joint, fitted.joint_[:30], atol=1e-4)
    with pytest.raises(InputError, match=r"features of images and genes are \(300, 100\): the fit had \(300, 300\)"):
        fitted.transform(cells.images, cells.genes[:, :100])
    with pytest.raises(NotFittedError):
        MUSE().transform(cells.images, cells.genes)


def test_units_do_not_matter(cells, fitted):
    scaled = MUSE(**QUICK).fit(8.0 * cells.images, 0.25 * cells.genes)
    np.testing.assert_allclose(scaled.joint_, fitted.joint_, atol=1e-3)


def test_sparsity_shrinks_what_decoders_take(cells):
    def lengths(weight):
        found = MUSE(**QUICK, sparsity=weight).fit(cells.images, cells.genes)
        return torch.cat([matrix.detach().norm(dim=1) for matrix in found.network_.selections])

    assert lengths(20.0).mean() < 0.9 * lengths(0.0).mean()


def test_genes_with_negative_values_count_whole(cells):
    centered = cells.genes - cells.genes.mean(0)
    found = MUSE(**QUICK).fit(cells.images, centered)
    assert found.losses_[-1]["genes"] < found.losses_[0]["genes"]
    assert np.isfinite(found.joint_).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, b: (a[:-1], b), r"differ in rows \(239 and 240\)"),
        (lambda a, b: (np.where(np.arange(300) == 7, np.nan, a), b), "`images` have a missing .* row 0, column 7"),
        (lambda a, b: (a, np.ones_like(b)), "`genes` are equal in all cells"),
        (lambda a, b: (a[:5], b[:5]), "5 cells are in both modalities: 10 are needed"),
        (lambda a, b: (a, b[:, 0]), r"`genes` have shape \(240,\)"),
    ],
)
def test_what_cannot_be_joined(cells, change, message):
    with pytest.raises(InputError, match=message):
        MUSE(**QUICK).fit(*change(cells.images, cells.genes))


@pytest.mark.parametrize("setting", [{"dimension": 0}, {"sparsity": -1}, {"learning_rate": 2}, {"batch_size": 0}])
def test_settings_out_of_range(cells, setting):
    with pytest.raises(InputError, match=f"`{next(iter(setting))}` is {next(iter(setting.values()))}: choose"):
        MUSE(**setting).fit(cells.images, cells.genes)

"""Simulated cells: what each modality sees, and what noise and dropouts do."""

import numpy as np
import pytest
from sklearn.model_selection import cross_val_score
from sklearn.naive_bayes import GaussianNB

from microsnoop_engine.errors import InputError
from microsnoop_engine.multimodal.simulation import simulate_cells


def accuracy(features, labels):
    return cross_val_score(GaussianNB(), features, labels, cv=3).mean()


def test_each_modality_sees_a_part_of_the_types():
    cells = simulate_cells(400, 6, genes=200, image_features=200, merging=1.0, image_dropout=0.0, gene_decay=20, seed=1)
    assert cells.images.shape == cells.genes.shape == (400, 200)
    assert len(np.unique(cells.types)) == 6
    assert {seen: set(cells.types[cells.gene_types == seen]) for seen in set(cells.gene_types)} == {
        0: {0, 1, 2},
        3: {3},
        4: {4},
        5: {5},
    }
    assert {seen: set(cells.types[cells.image_types == seen]) for seen in set(cells.image_types)} == {
        0: {0},
        1: {1},
        2: {2},
        3: {3, 4, 5},
    }
    for block, seen in ((cells.images, cells.image_types), (cells.genes, cells.gene_types)):
        assert accuracy(block, seen) > 0.9
        merged = seen == np.bincount(seen).argmax()
        assert accuracy(block[merged], cells.types[merged]) < 0.5  # three types that look alike


def test_noise_and_dropouts_hide_types():
    settings = {"cells": 300, "types": 6, "genes": 60, "image_features": 60, "merging": 0.0}
    clear = simulate_cells(**settings)
    noisy = simulate_cells(**settings, image_noise=5.0)
    dropped = simulate_cells(**settings, image_dropout=0.9)
    assert np.array_equal(clear.genes, noisy.genes)  # the images alone are worse
    assert (dropped.images == 0).mean() == pytest.approx(0.9, abs=0.02)
    assert accuracy(clear.images, clear.types) > accuracy(dropped.images, clear.types) + 0.1
    assert accuracy(clear.images, clear.types) > accuracy(noisy.images, clear.types) + 0.1


def test_weak_genes_drop_out_more_often():
    full = simulate_cells(300, 4, genes=80, image_features=5, gene_decay=1e9, gene_noise=0.0)
    dropped = simulate_cells(300, 4, genes=80, image_features=5, gene_decay=1.0, gene_noise=0.0)
    expressed = full.genes > 0
    weak, strong = expressed & (full.genes < 0.3), full.genes > 1.2
    assert (dropped.genes[weak] == 0).mean() > 0.9
    assert (dropped.genes[strong] == 0).mean() < 0.25
    assert (dropped.genes >= 0).all()


def test_the_seed_decides():
    first, again, other = (simulate_cells(50, 3, genes=5, image_features=5, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first.images, again.images)
    assert np.array_equal(first.genes, again.genes)
    assert not np.array_equal(first.images, other.images)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"image_dropout": 1.5}, "`image_dropout` is 1.5: choose a number from 0 to 1"),
        ({"gene_noise": -1}, "`gene_noise` is -1: choose a number from 0$"),
        ({"types": 1}, "choose two types or more"),
    ],
)
def test_settings_out_of_range(settings, message):
    with pytest.raises(InputError, match=message):
        simulate_cells(**settings)

"""Variable genes, against a list that scanpy 1.11 chose of the same counts."""

import numpy as np

from microsnoop_engine.multimodal.variable_genes import normalize_totals, variable_genes

# fmt: off
OF_SCANPY = [0, 10, 30, 40, 50, 52, 60, 100, 108, 110, 119, 120, 122, 141, 150, 160, 166, 170, 190, 230, 246, 269, 270,
             283, 290]
# fmt: on


def counts(cells=80, genes=300):
    """Counts around gamma distributed means; every tenth gene differs between two halves of the cells."""
    random = np.random.default_rng(7)
    means = random.gamma(0.7, 3.0, genes)
    factors = np.ones((cells, genes))
    factors[: cells // 2, ::10] = 6
    table = random.poisson(means * factors * random.lognormal(0, 0.3, (cells, 1)))
    table[:, 5] = 0
    table[:, 8] = 40000 // cells
    return table


def test_genes_that_differ_between_cells_are_chosen():
    chosen = variable_genes(normalize_totals(counts()), 30)
    assert len(chosen) == 30
    assert (np.diff(chosen) > 0).all()
    assert np.isin(chosen, np.arange(0, 300, 10)).sum() >= 15
    assert 5 not in chosen


def test_the_genes_are_those_of_scanpy():
    """``pp.highly_variable_genes(flavor="seurat", n_top_genes=25)`` after ``normalize_total`` and ``log1p``."""
    assert variable_genes(normalize_totals(counts()), 25).tolist() == OF_SCANPY


def test_few_genes_are_all_chosen():
    assert variable_genes(normalize_totals(counts()), 300).tolist() == list(range(300))
    with np.errstate(all="raise"):
        assert len(variable_genes(normalize_totals(counts()), 299)) == 299

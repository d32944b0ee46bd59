"""Test the coordinates of an embedding map."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.embedding_map import principal_components


def test_principal_components_against_the_singular_value_decomposition():
    values = np.random.default_rng(0).normal(size=(30, 5)) * [5, 4, 1, 1, 1]
    coordinates, share = principal_components(values)
    u, s, _ = np.linalg.svd(values - values.mean(0))
    np.testing.assert_allclose(np.abs(coordinates), np.abs(u[:, :2] * s[:2]), atol=1e-8)
    np.testing.assert_allclose(share, (s**2 / (s**2).sum())[:2])
    np.testing.assert_allclose(principal_components(-values)[0], principal_components(values)[0] * -1, atol=1e-8)
    with pytest.raises(InputError, match="more than 2 rows"):
        principal_components(values[:2])

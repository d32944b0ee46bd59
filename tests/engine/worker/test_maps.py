"""Clusters and maps that the worker makes for a host."""

import numpy as np
import pytest

from microsnoop_engine.errors import InputError

RANDOM = np.random.default_rng(2)
GROUPS = np.repeat(np.eye(3, 512), (9, 5, 3), axis=0) + RANDOM.normal(0, 0.01, (17, 512))


def test_clusters_are_numbered_by_size_and_missing_rows_have_none(ask):
    features = GROUPS.astype(np.float32)
    features[4, 7] = np.nan
    shuffled = RANDOM.permutation(17)
    found = ask("cluster", features=features[shuffled], clusters=3)["cluster"]
    want = np.repeat([1, 2, 3], (9, 5, 3))
    want[4] = 0
    np.testing.assert_array_equal(found, want[shuffled])
    with pytest.raises(InputError, match="18 clusters cannot be made of 16 rows"):
        ask("cluster", features=features, clusters=18)


@pytest.mark.parametrize("method", ["pca", "umap"])
def test_a_map_keeps_groups_together(ask, method):
    if method == "umap":
        pytest.importorskip("umap")
    features = GROUPS.astype(np.float32)
    features[4, 7] = np.nan
    found = ask("map", features=features, method=method)
    points = found["points"]
    assert np.isnan(points[4]).all()
    groups = [points[[0, 1, 2, 3, 5, 6, 7, 8]], points[9:14], points[14:]]
    if method == "pca":
        spread = max(np.ptp(group, axis=0).max() for group in groups)
        middles = [group.mean(0) for group in groups]
        assert min(np.linalg.norm(middles[a] - middles[b]) for a, b in ((0, 1), (0, 2), (1, 2))) > 3 * spread
        assert sum(found["explained"]) > 0.9
    with pytest.raises(InputError, match="at least 4 rows with all features, there are 3"):
        ask("map", features=features[:3], method=method)

"""Sphering against pycytominer's and scikit-learn's whitening."""

import numpy as np
import pandas as pd
import pytest
from pycytominer.operations import Spherize as PycytominerSpherize
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from microsnoop_engine.sphering.spherize import METHODS, Spherize

RANDOM = np.random.default_rng(1)
MIX = RANDOM.normal(size=(9, 9)) * np.geomspace(1, 20, 9)
CONTROLS = RANDOM.normal(size=(200, 9)) @ MIX + 3
TREATED = RANDOM.normal(size=(30, 9)) @ MIX


def up_to_signs(rows):
    """Columns of components, whose signs an eigendecomposition leaves open."""
    return rows * np.sign(rows[0])


# with fewer controls than features the components without variance are arbitrary, not so what zca makes of them
@pytest.mark.parametrize(
    ("method", "controls"),
    [*((method, CONTROLS) for method in METHODS), ("zca", CONTROLS[:6]), ("zca-cor", CONTROLS[:6])],
)
@pytest.mark.filterwarnings("ignore:only 6 controls")
def test_equals_pycytominer(method, controls):
    name = method.upper().replace("-COR", "-cor")
    other = PycytominerSpherize(method=name, epsilon=0).fit(pd.DataFrame(controls))
    wanted = other.transform(pd.DataFrame(TREATED)).to_numpy()
    found = Spherize(method, 0.0).fit(controls).transform(TREATED)
    if method.startswith("pca"):
        wanted, found = up_to_signs(wanted), up_to_signs(found)
    np.testing.assert_allclose(found, wanted, atol=1e-6)


def test_equals_pca_whitening():
    wanted = PCA(whiten=True, svd_solver="full").fit(CONTROLS).transform(TREATED)
    found = Spherize("pca", 0.0).fit(CONTROLS).transform(TREATED)
    np.testing.assert_allclose(up_to_signs(found), up_to_signs(wanted), atol=1e-8)


def test_shrinks_like_ledoit_and_wolf():
    shrunk = LedoitWolf().fit(CONTROLS)
    sphering = Spherize("zca", "ledoit-wolf").fit(CONTROLS)
    assert sphering.diagnostics_.epsilon == pytest.approx(shrunk.shrinkage_)
    # ours divides by n - 1, scikit-learn by n
    unshrunk = np.cov(CONTROLS.T)
    wanted = (1 - shrunk.shrinkage_) * unshrunk + shrunk.shrinkage_ * np.trace(unshrunk) / 9 * np.eye(9)
    np.testing.assert_allclose(np.linalg.inv(sphering.matrix_ @ sphering.matrix_.T), wanted, rtol=1e-6)

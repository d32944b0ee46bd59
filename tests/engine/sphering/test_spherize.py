"""Sphering: the covariance of controls, limits, round trips, bad input."""

import json

import numpy as np
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from microsnoop_engine.errors import InputError
from microsnoop_engine.sphering.spherize import METHODS, SpheringWarning, Spherize, knee, load_spherings, save_spherings

RANDOM = np.random.default_rng(0)
MIX = RANDOM.normal(size=(12, 12)) * np.geomspace(1, 30, 12)
CONTROLS = RANDOM.normal(size=(300, 12)) @ MIX + 7
TREATED = RANDOM.normal(size=(40, 12)) @ MIX + 9


@pytest.mark.parametrize("method", METHODS)
def test_controls_have_the_identity_as_covariance(method):
    sphered = Spherize(method, 0.0).fit_transform(CONTROLS)
    np.testing.assert_allclose(np.cov(sphered.T), np.eye(12), atol=1e-6)
    np.testing.assert_allclose(sphered.mean(0), 0, atol=1e-9)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("regularization", ["knee", "ledoit-wolf", 0.0, 0.1])
def test_inverse_gives_the_rows_back(method, regularization):
    sphering = Spherize(method, regularization).fit(CONTROLS)
    np.testing.assert_allclose(sphering.inverse_transform(sphering.transform(TREATED)), TREATED, atol=1e-8)


def test_zca_is_symmetric_and_stays_near_the_columns():
    matrix = Spherize("zca", 0.0).fit(CONTROLS).matrix_
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-10)
    sphered = Spherize("zca-cor", 0.0).fit_transform(CONTROLS)
    own = [np.corrcoef(sphered[:, k], CONTROLS[:, k])[0, 1] for k in range(12)]
    assert min(own) > 0.5


def test_the_papers_rule_by_hand():
    values = np.array([50.0, 20.0, 1.0, 0.9, 0.8, 1e-9])
    assert knee(values) == 2
    assert knee(np.ones(5)) == 4
    assert knee(np.array([3.0])) == 0
    rows = RANDOM.normal(size=(4000, 6)) * np.sqrt(values)
    sphering = Spherize("pca", "knee").fit(rows)
    assert sphering.diagnostics_.epsilon == pytest.approx(0.1, rel=0.2)
    gain = np.linalg.norm(sphering.matrix_, axis=0) ** -2
    np.testing.assert_allclose(
        gain, np.maximum(np.linalg.eigvalsh(np.cov(rows.T))[::-1], sphering.diagnostics_.epsilon)
    )


def test_an_addend_bounds_the_gain():
    sphering = Spherize("pca-cor", 0.5).fit(CONTROLS)
    values = np.linalg.eigvalsh(np.corrcoef(CONTROLS.T))[::-1]
    scaled = sphering.matrix_ * CONTROLS.std(0, ddof=1)[:, None]
    np.testing.assert_allclose(np.linalg.norm(scaled, axis=0) ** -2, values + 0.5, rtol=1e-9)
    assert sphering.diagnostics_.condition == pytest.approx((values[0] + 0.5) / (values[-1] + 0.5))


def test_fewer_controls_than_features_warns_and_says_rank():
    few = CONTROLS[:8]
    with pytest.warns(SpheringWarning, match=r"only 8 controls for 12 features \(rank 7\): 5 directions are unknown"):
        sphering = Spherize("zca-cor", 0.0).fit(few)
    assert (sphering.diagnostics_.n, sphering.diagnostics_.p, sphering.diagnostics_.rank) == (8, 12, 7)
    assert np.isfinite(sphering.transform(TREATED)).all()
    np.testing.assert_allclose(np.linalg.eigvalsh(np.cov(sphering.transform(few).T))[-7:], 1, atol=1e-6)


def test_float32_stays_float32_and_is_close():
    wide = Spherize("zca-cor", 0.01).fit(CONTROLS)
    narrow = Spherize("zca-cor", 0.01).fit(CONTROLS.astype(np.float32))
    found = narrow.transform(TREATED.astype(np.float32))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wide.transform(TREATED), atol=1e-3)


def test_rows_in_blocks_are_the_same(monkeypatch):
    whole = Spherize(regularization=0.0).fit(CONTROLS).transform(TREATED)
    monkeypatch.setattr("microsnoop_engine.sphering.spherize.BLOCK", 7)
    np.testing.assert_allclose(Spherize(regularization=0.0).fit(CONTROLS).transform(TREATED), whole, atol=1e-9)


@pytest.mark.parametrize("method", ["pca", "pca-cor"])
@pytest.mark.parametrize("rows", [CONTROLS, CONTROLS[:9]], ids=["many", "fewer than columns"])
@pytest.mark.filterwarnings("ignore:(only 9 controls|4 components of 9 controls)")
def test_components_are_the_directions_in_which_controls_vary_most(method, rows):
    whole, kept = Spherize(method, 0.1).fit(rows), Spherize(method, 0.1, components=4).fit(rows)
    np.testing.assert_allclose(kept.transform(TREATED), whole.transform(TREATED)[:, :4], atol=1e-8)
    assert kept.matrix_.shape == (12, 4)
    near = kept.inverse_transform(kept.transform(rows))
    np.testing.assert_allclose(kept.transform(near), kept.transform(rows), atol=1e-8)
    scale = rows.std(0, ddof=1) if method == "pca-cor" else 1
    values = np.linalg.svd((rows - rows.mean(0)) / scale, compute_uv=False) ** 2
    assert (((near - rows) / scale) ** 2).sum() == pytest.approx(values[4:].sum())  # the best of rank 4


def test_components_that_rows_cannot_have_are_refused():
    with pytest.raises(InputError, match="`components` need `method` pca or pca-cor, not zca-cor"):
        Spherize(components=4).fit(CONTROLS)
    with pytest.raises(InputError, match="`components` is 8: 8 rows of 12 features vary in 7 directions, keep 1 to 7"):
        Spherize("pca", components=8).fit(CONTROLS[:8])
    with pytest.raises(InputError, match="`components` is 0"):
        Spherize("pca", components=0).fit(CONTROLS)
    with pytest.raises(InputError, match=r"`X` of shape \(40, 12\) must hold 4 components per row"):
        Spherize("pca", components=4).fit(CONTROLS).inverse_transform(TREATED)
    with pytest.warns(SpheringWarning, match="4 components of 12 controls: the last ones are mostly chance. Keep at m"):
        Spherize("pca", components=4).fit(CONTROLS[:12])


def test_saved_transforms_are_the_same(tmp_path):
    spherings = {"P1": Spherize("pca", 0.1, 5).fit(CONTROLS), "P2": Spherize().fit(TREATED)}
    columns = [f"f{k}" for k in range(12)]
    save_spherings(tmp_path / "s.safetensors", spherings, columns)
    again, names = load_spherings(tmp_path / "s.safetensors")
    assert names == columns
    for group, sphering in spherings.items():
        np.testing.assert_array_equal(again[group].transform(TREATED), sphering.transform(TREATED))
        assert again[group].diagnostics_ == sphering.diagnostics_
        assert again[group].get_params() == sphering.get_params()
    words = json.loads((tmp_path / "s.json").read_text())
    words["groups"].append(words["groups"][0])
    (tmp_path / "s.json").write_text(json.dumps(words))
    with pytest.raises(InputError, match="is damaged"):
        load_spherings(tmp_path / "s.safetensors")
    with pytest.raises(InputError, match="there is no sphering at"):
        load_spherings(tmp_path / "nothing.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[:1], r"1 sample\(s\).* a minimum of 2 is required"),
        (lambda x: x[0], "Expected 2D array, got 1D array"),
        (lambda x: np.where(np.arange(12) == 3, np.nan, x), "columns 3 hold NaN"),
        (lambda x: np.where(np.arange(12) > 9, 4.0, x), "columns 10, 11 are constant over the controls"),
    ],
)
def test_controls_that_cannot_be_used_are_refused(change, message):
    with pytest.raises(InputError, match=message):
        Spherize().fit(change(CONTROLS))


@pytest.mark.parametrize("regularization", ["elbow", -1.0, True, float("nan")])
def test_unknown_settings_are_refused(regularization):
    with pytest.raises(InputError, match="`regularization` is"):
        Spherize(regularization=regularization).fit(CONTROLS)
    with pytest.raises(InputError, match="`method` is 'zcacor'"):
        Spherize("zcacor").fit(CONTROLS)
    with pytest.raises(InputError, match="X has 3 features, but Spherize is expecting 12"):
        Spherize().fit(CONTROLS).transform(TREATED[:, :3])


@pytest.mark.filterwarnings("ignore::microsnoop_engine.sphering.spherize.SpheringWarning")
@parametrize_with_checks([Spherize()])
def test_conventions_of_scikit_learn(estimator, check):
    check(estimator)


def test_a_transform_that_is_not_fitted_is_refused():
    for method in ("transform", "inverse_transform"):
        with pytest.raises(NotFittedError, match="This Spherize instance is not fitted yet"):
            getattr(Spherize(), method)(TREATED)


@pytest.mark.parametrize("method", ["zca", "zca-cor"])
@pytest.mark.parametrize("regularization", ["knee", "ledoit-wolf", 0.1, 0.0])
def test_fewer_controls_than_features_have_the_transform_of_the_eigenvectors(method, regularization):
    """The decomposition of the smaller side, held to that of the whole covariance matrix."""
    controls = np.random.default_rng(3).normal(size=(12, 30)) * np.linspace(1, 4, 30)
    with pytest.warns(SpheringWarning):
        found = Spherize(method, regularization).fit(controls)
    covariance = np.cov(controls.T)
    scale = np.sqrt(covariance.diagonal()) if method == "zca-cor" else np.ones(30)
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    values, vectors = values[::-1].clip(min=0), vectors[:, ::-1]
    regularized, _ = found._regularize(values, 11, controls, scale)
    expected = (vectors / np.sqrt(regularized) @ vectors.T) / scale[:, None]
    np.testing.assert_allclose(found.matrix_, expected, atol=1e-8)
    np.testing.assert_allclose(found.matrix_ @ found.inverse_, np.eye(30), atol=1e-8)


@pytest.mark.filterwarnings("ignore::microsnoop_engine.sphering.spherize.SpheringWarning")
@pytest.mark.parametrize("method", METHODS)
def test_rows_are_sphered_without_the_matrix_as_with_it(method):
    controls, treated = CONTROLS[:8], TREATED.astype(np.float32)
    sphering = Spherize(method, 0.1).fit(controls)
    found = sphering.transform(treated)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, (treated - sphering.mean_) @ sphering.matrix_, rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(sphering.matrix_ @ sphering.inverse_, np.eye(12), atol=1e-9)
    sphering.fit(CONTROLS)
    np.testing.assert_allclose(sphering.matrix_, Spherize(method, 0.1).fit(CONTROLS).matrix_)


def test_a_rule_that_does_not_shrink_two_controls_is_refused():
    with pytest.raises(InputError, match="ledoit-wolf does not shrink 2 controls"):
        Spherize(regularization="ledoit-wolf").fit(CONTROLS[:2])

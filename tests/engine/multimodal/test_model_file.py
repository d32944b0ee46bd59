"""A fitted MUSE on disk transforms further cells as before, and nothing else is taken for one."""

import numpy as np
import pytest
from safetensors.numpy import save_file
from sklearn.exceptions import NotFittedError

from microsnoop_engine import MUSE
from microsnoop_engine.errors import InputError
from microsnoop_engine.multimodal.model_file import load_muse, save_muse
from microsnoop_engine.multimodal.simulation import simulate_cells

QUICK = {"dimension": 8, "warmup": 2, "epochs": 3, "renewal": 2, "image_components": 12}


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(80, 4, genes=40, image_features=30, gene_decay=5, seed=1)


@pytest.fixture(scope="module")
def fitted(cells):
    return MUSE(**QUICK).fit(cells.images[:60], cells.genes[:60])


def test_further_cells_are_transformed_as_before(cells, fitted, tmp_path):
    path = save_muse(fitted, tmp_path / "muse.safetensors")
    again = load_muse(path)
    expected = fitted.transform(cells.images[60:], cells.genes[60:])
    np.testing.assert_array_equal(again.transform(cells.images[60:], cells.genes[60:]), expected)
    assert again.get_params() == fitted.get_params()
    assert save_muse(again, tmp_path / "again.safetensors").read_bytes() == path.read_bytes()
    with pytest.raises(InputError, match="features of images and genes"):
        again.transform(cells.images[:, :5], cells.genes)


def test_a_loaded_estimator_can_be_fitted_anew(cells, fitted, tmp_path):
    again = load_muse(save_muse(fitted, tmp_path / "muse.safetensors")).fit(cells.images[:60], cells.genes[:60])
    np.testing.assert_array_equal(again.joint_, fitted.joint_)


def test_what_is_no_fitted_muse(fitted, tmp_path):
    with pytest.raises(NotFittedError):
        save_muse(MUSE(), tmp_path / "muse.safetensors")
    with pytest.raises(InputError, match="safetensors"):
        save_muse(fitted, tmp_path / "muse.pkl")
    with pytest.raises(InputError, match="there is no file"):
        load_muse(tmp_path / "none.safetensors")
    save_file({"a": np.ones(2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.safetensors").write_text("text")
    for name in ("other", "text"):
        with pytest.raises(InputError, match="holds no MUSE"):
            load_muse(tmp_path / f"{name}.safetensors")

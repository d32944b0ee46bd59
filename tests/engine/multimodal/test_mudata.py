"""Images and genes from MuData files, and the joined cells as one: read and written by mudata itself."""

import sys

import anndata
import mudata
import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix, issparse

from microsnoop_engine import MUSE, aggregate, muse
from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError, MissingExtraError
from microsnoop_engine.multimodal.simulation import simulate_cells
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.source import read_frame

QUICK = {"dimension": 6, "warmup": 2, "epochs": 2, "renewal": 1, "learning_rate": 2e-3}
CELLS, FEATURES, GENES = 60, 30, 40
NAMES = np.array([f"cell-{number}" for number in range(CELLS)], object)
COLUMNS = [f"Cells_Microsnoop_E{number:03d}_DNA" for number in range(FEATURES)]

pytestmark = pytest.mark.filterwarnings("ignore::FutureWarning")


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(CELLS, 3, genes=GENES, image_features=FEATURES, gene_decay=5, seed=3)


@pytest.fixture
def file(cells, tmp_path):
    """Images of all cells, and sparse counts of all but three in another order."""
    images = anndata.AnnData(cells.images, obs=pd.DataFrame({"Metadata_Well": "A01"}, index=NAMES))
    images.var_names = COLUMNS
    order = np.random.default_rng(0).permutation(CELLS)[:-3]
    rna = anndata.AnnData(csr_matrix(np.round(cells.genes * 9)[order] + 1), obs=pd.DataFrame(index=NAMES[order]))
    rna.var_names = [f"Gene{number}" for number in range(GENES)]
    rna.obs["type"] = [f"type {number}" for number in cells.types[order]]
    rna.obsm["spatial"] = np.column_stack([order, -order]).astype(float)
    mudata.MuData({"morphology": images, "expression": rna}).write_h5mu(tmp_path / "cells.h5mu")
    return tmp_path / "cells.h5mu"


def test_a_modality_is_a_table(cells, file):
    source = open_table(file / "morphology")
    assert source.features == tuple(COLUMNS)
    np.testing.assert_allclose(read_frame(source)[COLUMNS], cells.images, rtol=1e-6)
    wells = aggregate(str(file / "morphology"))
    assert wells.features == COLUMNS
    np.testing.assert_allclose(wells.frame[COLUMNS].iloc[0], cells.images.mean(0), rtol=1e-5)


def test_mudata_in_and_out(cells, file, tmp_path):
    """Cells are found by their names; counts stay sparse and as they were; all that belongs to the cells is kept."""
    out = tmp_path / "joint.h5mu"
    result = muse(file / "morphology", file / "expression", estimator=MUSE(**QUICK), out=out)
    assert result.left_out == {"images without genes": 3}
    joint = mudata.read_h5mu(out)
    before = mudata.read_h5mu(file)
    assert list(joint.mod) == ["morphology", "expression"]
    rows = [np.flatnonzero(name == NAMES)[0] for name in joint.obs_names]
    assert set(joint.obs_names) == set(before["expression"].obs_names)
    for modality in joint.mod.values():
        assert list(modality.obs_names) == list(joint.obs_names)
    np.testing.assert_allclose(joint["morphology"].X, cells.images[rows], rtol=1e-6)
    assert issparse(joint["expression"].X)
    assert (joint["expression"].X != before["expression"][joint.obs_names].X).nnz == 0
    assert list(joint["expression"].obs["type"]) == [f"type {number}" for number in cells.types[rows]]
    assert (joint["expression"].obsm["spatial"][:, 0] == rows).all()
    np.testing.assert_array_equal(joint.obsm["X_muse"], result.estimator.joint_)
    np.testing.assert_array_equal(joint.obs["Metadata_Cluster_Joint"], result.frame["Metadata_Cluster_Joint"])


def test_rows_of_a_query_keep_their_pixels_and_counts(cells, file, tmp_path):
    data = mudata.read_h5mu(file)
    data["morphology"].obs["Metadata_Well"] = np.where(np.arange(CELLS) % 2, "A01", "A02")
    data.write_h5mu(file)
    out = tmp_path / "joint.h5mu"
    muse(
        file / "morphology",
        file / "expression",
        estimator=MUSE(**QUICK),
        out=out,
        where="Metadata_Well == 'A02'",
    )
    joint = mudata.read_h5mu(out)
    rows = [np.flatnonzero(name == NAMES)[0] for name in joint.obs_names]
    assert not np.any(np.array(rows) % 2)
    np.testing.assert_allclose(joint["morphology"].X, cells.images[rows], rtol=1e-6)
    assert (joint["expression"].X != data["expression"][joint.obs_names].X).nnz == 0


def test_tables_become_modalities(cells, file, tmp_path):
    images = pd.DataFrame(cells.images, columns=COLUMNS).assign(Metadata_Cell=NAMES)
    out = tmp_path / "joint.h5mu"
    muse(images, file / "expression", ["Metadata_Cell=obs_names"], estimator=MUSE(**QUICK), out=out)
    joint = mudata.read_h5mu(out)
    assert list(joint.mod) == ["images", "expression"]
    assert list(joint["images"].obs["Metadata_Cell"]) == list(joint.obs_names)
    assert list(joint["images"].var_names) == COLUMNS


def test_the_command(file, tmp_path, capsys):
    out = tmp_path / "joint.h5mu"
    words = ["muse", f"{file}/morphology", f"{file}/expression", "--dimension", "4", "--out", str(out)]
    assert main(words) == 0
    assert "57 rows, 4 features" in capsys.readouterr().out
    assert mudata.read_h5mu(out).obsm["X_muse"].shape == (57, 4)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cells.h5mu", r"holds the modalities expression, morphology: write '.*cells.h5mu/morphology'"),
        ("cells.h5mu/rna", "holds the modalities"),
        ("none.h5mu/rna", "there is no file"),
        ("text.h5mu/rna", "cannot be read as MuData"),
    ],
)
def test_what_is_no_modality(file, tmp_path, name, message):
    (tmp_path / "text.h5mu").write_text("text")
    with pytest.raises(InputError, match=message):
        open_table(tmp_path / name)


def test_the_input_is_never_replaced(file):
    with pytest.raises(InputError, match="which would be lost"):
        muse(file / "morphology", file / "expression", out=file)


def test_a_missing_package_is_named(file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mudata", None)
    with pytest.raises(MissingExtraError, match=r"needs the package 'mudata': pip install \"microsnoop\[mudata\]\""):
        open_table(file / "morphology")
    frame = pd.DataFrame(np.zeros((3, 1)), columns=COLUMNS[:1])
    with pytest.raises(MissingExtraError, match=r"writing \.h5mu files needs the package 'mudata'"):
        muse(frame, frame, out=tmp_path / "joint.h5mu")

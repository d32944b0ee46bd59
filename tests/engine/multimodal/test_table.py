"""Tables of images and genes are joined by names or keys; what is left out is counted, and nothing is guessed."""

import sys

import anndata
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_rand_score

from microsnoop_engine import MUSE, evaluate, muse
from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError, MissingExtraError
from microsnoop_engine.multimodal.model_file import load_joint_model, save_muse
from microsnoop_engine.multimodal.simulation import simulate_cells
from microsnoop_engine.multimodal.variable_genes import normalize_totals
from microsnoop_engine.tables.formats import write_table
from microsnoop_engine.tables.provenance import Computed

QUICK = {"dimension": 12, "warmup": 10, "epochs": 20, "renewal": 10, "learning_rate": 2e-3}
CELLS, FEATURES, GENES = 150, 120, 150
NAMES = np.array([f"cell-{number}" for number in range(CELLS)], object)


@pytest.fixture(scope="module")
def cells():
    return simulate_cells(CELLS, 4, genes=GENES, image_features=FEATURES, gene_decay=5, seed=3)


@pytest.fixture
def images(cells):
    columns = [f"Cells_Microsnoop_E{number:03d}_DNA" for number in range(FEATURES)]
    return pd.DataFrame(cells.images, columns=columns).assign(Metadata_Cell=NAMES, Metadata_Field=1)


@pytest.fixture
def rna(cells, tmp_path):
    """AnnData in another order, with a place per cell."""
    order = np.random.default_rng(0).permutation(CELLS)
    data = anndata.AnnData(
        cells.genes[order],
        obs=pd.DataFrame({"type": [f"type {number}" for number in cells.types[order]]}, index=NAMES[order]),
        var=pd.DataFrame(index=np.array([f"Gene{number}" for number in range(GENES)], object)),
        obsm={"spatial": np.column_stack([order, -order]).astype(float)},
    )
    data.write_h5ad(tmp_path / "rna.h5ad")
    return tmp_path / "rna.h5ad"


def test_rows_are_matched_by_key_in_any_order(cells, images, rna):
    result = muse(images, rna, ["Metadata_Cell=obs_names"], estimator=MUSE(**QUICK))
    assert result.features == [f"MUSE{number + 1}" for number in range(12)]
    assert result.left_out == {}
    assert not result.normalized
    assert list(result.frame["type"]) == [f"type {number}" for number in cells.types]
    alone = MUSE(**QUICK).fit(cells.images, cells.genes)
    np.testing.assert_allclose(result.frame[result.features], alone.joint_, atol=1e-5)
    assert adjusted_rand_score(result.frame["Metadata_Cluster_Joint"], cells.types) > 0.3


def test_anndata_in_and_out(cells, images, rna, tmp_path):
    """Rows are found by their names; rows that only one table has are counted; names, obs and obsm are kept."""
    pictures = anndata.AnnData(cells.images, obs=pd.DataFrame({"area": np.arange(CELLS)}, index=NAMES))
    pictures.var_names = images.columns[:FEATURES]
    pictures.write_h5ad(tmp_path / "images.h5ad")
    anndata.read_h5ad(rna)[:140].copy().write_h5ad(tmp_path / "fewer.h5ad")
    out = tmp_path / "joint.h5ad"
    tables = tmp_path / "images.h5ad", tmp_path / "fewer.h5ad"
    result = muse(*tables, where="area >= 20", estimator=MUSE(**QUICK), out=out)
    joint = anndata.read_h5ad(out)
    both = set(NAMES[20:]) & set(anndata.read_h5ad(tmp_path / "fewer.h5ad").obs_names)
    assert set(joint.obs_names) == both
    assert result.left_out == {"images without genes": 130 - len(both), "genes without images": 140 - len(both)}
    number = np.array([int(name.removeprefix("cell-")) for name in joint.obs_names])
    assert (joint.obs["area"] == number).all()
    assert (joint.obsm["spatial"] == np.column_stack([number, -number])).all()
    assert list(joint.obs["type"]) == [f"type {cells.types[row]}" for row in number]
    np.testing.assert_allclose(joint.X, result.frame[result.features])
    (score,) = evaluate(out, "type", ["ari"])
    assert score["rows"] == len(both)


def test_rows_without_all_numbers_are_left_out_and_counted(images, rna):
    images.iloc[[3, 7], 5] = np.nan
    data = anndata.read_h5ad(rna)
    data.X[4, 2] = np.inf
    data.write_h5ad(rna)
    result = muse(images, rna, ["Metadata_Cell=obs_names"], estimator=MUSE(**QUICK))
    assert result.left_out == {"missing numbers of images": 2, "missing numbers of genes": 1}
    lost = {"cell-3", "cell-7", data.obs_names[4]}
    assert set(result.frame["Metadata_Cell"]) == set(NAMES) - lost


def test_counts_are_normalized_and_empty_cells_left_out(images, cells):
    counts = pd.DataFrame(np.round(cells.genes * 9), columns=[f"Gene{number}" for number in range(GENES)])
    counts.iloc[5] = 0
    counts["Metadata_Cell"] = NAMES
    result = muse(images, counts, ["Metadata_Cell"], estimator=MUSE(**QUICK))
    assert result.normalized
    assert result.left_out == {"no counts of genes": 1}
    kept = np.arange(CELLS) != 5
    normal = np.log1p(normalize_totals(counts.iloc[kept, :GENES].to_numpy()))
    np.testing.assert_allclose(np.expm1(normal).sum(1), np.median(counts.iloc[kept, :GENES].sum(axis=1)))
    alone = MUSE(**QUICK).fit(cells.images[kept], normal)
    np.testing.assert_allclose(result.frame[result.features], alone.joint_, atol=1e-5)


def test_numbers_of_images_and_objects_are_no_genes(images, cells):
    numbers = {"ImageNumber": 1, "ObjectNumber": np.arange(CELLS), "Metadata_Dose": 2.0}
    genes = pd.DataFrame(cells.genes, columns=[f"Gene{number}" for number in range(GENES)]).assign(**numbers)
    result = muse(images.assign(**numbers), genes.iloc[::-1], estimator=MUSE(**QUICK))
    assert result.genes == [f"Gene{number}" for number in range(GENES)]
    assert len(result.image_features) == FEATURES
    alone = MUSE(**QUICK).fit(cells.images, cells.genes)
    np.testing.assert_allclose(result.frame[result.features], alone.joint_, atol=1e-5)


def test_genes_that_are_called_as_names_are_are_genes(images, cells, tmp_path, caplog):
    """In text, a column ID or Plate holds names, which may look like numbers; ID1 and MAP2 are genes."""
    genes = pd.DataFrame(cells.genes, columns=["ID1", "MAP2", *(f"TP{number}" for number in range(GENES - 2))])
    genes.assign(Metadata_Cell=NAMES, Plate=41744).to_csv(tmp_path / "rna.csv", index=False)
    result = muse(images, tmp_path / "rna.csv", ["Metadata_Cell"], estimator=MUSE(**QUICK))
    assert result.genes == list(genes)
    assert "1 column of numbers named as names, which are no genes: Plate" in caplog.text


def test_without_anndata_the_name_of_the_output_is_refused_before_the_training(images, cells, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "anndata", None)
    genes = pd.DataFrame(cells.genes).add_prefix("Gene").assign(Metadata_Cell=NAMES)
    endless = MUSE(epochs=10**9)
    with pytest.raises(MissingExtraError, match="files needs the package 'anndata'"):
        muse(images, genes, ["Metadata_Cell"], estimator=endless, out=tmp_path / "joint.h5ad")


def test_what_cannot_be_matched(images, rna, cells, tmp_path):
    with pytest.raises(InputError, match="the tables share no keys"):
        muse(images, rna)
    with pytest.raises(InputError, match="the first table has several rows for Metadata_Cell = cell-0"):
        muse(images.assign(Metadata_Cell="cell-0"), rna, ["Metadata_Cell=obs_names"])
    with pytest.raises(InputError, match="Metadata_Field holds numbers in one table and words in the other"):
        muse(images.assign(Metadata_Field=np.arange(CELLS)), rna, ["Metadata_Field=obs_names"])
    for name in ("a", "b"):
        numbered = anndata.AnnData(cells.images)
        numbered.var_names = images.columns[:FEATURES]
        numbered.write_h5ad(tmp_path / f"{name}.h5ad")
    with pytest.raises(InputError, match="no names but their numbers"):
        muse(tmp_path / "a.h5ad", tmp_path / "b.h5ad")
    with pytest.raises(InputError, match="which would be lost"):
        muse(images, rna, ["Metadata_Cell=obs_names"], out=rna)
    with pytest.raises(InputError, match="5 cells are in both modalities"):
        muse(images.iloc[:5], rna, ["Metadata_Cell=obs_names"])


def test_the_command(images, rna, tmp_path, capsys):
    images.iloc[2:].to_parquet(tmp_path / "images.parquet")
    out = tmp_path / "joint.parquet"
    keys = ["--on", "Metadata_Cell=obs_names", "--dimension", "8", "--seed", "3"]
    assert main(["muse", str(tmp_path / "images.parquet"), str(rna), *keys, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "2 rows left out: genes without images" in printed
    assert f"148 rows, 8 features: {out}" in printed
    frame = pd.read_parquet(out)
    assert {"MUSE8", "type", "Metadata_Cell", "Metadata_Cluster_Joint"} <= set(frame)
    assert main(["evaluate", str(out), "--label", "type", "--task", "ari,silhouette"]) == 0
    assert "148 rows" in capsys.readouterr().out


def test_a_saved_model_is_applied_to_further_cells(images, cells, tmp_path, capsys):
    """Images in other columns, and counts with other totals; the numbers are those of the estimator."""
    counts = pd.DataFrame(np.round(cells.genes * 9), columns=[f"Gene{number}" for number in range(GENES)])
    counts["Metadata_Cell"] = NAMES
    names = [str(tmp_path / name) for name in ("images.parquet", "rna.csv", "more.parquet", "more.csv")]
    images[:110].to_parquet(names[0])
    counts[:110].to_csv(names[1], index=False)
    images[110:].iloc[::-1, ::-1].assign(Cells_Microsnoop_E000_ER=1.0).to_parquet(names[2])
    further = counts[110:].assign(Unknown=7)
    further.iloc[0, :GENES] = 0
    further.to_csv(names[3], index=False)
    model, out = str(tmp_path / "muse.safetensors"), tmp_path / "joint.parquet"
    on = ["--on", "Metadata_Cell", "--out", str(out)]
    assert main(["muse", *names[:2], *on, "--dimension", "8", "--most-genes", "60", "--save-model", model]) == 0
    assert f"model: {model}" in capsys.readouterr().out
    estimator, columns = load_joint_model(model)
    assert (len(columns.images), len(columns.genes), len(columns.measured)) == (FEATURES, 60, GENES)

    assert main(["muse", *names[2:], *on, "--load-model", model]) == 0
    printed = capsys.readouterr().out
    assert "1 row left out: no counts of genes" in printed
    assert "scaled to the total of the model, log(1 + x), the 60 most variable" in printed
    joint = pd.read_parquet(out)
    assert joint["Metadata_Cell"].tolist() == list(NAMES[:110:-1])
    assert not [name for name in joint if "Cluster" in name]
    raw = counts.iloc[:110:-1][list(columns.measured)]
    scaled = raw.div(raw.sum(axis=1), axis=0) * counts[:110].drop(columns="Metadata_Cell").sum(axis=1).median()
    expected = estimator.transform(cells.images[:110:-1], np.log1p(scaled[list(columns.genes)]))
    np.testing.assert_allclose(joint[[f"MUSE{number + 1}" for number in range(8)]], expected, atol=1e-5)

    for option in (["--dimension", "8"], ["--features", "microsnoop"], ["--save-model", model]):
        assert main(["muse", *names[2:], *on, "--load-model", model, *option]) == 1
        assert f"{option[0]} goes with a fit, not with --load-model" in capsys.readouterr().err


def test_a_model_that_does_not_go_with_the_tables(images, cells, tmp_path, caplog):
    genes = pd.DataFrame(cells.genes, columns=[f"Gene{number}" for number in range(GENES)]).assign(Metadata_Cell=NAMES)
    fast, base = (Computed(f"microsnoop-{name} {name}", "float32") for name in ("fast", "base"))
    tables = {name: tmp_path / f"{name}.parquet" for name in ("fast", "base")}
    for path, computed in zip(tables.values(), (fast, base), strict=True):
        write_table(images, path, [], provenance=(computed,))
    model = tmp_path / "muse.safetensors"
    muse(tables["fast"], genes, ["Metadata_Cell"], estimator=MUSE(**QUICK), save=model)
    again = muse(tables["fast"], genes, ["Metadata_Cell"], model=model)
    first = muse(tables["fast"], genes, ["Metadata_Cell"], estimator=MUSE(**QUICK))
    np.testing.assert_allclose(again.frame[again.features], first.frame[first.features], atol=1e-5)
    with pytest.raises(InputError, match="were measured with different weights"):
        muse(tables["base"], genes, ["Metadata_Cell"], model=model)
    with pytest.raises(InputError, match=r"genes lacks 1 of the 150 columns that the model takes \(Gene3\)"):
        muse(images, genes.drop(columns="Gene3"), ["Metadata_Cell"], model=model)
    with pytest.raises(InputError, match="Cells_Microsnoop_E005_DNA"):
        muse(images.drop(columns="Cells_Microsnoop_E005_DNA"), genes, ["Metadata_Cell"], model=model)
    counts = genes.drop(columns="Metadata_Cell").round().assign(Metadata_Cell=NAMES)
    with pytest.raises(InputError, match="genes of the model were no counts, these are counts"):
        muse(images, counts, ["Metadata_Cell"], model=model)
    with pytest.raises(InputError, match="no cell has all numbers of images and genes"):
        muse(images.assign(Cells_Microsnoop_E000_DNA=np.nan), genes, ["Metadata_Cell"], model=model)
    caplog.clear()
    sphered = images[images.columns[:FEATURES]] * 50
    muse(sphered.assign(Metadata_Cell=NAMES), genes, ["Metadata_Cell"], model=model)
    assert "standard deviations of the fitted cells from their mean" in caplog.text
    save_muse(MUSE(**QUICK).fit(cells.images, cells.genes), model)
    with pytest.raises(InputError, match="does not say the columns that it takes"):
        muse(images, genes, ["Metadata_Cell"], model=model)


def test_the_command_says_which_option_is_wrong(images, rna, tmp_path, capsys):
    images.to_parquet(tmp_path / "images.parquet")
    assert main(["muse", str(tmp_path / "images.parquet"), str(rna), "--dimension", "0"]) == 1
    assert "name key columns with --on" in capsys.readouterr().err
    keys = ["--on", "Metadata_Cell=obs_names", "--dimension", "0"]
    assert main(["muse", str(tmp_path / "images.parquet"), str(rna), *keys, "--out", str(tmp_path / "j.csv")]) == 1
    assert "--dimension is 0: choose a number from 1" in capsys.readouterr().err
    assert not (tmp_path / "j.csv").exists()

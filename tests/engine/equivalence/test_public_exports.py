"""On public exports, the commands give the numbers of pycytominer, copairs, scikit-learn and scipy."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import curve_fit
from scipy.stats import false_discovery_control
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from microsnoop_engine.cli.main import main
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.source import read_frame

EXPORTS = Path(__file__).resolve().parents[2] / "data" / "exports"
LINCS, NF1 = EXPORTS / "pycytominer.csv.gz", EXPORTS / "cellprofiler.sqlite"
DRUG, DOSE, DMSO = "Metadata_broad_sample", "Metadata_mmoles_per_liter", "Metadata_broad_sample == 'DMSO'"


def run(*words):
    assert main([*map(str, words)]) == 0


@pytest.fixture(scope="module")
def lincs():
    table = pd.read_csv(LINCS)
    return table, [name for name in table if not name.startswith("Metadata_")]


@pytest.fixture(scope="module")
def active(tmp_path_factory):
    """Activity of the compounds of LINCS, with dose curves."""
    out = tmp_path_factory.mktemp("activity") / "a.csv"
    words = ("--treatment", DRUG, "--compound", DRUG, "--dose", DOSE, "--draws", "2000")
    run("activity", LINCS, "--controls", DMSO, *words, "--out", out)
    return pd.read_csv(out).set_index(DRUG), pd.read_csv(out.with_name("a-curves.csv")).set_index("Compound")


def test_normalization_is_that_of_pycytominer(lincs, tmp_path):
    table, features = lincs
    pycytominer = pytest.importorskip("pycytominer")
    for ours, theirs in (("mad-robust", "mad_robustize"), ("standardize", "standardize")):
        run("normalize", LINCS, "--method", ours, "--controls", DMSO, "--out", tmp_path / "n.parquet")
        found = pd.read_parquet(tmp_path / "n.parquet")
        expected = pycytominer.normalize(table, features, ["Metadata_Well"], samples=DMSO, method=theirs)
        kept = [name for name in features if name in found]
        assert len(kept) > 30
        np.testing.assert_allclose(found[kept], expected[kept], rtol=1e-5, atol=1e-5)


def test_no_two_features_that_stay_correlate_and_each_that_goes_has_its_twin(lincs, tmp_path):
    table, features = lincs
    words = ("--correlation", "0.7", "--out", tmp_path / "s.parquet", "--dropped", tmp_path / "d.csv")
    run("select-features", LINCS, *words)
    kept = [name for name in features if name in pd.read_parquet(tmp_path / "s.parquet")]
    dropped = pd.read_csv(tmp_path / "d.csv").set_index("Feature")["Reason"]
    size = table[features].corr().abs()
    assert sorted([*kept, *dropped.index]) == sorted(features)
    assert len(dropped) > 10
    assert np.triu(size.loc[kept, kept], 1).max() <= 0.7
    for name, reason in dropped.items():
        twin = reason.rpartition(" with ")[2]
        assert twin in kept
        assert size.loc[name, twin] > 0.7


def test_modz_is_that_of_pycytominer(lincs, tmp_path):
    """Of the two compounds with twelve wells; pycytominer rounds its weights to four digits."""
    table, features = lincs
    pycytominer = pytest.importorskip("pycytominer.cyto_utils")
    run(
        *("aggregate", LINCS, "--level", "treatment", "--treatment", f"{DRUG},{DOSE}"),
        *("--statistic", "modz", "--out", tmp_path / "m.parquet"),
    )
    found = pd.read_parquet(tmp_path / "m.parquet").set_index(DRUG)
    wells = table.groupby(DRUG).filter(lambda rows: rows[DOSE].nunique() == 1 and len(rows) > 2)
    expected = pycytominer.modz(wells, [DRUG], features).set_index(DRUG)
    assert len(expected) == 3
    np.testing.assert_allclose(found.loc[expected.index, features], expected[features], atol=2e-3)


def test_precision_of_active_treatments_is_that_of_copairs(lincs, active):
    table, features = lincs
    copairs, (found, _) = pytest.importorskip("copairs.map"), active
    values, control = table[features].to_numpy(), (table[DRUG] == "DMSO").to_numpy()
    for drug in found.index[:4]:
        rows = control | (table[DRUG] == drug).to_numpy()
        part = values[rows] - values[rows].mean(0)
        meta = pd.DataFrame({"drug": table[DRUG][rows], "control": control[rows]}).reset_index(drop=True)
        scores = copairs.average_precision(meta, part, ["drug", "control"], [], [], ["control"], progress_bar=False)
        expected = scores.loc[~scores["control"], "average_precision"].mean()
        assert found.loc[drug, "Activity_mAP"] == pytest.approx(expected, abs=1e-9)
    treated = values[~control] - values[~control].mean(0)
    meta = table.loc[~control, [DRUG]].reset_index(drop=True)
    scores = copairs.average_precision(meta, treated, [DRUG], [], [], [DRUG], progress_bar=False)
    expected = scores.groupby(DRUG)["average_precision"].mean()
    np.testing.assert_allclose(found["Distinct_mAP"], expected.loc[found.index], atol=1e-9)
    np.testing.assert_allclose(found["Activity_q"], false_discovery_control(found["Activity_p"]), atol=1e-12)
    assert found["Active"].tolist() == (found["Activity_q"] <= 0.05).tolist()


def test_half_effective_doses_are_those_of_least_squares(lincs, active):
    table, features = lincs
    _, curves = active
    values, control = table[features].to_numpy(), (table[DRUG] == "DMSO").to_numpy()
    apart = np.linalg.norm(values - values[control].mean(0), axis=1)
    fitted = curves[curves["Curve"] == "hill"]
    assert len(fitted) >= 3
    for drug, curve in fitted.iterrows():
        rows = (table[DRUG] == drug).to_numpy()
        x, y = np.log(table.loc[rows, DOSE].to_numpy()), apart[rows]

        def hill(x, bottom, top, slope, middle):
            return bottom + (top - bottom) / (1 + np.exp(-slope * (x - middle)))

        start = (y.min(), y.max(), curve["Slope"], np.log(curve["EC50"]))
        (*_, middle), _ = curve_fit(hill, x, y, start, maxfev=50_000)
        if curve["Rows"] == len(x) and x.min() < middle < x.max():
            assert np.log(curve["EC50_Low"]) - 0.5 <= middle <= np.log(curve["EC50_High"]) + 0.5


def test_labels_with_several_words_are_alike_where_they_share_one(lincs, capsys):
    table, features = lincs
    run("evaluate", LINCS, "--label", "Metadata_moa", "--separator", "|", "--task", "map", "--json")
    (found,) = json.loads(capsys.readouterr().out)
    known = table[table["Metadata_moa"].notna()]
    unit = known[features].to_numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True)
    words = [set(moa.split("|")) for moa in known["Metadata_moa"]]
    precisions = []
    for row, cosines in enumerate(unit @ unit.T):
        order = np.argsort(-cosines, kind="stable")
        hits = [bool(words[row] & words[other]) for other in order[order != row]]
        ranks = np.flatnonzero(hits) + 1
        precisions.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    expected = pd.Series(precisions).groupby(known["Metadata_moa"].to_numpy()).mean()
    assert (found["rows"], found["units"]) == (len(known), len(expected))
    assert found["value"] == pytest.approx(expected.mean(), abs=1e-6)


@pytest.fixture(scope="module")
def genotypes(tmp_path_factory):
    """The classifier of NF1's genotypes, and its classes and counts."""
    folder = tmp_path_factory.mktemp("nf1")
    wells = [f"{row}{column}" for row in "CDEF" for column in (6, 7)]
    pd.DataFrame({"Metadata_Well": wells, "Label": ["WT", "Null"] * 4}).to_csv(folder / "labels.csv", index=False)
    model = folder / "m.safetensors"
    run("classify", "train", NF1, "--features", "classical", "--labels", folder / "labels.csv", "-o", model)
    words = ("-o", folder / "classes.parquet", "--counts", folder / "counts.csv")
    run("classify", "apply", NF1, model, *words)
    return pd.read_parquet(folder / "classes.parquet"), pd.read_csv(folder / "counts.csv")


def test_classes_are_counted_per_well(genotypes):
    cells, counts = genotypes
    assert len(cells) == 242
    shares = cells.filter(like="Class_Probability_")
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-9)
    best = shares.columns[shares.to_numpy().argmax(1)].str.removeprefix("Metadata_Class_Probability_")
    assert cells["Metadata_Class"].tolist() == best.tolist()
    wells = cells.groupby("Metadata_Well")["Metadata_Class"]
    for _, row in counts.iterrows():
        members = wells.get_group(row["Metadata_Well"])
        assert (row["Cells"], row["Classified"]) == ((members == row["Class"]).sum(), len(members))
        assert row["Share"] == pytest.approx((members == row["Class"]).mean())


def test_genotypes_that_wells_do_not_tell_apart_are_said_to_be(tmp_path, caplog, capsys):
    """scikit-learn, too, finds the genotype of cells of other wells by chance only."""
    wells = pd.DataFrame({"Metadata_Well": [f"{row}{column}" for row in "CDEF" for column in (6, 7)]})
    wells.assign(Label=["WT", "Null"] * 4).to_csv(tmp_path / "labels.csv", index=False)
    words = ("--features", "classical", "--labels", tmp_path / "labels.csv", "-o", tmp_path / "m.safetensors")
    run("classify", "train", NF1, *words)
    assert "no better than by chance (50 %)" in caplog.text
    assert "242 labeled cells of 8 wells" in capsys.readouterr().out
    source = open_table(NF1)
    frame = read_frame(source)
    values, plate = frame[select_features(source, "classical")].to_numpy(), frame["Metadata_Well"].to_numpy()
    genotype = np.where([well.endswith("6") for well in plate], "WT", "Null")
    learner = make_pipeline(StandardScaler(), LogisticRegression(max_iter=5000))
    held_out = cross_val_predict(learner, values, genotype, groups=plate, cv=GroupKFold(4))
    assert balanced_accuracy_score(genotype, held_out) < 0.6

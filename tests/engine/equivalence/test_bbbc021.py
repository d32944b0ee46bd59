"""NSC and NSCB on the published metadata of BBBC021: who is asked, who may answer, and what the commands count."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsClassifier

from microsnoop_engine.cli.main import main
from microsnoop_engine.evaluation.metrics import nsc

TREATMENTS = pd.read_csv(Path(__file__).parents[1] / "data" / "bbbc021_treatments.csv", dtype=str)
COMPOUNDS, MOAS, WEEKS, PLATES = (
    TREATMENTS[f"Metadata_{name}"].to_numpy() for name in ("Compound", "MoA", "Weeks", "Plates")
)
IN_ONE_WEEK = np.isin(MOAS, ["Cholesterol-lowering", "Kinase inhibitors"])


def one_hot(labels):
    return (labels[:, None] == np.unique(labels)).astype(float)


def known_features():
    """Treatments are alike if they share the compound (most), the weeks, or the mechanism (least)."""
    return np.hstack([4 * one_hot(COMPOUNDS), 2 * one_hot(WEEKS), one_hot(MOAS)])


def noisy_features(seed):
    random = np.random.default_rng(seed)
    return one_hot(MOAS) + random.normal(scale=0.25, size=(len(MOAS), 12))


def test_the_published_facts():
    assert [len(set(column)) for column in (COMPOUNDS, MOAS)] == [38, 12]
    assert len(set(map(tuple, TREATMENTS[["Metadata_Compound", "Metadata_Concentration"]].to_numpy()))) == 103
    assert len(TREATMENTS) == 103
    of_positive_control = TREATMENTS["Metadata_Weeks"].str.contains(" ")
    assert TREATMENTS[of_positive_control].iloc[0, :2].tolist() == ["taxol", "0.3"]
    assert of_positive_control.sum() == 1
    assert len(PLATES[of_positive_control][0].split()) == 55


@pytest.mark.parametrize(
    ("compound", "concentration", "among_others", "among_other_weeks"),
    [
        ("ALLN", "3", 101, 86),
        ("colchicine", "0.03", 102, 74),
        ("cytochalasin D", "0.3", 102, 86),
        ("MG-132", "3", None, 86),
        ("cytochalasin B", "30", None, 74),
        ("etoposide", "10", None, 63),
        ("latrunculin B", "1", None, 74),
        ("vincristine", "0.003", None, 63),
    ],
)
def test_as_many_treatments_may_answer_as_published(compound, concentration, among_others, among_other_weeks):
    # the numbers that Caicedo's DeepProfilerExperiments (bbbc021/profiling-evaluation.ipynb) prints
    asked = (compound == COMPOUNDS) & (TREATMENTS["Metadata_Concentration"] == concentration)
    assert asked.sum() == 1
    others = compound != COMPOUNDS
    assert among_others in (None, others.sum())
    assert (others & (WEEKS[asked] != WEEKS) & ~IN_ONE_WEEK).sum() == among_other_weeks


@pytest.mark.parametrize("seed", range(3))
def test_predictions_are_those_of_scikit_learn(seed):
    features = noisy_features(seed)
    for batches, asked in ((None, np.ones(103, bool)), (WEEKS, ~IN_ONE_WEEK)):
        match = nsc(features, MOAS, COMPOUNDS, batches)
        np.testing.assert_array_equal(match.rows, np.flatnonzero(asked))
        expected = []
        for row in match.rows:
            allowed = asked & (COMPOUNDS[row] != COMPOUNDS)
            if batches is not None:
                allowed &= batches != batches[row]
            others = KNeighborsClassifier(1, metric="cosine").fit(features[allowed], MOAS[allowed])
            expected.append(others.predict(features[[row]])[0])
        assert match.predictions.tolist() == expected
        assert 0.5 < match.accuracy < 1


def right_in_own_week():
    """Whether a treatment's nearest of another compound shares its mechanism, by the rules of `known_features`."""
    right = []
    for compound, moa, weeks in zip(COMPOUNDS, MOAS, WEEKS, strict=True):
        of_own_week = MOAS[(compound != COMPOUNDS) & (weeks == WEEKS)]
        right.append(moa in of_own_week or not len(of_own_week))
    return np.array(right)


def test_scores_by_week_and_by_plate():
    by_compound, by_plate, by_week = (nsc(known_features(), MOAS, COMPOUNDS, b) for b in (None, PLATES, WEEKS))
    assert [(len(match.rows), match.left_out) for match in (by_compound, by_plate, by_week)] == [
        (103, 0),
        (98, 5),
        (92, 11),
    ]
    assert by_compound.accuracy == pytest.approx(right_in_own_week().mean())
    assert 0.3 < by_compound.accuracy < 0.9
    assert by_week.accuracy == 1
    # a plate is no batch: 70 of the 92 treatments still have a neighbor of their own week
    asked = np.flatnonzero(~IN_ONE_WEEK)
    same_week = (COMPOUNDS[asked, None] != COMPOUNDS[asked]) & (PLATES[asked, None] != PLATES[asked])
    same_week &= WEEKS[asked, None] == WEEKS[asked]
    assert (len(asked), same_week.any(1).sum()) == (92, 70)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_the_command_counts_them(tmp_path, capsys, ending):
    features = known_features()
    table = TREATMENTS.join(pd.DataFrame(features, columns=[f"Nuclei_F{n}" for n in range(features.shape[1])]))
    path = tmp_path / f"treatments.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path)
    columns = {"--label": "MoA", "--compound": "Compound", "--batch": "Weeks"}
    options = [word for option, name in columns.items() for word in (option, f"Metadata_{name}")]
    assert main(["evaluate", str(path), *options, "--task", "nsc,nscb", "--json"]) == 0
    not_compound, not_batch = json.loads(capsys.readouterr().out)
    assert (not_compound["task"], not_compound["rows"], not_compound["units"]) == ("nsc", 103, 38)
    assert not_compound["value"] == pytest.approx(right_in_own_week().mean())
    assert not_compound["low"] < not_compound["value"] - 0.1  # 38 compounds know less than 103 rows
    assert (not_batch["task"], not_batch["rows"], not_batch["left_out"], not_batch["value"]) == ("nscb", 92, 11, 1)
    assert 0.9 < not_batch["low"] < not_batch["high"] == 1
    assert main(["evaluate", str(path), *options, "--task", "nsc,nscb"]) == 0
    assert "92 rows, interval over 33 Metadata_Compound, 11 left out" in capsys.readouterr().out


def test_from_wells_by_the_commands(tmp_path, capsys):
    """A well per treatment and week; a treatment's batch is the list of its weeks."""
    features = known_features()
    table = TREATMENTS.join(pd.DataFrame(features, columns=[f"Nuclei_F{n}" for n in range(features.shape[1])]))
    wells = table.assign(Metadata_Week=table["Metadata_Weeks"].str.split()).explode("Metadata_Week", ignore_index=True)
    wells = wells.drop(columns=["Metadata_Weeks", "Metadata_Plates"]).assign(
        Metadata_Well=np.arange(len(wells)).astype(str)
    )
    wells.to_csv(tmp_path / "wells.csv", index=False)
    treatment = ["--level", "treatment", "--treatment", "Metadata_Compound,Metadata_Concentration"]
    target = tmp_path / "treatments.parquet"
    aggregate = ["aggregate", str(tmp_path / "wells.csv"), *treatment, "--out", str(target), "--features", "Nuclei_F.*"]
    assert main([*aggregate, "--keep-values", "Metadata_Week"]) == 0
    assert sorted(pd.read_parquet(target)["Metadata_Week"]) == sorted(" ".join(sorted(w.split())) for w in WEEKS)
    capsys.readouterr()
    columns = ["--label", "Metadata_MoA", "--compound", "Metadata_Compound", "--batch", "Metadata_Week"]
    assert main(["evaluate", str(target), *columns, "--task", "nscb", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["rows"] == 92
    assert main([*aggregate, "--keep-values", "Metadata_Month"]) == 1
    assert "the table of wells has no column Metadata_Month" in capsys.readouterr().err

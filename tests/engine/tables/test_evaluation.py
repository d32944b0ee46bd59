"""Evaluation of a table by its path."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.table import evaluate_frame
from microsnoop_engine.tables.evaluation import evaluate


def test_a_path_and_a_table_in_memory_have_the_same_scores(cells):
    frame = pd.read_parquet(cells / "cells.parquet").assign(Metadata_Half=lambda t: t["Metadata_Well"] < "W20")
    frame.to_csv(cells / "halves.csv", index=False)
    features = [name for name in frame if "_Microsnoop_" in name]
    units = {"wells": ["Metadata_Plate", "Metadata_Well"]}
    expected = evaluate_frame(frame, features, "Metadata_Half", neighbors=3, units=units)
    assert evaluate(frame, "Metadata_Half", neighbors=3) == expected
    assert evaluate(cells / "halves.csv", "Metadata_Half", features=".*Microsnoop.*", neighbors=3) == expected
    with pytest.raises(InputError, match=r"csv': `label`: the table has no column Metadata_MoA; it has Meta"):
        evaluate(cells / "halves.csv", "Metadata_MoA")


def test_rows_without_a_group_are_left_out_and_spellings_of_a_well_are_one_group(caplog):
    random = np.random.default_rng(0)
    frame = pd.DataFrame({"Metadata_Well": ["A1", "A01", "B2", "r02c02"] * 6, "Metadata_Role": list("aabb") * 6})
    frame["Metadata_Role"] = list("ab") * 12
    frame = frame.assign(**{f"Nuclei_Microsnoop_E00{k}_DNA": random.normal(size=24) for k in range(3)})
    (normal, _) = evaluate(
        frame.assign(Metadata_Well=["A01", "A01", "B02", "B02"] * 6), "Metadata_Role", groups="Metadata_Well"
    )
    assert evaluate(frame, "Metadata_Role", groups="Metadata_Well")[0] == normal
    frame.loc[:3, "Metadata_Well"] = [None, "", " ", None]
    (score, _) = evaluate(frame, "Metadata_Role", groups="Metadata_Well", neighbors=3)
    assert score["rows"] == 20
    assert "4 of 24 rows have no 'Metadata_Well' and are left out" in caplog.text


@pytest.mark.parametrize(("keys", "unit"), [(["Metadata_Plate", "Metadata_Well"], "wells"), ([], "images")])
def test_intervals_of_objects_are_over_wells_or_images(keys, unit):
    """Whole wells are right or wrong, so that objects know no more than wells."""
    random = np.random.default_rng(0)
    wells = np.repeat(np.arange(20), 30)
    effect = random.normal(size=(20, 1))[wells] + 0.01 * random.normal(size=(600, 1))
    frame = pd.DataFrame({"Metadata_Plate": wells // 10, "Metadata_Well": [f"A{well % 10:02d}" for well in wells]})[
        keys
    ]
    frame = frame.assign(ImageNumber=wells, ObjectNumber=np.arange(600), Metadata_Role=np.where(wells % 2, "a", "b"))
    frame = frame.assign(Nuclei_Microsnoop_E000_DNA=effect[:, 0], Nuclei_Microsnoop_E001_DNA=1.0)
    score = evaluate(frame, "Metadata_Role", ["linear"])[0]
    assert (score["unit"], score["units"], score["rows"]) == (unit, 20, 600)
    alone = evaluate(frame.drop(columns=["ObjectNumber", "ImageNumber"]), "Metadata_Role", ["linear"])[0]
    assert (alone["unit"], alone["units"], alone["value"]) == ("rows", 600, score["value"])
    assert score["high"] - score["low"] > 3 * (alone["high"] - alone["low"])
    (found, _) = evaluate(frame.assign(Metadata_Site=np.arange(600) % 6), "Metadata_Role", groups="Metadata_Site")
    assert (found["unit"], found["units"]) == ("Metadata_Site", 6)


def screen_of_wells(random, rows=60):
    """Labels that the number of objects knows, and the features do not."""
    label = np.resize(["a", "b", "c"], rows)
    frame = pd.DataFrame({"Metadata_Well": [f"W{n}" for n in range(rows)], "Metadata_MoA": label})
    frame["Metadata_Object_Count"] = np.select([label == "a", label == "b"], [10, 50], 200) + random.integers(
        0, 5, rows
    )
    frame["Nuclei_Intensity_MeanIntensity_DNA"] = random.random(rows)
    features = pd.DataFrame(random.normal(size=(rows, 8)), columns=[f"Nuclei_Microsnoop_E00{k}_DNA" for k in range(8)])
    return frame.join(features)


def test_simple_numbers_are_scored_beside_the_features(tmp_path):
    frame = screen_of_wells(np.random.default_rng(1))
    out = tmp_path / "scores.csv"
    scores = evaluate(
        frame, "Metadata_MoA", ("knn", "linear", "map"), features="microsnoop", neighbors=3, baseline=True, out=out
    )
    kinds = [score["features"] for score in scores]
    assert kinds == ["8 features"] * 5 + ["object count"] * 4 + ["mean intensity"] * 4
    by = {(score["features"], score["task"]): score for score in scores}
    assert by["object count", "knn, accuracy"]["value"] == 1
    assert by["8 features", "knn, accuracy"]["value"] < 0.6
    assert by["mean intensity", "knn, accuracy"]["value"] < 0.6
    assert all(score["rows"] == 60 and score["low"] <= score["value"] <= score["high"] for score in scores)
    pd.testing.assert_frame_equal(pd.read_csv(out), pd.DataFrame(scores), check_dtype=False)
    plain = evaluate(frame, "Metadata_MoA", ("knn",), features="microsnoop", neighbors=3)
    assert "features" not in plain[0]
    assert plain[0]["value"] == by["8 features", "knn, accuracy"]["value"]


def test_simple_numbers_are_of_rows_that_have_features():
    frame = screen_of_wells(np.random.default_rng(2))
    names = [name for name in frame if "Microsnoop" in name]
    frame.loc[:5, names] = np.nan
    scores = evaluate(frame, "Metadata_MoA", features="microsnoop", neighbors=3, baseline=True)
    assert {score["rows"] for score in scores} == {54}
    frame = frame.drop(columns=["Metadata_Object_Count", "Nuclei_Intensity_MeanIntensity_DNA"])
    alone = evaluate(frame, "Metadata_MoA", features="microsnoop", neighbors=3, baseline=True)
    assert {score["features"] for score in alone} == {"8 features"}


def test_further_tables_are_scored_as_named_baselines(tmp_path):
    random = np.random.default_rng(3)
    frame = screen_of_wells(random)
    names = [name for name in frame if "Microsnoop" in name]
    frame.loc[:, names[0]] += 6 * np.unique(frame["Metadata_MoA"], return_inverse=True)[1]
    weak = frame.assign(**{name: random.normal(size=60) for name in names}).sample(frac=1, random_state=0)
    weak.to_parquet(tmp_path / "weak.parquet")
    given = {"untrained": tmp_path / "weak.parquet"}
    tasks = ("knn", "map")
    scores = evaluate(frame, "Metadata_MoA", tasks, features="microsnoop", neighbors=3, baseline_tables=given)
    half = len(scores) // 2
    assert [score["features"] for score in scores] == ["8 features"] * half + ["untrained"] * half
    alone = evaluate(weak, "Metadata_MoA", tasks, features="microsnoop", neighbors=3)
    assert [{**score, "features": "untrained"} for score in alone] == scores[half:]
    assert scores[0]["low"] > scores[half]["high"]
    weak.head(50).to_parquet(tmp_path / "weak.parquet")
    with pytest.raises(InputError, match="baseline 'untrained': its table has 50 rows with Metadata_MoA"):
        evaluate(frame, "Metadata_MoA", features="microsnoop", neighbors=3, baseline_tables=given)


def test_the_command_takes_tables_with_and_without_a_name(tmp_path, capsys):
    frame = screen_of_wells(np.random.default_rng(4))
    for name in ("wells", "other"):
        frame.to_parquet(tmp_path / f"{name}.parquet")
    table, other = tmp_path / "wells.parquet", tmp_path / "other.parquet"
    words = ["evaluate", str(table), "--label", "Metadata_MoA", "--features", "microsnoop", "--baseline"]
    assert main([*words, f"untrained={other},{other}"]) == 0
    printed = capsys.readouterr().out
    for name in ("8 features", "object count", "mean intensity", "untrained", "other"):
        assert f"{name:16s} knn, accuracy" in printed
    with pytest.raises(SystemExit):
        main([*words, f"{other},{other}"])
    assert "two tables are called other" in capsys.readouterr().err

"""The comparison of corrections: the scores of each way, with numbers and intervals; the report that shows it."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.metrics import average_precisions, knn_correct
from microsnoop_engine.sphering.comparison import compare_corrections
from microsnoop_engine.sphering.normalized_table import normalize_frame

SETTINGS = {"batch": "Metadata_Plate", "treatment": list(ROLES.treatment)}


@pytest.fixture(scope="module")
def frame():
    return screen_table()


@pytest.fixture(scope="module")
def compared(frame):
    return compare_corrections(frame, **SETTINGS, controls=ROLES.controls)


def test_each_row_is_what_the_correction_alone_scores(frame, compared):
    table = compared.set_index("Correction")
    assert (compared["Note"] == "").all()
    assert table.index[0] == "none"
    rows = (frame["Metadata_Role"] != "negative").to_numpy()
    names = (frame["Metadata_Compound"] + " " + frame["Metadata_Dose"].astype(str)).to_numpy(str)
    plates = frame["Metadata_Plate"].to_numpy(str)
    for name, found in (
        ("none", frame),
        ("normalize mad-robust", normalize_frame(frame, FEATURES, by="Metadata_Plate").frame),
    ):
        values = found[FEATURES].to_numpy(np.float64)
        precisions = average_precisions(values[rows], names[rows], plates[rows])
        expected = pd.Series(precisions).groupby(names[rows]).mean().mean()
        assert table.loc[name, "Replicates"] == pytest.approx(expected, rel=1e-4)
        assert table.loc[name, "Batch"] == pytest.approx(knn_correct(values, plates, k=5).mean(), rel=1e-4)
    assert (table["Replicates_Rows"] == 40).all()
    assert (table["Replicates_Treatments"] == 17).all()
    assert (table["Batch_Rows"] == 48).all()
    assert (table["Batch_Chance"] == 0.5).all()
    for score in ("Replicates", "Batch"):
        assert (table[f"{score}_Low"] <= table[score]).all()
        assert (table[score] <= table[f"{score}_High"]).all()
    assert table.loc["harmony", "Batch"] < table.loc["none", "Batch"]


def test_without_controls_and_with_few_only_what_can_be_done_is(frame):
    alone = compare_corrections(frame, **SETTINGS)
    assert not alone["Correction"].str.contains("on controls").any()
    one = frame[(frame["Metadata_Role"] != "negative") | (frame["Metadata_Plate"] == "P1")]
    found = compare_corrections(one, **SETTINGS, controls=ROLES.controls).set_index("Correction")
    assert found.loc["normalize mad-robust on controls", "Note"].startswith("group 'P2' has 0 control rows")
    assert np.isnan(found.loc["normalize mad-robust on controls", "Replicates"])
    assert found.loc["sphere 0.1 on controls", "Note"] == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda frame: frame.assign(ObjectNumber=1), "its rows are objects"),
        (lambda frame: pd.concat([frame, frame[20:22]], ignore_index=True), "2 rows repeat a well"),
        (lambda frame: frame.assign(Metadata_Plate="P1"), "`batch`: all rows have the same 'Metadata_Plate'"),
        (lambda frame: frame.assign(Metadata_Dose=np.arange(48.0)), "no treatment .* has two rows"),
        (lambda frame: frame.drop(columns="Metadata_Dose"), "`treatment`: the table has no column Metadata_Dose"),
    ],
)
def test_what_cannot_be_compared_is_refused(frame, change, message):
    with pytest.raises(InputError, match=message):
        compare_corrections(change(frame), **SETTINGS)


def test_the_command_and_the_report_show_it(frame, tmp_path, capsys):
    wells, out, page = (tmp_path / name for name in ("wells.parquet", "c.csv", "r.html"))
    frame.to_parquet(wells)
    words = ["--batch", "Metadata_Plate", "--treatment", "Metadata_Compound,Metadata_Dose", "--out", str(out)]
    assert main(["compare-corrections", str(wells), *words]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"^none +0\.\d\d \(0\.\d\d to \d\.\d\d\)", printed, re.MULTILINE)
    assert "replicates: 48 wells of 18 treatments" in printed
    assert "The best row is flattered by the choice" in printed
    assert main(["report", str(wells), "--corrections", str(out), "--out", str(page), "--quiet"]) == 0
    text = page.read_text(encoding="utf-8")
    data = json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.S)[1])
    table = pd.read_csv(out)
    assert [entry["name"] for entry in data["corrections"]] == table["Correction"].tolist()
    assert data["corrections"][0]["batch"]["value"] == pytest.approx(table["Batch"][0], rel=1e-4)
    assert main(["report", str(wells), "--corrections", str(wells), "--out", str(page)]) == 1
    assert "--corrections: the table has no column Correction" in capsys.readouterr().err

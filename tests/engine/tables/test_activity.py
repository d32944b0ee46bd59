"""Activity of a table of wells: what is active, what is counted, what is refused."""

import logging

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.sphering.normalized_table import normalize_frame
from microsnoop_engine.sphering.table import sphere_frame
from microsnoop_engine.tables.activity import activity, find_activity

SETTINGS = {"controls": ROLES.controls, "treatment": ROLES.treatment, "by": "Metadata_Plate", "draws": 2000}


@pytest.fixture(scope="module")
def frame():
    return screen_table()


def test_strong_doses_are_active_and_counted(frame):
    changed = frame.assign(Metadata_Object_Count=np.where(frame["Metadata_Role"] == "negative", 50, 25))
    found = find_activity(changed, FEATURES, compound="Metadata_Compound", dose="Metadata_Dose", **SETTINGS)
    table = found.frame.set_index(["Metadata_Compound", "Metadata_Dose"])
    assert len(table) == 17
    assert table.loc[("a", 1.0), "Active"]
    assert table.loc[("max", 1.0), "Rows"] == 8
    assert (table["Controls"] == 8).all()
    assert (table["Object_Count_Change"] == -50).all()
    assert table.loc[("a", 1.0), "Distance_From_Controls"] > table.loc[("a", 0.25), "Distance_From_Controls"] > 1
    assert sorted(found.curves) == ["a", "b", "c", "d"]
    assert (found.response, found.curves["a"].rows) == ("Distance from controls", 8)
    between = find_activity(
        changed, FEATURES, compound="Metadata_Compound", dose="Metadata_Dose", positive=ROLES.positive, **SETTINGS
    )
    assert between.response == "Position between controls"
    assert between.curve_table()["Compound"].tolist() == ["a", "b", "c", "d"]


def test_treatments_without_effect_are_not_active(frame):
    random = np.random.default_rng(3)
    null = frame.assign(**dict(zip(FEATURES, random.normal(size=(12, len(frame))), strict=True)))
    null.loc[null["Metadata_Plate"] == "P2", FEATURES] += 3
    found = find_activity(null, FEATURES, **SETTINGS).frame
    assert found["Active"].sum() <= 1
    assert found["Distinct"].sum() <= 1
    assert found["Activity_p"].mean() > 0.3


def test_rows_that_cannot_be_compared_are_counted(frame):
    gaps = frame.copy()
    rows = gaps.index[(gaps["Metadata_Compound"] == "a") & (gaps["Metadata_Dose"] == 0.25)]
    gaps.loc[rows[0], FEATURES] = np.nan
    gaps.loc[gaps["Metadata_Compound"] == "b", "Metadata_Compound"] = " "
    found = find_activity(gaps, FEATURES, **SETTINGS).frame
    one = found[(found["Metadata_Compound"] == "a") & (found["Metadata_Dose"] == 0.25)].iloc[0]
    assert (one["Rows"], one["Rows_Left_Out"], one["Note"], one["Active"]) == (1, 1, "no replicate", None)
    assert "b" not in set(found["Metadata_Compound"])
    assert " " not in set(found["Metadata_Compound"])
    lonely = frame[(frame["Metadata_Role"] != "negative") | (frame["Metadata_Plate"] == "P1")]
    second = lonely["Metadata_Compound"].where(lonely["Metadata_Plate"] == "P1", lonely["Metadata_Compound"] + "2")
    found = find_activity(
        lonely.assign(Metadata_Compound=second), FEATURES, **SETTINGS | {"treatment": ["Metadata_Compound"]}
    )
    notes = found.frame.set_index("Metadata_Compound")["Note"]
    assert notes["a2"] == "no control on its plates"
    assert notes["a"] == ""
    few = frame[(frame["Metadata_Role"] != "negative") | (frame.index % 24 == 0)]
    found = find_activity(few, FEATURES, **SETTINGS).frame
    assert found["Note"].str.startswith("so few rows allow no p below 0.2").any()
    assert found["Active"].sum() == 0


def test_gaps_of_columns_and_plates_are_told(frame, caplog):
    gaps = frame.copy()
    gaps.loc[::3, FEATURES[2]] = np.nan
    found = find_activity(gaps, FEATURES, **SETTINGS).frame
    assert f"1 feature is missing in more than a fifth of the rows and left out: {FEATURES[2]}" in caplog.text
    others = [name for name in FEATURES if name != FEATURES[2]]
    pd.testing.assert_frame_equal(found, find_activity(frame, others, **SETTINGS).frame)
    gaps.loc[5, "Metadata_Plate"] = None
    with pytest.raises(InputError, match=r"`by`: 1 row has no 'Metadata_Plate' \(the first is row 6\)"):
        find_activity(gaps, FEATURES, **SETTINGS)


@pytest.mark.parametrize("by", [None, "Metadata_Plate"])
@pytest.mark.filterwarnings("ignore::microsnoop_engine.sphering.spherize.SpheringWarning")
def test_features_that_were_corrected_on_the_controls_are_refused(frame, by):
    for correct in (
        lambda: sphere_frame(frame, FEATURES, ROLES.controls, by=by, regularization=0.3),
        lambda: normalize_frame(frame, FEATURES, "standardize", controls=ROLES.controls, by=by),
    ):
        with pytest.raises(InputError, match=r"the features were corrected on these \d controls"):
            find_activity(correct().frame, FEATURES, **SETTINGS)
    fair = normalize_frame(frame, FEATURES, by=by)
    assert find_activity(fair.frame, FEATURES, **SETTINGS).frame["Active"].any()


def test_features_that_were_normalized_on_the_controls_are_warned_of(frame, caplog):
    corrected = normalize_frame(frame, FEATURES, controls=ROLES.controls)
    with caplog.at_level(logging.WARNING):
        find_activity(corrected.frame, FEATURES, **SETTINGS)
    assert "the features were normalized on these 8 controls: p values are somewhat too small" in caplog.text


def test_wells_on_plates_without_controls_are_named(frame, caplog):
    lonely = frame[(frame["Metadata_Role"] != "negative") | (frame["Metadata_Plate"] == "P1")]
    found = find_activity(lonely, FEATURES, **SETTINGS).frame
    assert "20 wells are on plates without controls and not compared with any: P2" in caplog.text
    one = found.set_index(["Metadata_Compound", "Metadata_Dose"]).loc[("a", 1.0)]
    assert (one["Rows"], one["Rows_Left_Out"]) == (1, 1)
    assert one["Note"] == "no replicate on plates with controls"
    assert found["Distinct_p"].notna().all()  # other treatments are there
    strong = found.set_index("Metadata_Compound").loc["max"]
    assert (strong["Rows"], strong["Rows_Left_Out"], strong["Note"]) == (4, 4, "")


def test_a_well_is_no_replicate_of_itself(frame):
    doubled = pd.concat([frame, frame[(frame["Metadata_Plate"] == "P2") & (frame["Metadata_Well"] == "C01")]])
    with pytest.raises(InputError, match=r"1 row repeats a well of the same treatment \(the first: P2, C01\)"):
        find_activity(doubled, FEATURES, **SETTINGS)
    weeks = pd.concat([frame.assign(Metadata_Week=1), frame.assign(Metadata_Week=2)], ignore_index=True)
    assert find_activity(weeks, FEATURES, **SETTINGS).frame["Rows"].max() == 16


def test_controls_in_other_letters_are_named(frame, caplog):
    changed = frame.assign(Metadata_Role=frame["Metadata_Role"].where(frame.index % 24 > 0, " Negative"))
    find_activity(changed, FEATURES, **SETTINGS)
    assert "leaves out 2 rows with ' Negative' in 'Metadata_Role'" in caplog.text
    caplog.clear()
    both = "Metadata_Role in ['negative', ' Negative']"
    find_activity(changed, FEATURES, **SETTINGS | {"controls": both})
    assert "leaves out" not in caplog.text


def test_two_treatments_of_one_name_are_refused(frame):
    named = frame.assign(Metadata_Salt=" ")
    named.loc[named["Metadata_Compound"] == "a", "Metadata_Salt"] = "HCl"
    named.loc[named["Metadata_Compound"] == "b", "Metadata_Compound"] = "a HCl"
    treatment = ["Metadata_Compound", "Metadata_Salt"]
    with pytest.raises(InputError, match="'a HCl' is the name of two treatments by Metadata_Compound, Metadata_Salt"):
        find_activity(named, FEATURES, **SETTINGS | {"treatment": treatment})


def test_doses_with_units_are_refused(frame):
    words = frame.assign(Metadata_Dose=frame["Metadata_Dose"].map("{:g} uM".format))
    with pytest.raises(InputError, match="numbers: '0 uM' in row 1; write them with a point, and no unit"):
        find_activity(words, FEATURES, compound="Metadata_Compound", dose="Metadata_Dose", **SETTINGS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"treatment": ()}, "`treatment` names no column"),
        ({"treatment": ("Metadata_T",)}, "`treatment`: the table has no column Metadata_T"),
        ({"by": "Metadata_T"}, "`by`: the table has no column Metadata_T"),
        ({"dose": "Metadata_Dose"}, "`dose` needs `compound`"),
        ({"dose": "Metadata_MoA", "compound": "Metadata_Compound"}, "`dose`: the column 'Metadata_MoA' does not hold"),
        ({"fdr": 1.0}, "`fdr` is 1.0: it must be between 0 and 1"),
        ({"draws": 10}, "`draws` is 10: at least 100"),
        ({"controls": "Metadata_Role == 'none'"}, "no row is a control by"),
        ({"controls": "Metadata_Plate != ''"}, "no row with features has a value in 'Metadata_Compound'"),
        (
            {"dose": "Metadata_Dose", "compound": "Metadata_Compound", "positive": "Metadata_Role == 'none'"},
            "`positive`: no row with features is a positive control",
        ),
    ],
)
def test_what_cannot_be_done_is_refused(frame, change, message):
    with pytest.raises(InputError, match=message):
        find_activity(frame, FEATURES, **SETTINGS | change)
    with pytest.raises(InputError, match="its rows are objects, which are no replicates"):
        find_activity(frame.assign(ObjectNumber=1), FEATURES, **SETTINGS)


def test_images_of_a_well_are_no_replicates(frame):
    images = frame.assign(ImageNumber=np.arange(48))
    one = find_activity(images, FEATURES, **SETTINGS).frame
    pd.testing.assert_frame_equal(one, find_activity(frame, FEATURES, **SETTINGS).frame)
    twice = pd.concat([images, images.assign(ImageNumber=np.arange(48) + 48)])
    with pytest.raises(InputError, match=r"48 rows are further images of a well \(Metadata_Plate, Metadata_Well\)"):
        find_activity(twice, FEATURES, **SETTINGS)


def test_the_command_writes_both_tables(frame, tmp_path, capsys):
    wells, out = tmp_path / "wells.parquet", tmp_path / "hits.csv"
    frame.to_parquet(wells)
    words = ["activity", str(wells), "--controls", ROLES.controls, "--treatment", "Metadata_Compound,Metadata_Dose"]
    words += ["--compound", "Metadata_Compound", "--dose", "Metadata_Dose", "--by", "Metadata_Plate", "--draws", "1000"]
    assert main([*words, "--out", str(out)]) == 0
    printed = capsys.readouterr().out
    assert "of 17 treatments are active" in printed
    assert "40 wells, 8 controls each" in printed
    assert "4 dose series" in printed
    table, curves = pd.read_csv(out), pd.read_csv(tmp_path / "hits-curves.csv")
    assert len(table) == 17
    assert curves["Compound"].tolist() == ["a", "b", "c", "d"]
    again = activity(wells, compound="Metadata_Compound", dose="Metadata_Dose", **SETTINGS | {"draws": 1000})
    np.testing.assert_allclose(again.frame["Activity_p"], table["Activity_p"])
    assert main(["activity", str(tmp_path / "hits.csv"), "--controls", "a == 1", "--treatment", "b"]) == 1
    with pytest.raises(InputError, match="`curves` need `dose` and `compound`"):
        activity(wells, **SETTINGS, curves=tmp_path / "c.csv")

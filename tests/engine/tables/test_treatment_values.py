"""Doses that differ by rounding alone are one, in every command; those that only look alike are named."""

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.evaluation.table import joined_words
from microsnoop_engine.reporting.page import make_page
from microsnoop_engine.sphering.comparison import compare_corrections
from microsnoop_engine.tables.activity import activity
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.evaluation import evaluate
from microsnoop_engine.tables.treatment_values import unify_treatments

COLUMNS = ["Metadata_Compound", "Metadata_Dose"]


@pytest.fixture
def rounded():
    """The doses of the second plate were kept with 32 bits, as another program does."""
    frame = screen_table()
    frame["Metadata_Dose"] *= 0.4  # 0.1, 0.2, 0.3, 0.4
    second = frame["Metadata_Plate"] == "P2"
    frame.loc[second, "Metadata_Dose"] = frame.loc[second, "Metadata_Dose"].astype(np.float32).astype(float)
    return frame


def doses(*values):
    return pd.DataFrame({"Metadata_Compound": "a", "Metadata_Dose": values})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.1, float(np.float32(0.1)), 0.1000001], [0.1, 0.1, 0.1]),
        ([1e-9, 1.0000001e-9, 2e-9], [1e-9, 1e-9, 2e-9]),
        ([0.0, 1e-9, np.nan, np.inf], [0.0, 1e-9, np.nan, np.inf]),
        ([100.0, 100.001], [100.0, 100.001]),
    ],
)
def test_only_what_rounding_makes_is_equal(values, expected):
    np.testing.assert_array_equal(unify_treatments(doses(*values), COLUMNS)["Metadata_Dose"], expected)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["C01", "C01 ", "C02", "C02"], "1 name is in several spellings, such as 'C01' and 'C01 '"),
        (["DMSO", "dmso", "a  b", "a b"], "2 names are in several spellings, such as 'DMSO' and 'dmso'"),
        (["1", "1.0", "01"], "1 name is in several spellings, such as '1' and '1.0'"),
        (["(+)-a", "(-)-a", "siRNA 1", "siRNA-1", "0.1", "0.1000001", None, "", " "], ""),
    ],
)
def test_names_of_several_spellings_are_named(caplog, names, said):
    """Plates of one screen whose platemaps were typed by two people."""
    frame = pd.DataFrame({"Metadata_Compound": pd.Series(names, dtype=object)})
    for column in (frame["Metadata_Compound"], frame["Metadata_Compound"].astype("category")):
        caplog.clear()
        frame = pd.DataFrame({"Metadata_Compound": column})
        assert unify_treatments(frame, ["Metadata_Compound"]) is frame
        assert len(caplog.records) == bool(said)
        assert said in caplog.text


def test_words_and_whole_numbers_stay(caplog):
    frame = pd.DataFrame({"Metadata_Compound": ["0.1", "0.1000001"], "Metadata_Dose": [1, 10**7]})
    assert unify_treatments(frame, [*COLUMNS, None, "Metadata_Other"]) is frame
    assert not caplog.records


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ([3.33, 3.3333, 10.0], "3.33 and 3.3333"),
        ([0.33, 0.3333], "0.33 and 0.3333"),
        ([33.0, 33.3333], "33.0 and 33.3333"),
        ([0.12, 0.37, 1.1, 3.3, 10.0], ""),
        ([1.0, 1.05, 100.0, 103.0], ""),
        ([0.1, 0.3, 1.0, 3.0], ""),
    ],
)
def test_numbers_with_fewer_decimals_are_named(caplog, values, named):
    frame = doses(*values)
    assert unify_treatments(frame, COLUMNS) is frame
    assert [record.args[1] for record in caplog.records] == ([named] if named else [])


def test_doses_of_other_compounds_are_not_compared(caplog):
    unify_treatments(doses(3.33, 3.3333).assign(Metadata_Compound=["a", "b"]), COLUMNS)
    assert not caplog.records


def test_every_command_on_treatments_takes_them_for_one(rounded, tmp_path, caplog):
    assert len(set(joined_words(rounded, COLUMNS))) > 18
    expected = screen_table()
    expected["Metadata_Dose"] *= 0.4
    settings = {"compound": "Metadata_Compound", "dose": "Metadata_Dose", "by": "Metadata_Plate", "draws": 200}
    caplog.set_level("INFO")
    found = activity(rounded, ROLES.controls, COLUMNS, **settings)
    assert "0.1 and 0.10000000149011612" in caplog.text
    pd.testing.assert_frame_equal(found.frame, activity(expected, ROLES.controls, COLUMNS, **settings).frame)
    assert {curve.doses for curve in found.curves.values()} == {4}
    rounded.to_parquet(tmp_path / "wells.parquet")
    treatments = aggregate(tmp_path / "wells.parquet", "treatment", COLUMNS).frame
    assert len(treatments) == len(found.names) + 1
    assert evaluate(rounded, "Metadata_Dose") == evaluate(expected, "Metadata_Dose")
    compared = compare_corrections(rounded, "Metadata_Plate", COLUMNS)
    assert compared["Replicates_Treatments"].iloc[0] == len(treatments)
    assert page_names(rounded) == page_names(expected)


def page_names(frame):
    page = make_page(frame, FEATURES, ROLES)
    return page[page.index('"treatment": ') : page.index('"negative": ')]

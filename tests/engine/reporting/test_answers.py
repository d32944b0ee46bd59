"""Test the answers of the report: activity on the right features, dose curves, clusters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.errors import InputError
from microsnoop_engine.reporting import answers
from microsnoop_engine.reporting.screen import Screen
from microsnoop_engine.sphering.table import sphere_frame
from microsnoop_engine.tables.activity import find_activity


@pytest.fixture(scope="module")
def frame():
    return screen_table()


def screen_of(frame, roles=ROLES):
    return Screen(frame.drop(columns=FEATURES), frame[FEATURES].to_numpy(), roles)


def test_activity_is_that_of_the_command(frame):
    found = answers.activity(screen_of(frame), None)
    expected = find_activity(frame, FEATURES, ROLES.controls, ROLES.treatment, by="Metadata_Plate")
    assert found["names"] == expected.names
    assert found["p"] == pytest.approx(expected.frame["Activity_p"].tolist(), rel=1e-4)
    assert found["active"] == expected.frame["Active"].tolist()
    assert found["when"] == ""
    assert [curve["name"] for curve in found["curves"]] == ["a", "b", "c", "d"]
    assert all(len(curve["x"]) == len(curve["y"]) == 8 for curve in found["curves"])


@pytest.mark.filterwarnings("ignore::microsnoop_engine.sphering.spherize.SpheringWarning")
def test_features_that_were_corrected_on_the_controls_are_not_tested(frame):
    sphered = sphere_frame(frame, FEATURES, ROLES.controls, regularization=0.3).frame
    refused = answers.activity(screen_of(sphered), None)
    assert refused["message"].startswith("Not tested: the features were corrected on these 8 controls")
    assert "`" not in refused["message"]
    found = answers.activity(screen_of(sphered), screen_of(frame))
    assert found["when"] == "before the correction"
    assert found["p"] == answers.activity(screen_of(frame), None)["p"]


def test_activity_of_a_table_is_shown_and_not_tested_again(frame, tmp_path, monkeypatch):
    expected = answers.activity(screen_of(frame), None)
    found = find_activity(frame, FEATURES, ROLES.controls, ROLES.treatment, fdr=0.1, by="Metadata_Plate")
    monkeypatch.delattr(answers, "find_activity")
    shown = answers.activity(screen_of(frame), None, found.frame)
    assert (shown["when"], shown["fdr"]) == ("by the command activity", 0.1)
    assert {key: shown[key] for key in ("names", "p", "q", "note", "curves")} == {
        key: expected[key] for key in ("names", "p", "q", "note", "curves")
    }
    found.frame.assign(Metadata_Dose=found.frame["Metadata_Dose"].map("{:g}".format)).to_csv(tmp_path / "a.csv")
    read = pd.read_csv(tmp_path / "a.csv", index_col=0).sample(frac=1, random_state=0)
    again = answers.activity(screen_of(frame), None, read)
    order = [shown["names"].index(name) for name in again["names"]]
    assert len(order) == 17
    for key in ("p", "distance"):
        assert again[key] == pytest.approx([shown[key][place] for place in order])
    for key in ("active", "distinct", "note"):
        assert again[key] == [shown[key][place] for place in order]


def test_another_table_is_no_activity(frame):
    found = find_activity(frame, FEATURES, ROLES.controls, ROLES.treatment, by="Metadata_Plate", draws=100).frame
    compound = screen_of(frame, replace(ROLES, treatment=("Metadata_Compound",)))
    for screen, table, message in (
        (screen_of(frame), frame, "`activity`: the table has no column Rows"),
        (compound, found, "tells treatments apart by Metadata_Dose, too"),
        (screen_of(frame), found.assign(Metadata_Compound="other"), "none of the treatments of this table"),
        (screen_of(frame, replace(ROLES, controls=None)), found, "`activity` needs a table of wells, `controls`"),
    ):
        with pytest.raises(InputError, match=message):
            answers.activity(screen, None, table)


def test_without_controls_treatments_or_wells_nothing_is_tested(frame, monkeypatch):
    assert answers.activity(screen_of(frame, replace(ROLES, controls=None)), None) is None
    assert answers.activity(screen_of(frame, replace(ROLES, treatment=(), label=None)), None) is None
    assert answers.activity(screen_of(frame.assign(ObjectNumber=1)), None) is None
    monkeypatch.setattr(answers, "MOST_TREATMENTS", 5)
    assert answers.activity(screen_of(frame), None)["message"].startswith("Not tested here: 17 treatments in 48 ")


def test_similar_treatments_lie_side_by_side(frame):
    found = answers.clusters(screen_of(frame.assign(**{name: frame[name] - frame[name].mean() for name in FEATURES})))
    names, cosines = found["names"], np.array(found["cosines"])
    assert sorted(names) == sorted(set(names))
    assert len(names) == 18
    assert (np.diag(cosines) == 100).all()
    np.testing.assert_array_equal(cosines, cosines.T)
    ordered = np.diag(cosines, 1).mean()
    shuffled = np.random.default_rng(0).permutation(18)
    assert ordered > np.diag(cosines[np.ix_(shuffled, shuffled)], 1).mean() + 20
    assert answers.clusters(screen_of(frame, replace(ROLES, treatment=(), label=None))) is None
    assert answers.clusters(screen_of(pd.concat([frame[:2]]))) is None


def test_the_explained_difference_is_that_of_the_table(tmp_path):
    """Features that say the same are counted, those without a correlation are left out."""
    names = [f"Nuclei_AreaShape_F{number:02d}" for number in range(30)]
    correlation = np.linspace(0.9, 0.1, 30)
    table = pd.DataFrame({"Feature": names, "Rows": 50, "Correlation": correlation, "Low": np.nan, "High": 0.95})
    table = table.assign(Within=0.2, Difference=-1.5, Like="")
    table.loc[[1, 2], "Like"] = names[0]
    table.loc[29, "Correlation"] = np.nan
    table.to_csv(tmp_path / "e.csv", index=False)
    for given in (table, tmp_path / "e.csv"):
        found = answers.explained(given)
        assert [one["name"] for one in found] == [names[0], *names[3:22]]
        assert [one["like"] for one in found] == [2, *[0] * 19]
        first = {"value": 0.9, "low": None, "high": 0.95, "within": 0.2, "difference": -1.5, "rows": 50.0}
        assert {key: found[0][key] for key in first} == first
    with pytest.raises(InputError, match="`explained`: the table has no column Feature"):
        answers.explained(table.drop(columns="Feature"))

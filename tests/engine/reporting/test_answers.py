"""Test the answers of the report: activity on the right features, dose curves, clusters."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, ROLES, screen_table

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

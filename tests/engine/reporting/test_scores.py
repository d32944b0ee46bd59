"""Test the scores of a screen against other functions and closed forms."""

import numpy as np
import pytest
from wells import FEATURES, ROLES, screen_table

from microsnoop_engine.evaluation.metrics import knn_predict, nsc
from microsnoop_engine.reporting.scores import screen_scores
from microsnoop_engine.reporting.screen import Screen


@pytest.fixture
def screen():
    frame = screen_table()
    return Screen(frame.drop(columns=FEATURES), frame[FEATURES].to_numpy(), ROLES)


def test_scores_agree_with_other_functions(screen):
    found = {score.name: score.value for score in screen_scores(screen)}
    assert found["Controls told apart"] == 1
    like_the_positive = screen.frame["Metadata_Compound"].isin(["a", "b"]).to_numpy()
    position, dose = screen.position()[like_the_positive], screen.frame["Metadata_Dose"][like_the_positive]
    assert np.corrcoef(position, dose)[0, 1] > 0.9
    np.testing.assert_allclose(position, dose, atol=0.4)
    assert found["Z'"] > 0.5
    expected = knn_predict(screen.values, screen.column("Metadata_Plate"), None, 5)
    assert found["Plate by neighbors"] == pytest.approx((expected == screen.column("Metadata_Plate")).mean())
    treated = screen.frame.assign(row=range(48))[~screen.negative]
    means = treated.groupby(["Metadata_Compound", "Metadata_Dose"])["row"].apply(lambda row: screen.values[row].mean(0))
    names = means.index.to_frame()
    moa = np.where(names["Metadata_Compound"].isin(["c", "d"]), "moa2", "moa1")
    match = nsc(np.stack(means.to_list()), moa, names["Metadata_Compound"].to_numpy())
    assert found["NSC"] == pytest.approx(match.accuracy)

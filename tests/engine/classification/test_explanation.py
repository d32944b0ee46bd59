"""Test which named features are found to go along with a difference, on data whose answer is known."""

import numpy as np
import pandas as pd
import pytest
from labeled_cells import FEATURES, draw_cells
from scipy.stats import spearmanr

from microsnoop_engine.classification.associations import associate
from microsnoop_engine.classification.explanation import explain
from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError

QUERIES = "Metadata_Kind == 'mitotic'", "Metadata_Kind == 'interphase'"


@pytest.fixture
def cells():
    """Cells of two kinds: one named feature follows the difference, one the size of its effect, one neither."""
    frame, kinds = draw_cells(12, 25)
    random = np.random.default_rng(5)
    effect = frame[FEATURES[:3]].sum(axis=1).to_numpy()
    return frame.assign(
        Metadata_Kind=kinds,
        Nuclei_AreaShape_Area=-effect + random.normal(size=len(frame)) * 0.5,
        Nuclei_AreaShape_Perimeter=np.exp(-effect / 3) * 2,
        Nuclei_Intensity_MeanIntensity_DNA=random.normal(size=len(frame)),
        Nuclei_AreaShape_EulerNumber=1.0,
    )


def test_the_feature_behind_the_difference_comes_first(cells):
    result = explain(cells, *QUERIES)
    assert result.rows == (int((cells.Metadata_Kind == "mitotic").sum()), int((cells.Metadata_Kind != "mitotic").sum()))
    assert result.unit == "wells"
    assert result.separation.value > 0.9
    table = result.frame.set_index("Feature")
    assert set(result.frame.Feature[:2]) == {"Nuclei_AreaShape_Area", "Nuclei_AreaShape_Perimeter"}
    area, noise = table.loc["Nuclei_AreaShape_Area"], table.loc["Nuclei_Intensity_MeanIntensity_DNA"]
    assert area.Correlation < -0.8
    assert area.Within < -0.5
    assert area.Difference < -2
    assert area.Low <= area.Correlation <= area.High < 0
    assert abs(noise.Correlation) < 0.2
    assert result.constant == 1
    assert np.isnan(table.loc["Nuclei_AreaShape_EulerNumber"].Correlation)


def test_features_that_say_the_same_are_named(cells):
    table = explain(cells, *QUERIES).frame
    assert table.Like[0] == ""
    assert table.Like[1] == table.Feature[0]
    assert table.Like[2] == ""


def test_groups_that_do_not_differ_have_no_features(cells):
    halves = cells.assign(Metadata_Half=np.arange(len(cells)) % 2)
    result = explain(halves, "Metadata_Half == 0", "Metadata_Half == 1")
    assert 0.35 < result.separation.value < 0.65
    assert result.frame.Difference.abs().max() < 0.4


def test_correlations_are_those_of_scipy_also_with_missing_numbers(cells):
    learned = cells[FEATURES].to_numpy()
    named = cells[["Nuclei_AreaShape_Area", "Nuclei_Intensity_MeanIntensity_DNA"]].to_numpy(copy=True)
    named[::7, 1] = np.nan
    first = (cells.Metadata_Kind == "mitotic").to_numpy()
    wells = cells.ImageNumber.to_numpy()
    found = associate(learned, named, first, wells)
    for column in range(2):
        known = np.isfinite(named[:, column])
        expected = spearmanr(named[known, column], found.axis[known]).statistic
        assert found.correlation[column] == pytest.approx(expected, abs=1e-9)
        assert found.rows[column] == known.sum()
    values = named[:, 0]
    spread = np.sqrt((values[first].var() + values[~first].var()) / 2)
    assert found.difference[0] == pytest.approx((values[first].mean() - values[~first].mean()) / spread)
    assert found.units == 12


def test_an_interval_holds_the_correlation_of_most_repeats():
    truth, hits = associate_drawn(400)[0], 0
    for seed in range(1, 21):
        _, low, high = associate_drawn(25, seed)
        hits += low <= truth <= high
    assert hits >= 16


def associate_drawn(wells, seed=0):
    frame, kinds = draw_cells(wells, 8, seed) if wells <= 96 else draw_many(wells)
    random = np.random.default_rng(seed)
    named = frame[FEATURES[0]].to_numpy() + random.normal(size=len(frame))
    found = associate(frame[FEATURES].to_numpy(), named[:, None], kinds == "mitotic", frame.ImageNumber.to_numpy())
    return found.correlation[0], found.low[0], found.high[0]


def draw_many(wells):
    parts = [draw_cells(50, 8, seed) for seed in range(wells // 50)]
    frames = [frame.assign(ImageNumber=frame.ImageNumber + 50 * n) for n, (frame, _) in enumerate(parts)]
    return pd.concat(frames, ignore_index=True), np.concatenate([kinds for _, kinds in parts])


def test_large_groups_are_sampled(cells):
    assert explain(cells, *QUERIES, most_rows=40).rows == (40, 40)


def test_groups_that_cannot_be_compared_are_refused(cells):
    with pytest.raises(InputError, match="no row satisfies \"Metadata_Kind == 'dead'\""):
        explain(cells, "Metadata_Kind == 'dead'", QUERIES[1])
    with pytest.raises(InputError, match="rows satisfy both"):
        explain(cells, QUERIES[0], "ImageNumber > 0")
    with pytest.raises(InputError, match="are among the learned ones, too"):
        explain(cells, *QUERIES, features="all")


def test_the_command(cells, tmp_path, capsys):
    cells.to_parquet(tmp_path / "cells.parquet")
    out = tmp_path / "explained.csv"
    assert main(["explain", str(tmp_path / "cells.parquet"), "--between", *QUERIES, "-o", str(out)]) == 0
    output = capsys.readouterr().out
    assert "wells held out" in output
    assert "; and 1 like it" in output
    assert "1 feature is constant or missing" in output
    assert list(pd.read_csv(out))[:3] == ["Feature", "Rows", "Correlation"]

"""MODZ: pycytominer's weights, and gaps that do not count as zeros."""

import numpy as np
import pandas as pd
import pycytominer
import pytest
from wells import FEATURES, screen_table

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.consensus import modz

RANDOM = np.random.default_rng(0)
KEYS = ["Metadata_Compound", "Metadata_Dose"]


def test_equals_pycytominer():
    frame = screen_table()
    found = aggregate(frame, "treatment", KEYS, statistic="modz").frame
    expected = pycytominer.consensus(frame, replicate_columns=KEYS, operation="modz", features=FEATURES)
    both = found.merge(expected, on=KEYS, suffixes=("", "_peer"))
    assert len(both) == len(found) == 18
    # pycytominer rounds correlations and weights to four digits
    np.testing.assert_allclose(both[FEATURES], both[[f"{name}_peer" for name in FEATURES]], atol=2e-3)
    controls = found[found["Metadata_Compound"] == "DMSO"].iloc[0]
    assert (
        controls["Metadata_Object_Count"] == frame.query("Metadata_Compound == 'DMSO'")["Metadata_Object_Count"].sum()
    )


def test_a_replicate_that_disagrees_hardly_counts():
    truth = RANDOM.normal(size=50)
    replicates = np.stack([truth + 0.1 * RANDOM.normal(size=50) for _ in range(3)] + [-truth])
    found = modz(replicates)
    assert np.abs(found - truth).mean() < np.abs(replicates.mean(0) - truth).mean() / 5


def test_gaps_do_not_count_as_zeros():
    rows = np.array([[10.0, 1, 2, 3], [10, 1, 2, 4], [10, 1, 2, 5], [np.nan, 1, 2, 3]])
    assert modz(rows)[0] == pytest.approx(10)
    assert np.isnan(modz(np.full((3, 4), np.nan))).all()
    np.testing.assert_allclose(modz(np.vstack([rows[:3], np.full((1, 4), np.nan)])), modz(rows[:3]))
    np.testing.assert_allclose(modz(rows[:2]), rows[:2].mean(0))
    np.testing.assert_allclose(modz(np.ones((3, 4))), 1)


def test_treatments_with_a_blank_dose_are_kept():
    frame = screen_table()
    frame["Metadata_Dose"] = frame["Metadata_Dose"].where(frame["Metadata_Role"] == "treated")
    found = aggregate(frame, "treatment", KEYS, statistic="modz").frame
    blank = found[found["Metadata_Compound"] == "max"]
    assert len(blank) == 1
    rows = frame.loc[frame["Metadata_Compound"] == "max", FEATURES].to_numpy()
    np.testing.assert_allclose(blank[FEATURES].to_numpy()[0], modz(rows))


def test_only_treatments_have_a_consensus():
    with pytest.raises(InputError, match="`statistic` modz needs `level` treatment"):
        aggregate(screen_table(), "well", statistic="modz")
    with pytest.raises(InputError, match="modz needs two features"):
        modz(np.ones((3, 1)))
    few = aggregate(screen_table(), "treatment", KEYS, statistic="modz", min_objects=300).frame
    assert isinstance(few, pd.DataFrame)
    assert len(few) < 18

"""Groups of rows: against pandas on the whole table, whatever the chunks; what is missing stays missing."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables import grouping
from microsnoop_engine.tables.columns import COUNT
from microsnoop_engine.tables.grouping import aggregate_groups
from microsnoop_engine.tables.source import TableSource

RANDOM = np.random.default_rng(0)
ROWS = 500
TABLE = pd.DataFrame(
    {
        "Metadata_Plate": RANDOM.choice(["P1", "P2"], ROWS),
        "Metadata_Well": RANDOM.choice(["A01", "A02", "B01"], ROWS),
        "Metadata_Crop_MinX": RANDOM.integers(0, 9, ROWS),
        "ImageNumber": RANDOM.integers(1, 5, ROWS),
        "a": RANDOM.normal(size=ROWS).astype(np.float32),
        "b": np.where(RANDOM.random(ROWS) < 0.2, np.nan, RANDOM.normal(5, 1, ROWS)),
        "c": RANDOM.integers(0, 9, ROWS),
    }
)
TABLE["Metadata_Dose"] = TABLE["Metadata_Well"].map({"A01": 1.0, "A02": np.nan, "B01": 3.0})
WELLS = ["Metadata_Plate", "Metadata_Well"]


def source(table, rows=37):
    chunks = lambda columns: (table[columns][k : k + rows] for k in range(0, len(table), rows))  # noqa: E731
    return TableSource(Path("table"), tuple(table.columns), chunks)


@pytest.mark.parametrize("statistic", ["mean", "median"])
@pytest.mark.parametrize("rows", [7, 37, 1000])
def test_equals_pandas_on_the_whole_table(statistic, rows, monkeypatch):
    monkeypatch.setattr(grouping, "PARTIALS", 3)
    monkeypatch.setattr(grouping, "MEDIAN_BYTES", 2 * 8 * ROWS)
    found = aggregate_groups(source(TABLE, rows), WELLS, ["a", "b", "c"], statistic)
    wanted = TABLE.groupby(WELLS)[["a", "b", "c"]].agg(statistic).reset_index()
    pd.testing.assert_frame_equal(found[[*WELLS, "a", "b", "c"]], wanted, check_dtype=False, rtol=1e-6)
    assert found[COUNT].tolist() == TABLE.groupby(WELLS).size().tolist()


def test_metadata_of_a_group_are_kept_and_those_of_objects_are_not():
    found = aggregate_groups(source(TABLE), WELLS, ["a"])
    assert list(found.columns) == [*WELLS, "Metadata_Dose", COUNT, "a"]
    assert (found.set_index("Metadata_Well")["Metadata_Dose"]["A01"] == 1.0).all()
    assert found.set_index("Metadata_Well")["Metadata_Dose"]["A02"].isna().all()


def test_what_is_missing_stays_missing():
    table = TABLE.assign(b=np.where(TABLE["Metadata_Well"] == "A02", np.nan, TABLE["b"]), a=np.inf)
    found = aggregate_groups(source(table), ["Metadata_Well"], ["a", "b"]).set_index("Metadata_Well")
    assert np.isnan(found["b"]["A02"])
    assert found["b"].notna().sum() == 2
    assert found["a"].isna().all()


def test_counts_go_on_from_level_to_level():
    images = aggregate_groups(source(TABLE), [*WELLS, "ImageNumber"], ["a"])
    wells = aggregate_groups(source(images), WELLS, ["a"])
    assert wells[COUNT].sum() == ROWS
    wanted = images.groupby(WELLS)["a"].mean()
    np.testing.assert_allclose(wells["a"], wanted)


def test_small_groups_are_left_out():
    sizes = TABLE.groupby(WELLS).size()
    found = aggregate_groups(source(TABLE), WELLS, ["a"], min_objects=int(sizes.max()))
    assert len(found) == (sizes == sizes.max()).sum()
    with pytest.raises(
        InputError, match=r"no group of Metadata_Plate, Metadata_Well has 501 objects or more: lower `min_objects`"
    ):
        aggregate_groups(source(TABLE), WELLS, ["a"], min_objects=501)


def test_groups_without_a_name_are_kept():
    table = TABLE.assign(Metadata_Well=TABLE["Metadata_Well"].where(TABLE["Metadata_Well"] != "A02"))
    found = aggregate_groups(source(table), ["Metadata_Well"], ["a"])
    assert found["Metadata_Well"].isna().sum() == 1
    assert found[COUNT].sum() == ROWS


def test_words_are_no_features():
    with pytest.raises(InputError, match="columns Metadata_Well hold words"):
        aggregate_groups(source(TABLE), ["Metadata_Plate"], ["a", "Metadata_Well"])
    with pytest.raises(InputError, match="`statistic` is 'mode'"):
        aggregate_groups(source(TABLE), ["Metadata_Plate"], ["a"], "mode")
    with pytest.raises(InputError, match="has no column Metadata_Row"):
        aggregate_groups(source(TABLE), ["Metadata_Row"], ["a"])

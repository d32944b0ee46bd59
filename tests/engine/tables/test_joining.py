"""Platemaps and other tables joined by keys, and tables that do not fit together."""

import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.joining import combine, join_tables
from microsnoop_engine.tables.platemaps import join_platemap


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.drop(columns="Metadata_Well"), r"platemap\.csv' has no column Metadata_Well"),
        (lambda t: pd.concat([t, t[:1]]), r"has \['P1', 'W00'\] more than once"),
        (
            lambda t: t.assign(Metadata_Plate="X" + t["Metadata_Plate"]),
            r"no well of the table is in .* \['P1', 'W00'\]",
        ),
    ],
)
def test_platemaps_that_do_not_fit_are_refused(cells, change, message):
    wells = aggregate(cells / "cells.parquet").frame
    change(pd.read_csv(cells / "platemap.csv")).to_csv(cells / "platemap.csv", index=False)
    with pytest.raises(InputError, match=message):
        join_platemap(wells, cells / "platemap.csv", ["Metadata_Plate", "Metadata_Well"])


def test_tables_that_do_not_fit_together_are_refused():
    a = pd.DataFrame({"ImageNumber": [1, 1], "ObjectNumber": [1, 2], "x": [1.0, 2.0]})
    joined = join_tables(a, a.rename(columns={"x": "y"})[::-1])
    assert (joined["x"] == joined["y"]).all()
    for b, on, message in (
        (a.drop(columns="ImageNumber"), None, "share no keys"),
        (a, ["Metadata_Well"], "the first table has no column Metadata_Well"),
        (a.assign(ObjectNumber=1), None, "the second table has several rows for .* = 1, 1"),
        (a.assign(ImageNumber=["x", "y"]), None, "ImageNumber holds numbers in one table and words in the other"),
        (a.assign(ImageNumber=9), None, "no ImageNumber, ObjectNumber is in both tables"),
    ):
        with pytest.raises(InputError, match=message):
            join_tables(a, b, on)


def test_one_call_from_paths_to_a_written_table(cells):
    result = combine(cells / "cells.parquet", cells / "hand.csv", out=cells / "both.parquet")
    assert result.unmatched == (5, 0)
    assert result.features[-1] == "Nuclei_AreaShape_Area"
    assert len(result.features) == 9
    pd.testing.assert_frame_equal(pd.read_parquet(cells / "both.parquet"), result.frame)
    again = combine(pd.read_parquet(cells / "cells.parquet"), pd.read_csv(cells / "hand.csv"))
    pd.testing.assert_frame_equal(again.frame, result.frame)

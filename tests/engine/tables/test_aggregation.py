"""Levels of aggregation, and tables that lack what a level needs."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.source import in_memory

DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(8)]


def test_levels_follow_each_other(cells):
    source = in_memory(pd.read_parquet(cells / "cells.parquet")[:11], cells)
    images = aggregate(source, "image").frame
    assert images["Metadata_Object_Count"].tolist() == [6, 5]
    wells = aggregate(source, "well").frame
    # the mean of the images' means, as in the paper, not of all cells
    np.testing.assert_allclose(wells[DEEP].iloc[0], images[DEEP].mean())
    assert wells["Metadata_Object_Count"].tolist() == [11]


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({}, {"level": "plate"}, "`level` is 'plate'"),
        ({}, {"level": "treatment"}, "`level` treatment needs `treatment`"),
        ({"Metadata_Well": None}, {"level": "well"}, "has no column Metadata_Well"),
        ({"ImageNumber": None}, {"level": "image"}, "has no column ImageNumber"),
        ({}, {"level": "treatment", "treatment": ["Metadata_Drug"]}, "has no column Metadata_Drug"),
    ],
)
def test_tables_without_what_a_level_needs_are_refused(cells, change, options, message):
    frame = pd.read_parquet(cells / "cells.parquet").drop(columns=list(change))
    with pytest.raises(InputError, match=message):
        aggregate(in_memory(frame, cells), **options)


def test_one_call_from_a_path_to_a_written_table(cells):
    result = aggregate(
        cells / "cells.parquet",
        "treatment",
        ["Metadata_Treatment"],
        platemap=cells / "platemap.csv",
        out=cells / "t.csv",
    )
    assert result.features == DEEP
    written = pd.read_csv(cells / "t.csv")
    pd.testing.assert_frame_equal(written.fillna(""), result.frame.fillna(""), check_dtype=False)
    wells = aggregate(pd.read_parquet(cells / "cells.parquet"), features=DEEP[:2])
    assert wells.features == DEEP[:2]
    assert wells.frame.columns.tolist() == ["Metadata_Plate", "Metadata_Well", "Metadata_Object_Count", *DEEP[:2]]


def test_messages_name_the_table(cells):
    with pytest.raises(InputError, match=r"cells\.parquet': `level` is 'plate'"):
        aggregate(cells / "cells.parquet", "plate")
    with pytest.raises(
        InputError, match=r"^`keep_values`: the table of wells has no column Metadata_Week; it has Metadata_"
    ):
        aggregate(
            pd.read_parquet(cells / "cells.parquet"), "treatment", ["Metadata_Well"], keep_values=["Metadata_Week"]
        )


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_spellings_of_a_well_are_one_well_written_as_in_its_first_row(caplog, statistic):
    spellings = ["a1", "A01", "A - 1", "r01c01", "B02", "B2", "C03"]
    frame = pd.DataFrame(
        {"Metadata_Plate": "P", "Metadata_Well": spellings, "Nuclei_AreaShape_Area": [1.0, 2, 3, 6, 10, 20, 5]}
    )
    wells = aggregate(frame, statistic=statistic, plates=["Metadata_Plate"]).frame
    assert wells["Metadata_Well"].tolist() == ["B02", "C03", "a1"]
    assert wells["Nuclei_AreaShape_Area"].tolist() == [15, 5, 3 if statistic == "mean" else 2.5]
    said = [record.getMessage() for record in caplog.records if "several spellings" in record.getMessage()]
    assert said == [
        "'DataFrame': 2 wells have several spellings in Metadata_Well (a1 and A01); each is one well, written as "
        "in its first row"
    ]


def test_rows_without_a_well_are_no_well(caplog):
    """They had been averaged into a row without a name."""
    cells = pd.DataFrame(
        {
            "Metadata_Plate": ["P1"] * 6 + [None] * 2,
            "Metadata_Well": ["A01", "A01", "A02", None, "", " ", "A01", "A02"],
            "ImageNumber": [1, 1, 2, 3, 4, 5, 6, 7],
            "ObjectNumber": [1, 2, 1, 1, 1, 1, 1, 1],
            "Nuclei_AreaShape_Area": [1.0, 3, 5, 700, 800, 900, 7, 9],
        }
    )
    for pool in ("images", "cells"):
        caplog.clear()
        wells = aggregate(cells, pool=pool).frame
        assert wells["Metadata_Well"].tolist() == ["A01", "A02", "A01", "A02"]
        assert wells["Nuclei_AreaShape_Area"].tolist() == [2, 5, 7, 9]
        assert "3 rows without a Metadata_Well, left out" in caplog.text
        assert "2 wells without a Metadata_Plate, taken for one plate" in caplog.text
    assert len(aggregate(cells, "image").frame) == 7
    caplog.clear()
    assert len(aggregate(cells[:3].assign(Metadata_Plate=None)).frame) == 2
    assert not caplog.records
    with pytest.raises(InputError, match="no row has a value in Metadata_Well"):
        aggregate(cells.assign(Metadata_Well=None))

"""Rows of different plates, batches, experiments and acquisitions are never averaged without a word."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.aggregation import aggregate
from microsnoop_engine.tables.grouping import aggregate_groups
from microsnoop_engine.tables.plates import plate_columns
from microsnoop_engine.tables.source import in_memory

WELLS = ["A01", "A02", "B01", "B02"]


def wells(**metadata):
    frame = pd.DataFrame({"Metadata_Well": WELLS, "Nuclei_Texture_1": np.arange(4.0)})
    return frame.assign(**metadata)


@pytest.mark.parametrize(
    "name",
    ["Plate", "Assay_Plate_Barcode", "plate_id", "PlateName", "Barcode", "Batch", "Date", "Acquisition", "Experiment"],
)
def test_plates_are_told_apart_by_their_usual_names(name):
    column = f"Metadata_{name}"
    table = pd.concat([wells(**{column: "week1"}), wells(**{column: "week2"})], ignore_index=True)
    found = aggregate(table).frame
    assert found[[column, "Metadata_Well"]].to_numpy().tolist() == [[w, n] for w in ("week1", "week2") for n in WELLS]
    with_plate = aggregate(table.assign(**({"Metadata_Plate": "P1"} if name != "Plate" else {}))).frame
    assert len(with_plate) == 8


@pytest.mark.parametrize("name", ["Plate_Map_Name", "platemap", "PlateRow", "Template", "Site", "Acquisition_Time"])
def test_other_columns_tell_no_plates_apart(name):
    assert plate_columns([f"Metadata_{name}", "Nuclei_Texture_Run"]) == []


def test_columns_asked_for_tell_plates_apart(caplog):
    table = pd.concat([wells(Metadata_Stack=1), wells(Metadata_Stack=2)], ignore_index=True)
    assert len(aggregate(table).frame) == 4
    assert "8 rows of 4 wells are averaged" in caplog.text
    assert len(aggregate(table, plates=["Metadata_Stack"]).frame) == 8
    with pytest.raises(InputError, match=r"`plates`: .* no column Metadata_Shelf"):
        aggregate(table, plates=["Metadata_Shelf"])


def test_times_of_day_tell_no_plates_apart(caplog):
    table = wells(Metadata_Date=[f"2026-01-01T10:0{n}:00" for n in range(4)], Metadata_Plate="P")
    assert len(aggregate(table.assign(Metadata_Well="A01")).frame) == 1
    assert "Metadata_Date holds times of day" in caplog.text


def objects(image_numbers, **metadata):
    """Two objects in an image of each well."""
    frame = wells().loc[[0, 0, 1, 1, 2, 2, 3, 3]].reset_index(drop=True)
    frame["Nuclei_Texture_1"] += [0.0, 0.5] * 4
    return frame.assign(ImageNumber=np.repeat(image_numbers, 2), ObjectNumber=[1, 2] * 4, **metadata)


def test_objects_that_come_twice_are_refused_without_a_plate(caplog):
    table = pd.concat([objects([1, 2, 3, 4])] * 2, ignore_index=True)
    with pytest.raises(InputError, match="8 of 16 rows repeat the ImageNumber and ObjectNumber"):
        aggregate(table)
    aggregate(table.assign(Metadata_Plate="P1"))
    assert "8 of 16 rows repeat" in caplog.text
    assert len(aggregate(table.assign(Metadata_Plate=["P1"] * 8 + ["P2"] * 8)).frame) == 8


def test_missing_numbers_repeat_nothing():
    table = objects([1, 2, 3, 4]).assign(ObjectNumber=[1, 2, None, None, 1, 2, 1, 2])
    assert aggregate(table).frame["Metadata_Object_Count"].tolist() == [2, 2, 2, 2]


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"Metadata_Replicate": 1}, {"Metadata_Replicate": 2}, "different values of Metadata_Replicate"),
        ({"Metadata_Site": 1}, {"Metadata_Site": 1}, "several images of one Metadata_Site"),
        ({"PathName_DNA": "p1"}, {"PathName_DNA": "p2"}, "in different folders"),
        ({}, {}, "wells come again and again, 2 times"),
    ],
)
def test_wells_that_repeat_without_a_plate_are_noticed(caplog, first, second, message):
    table = pd.concat([objects([1, 2, 3, 4], **first), objects([5, 6, 7, 8], **second)], ignore_index=True)
    found = aggregate(table).frame
    assert message in caplog.text
    assert "PathName_DNA" not in found
    caplog.clear()
    aggregate(table.assign(Metadata_Plate=["P1"] * 8 + ["P2"] * 8))
    assert not caplog.text


def test_a_well_is_the_mean_of_its_images_or_of_its_cells():
    table = pd.DataFrame({"Metadata_Well": "A01", "ImageNumber": [1, 1, 1, 2], "Cells_Texture_1": [1.0, 2, 3, 6]})
    assert aggregate(table).frame["Cells_Texture_1"].tolist() == [4.0]
    assert aggregate(table, pool="cells").frame["Cells_Texture_1"].tolist() == [3.0]
    assert aggregate(table, pool="cells", statistic="median").frame["Cells_Texture_1"].tolist() == [2.5]


def test_wells_without_a_compound_are_no_treatment(caplog):
    table = wells(Metadata_Compound=["a", None, " ", "a"], Metadata_Dose=[1, 1, 1, np.nan])
    found = aggregate(table, "treatment", ["Metadata_Compound", "Metadata_Dose"]).frame
    assert found["Metadata_Compound"].tolist() == ["a", "a"]
    assert "2 of 4 wells have no Metadata_Compound and are left out" in caplog.text
    with pytest.raises(InputError, match="no well has a value in 'Metadata_Compound'"):
        aggregate(table.assign(Metadata_Compound=None), "treatment", ["Metadata_Compound"])


@pytest.mark.parametrize("statistic", ["mean", "median"])
def test_categories_make_no_groups_without_rows(statistic):
    table = wells(Metadata_Plate=["P1", "P1", "P2", "P2"])
    plain = aggregate_groups(in_memory(table), ["Metadata_Plate", "Metadata_Well"], ["Nuclei_Texture_1"], statistic)
    categories = table.astype({"Metadata_Plate": "category", "Metadata_Well": "category"})
    found = aggregate_groups(
        in_memory(categories), ["Metadata_Plate", "Metadata_Well"], ["Nuclei_Texture_1"], statistic
    )
    pd.testing.assert_frame_equal(found, plain)


def test_order_of_rows_does_not_matter():
    table = pd.concat([objects([1, 2, 3, 4]), objects([5, 6, 7, 8])]).assign(Metadata_Plate="P1")
    shuffled = table.sample(frac=1, random_state=0)
    pd.testing.assert_frame_equal(aggregate(shuffled).frame, aggregate(table).frame)

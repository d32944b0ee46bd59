"""Test the data of the report's panels."""

import base64

import numpy as np
import pandas as pd
import pytest
from wells import FEATURES, screen_table

from microsnoop_engine.reporting.panels import MOST_COLORS, colors, feature_bytes, plates, well_position
from microsnoop_engine.reporting.roles import ColumnRoles
from microsnoop_engine.reporting.screen import Screen


@pytest.fixture(scope="module")
def frame():
    return screen_table()


@pytest.mark.parametrize(
    ("well", "position"), [("A01", (0, 0)), ("h12", (7, 11)), ("P24", (15, 23)), ("AF48", (31, 47)), ("12", None)]
)
def test_wells_have_positions(well, position):
    assert well_position(well) == position


def test_plates_have_usual_sizes_and_every_well(frame):
    found = plates(frame)
    assert [(plate["name"], plate["rows"], plate["columns"]) for plate in found] == [("P1", 4, 6), ("P2", 4, 6)]
    assert sorted(member for plate in found for well in plate["wells"] for member in well["members"]) == [*range(48)]
    assert plates(frame.assign(Metadata_Well="H12"))[0]["columns"] == 12
    assert plates(frame.drop(columns="Metadata_Well")) == []


def test_features_survive_their_bytes(frame):
    values = frame[FEATURES].to_numpy(copy=True)
    values[3, 2] = np.nan
    found = feature_bytes(values, FEATURES)
    steps = np.frombuffer(base64.b64decode(found["bytes"]), np.uint8).reshape(len(FEATURES), -1).T.astype(float)
    assert steps[3, 2] == 255
    low, high = np.array(found["low"]), np.array(found["high"])
    back = low + steps / 254 * (high - low)
    error = np.abs(back - values) / (high - low)
    assert np.nanmax(error) <= 0.5 / 254 + 1e-4


def test_an_infinite_number_takes_no_part_in_the_scale(frame):
    """All other wells had been drawn as the lowest."""
    values = frame[FEATURES].to_numpy().copy()
    expected = feature_bytes(values, FEATURES)
    far = values.copy()
    far[5, 0], far[6, 0] = np.inf, -np.inf
    found = feature_bytes(far, FEATURES)
    (before, after) = (
        np.frombuffer(base64.b64decode(each["bytes"]), np.uint8)[: len(frame)] for each in (expected, found)
    )
    others = ~np.isin(np.arange(len(frame)), [5, 6])
    assert np.abs(before[others].astype(int) - after[others]).max() <= 60
    assert len(set(after[others])) > 20
    assert after[[5, 6]].tolist() == [255, 255]


def test_columns_of_many_words_are_colors_too(frame):
    many = pd.concat([frame] * 4, ignore_index=True)
    many["Metadata_Gene"] = [f"g{number // 3:02d}" if number > 9 else "common" for number in range(len(many))]
    many["Metadata_File"] = [f"file {number}" for number in range(len(many))]
    screen = Screen(many.drop(columns=FEATURES), many[FEATURES].to_numpy(), ColumnRoles())
    found = {entry["name"]: entry for entry in colors(screen)}
    assert "File" not in found
    words = found["Gene"]["words"]
    assert len(set(words)) == MOST_COLORS + 1
    assert words[:10] == ["common"] * 10
    assert words.count("(others)") == len(many) - 10 - 3 * (MOST_COLORS - 1)

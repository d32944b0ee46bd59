"""Tables that the worker writes for a host."""

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.provenance import Computed


def rows(count, seed=0):
    """Inputs of write_table."""
    random = np.random.default_rng(seed)
    return {
        "objects": "Nuclei",
        "channels": ["DNA", "ER"],
        "metadata": {"Image": [f"i{seed}.tif, a"] * count, "Roi": ['say "ä"'] * count, "Slice": [3] * count},
        "features": random.normal(size=(count, 512)).astype(np.float32),
        "image_number": np.ones(count, np.int32),
        "object_number": np.arange(1, count + 1, dtype=np.int32),
        "center": random.random((count, 2)).astype(np.float32),
        "box": random.integers(0, 99, (count, 4)).astype(np.int32),
        "border": np.zeros(count, np.int32),
    }


def read(path):
    return pd.read_csv(path) if path.suffix == ".csv" else pd.read_parquet(path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_table_is_written_and_added_to_in_full_precision(ask, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    first, second = rows(4), rows(3, 1)
    assert ask("write_table", path=str(path), **first)["rows"] == 4
    ask("write_table", path=str(path), append=True, **second)
    table = read(path)
    features = table[[name for name in table if "_Microsnoop_E" in name]].to_numpy(np.float32)
    np.testing.assert_array_equal(features, np.concatenate([first["features"], second["features"]]))
    assert table["ImageNumber"].tolist() == [1] * 4 + [2] * 3
    assert table["Metadata_Roi"].unique().tolist() == ['say "ä"']
    assert table["Metadata_Slice"].tolist() == [3] * 7
    assert list(table)[-1] == "Nuclei_Microsnoop_E255_ER"
    ask("write_table", path=str(path), **second)
    assert len(read(path)) == 3
    assert [file.name for file in tmp_path.iterdir() if "table" in file.name] == [f"table.{ending}"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_does_not_fit_is_not_added(ask, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    ask("write_table", path=str(path), **rows(4))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"new rows \(it lacks Nuclei_Microsnoop_E000_GFP, they lack .*E000_ER\)"):
        ask("write_table", path=str(path), append=True, **{**rows(2), "channels": ["DNA", "GFP"]})
    assert path.read_bytes() == before
    path.write_bytes(before[:-1000])
    with pytest.raises(InputError, match=r"is damaged|cannot be read"):
        ask("write_table", path=str(path), append=True, **rows(2))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_of_other_weights_are_not_added(ask, tmp_path, ending, caplog):
    path = tmp_path / f"table.{ending}"
    inputs = {**rows(4), "path": str(path), "append": True}
    ask("write_table", (Computed("fast 1", "bfloat16"),), **inputs)
    with pytest.raises(InputError, match=r"and 'the new rows' were measured with different weights \(fast"):
        ask("write_table", (Computed("base 2", "float32"),), **inputs)
    assert len(read(path)) == 4
    ask("write_table", (Computed("fast 1", "float32"),), **inputs)
    assert "bfloat16 and float32" in caplog.text
    assert open_table(path).provenance == (Computed("fast 1", "bfloat16 and float32"),)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_rows_added_to_those_of_unknown_weights(ask, tmp_path, ending):
    path = tmp_path / f"table.{ending}"
    for provenance in ((), (Computed("fast 1", "float32"),)):
        ask("write_table", provenance, path=str(path), append=True, **rows(4))
        assert open_table(path).provenance == ()
    assert len(read(path)) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"path": "/nowhere/at/all.csv"}, "there is no folder '/nowhere/at'; make it"),
        ({"path": "/tmp/table.xlsx"}, "must end in .csv or .parquet"),
        ({"path": "table.csv"}, "cannot be written"),
        ({"channels": ["A", "B", "C"]}, "512 features do not go with 3 channels"),
        ({"metadata": {"Image": ["a"]}}, "other lengths than its 4 rows"),
    ],
)
def test_bad_tables(ask, tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        ask("write_table", **{"path": str(tmp_path / "a.csv"), **rows(4), **change})

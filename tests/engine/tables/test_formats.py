"""Tables of every format: what is read and written, and the messages about broken ones."""

import gzip
import re
import sqlite3

import anndata
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.features import select_features
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.grouping import aggregate_groups
from microsnoop_engine.tables.source import read_frame

CELLS = pd.DataFrame(
    {
        "Metadata_Plate": ["P1"] * 3 + ["P2"] * 2,
        "Metadata_Well": ["A01", "A01", "B02", "A01", "B02"],
        "ImageNumber": [1, 1, 2, 3, 4],
        "Nuclei_Location_Center_X": [1.5, 2, 3, 4, 5],
        "Nuclei_Microsnoop_E000_DNA": [0.1, 0.2, 0.3, np.nan, 0.5],
        "Nuclei_AreaShape_Area": [10, 20, 30, 40, 50],
    }
)


def whole(source, columns=None):
    return pd.concat(list(source.chunks(columns)), ignore_index=True)


@pytest.mark.parametrize("kind", ["parquet", "folder", "csv", "csv.gz", "tsv"])
def test_formats_give_the_same_table(tmp_path, kind):
    path = tmp_path / f"cells.{kind}"
    if kind == "parquet":
        CELLS.to_parquet(path)
    elif kind == "folder":
        path.mkdir()
        for number in range(2):
            pq.write_table(pa.Table.from_pandas(CELLS[3 * number : 3 * number + 3]), path / f"{number}.parquet")
    else:
        CELLS.to_csv(path, index=False, sep="\t" if kind == "tsv" else ",")
    source = open_table(path)
    assert [name for name in source.columns if name != "__index_level_0__"] == list(CELLS.columns)
    pd.testing.assert_frame_equal(whole(source, CELLS.columns), CELLS, check_dtype=False)
    assert list(whole(source, ["ImageNumber"]).columns) == ["ImageNumber"]
    with pytest.raises(InputError, match="has no column Metadata_Dose; it has Metadata_Plate"):
        source.chunks(["Metadata_Dose"])


def test_a_table_in_memory_is_opened_as_it_is():
    source = open_table(CELLS)
    assert open_table(source) is source
    pd.testing.assert_frame_equal(whole(source), CELLS)
    with pytest.raises(InputError, match="'DataFrame' has no column Metadata_Dose"):
        source.chunks(["Metadata_Dose"])


def test_features_are_separated_from_the_rest(tmp_path):
    CELLS.assign(Nuclei_Parent_Cells=1, Count_Nuclei=2, Nuclei_Note="x", Nuclei_AreaShape_Center_X=3.0).to_csv(
        tmp_path / "cells.csv", index=False
    )
    source = open_table(tmp_path / "cells.csv")
    assert select_features(source, "microsnoop") == ["Nuclei_Microsnoop_E000_DNA"]
    assert select_features(source, "classical") == ["Nuclei_AreaShape_Area"]
    assert select_features(source) == ["Nuclei_Microsnoop_E000_DNA", "Nuclei_AreaShape_Area"]
    assert select_features(source, "Nuclei_.*Center_X") == ["Nuclei_Location_Center_X", "Nuclei_AreaShape_Center_X"]
    for which, message in (("Cells_.*", "no features \\('Cells_"), ("(", "is no regular expression")):
        with pytest.raises(InputError, match=message):
            select_features(source, which)
    assert select_features(source, ["Nuclei_AreaShape_Area"]) == ["Nuclei_AreaShape_Area"]
    with pytest.raises(InputError, match="has no column Nuclei_Area; it has Metadata_Plate"):
        select_features(source, ["Nuclei_Area"])


def broken(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda f: f / "nothing.csv", "there is no file or folder"),
        (lambda f: f, "neither .parquet files nor a CellProfiler export"),
        (lambda f: broken(f, "a.xlsx", b"PK"), "is no table that can be read"),
        (lambda f: broken(f, "a.parquet", b"PAR1"), "cannot be read as Parquet"),
        (lambda f: broken(f, "a.csv", b""), "cannot be read as a table"),
        (lambda f: broken(f, "a.csv", b"a,a\n1,2\n"), "the column a more than once"),
        (lambda f: broken(f, "a.csv", b"a,b\n1,2\n3\n"), "Expected 2 columns, got 1"),
        (lambda f: broken(f, "a.csv.gz", gzip.compress(b"a,b\n1,2\n")[:-9]), "a.csv.gz"),
        (lambda f: broken(f, "a.sqlite", b"text"), "cannot be read as SQLite"),
        (lambda f: sqlite3.connect(f / "a.db").close() or f / "a.db", "holds no CellProfiler export"),
    ],
)
def test_broken_tables_are_refused(tmp_path, make, message):
    with pytest.raises(InputError, match=message):
        whole(open_table(make(tmp_path)))


def test_columns_that_are_there_twice_with_the_same_values_are_one(tmp_path):
    """CellProfiler writes metadata by which images are matched twice."""
    lines = ["Metadata_Well,Metadata_Well,x,Metadata_Plate,x", "A01,A01,1,P,1", "A02,A02,,Q,"]
    table = open_table(broken(tmp_path, "a.csv", "\n".join(lines).encode()))
    assert table.columns == ("Metadata_Well", "x", "Metadata_Plate")
    frame = whole(table)
    assert frame["Metadata_Well"].tolist() == ["A01", "A02"]
    assert frame["x"].isna().tolist() == [False, True]
    assert frame["Metadata_Plate"].tolist() == ["P", "Q"]
    table = broken(tmp_path, "b.csv", "\n".join([*lines, "A03,A03,2,P,3"]).encode())
    with pytest.raises(InputError, match=r"b.csv' has the column x more than once, with different values: rename one"):
        open_table(table)


def write_long(path, header, first, last, count=1_500_000):
    """A CSV file of several blocks: many equal rows, then others."""
    path.write_text("\n".join([header, *[first] * count, *last, ""]))
    return path


def test_columns_that_look_whole_at_first_may_have_fractions_and_empty_ones_words(tmp_path):
    header = "ImageNumber,Metadata_Barcode,Metadata_Dose,Metadata_Note,Nuclei_Area,Nuclei_Gap"
    last = ["2,9007199254740993,0.5,late,10.25,7.5", "3,9007199254740993,,2,11,"]
    path = write_long(tmp_path / "a.csv", header, "1,9007199254740992,3,,10,", last, 500_000)
    chunks = list(open_table(path).chunks())
    assert len(chunks) > 1
    assert chunks[0].dtypes.astype(str).tolist() == ["int64", "object", "float64", "object", "float64", "float64"]
    table = pd.concat(chunks, ignore_index=True)
    assert table["ImageNumber"].dtype == np.int64
    assert table["Metadata_Barcode"].unique().tolist() == [str(2**53), str(2**53 + 1)]
    oracle = pd.read_csv(path, low_memory=False, dtype={"Metadata_Barcode": str})
    pd.testing.assert_frame_equal(table.fillna(-1), oracle.fillna(-1), check_dtype=False)
    found = aggregate_groups(open_table(path), ["Metadata_Dose"], ["Nuclei_Area", "Nuclei_Gap"]).set_index(
        "Metadata_Dose"
    )
    assert found["Nuclei_Area"].tolist() == [10.25, 10, 11]
    assert found["Nuclei_Gap"].dropna().to_dict() == {0.5: 7.5}


@pytest.mark.parametrize(
    ("first", "last", "message"),
    [
        ("P1,0.125", "P1,oops", "column x: .*'oops'"),
        ("P1,123", "P1,oops", "column x: .*'oops'"),
    ],
)
def test_a_word_among_numbers_is_placed(tmp_path, first, last, message):
    path = write_long(tmp_path / "a.csv", "Metadata_Plate,x", first, [last])
    with pytest.raises(InputError, match=rf"a\.csv', in line \d+ .*{message}.*correct this value") as caught:
        whole(open_table(path))
    assert 1 < int(re.search(r"in line (\d+)", str(caught.value))[1]) <= 1_500_002
    for columns in (["x"], ["x", "Metadata_Plate"]):  # of some columns, another one had been named
        with pytest.raises(InputError, match=message):
            whole(open_table(path), columns)


def test_a_repeated_column_is_named(tmp_path):
    columns = [pa.array([1.0]), pa.array([2.0]), pa.array([3.0])]
    pq.write_table(pa.Table.from_arrays(columns, names=["x", "y", "x"]), tmp_path / "a.parquet")
    (tmp_path / "a.csv").write_text("x,y,x\n1,2,3\n")
    for name in ("a.parquet", "a.csv"):
        with pytest.raises(InputError, match=r"has the column x more than once(, with different values)?: rename"):
            open_table(tmp_path / name)


def test_dates_stay_as_they_are_written(tmp_path):
    (tmp_path / "a.csv").write_text("Metadata_Date,Metadata_Time,x\n2024-02-01,2024-02-01 10:00:00,1\n")
    assert whole(open_table(tmp_path / "a.csv")).iloc[0].tolist() == ["2024-02-01", "2024-02-01 10:00:00", 1]


@pytest.mark.parametrize("ending", [".parquet", ".csv", ".csv.gz", ".h5ad"])
def test_written_tables_are_read_back(tmp_path, ending):
    features = ["Nuclei_Microsnoop_E000_DNA", "Nuclei_AreaShape_Area"]
    path = write_table(CELLS.assign(Nuclei_Location_Center_Y=1.0), tmp_path / f"new/cells{ending}", features)
    source = open_table(path)
    again = whole(source, CELLS.columns)
    pd.testing.assert_frame_equal(again, CELLS, check_dtype=False)
    assert sorted(select_features(source)) == sorted(features)
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_sqlite_is_written(tmp_path):
    write_table(CELLS, tmp_path / "cells.sqlite", [])
    with sqlite3.connect(tmp_path / "cells.sqlite") as connection:
        again = pd.read_sql("SELECT * FROM profiles", connection)
    pd.testing.assert_frame_equal(again, CELLS, check_dtype=False)
    pd.testing.assert_frame_equal(whole(open_table(tmp_path / "cells.sqlite")), CELLS, check_dtype=False)
    with pytest.raises(InputError, match="SQLite holds at most 2000 columns, the table has 2001"):
        write_table(pd.DataFrame(np.zeros((1, 2001))).rename(columns=str), tmp_path / "wide.sqlite", [])
    assert not (tmp_path / "wide.sqlite").exists()
    with pytest.raises(InputError, match=r"choose a name that ends in \.parquet"):
        write_table(CELLS, tmp_path / "cells.xlsx", [])


def test_anndata_says_what_columns_are(tmp_path):
    features = ["Nuclei_Microsnoop_E000_DNA", "Nuclei_AreaShape_Area"]
    table = CELLS.assign(Nuclei_Location_Center_Y=[9, 8, 7, 6, 5])
    data = anndata.read_h5ad(write_table(table, tmp_path / "cells.h5ad", features))
    assert data.var.loc["Nuclei_Microsnoop_E000_DNA"].tolist() == ["Nuclei", "DNA", 0]
    np.testing.assert_array_equal(data.obsm["spatial"], table[["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"]])
    np.testing.assert_array_equal(data.X, table[features].astype(np.float32))


def test_an_interrupted_write_leaves_the_old_table(tmp_path, monkeypatch):
    write_table(CELLS, tmp_path / "cells.csv", [])
    before = (tmp_path / "cells.csv").read_bytes()

    def fail(self, path, **options):
        path.write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(pd.DataFrame, "to_csv", fail)
    with pytest.raises(KeyboardInterrupt):
        write_table(CELLS[:1], tmp_path / "cells.csv", [])
    assert (tmp_path / "cells.csv").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("ending", [".csv", ".txt", ".csv.gz"])
def test_tables_of_excel_with_semicolons_tabs_and_decimal_commas(tmp_path, caplog, separator, ending):
    caplog.set_level("INFO")
    frame = pd.DataFrame(
        {
            "Metadata_Plate": ["001", "1,5"],
            "Metadata_Dose": [0.5, None],
            "Metadata_Row": [1, 2],
            "Nuclei_AreaShape_Area": [1234.25, -0.001],
        }
    )
    path = tmp_path / f"table{ending}"
    frame.to_csv(path, sep=separator, decimal=",", index=False)
    pd.testing.assert_frame_equal(read_frame(open_table(path)), frame, check_dtype=False)
    assert "numbers are read with a decimal comma (0,5 in Metadata_Dose)" in caplog.text
    frame.to_csv(path, sep=separator, index=False)
    pd.testing.assert_frame_equal(read_frame(open_table(path)), frame, check_dtype=False)


def test_decimal_commas_and_points_in_one_file_are_refused(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("Metadata_Dose;Metadata_Volume\n0,5;1.234\n")
    with pytest.raises(InputError, match="column Metadata_Volume: points in numbers, where others have"):
        read_frame(open_table(path))
    path.write_text("Metadata_Dose;Nuclei_AreaShape_Area\n0,5;1.234,5\n")
    with pytest.raises(InputError, match="column Nuclei_AreaShape_Area: points in numbers"):
        select_features(open_table(path))

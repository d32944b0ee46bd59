"""Tables are read by a query, which may also name the quality of image sets."""

import logging

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine import aggregate, evaluate, report, sphere
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.queries import query_columns
from microsnoop_engine.tables.source import TableSource, read_frame


@pytest.fixture
def cells(tmp_path):
    """A results folder with four image sets of two cells, the second of which is flagged."""
    frame = pd.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": np.repeat(["A01", "A02"], 4),
            "ImageNumber": np.repeat([1, 2, 3, 4], 2),
            "ObjectNumber": [1, 2] * 4,
            "Nuclei_Microsnoop_E000_DNA": np.arange(8.0),
        }
    )
    frame.to_parquet(tmp_path / "profiles.parquet")
    images = {"ImageNumber": [1, 2, 3, 4], "Metadata_QC_Flags": [None, "blurred DNA", None, None]}
    pd.DataFrame(images).to_csv(tmp_path / "quality.csv", index=False)
    return tmp_path / "profiles.parquet"


def test_rows_of_a_query(cells, caplog):
    caplog.set_level(logging.INFO)
    frame = read_frame(open_table(cells, where="Metadata_Well == 'A1' and ObjectNumber > 1"))
    assert frame["Nuclei_Microsnoop_E000_DNA"].tolist() == [1.0, 3.0]
    assert "6 of 8 rows are left out by the query" in caplog.text


def test_image_sets_by_their_flags(cells):
    frame = read_frame(open_table(cells, where="Metadata_QC_Flags is None"))
    assert frame["ImageNumber"].tolist() == [1, 1, 3, 3, 4, 4]
    assert "Metadata_QC_Flags" not in frame
    wells = aggregate(cells, where="Metadata_QC_Flags is None").frame
    assert wells["Nuclei_Microsnoop_E000_DNA"].tolist() == [0.5, 5.5]
    assert wells["Metadata_Object_Count"].tolist() == [2, 4]


def test_columns_that_are_read_need_not_be_those_of_the_query(cells):
    source = open_table(cells, where="ImageNumber in [3, 4]")
    (chunk,) = source.chunks(["Nuclei_Microsnoop_E000_DNA"])
    assert chunk.columns.tolist() == ["Nuclei_Microsnoop_E000_DNA"]
    assert chunk.iloc[:, 0].tolist() == [4.0, 5.0, 6.0, 7.0]


def test_several_chunks():
    frame = pd.DataFrame({"a": range(10), "b": range(10, 20)})
    chunks = TableSource(
        "t", ("a", "b"), lambda names: iter(frame[list(names)].iloc[i : i + 3] for i in range(0, 10, 3))
    )
    assert read_frame(open_table(chunks, where="a >= 2 and a < 7"), ["b"])["b"].tolist() == [12, 13, 14, 15, 16]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("Metadata_Well == 'H12'", "none of the 8 rows satisfies"),
        ("Metadata_Flags is None", "has no column Metadata_Flags"),
        ("1 == 1", "names no column"),
        ("Metadata_Well ==", "cannot be read"),
    ],
)
def test_queries_that_cannot_be_used(cells, query, message):
    with pytest.raises(InputError, match=message):
        open_table(cells, where=query)


def test_flags_need_the_command_qc(cells):
    (cells.parent / "quality.csv").unlink()
    with pytest.raises(InputError, match="has no column Metadata_QC_Flags"):
        open_table(cells, where="Metadata_QC_Flags is None")


def test_columns_of_a_query():
    query = "not (`Cell count` < 3 or Metadata_Well in ['A01']) and Flag == True and Metadata_Well != 'B02'"
    assert query_columns(query) == ["Cell count", "Metadata_Well", "Flag"]


def test_every_step_after_the_profiles_takes_a_query(tmp_path):
    frame = pd.DataFrame(
        {
            "Metadata_Plate": "P1",
            "Metadata_Well": [f"A{number:02d}" for number in range(1, 13)],
            "Metadata_Role": ["negative", "drug"] * 6,
            **{f"Nuclei_Microsnoop_E{n:03d}_DNA": np.random.default_rng(n).normal(size=12) for n in range(4)},
        }
    )
    query = "Metadata_Well not in ['A11', 'A12']"
    kept = frame.head(10)
    controls = "Metadata_Role == 'negative'"
    expected = sphere(kept, controls, regularization=0.1).frame
    pd.testing.assert_frame_equal(sphere(frame, controls, regularization=0.1, where=query).frame, expected)
    scores = [
        evaluate(table, "Metadata_Role", ["knn"], neighbors=1, **options)
        for table, options in ((kept, {}), (frame, {"where": query}))
    ]
    assert scores[0] == scores[1]
    page = report(frame, tmp_path / "report.html", where=query).read_text()
    assert "A10" in page
    assert "A11" not in page

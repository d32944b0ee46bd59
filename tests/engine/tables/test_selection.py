"""Tables are read by a query, which may also name the quality of image sets."""

import logging

import anndata
import numpy as np
import pandas as pd
import pytest
from wells import screen_table

from microsnoop_engine import (
    activity,
    aggregate,
    compare_corrections,
    correct,
    evaluate,
    normalize,
    report,
    select_informative,
    sphere,
)
from microsnoop_engine.classification.application import apply_to_table
from microsnoop_engine.classification.explanation import explain
from microsnoop_engine.classification.training import train_on_table
from microsnoop_engine.cli.main import build_parser
from microsnoop_engine.errors import InputError
from microsnoop_engine.tables.formats import open_table, write_table
from microsnoop_engine.tables.provenance import Computed
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


QUERY = "Metadata_Plate != 'Third plate'"
CONTROLS = "Metadata_Role == 'negative'"


@pytest.fixture(scope="module")
def wells():
    """Wells of three plates, the last of which a query leaves out."""
    frame = screen_table()
    third = frame[frame["Metadata_Plate"] == "P1"].assign(Metadata_Plate="Third plate")
    areas = {f"AreaShape_{name}": np.random.default_rng(n).random(len(frame) + 24) for n, name in enumerate("AB")}
    return pd.concat([frame, third], ignore_index=True).assign(**areas)


def trained(table, tmp_path, **options):
    """Train a classifier and classify the same table."""
    training = train_on_table(table, label="Metadata_Role", **options)
    applied = apply_to_table(table, training.model, **options)
    return applied.frame


STEPS = {
    "normalize": lambda table, folder, **options: normalize(table, by="Metadata_Plate", **options).frame,
    "select-features": lambda table, folder, **options: select_informative(table, correlation=0.5, **options).frame,
    "sphere": lambda table, folder, **options: sphere(table, CONTROLS, regularization=0.1, **options).frame,
    "correct": lambda table, folder, **options: correct(table, "harmony", batch="Metadata_Plate", **options).frame,
    "compare-corrections": lambda table, folder, **options: compare_corrections(
        table, "Metadata_Plate", ["Metadata_Compound"], controls=CONTROLS, **options
    ),
    "activity": lambda table, folder, **options: (
        activity(table, CONTROLS, ["Metadata_Compound", "Metadata_Dose"], draws=100, **options).frame
    ),
    "evaluate": lambda table, folder, **options: pd.DataFrame(evaluate(table, "Metadata_Role", ["knn"], **options)),
    "classify": trained,
    "explain": lambda table, folder, **options: (
        explain(table, CONTROLS, "Metadata_Role != 'negative'", **options).frame
    ),
}


@pytest.mark.filterwarnings("ignore::microsnoop_engine.sphering.spherize.SpheringWarning")
@pytest.mark.parametrize("step", STEPS)
def test_a_query_gives_the_numbers_of_a_table_without_these_rows(wells, tmp_path, step, caplog):
    caplog.set_level(logging.INFO)
    kept = wells[wells["Metadata_Plate"] != "Third plate"].reset_index(drop=True)
    expected = STEPS[step](kept, tmp_path)
    assert "left out by the query" not in caplog.text
    pd.testing.assert_frame_equal(STEPS[step](wells, tmp_path, where=QUERY), expected)
    assert "24 of 72 rows are left out by the query" in caplog.text


def test_the_report_takes_a_query(wells, tmp_path):
    page = report(wells.drop(columns=["AreaShape_A", "AreaShape_B"]), tmp_path / "report.html", where=QUERY).read_text()
    assert "P2" in page
    assert "Third plate" not in page


def test_every_command_on_a_table_has_a_query():
    commands = build_parser()._subparsers._group_actions[0].choices
    commands |= commands["classify"]._subparsers._group_actions[0].choices
    lacking = [
        name
        for name, parser in commands.items()
        if {"table", "images"} & {action.dest for action in parser._actions} and "--where" not in parser.format_help()
    ]
    assert lacking == []


def test_rows_of_anndata_keep_their_names(wells, tmp_path):
    write_table(wells, tmp_path / "wells.h5ad", [name for name in wells if "_Microsnoop_" in name])
    data = anndata.read_h5ad(tmp_path / "wells.h5ad")
    data.obs_names = [f"well {number}" for number in range(len(wells))]
    data.write_h5ad(tmp_path / "wells.h5ad")
    normalize(tmp_path / "wells.h5ad", where="Metadata_Plate == 'Third plate'", out=tmp_path / "out.h5ad")
    rows = np.flatnonzero(wells["Metadata_Plate"] == "Third plate")
    assert anndata.read_h5ad(tmp_path / "out.h5ad").obs_names.tolist() == [f"well {number}" for number in rows]


@pytest.mark.parametrize("step", ["normalize", "select-features", "correct"])
def test_tables_keep_the_weights_of_their_features(wells, tmp_path, step):
    made = (Computed("some 0a1b", "float32"),)
    write_table(wells, tmp_path / "wells.parquet", [], provenance=made)
    STEPS[step](tmp_path / "wells.parquet", tmp_path, out=tmp_path / "out.parquet")
    assert open_table(tmp_path / "out.parquet").provenance == made

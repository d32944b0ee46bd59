"""aggregate, combine, sphere and evaluate as commands, on a table of cells and on one of CellProfiler's."""

import json

import numpy as np
import pandas as pd
import pytest

from microsnoop_engine.cli.main import main
from microsnoop_engine.errors import InputError
from microsnoop_engine.evaluation.table import evaluate
from microsnoop_engine.tables.aggregation import aggregate_levels
from microsnoop_engine.tables.joining import combine, join_platemap
from microsnoop_engine.tables.source import in_memory

RANDOM = np.random.default_rng(0)
DEEP = [f"Nuclei_Microsnoop_E{k:03d}_DNA" for k in range(8)]
MOA = {"DMSO": None, "a1": "A", "a2": "A", "b1": "B", "b2": "B"}


@pytest.fixture
def cells(tmp_path):
    """960 cells: 2 plates x 40 wells x 2 images x 6 cells; a platemap; classical columns of the same cells."""
    rows, effects = [], {"A": RANDOM.normal(size=8) * 3, "B": RANDOM.normal(size=8) * 3}
    for plate in ("P1", "P2"):
        for well in range(40):
            treatment = list(MOA)[well % 5]
            shift = effects.get(MOA[treatment], np.zeros(8)) + (plate == "P2") * 4
            for image in range(2):
                for number in range(6):
                    key = {"Metadata_Plate": plate, "Metadata_Well": f"W{well:02d}"}
                    key |= {"ImageNumber": len(rows) // 6 + 1, "ObjectNumber": number + 1}
                    rows.append(key | dict(zip(DEEP, shift + RANDOM.normal(size=8), strict=True)))
                    assert image < 2
    table = pd.DataFrame(rows)
    table.to_parquet(tmp_path / "cells.parquet")
    hand = table[["ImageNumber", "ObjectNumber"]].assign(Nuclei_AreaShape_Area=RANDOM.gamma(5, 9, len(table)))
    hand[5:].to_csv(tmp_path / "hand.csv", index=False)
    wells = table[["Metadata_Plate", "Metadata_Well"]].drop_duplicates()
    wells["Treatment"] = [list(MOA)[k % 5] for k in range(len(wells))]
    wells["MoA"] = wells["Treatment"].map(MOA)
    wells.to_csv(tmp_path / "platemap.csv", index=False)
    return tmp_path


def run(*words):
    return main([str(word) for word in words])


def test_from_cells_to_figures(cells, monkeypatch, capsys):
    monkeypatch.chdir(cells)
    assert run("combine", "cells.parquet", "hand.csv") == 0
    assert "5 rows of cells.parquet have no partner" in capsys.readouterr().out
    assert run("aggregate", "combined.parquet", "--platemap", "platemap.csv") == 0
    assert "80 rows of 955 objects, 9 features: wells.parquet" in capsys.readouterr().out
    query = "Metadata_Treatment == 'DMSO'"
    assert run("sphere", "wells.parquet", "--controls", query, "--by", "Metadata_Plate", "--save", "s.safetensors") == 0
    said = capsys.readouterr()
    assert "P1: 8 controls, 9 features, rank 7" in said.out
    assert "WARNING: P1: only 8 controls for 9 features" in said.err
    assert run("sphere", "wells.parquet", "--controls", query, "--regularization", "0.1") == 0
    sphered = pd.read_parquet("sphered.parquet")
    assert len(sphered) == 80
    task = ["--label", "Metadata_MoA", "--task", "nsc,nscb,knn", "--compound", "Metadata_Treatment"]
    to_treatments = ["--level", "treatment", "--treatment", "Metadata_Treatment,Metadata_MoA", "--out", "t.parquet"]
    assert run("aggregate", "sphered.parquet", *to_treatments) == 0
    assert "5 rows of 955 objects" in capsys.readouterr().out
    assert run("evaluate", "sphered.parquet", *task, "--batch", "Metadata_Plate", "--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert [figure["task"] for figure in figures] == ["nsc", "nscb", "knn, accuracy", "knn, balanced accuracy"]
    assert all(figure["value"] > 0.9 for figure in figures)
    assert figures[0]["rows"] == 64


def test_treatments(cells, monkeypatch, capsys):
    monkeypatch.chdir(cells)
    options = ["--platemap", "platemap.csv", "--level", "treatment", "--treatment", "Metadata_Treatment"]
    assert run("aggregate", "cells.parquet", *options, "--out", "t.csv") == 0
    table = pd.read_csv("t.csv").set_index("Metadata_Treatment")
    assert table["Metadata_Object_Count"].tolist() == [192] * 5
    assert table["Metadata_MoA"].dropna().to_dict() == {"a1": "A", "a2": "A", "b1": "B", "b2": "B"}
    assert run("evaluate", "t.csv", "--label", "Metadata_MoA", "--task", "nsc", "--compound", "Metadata_Treatment") == 0
    assert "4 rows" in capsys.readouterr().out


def test_levels_follow_each_other(cells):
    source = in_memory(pd.read_parquet(cells / "cells.parquet")[:11], cells)
    images = aggregate_levels(source, "image", DEEP)
    assert images["Metadata_Object_Count"].tolist() == [6, 5]
    wells = aggregate_levels(source, "well", DEEP)
    # the mean of the images' means, as in the paper, not of all cells
    np.testing.assert_allclose(wells[DEEP].iloc[0], images[DEEP].mean())
    assert wells["Metadata_Object_Count"].tolist() == [11]


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        ({}, {"level": "plate"}, "level is 'plate'"),
        ({}, {"level": "treatment"}, "needs the columns of a treatment"),
        ({"Metadata_Well": None}, {"level": "well"}, "has no column Metadata_Well"),
        ({"ImageNumber": None}, {"level": "image"}, "has no column ImageNumber"),
        ({}, {"level": "treatment", "treatment": ["Metadata_Drug"]}, "has no column Metadata_Drug"),
    ],
)
def test_tables_without_what_a_level_needs_are_said(cells, change, options, said):
    frame = pd.read_parquet(cells / "cells.parquet").drop(columns=list(change))
    with pytest.raises(InputError, match=said):
        aggregate_levels(in_memory(frame, cells), features=DEEP, **options)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.drop(columns="Metadata_Well"), r"platemap\.csv' has no column Metadata_Well"),
        (lambda t: pd.concat([t, t[:1]]), r"has \['P1', 'W00'\] more than once"),
        (
            lambda t: t.assign(Metadata_Plate="X" + t["Metadata_Plate"]),
            r"no well of the table is in .* \['P1', 'W00'\]",
        ),
    ],
)
def test_platemaps_that_do_not_fit_are_said(cells, change, said):
    wells = aggregate_levels(in_memory(pd.read_parquet(cells / "cells.parquet"), cells), "well", DEEP)
    change(pd.read_csv(cells / "platemap.csv")).to_csv(cells / "platemap.csv", index=False)
    with pytest.raises(InputError, match=said):
        join_platemap(wells, cells / "platemap.csv", ["Metadata_Plate", "Metadata_Well"])


def test_tables_that_do_not_fit_together_are_said():
    a = pd.DataFrame({"ImageNumber": [1, 1], "ObjectNumber": [1, 2], "x": [1.0, 2.0]})
    joined, only_a, only_b = combine(a, a.rename(columns={"x": "y"})[::-1])
    assert (joined["x"] == joined["y"]).all()
    assert (only_a, only_b) == (0, 0)
    for b, on, said in (
        (a.drop(columns="ImageNumber"), None, "share no keys"),
        (a, ["Metadata_Well"], "the first table has no column Metadata_Well"),
        (a.assign(ObjectNumber=1), None, "the second table has several rows for .* = 1, 1"),
        (a.assign(ImageNumber=["x", "y"]), None, "ImageNumber holds numbers in one table and words in the other"),
        (a.assign(ImageNumber=9), None, "no row of the two tables fits"),
    ):
        with pytest.raises(InputError, match=said):
            combine(a, b, on)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"tasks": ["nsc"]}, "task 'nsc' needs --compound"),
        ({"tasks": ["nscb"], "compound": "c"}, "needs --compound and --batch"),
        ({"tasks": ["moa"]}, "task is 'moa': give some of knn"),
        ({"tasks": ["knn"], "groups": "g"}, "--groups: there is no column 'g'"),
        ({"tasks": ["knn"], "k": 50}, "k is 50, but row 0 has 9 candidates"),
        ({"tasks": ["knn"], "label": "c"}, "--label: all rows have the same 'c', 'x'"),
        ({"tasks": ["knn"], "groups": "c"}, "--groups: all rows have the same 'c', 'x'"),
        ({"tasks": ["map"], "groups": "l"}, "every 'l' lies in one 'l' only"),
        ({"tasks": []}, "task is '': give some of"),
    ],
)
def test_tasks_that_cannot_be_done_are_said(options, said):
    frame = pd.DataFrame({"l": ["a", "b"] * 5, "c": ["x"] * 10, "f": np.arange(1.0, 11.0)})
    with pytest.raises(InputError, match=said):
        evaluate(frame, ["f"], **{"label": "l", **options})
    with pytest.raises(InputError, match="no row has both a label"):
        evaluate(frame.assign(l=None), ["f"], "l", ["knn"])


def test_blank_labels_take_no_part():
    frame = pd.DataFrame({"Metadata_Role": ["a", "a", "b", "b", "", " ", None], "Cells_X": [0.0, 0.1, 5, 5.1, 9, 9, 9]})
    frame["Cells_Y"] = 5 - frame["Cells_X"]
    (figure, _) = evaluate(frame, ["Cells_X", "Cells_Y"], "Metadata_Role", ["knn"], k=1)
    assert (figure["rows"], figure["value"]) == (4, 1)


def test_angles_are_lost_around_zero_and_distances_are_not():
    random = np.random.default_rng(0)
    values = random.normal(size=(40, 20)) + np.repeat([[0], [4]], 20, axis=0)
    frame = pd.DataFrame(values, columns=[f"Cells_{n}" for n in range(20)])
    frame["Metadata_Role"] = np.repeat(["negative", "positive"], 20)
    features = list(frame.columns[:20])
    found = {
        m: evaluate(frame, features, "Metadata_Role", ["knn"], metric=m)[0]["value"] for m in ("cosine", "euclidean")
    }
    assert found["euclidean"] == 1
    assert found["cosine"] < 0.9

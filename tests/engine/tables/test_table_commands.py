"""aggregate, combine, sphere and evaluate as commands, on a table of cells and on one of CellProfiler's."""

import json

import pandas as pd

from microsnoop_engine.cli.main import main


def run(*words):
    return main([str(word) for word in words])


def test_from_cells_to_figures(cells, monkeypatch, capsys):
    monkeypatch.chdir(cells)
    assert run("combine", "cells.parquet", "hand.csv") == 0
    assert "5 rows of cells.parquet without a partner" in capsys.readouterr().out
    assert run("aggregate", "combined.parquet", "--platemap", "platemap.csv") == 0
    assert "80 rows of 955 objects, 9 features: wells.parquet" in capsys.readouterr().out
    query = "Metadata_Treatment == 'DMSO'"
    assert run("sphere", "wells.parquet", "--controls", query, "--by", "Metadata_Plate", "--save", "s.safetensors") == 0
    output = capsys.readouterr()
    assert "P1: 8 controls, 9 features, rank 7" in output.out
    assert "WARNING: P1: only 8 controls for 9 features" in output.err
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

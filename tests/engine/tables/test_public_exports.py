"""Public exports of other programs go through aggregate, sphere, evaluate and report with pandas' numbers."""

import json
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from microsnoop_engine.cli.main import main

DATA = Path(__file__).resolve().parents[2] / "data" / "exports"
KEY = ["Metadata_Plate", "Metadata_Well"]


def run(*words):
    assert main([*map(str, words)]) == 0


def through(table, folder, controls, label, capsys, *options):
    """Sphere, evaluate and report a table; the scores."""
    run("sphere", table, "--controls", controls, "--regularization", "0.1", "--out", folder / "s.parquet")
    capsys.readouterr()
    run("evaluate", folder / "s.parquet", "--label", label, "--task", "knn,map", "--neighbors", 3, "--json")
    scores = json.loads(capsys.readouterr().out)
    page = folder / "r.html"
    run(
        "report",
        folder / "s.parquet",
        "--before",
        table,
        "--label",
        label,
        "--controls",
        controls,
        "--out",
        page,
        *options,
    )
    assert page.stat().st_size > 1e6
    for score in scores:
        assert score["low"] <= score["value"] <= score["high"]
    return scores


def test_cytominer_database(tmp_path, capsys):
    """Cell Health: an SQLite file of cytominer-database, objects joined by their parents."""
    path = DATA / "cytominer_database.sqlite"
    run("aggregate", path, "--out", tmp_path / "w.parquet")
    wells = pd.read_parquet(tmp_path / "w.parquet").set_index("Metadata_Well")
    with sqlite3.connect(path) as database:
        cells = pd.read_sql(
            "select c.*, i.Image_Metadata_Well w from Cells c join Image i using (TableNumber)", database
        )
    expected = cells.groupby("w")["Cells_AreaShape_Area"].mean()
    assert wells["Cells_AreaShape_Area"].to_dict() == pytest.approx(expected.to_dict(), rel=1e-12)
    assert not [name for name in wells if "ObjectNumber" in name]
    scores = through(path, tmp_path, "Metadata_Well == 'A01'", "Metadata_Well", capsys)
    assert scores[0]["rows"] == len(cells) == 12


def test_database_of_cellprofiler(tmp_path, capsys):
    """NF1 Schwann cells: ExportToDatabase, a table for each object set; 433 nuclei, 242 of them with a cell."""
    path, map_file = DATA / "cellprofiler.sqlite", tmp_path / "map.csv"
    pd.DataFrame({"Well": ["C6", "C7", "D6", "D7", "E6", "E7", "F6", "F7"], "Half": [*"ababbbab"]}).to_csv(
        map_file, index=False
    )
    run("aggregate", path, "--platemap", map_file, "--on", "Metadata_Well", "--out", tmp_path / "w.parquet")
    wells = pd.read_parquet(tmp_path / "w.parquet").set_index("Metadata_Well")
    assert wells["Metadata_Plate"].unique().tolist() == ["001"]
    assert wells["Metadata_Object_Count"].sum() == 242
    with sqlite3.connect(path) as database:
        cells = pd.read_sql("select * from Per_Cells", database).merge(pd.read_sql("select * from Per_Image", database))
    images = cells.groupby(["Image_Metadata_Well", "ImageNumber"])["Cells_AreaShape_Area"].mean()
    expected = images.groupby("Image_Metadata_Well").mean().to_dict()
    assert wells["Cells_AreaShape_Area"].to_dict() == pytest.approx(expected, rel=1e-12)
    through(tmp_path / "w.parquet", tmp_path, "Metadata_Half == 'a'", "Metadata_Half", capsys)


def test_wells_of_pycytominer(tmp_path, capsys):
    """LINCS Cell Painting: normalized wells; most of the DMSO wells have no mechanism."""
    path, sphered = DATA / "pycytominer.csv.gz", "Metadata_broad_sample == 'DMSO'"
    wells = pd.read_csv(path, dtype=str)
    run(
        *("aggregate", path, "--level", "treatment", "--out", tmp_path / "t.parquet"),
        *("--treatment", "Metadata_broad_sample,Metadata_mmoles_per_liter"),
    )
    treatments = pd.read_parquet(tmp_path / "t.parquet")
    keys = ["Metadata_broad_sample", "Metadata_mmoles_per_liter"]
    assert len(treatments) == len(wells.drop_duplicates(keys))
    assert treatments["Metadata_Plate"].unique().tolist() == ["SQ00015054"]
    treatment = ("--treatment", ",".join(keys), "--compound", keys[0], "--dose", keys[1])
    scores = through(path, tmp_path, sphered, "Metadata_moa", capsys, *treatment)
    with_moa = wells["Metadata_moa"].notna().sum()
    assert [score["rows"] for score in scores] == [with_moa] * 3
    assert scores[2]["unit"] == "Metadata_moa"


def test_in_carta(tmp_path, capsys):
    """IN Carta: wells as 'C - 3', positions among the measurements."""
    path = DATA / "in_carta.csv"
    run("aggregate", path, "--out", tmp_path / "w.parquet")
    wells, cells = pd.read_parquet(tmp_path / "w.parquet"), pd.read_csv(path)
    area = "Primary Target Area wv1"
    images = cells.groupby(["WELL LABEL", "FOV"])[area].mean()
    assert sorted(wells[area]) == pytest.approx(sorted(images.groupby("WELL LABEL").mean()), rel=1e-12)
    assert not [name for name in wells if "border" in name or " cg " in name]
    through(tmp_path / "w.parquet", tmp_path, "Metadata_Row == 'C'", "Metadata_Row", capsys)


@pytest.mark.parametrize("name", ["pycytominer.csv.gz", "in_carta.csv", "cellprofiler.sqlite"])
def test_answers_from_wells_of_other_programs(name, tmp_path, capsys):
    """Normalize, select, correct, compare and test wells; with made-up roles where the export has none."""
    path, wells = DATA / name, tmp_path / "wells.parquet"
    if name == "pycytominer.csv.gz":
        frame = pd.read_csv(path, dtype={"Metadata_Well": str})
        frame["Metadata_Half"] = frame["Metadata_Well"].str[1:].astype(int) % 2
        treatment, controls = "Metadata_broad_sample", "Metadata_broad_sample == 'DMSO'"
    else:
        run("aggregate", path, "--out", wells)
        frame = pd.read_parquet(wells)
        frame["Metadata_Half"] = [number % 2 for number in range(len(frame))]
        frame["Metadata_Drug"] = [f"d{number // 2 % 2}" for number in range(len(frame))]
        treatment, controls = "Metadata_Drug", "Metadata_Drug == 'd0'"
    frame.to_parquet(wells)
    run("normalize", wells, "--by", "Metadata_Half", "--out", tmp_path / "n.parquet")
    run("select-features", tmp_path / "n.parquet", "--out", tmp_path / "s.parquet", "--dropped", tmp_path / "d.csv")
    kept = pd.read_parquet(tmp_path / "s.parquet")
    reasons = pd.read_csv(tmp_path / "d.csv")
    assert len(kept) == len(frame)
    assert not set(reasons["Feature"]) & set(kept)
    run("correct", wells, "--method", "harmony", "--batch", "Metadata_Half", "--out", tmp_path / "h.parquet")
    assert pd.read_parquet(tmp_path / "h.parquet").notna().any(axis=None)
    words = ("--treatment", treatment, "--controls", controls)
    run("compare-corrections", wells, "--batch", "Metadata_Half", *words, "--out", tmp_path / "c.csv")
    compared = pd.read_csv(tmp_path / "c.csv").set_index("Correction")
    assert compared.loc["none", "Replicates_Low"] <= compared.loc["none", "Replicates"]
    capsys.readouterr()
    run("activity", wells, *words, "--draws", "500", "--out", tmp_path / "a.csv")
    assert "distinct from other treatments (false discovery rate 0.05" in capsys.readouterr().out
    active = pd.read_csv(tmp_path / "a.csv")
    assert active["Activity_p"].dropna().between(0, 1).all()
    assert active[treatment].nunique() == frame.loc[frame[treatment].notna(), treatment].nunique() - 1

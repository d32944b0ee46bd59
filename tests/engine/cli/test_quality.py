"""From images of poor quality to wells without them."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import tifffile
from browser import browser
from scipy.ndimage import gaussian_filter

from microsnoop_engine.cli.main import main
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.reporting.quality import quality
from microsnoop_engine.tables.formats import open_table
from microsnoop_engine.tables.source import read_frame

COUNT = 12


@pytest.fixture(scope="module")
def screen(tmp_path_factory):
    """Fields of two channels: the third is blurred in DNA, the sixth saturated in ER."""
    folder = tmp_path_factory.mktemp("screen")
    rows = []
    for number in range(COUNT):
        image, labels = render_field("control", 0.0, np.random.default_rng(number))
        dna, er = image[:2].astype(np.float64)
        if number == 2:
            dna = gaussian_filter(dna, 3)
        if number == 5:
            er = np.minimum(er, np.percentile(er, 97))
        for name, plane in (("DNA", dna), ("ER", er), ("Nuclei", labels)):
            tifffile.imwrite(folder / f"{name}{number}.tif", plane.round().astype(np.uint16))
        rows.append(
            {
                "Metadata_Plate": "P1",
                "Metadata_Well": f"A{number + 1:02d}",
                "FileName_DNA": f"DNA{number}.tif",
                "FileName_ER": f"ER{number}.tif",
                "ObjectsFileName_Nuclei": f"Nuclei{number}.tif",
            }
        )
    pd.DataFrame(rows).to_csv(folder / "LoadData.csv", index=False)
    return folder


def profile(screen, out, *further):
    command = ["profile", str(screen / "LoadData.csv"), "--out", str(out), "--diameter", "24", "--quiet"]
    assert main([*command, *further]) == 0


def test_flagged_image_sets_are_left_out_of_the_wells(screen, tmp_path, capsys):
    profile(screen, tmp_path / "out")
    assert main(["qc", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr().out
    assert "2 of 12 image sets are flagged" in printed
    assert "blurred DNA: 1 (ImageNumber 3)" in printed
    assert "saturated ER: 1 (ImageNumber 6)" in printed
    wells = tmp_path / "wells.parquet"
    assert main(["aggregate", str(tmp_path / "out"), "--where", "Metadata_QC_Flags is None", "--out", str(wells)]) == 0
    measured = pd.read_parquet(wells)["Metadata_Well"]
    assert sorted(measured) == [f"A{number:02d}" for number in range(1, 13) if number not in (3, 6)]


def test_qualities_outlast_continuations_and_shards(screen, tmp_path):
    profile(screen, tmp_path / "whole")
    whole = pd.read_csv(tmp_path / "whole" / "images.csv")
    profile(screen, tmp_path / "whole")
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "whole" / "images.csv"), whole)
    for shard in ("1/2", "2/2"):
        profile(screen, tmp_path / "shards", "--shard", shard)
    assert main(["merge", str(tmp_path / "shards")]) == 0
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "shards" / "images.csv"), whole)
    assert whole.filter(like="Image_QC_").notna().all(axis=None)
    entries = [json.loads(line) for line in (tmp_path / "whole" / "manifest.jsonl").read_text().splitlines()]
    assert entries[1]["images"][0]["quality"]["Image_QC_Sharpness_DNA"] == whole["Image_QC_Sharpness_DNA"][0]


def test_what_is_no_results_folder(tmp_path, capsys):
    assert main(["qc", str(tmp_path)]) == 1
    assert "holds no images.csv" in capsys.readouterr().err


def test_the_report_names_flagged_image_sets(screen, tmp_path):
    profile(screen, tmp_path / "out")
    assert main(["qc", str(tmp_path / "out")]) == 0
    flagged = pd.read_csv(tmp_path / "out" / "object_flags.csv")
    total = len(pd.read_parquet(tmp_path / "out" / "profiles.parquet", columns=["ImageNumber"]))
    found = quality(tmp_path / "out")
    objects = found.pop("objects")
    assert (objects["total"], objects["flagged"]) == (total, len(flagged))
    edge = flagged["Metadata_QC_ObjectFlags"].str.contains("edge").sum()
    assert {"flag": "edge", "plate": "P1", "count": edge, "of": total} in objects["flags"]
    assert found == {
        "image_sets": COUNT,
        "flagged": 2,
        "flags": [
            {"flag": "blurred DNA", "plate": "P1", "count": 1, "images": [3]},
            {"flag": "saturated ER", "plate": "P1", "count": 1, "images": [6]},
        ],
    }
    assert main(["aggregate", str(tmp_path / "out"), "--out", str(tmp_path / "wells.parquet")]) == 0
    report = tmp_path / "report.html"
    command = ["report", str(tmp_path / "wells.parquet"), "--profiles", str(tmp_path / "out"), "--out", str(report)]
    assert main(command) == 0
    with browser(1280, 900) as page:
        page.get(report.as_uri())
        assert "2 of 12 image sets are flagged" in page.find_element("id", "quality-lead").text
        rows = page.find_element("id", "quality-table").text.splitlines()
        assert f"{len(flagged)} of {total} objects are flagged" in page.find_element("id", "object-quality-lead").text
        objects = page.find_element("id", "object-quality-table").text.splitlines()
    assert f"edge P1 {edge} {100 * edge / total:.1f} %" in objects
    assert rows == ["flag plate image sets ImageNumber", "blurred DNA P1 1 3", "saturated ER P1 1 6"]


@pytest.fixture(scope="module")
def flagged_run(screen, tmp_path_factory):
    """A run of the screen after qc."""
    out = tmp_path_factory.mktemp("run") / "out"
    profile(screen, out)
    assert main(["qc", str(out)]) == 0
    return out


def test_objects_of_a_run_are_flagged_and_left_out(flagged_run, tmp_path, capsys):
    cells = pd.read_parquet(flagged_run / "profiles.parquet")
    edge = cells["Metadata_Object_TouchesBorder"].sum()
    assert main(["qc", str(flagged_run)]) == 0
    printed = capsys.readouterr().out
    flagged = pd.read_csv(flagged_run / "object_flags.csv")
    assert f"{len(flagged)} of {len(cells)} objects are flagged" in printed
    assert f"edge: {edge} (P1 {edge})" in printed
    assert flagged["Metadata_QC_ObjectFlags"].str.contains("edge").sum() == edge > 0
    wells = tmp_path / "wells.csv"
    query = "Metadata_QC_ObjectFlags is None and Metadata_QC_Flags is None and Nuclei_QC_Area > 20"
    assert main(["aggregate", str(flagged_run), "--where", query, "--out", str(wells)]) == 0
    bad = pd.read_csv(flagged_run / "quality.csv").query("Metadata_QC_Flags.notna()")["ImageNumber"]
    keys = ["ImageNumber", "ObjectNumber"]
    kept = cells[(cells["Nuclei_QC_Area"] > 20) & ~cells["ImageNumber"].isin(bad)]
    kept = kept[~kept.set_index(keys).index.isin(flagged.set_index(keys).index)]
    assert pd.read_csv(wells)["Metadata_Object_Count"].sum() == len(kept) < len(cells)


def test_qualities_of_objects_outlast_workers_continuations_and_shards(screen, flagged_run, tmp_path):
    profile(screen, tmp_path / "workers", "--devices", "cpu,cpu", "--csv")
    for shard in ("1/2", "2/2"):
        profile(screen, tmp_path / "shards", "--shard", shard)
    assert main(["merge", str(tmp_path / "shards")]) == 0

    def qualities(table):
        return table.set_index(["ImageNumber", "ObjectNumber"]).sort_index().filter(like="_QC_")

    expected = qualities(pd.read_parquet(flagged_run / "profiles.parquet"))
    assert len(expected.columns) == 8
    for table in (
        pd.read_parquet(tmp_path / "workers" / "profiles.parquet"),
        pd.read_csv(tmp_path / "workers" / "profiles.csv"),
        pd.read_parquet(tmp_path / "shards" / "profiles.parquet"),
    ):
        pd.testing.assert_frame_equal(qualities(table), expected, check_dtype=False)


def test_flags_do_not_outlast_a_change_of_the_table(screen, tmp_path, capsys):
    few = pd.read_csv(screen / "LoadData.csv").head(3)
    few.to_csv(screen / "few.csv", index=False)
    command = ["profile", str(screen / "few.csv"), "--out", str(tmp_path / "out"), "--diameter", "24", "--quiet"]
    assert main(command) == 0
    assert main(["qc", str(tmp_path / "out")]) == 0
    assert "P1: fewer than 8 image sets" in capsys.readouterr().err
    assert main(command) == 0
    assert (tmp_path / "out" / "object_flags.csv").exists()
    few.iloc[1:].to_csv(screen / "few.csv", index=False)
    assert main(command) == 0
    assert not (tmp_path / "out" / "object_flags.csv").exists()
    assert not (tmp_path / "out" / "quality.csv").exists()


@pytest.mark.parametrize("name", ["flagged.parquet", "flagged.csv", "flagged.sqlite", "flagged.h5ad"])
def test_a_table_is_written_with_its_flags(flagged_run, tmp_path, name):
    cells = pd.read_parquet(flagged_run / "profiles.parquet").drop(columns="Nuclei_QC_Solidity")
    cells = cells.rename(columns={"Nuclei_QC_Area": "Nuclei_AreaShape_Area"})
    cells.to_csv(tmp_path / "cells.csv", index=False)
    out = tmp_path / name
    assert main(["qc", str(tmp_path / "cells.csv"), "--out", str(out)]) == 0
    if name.endswith(".sqlite"):
        with closing(sqlite3.connect(out)) as database:
            table = pd.read_sql("select * from profiles", database)
    else:
        table = read_frame(open_table(out))
    edge = table["Metadata_QC_ObjectFlags"].fillna("").str.contains("edge")
    assert edge.tolist() == (cells["Metadata_Object_TouchesBorder"] == 1).tolist()
    assert set(table) == {*cells, "Metadata_QC_ObjectFlags"}


def test_results_of_an_earlier_version(screen, tmp_path, capsys):
    """It kept no qualities: of images that were measured since, or of none."""
    profile(screen, tmp_path / "out")
    path = tmp_path / "out" / "images.csv"
    images = pd.read_csv(path, dtype=str)
    qualities = [name for name in images if name.startswith("Image_QC_")]
    images.loc[:3, qualities] = ""
    images.to_csv(path, index=False)
    part = next((tmp_path / "out" / "profiles.parquet").iterdir())
    table = pq.read_table(part)
    pq.write_table(table.drop_columns([name for name in table.column_names if "_QC_" in name]), part)
    assert main(["qc", str(tmp_path / "out")]) == 0
    noted = capsys.readouterr().err
    assert "4 image sets have no qualities and no flags, as measured by version 0.1.0 or earlier" in noted
    assert "(ImageNumber 1, 2, 3, 4): to judge them, measure into another folder" in noted
    assert "objects have no qualities (..._QC_Area), as measured by version 0.1.0 or earlier" in noted
    images.drop(columns=qualities).to_csv(path, index=False)
    assert main(["qc", str(tmp_path / "out")]) == 1
    assert "versions up to 0.1.0 did not measure: measure the images into another folder" in capsys.readouterr().err
    images.assign(Status="failed").to_csv(path, index=False)
    assert main(["qc", str(tmp_path / "out")]) == 1
    assert "no image set was measured" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{run}", "--out", "flagged.csv"], "--out goes with a table"),
        (["{run}/profiles.parquet"], "a table of single cells needs --out"),
        (["{run}/images.csv", "--out", "flagged.csv"], "no qualities of objects"),
        (["{run}", "--by", "Metadata_Batch"], "no column Metadata_Batch"),
    ],
)
def test_what_cannot_be_flagged(flagged_run, tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["qc", *(text.format(run=flagged_run) for text in arguments)]) == 1
    assert message in capsys.readouterr().err

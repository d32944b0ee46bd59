"""From images of poor quality to wells without them."""

import json

import numpy as np
import pandas as pd
import pytest
import tifffile
from browser import browser
from scipy.ndimage import gaussian_filter

from microsnoop_engine.cli.main import main
from microsnoop_engine.images.synthetic import render_field
from microsnoop_engine.reporting.quality import image_quality

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
    assert image_quality(tmp_path / "out") == {
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
    assert rows == ["flag plate image sets ImageNumber", "blurred DNA P1 1 3", "saturated ER P1 1 6"]

"""The command inputs, and the list of what profile leaves out."""

import csv
import json

import pytest
from instruments import GUID, metaxpress_htd, write_images

from microsnoop_engine.cli.main import main
from microsnoop_engine.images.inputs import find_image_sets


def plate(folder):
    names = [f"TimePoint_1/P_{well}_s1_w{w}{GUID}.tif" for well in ("A01", "B02") for w in (1, 2)]
    write_images(folder, *names, f"TimePoint_1/P_A01_s1_w1_thumb{GUID}.tif", "@eaDir/P_A01_s1_w1.tif")
    metaxpress_htd(folder / "P.HTD", ["DAPI", "Cy 5"])
    return folder


def test_what_was_recognized_and_left_out(tmp_path, capsys):
    assert main(["inputs", str(plate(tmp_path / "p")), "--write", str(tmp_path / "LoadData.csv")]) == 0
    said = capsys.readouterr().out
    for line in (
        "read as: imagexpress (Molecular Devices ImageXpress (MetaXpress))",
        "image sets: 2",
        "channels: Cy 5, DAPI",
        "plates: 1 (P)",
        "wells: 2 (A01, B02)",
        "sites: 1 (1)",
        "left out: 2 files",
        "'Cy 5' is Cy_5 in it, as CellProfiler wants words",
    ):
        assert line in said
    sets = find_image_sets(tmp_path / "LoadData.csv")
    assert [(s.metadata["Well"], list(s.channels)) for s in sets] == [
        ("A01", ["Cy_5", "DAPI"]),
        ("B02", ["Cy_5", "DAPI"]),
    ]


def test_json(tmp_path, capsys):
    assert main(["inputs", str(plate(tmp_path)), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["layout"], found["image_sets"], found["channels"]) == ("imagexpress", 2, {"Cy 5": 2, "DAPI": 2})
    assert found["metadata"] == {"Plate": ["P"], "Well": ["A01", "B02"], "Site": [1]}
    assert sorted((each["files"], each["reason"]) for each in found["left_out"]) == [
        (1, "a thumbnail of the instrument"),
        (1, "in a folder of the system"),
    ]


def test_planes_and_times_are_said(tmp_path, capsys):
    write_images(tmp_path, *[f"A1--W00001--P00001--Z{z:05d}--T{t:05d}--DAPI.tif" for z in (0, 1) for t in range(12)])
    assert main(["inputs", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert "planes: 2 (0, 1)" in said
    assert "time points: 12 (0, 1, 2, 3, 4, ..., 11)" in said
    assert "every plane is an image set of its own, with its number in Metadata_Plane" in said


def test_unmatched_images_are_shown_and_profile_refuses_them(tmp_path, capsys):
    write_images(tmp_path / "i", "A01_DNA.tif", "overview.tif")
    arguments = [str(tmp_path / "i"), "--pattern", "{Well}_{Channel}.tif"]
    assert main(["inputs", *arguments]) == 0
    assert "1 of 2 images are left out: microsnoop profile needs --allow-unmatched" in capsys.readouterr().out
    assert main(["profile", *arguments, "--out", str(tmp_path / "o")]) == 1
    said = capsys.readouterr().err
    assert "1 of 2 images" in said
    assert "'overview.tif'" in said
    assert not (tmp_path / "o").exists()


@pytest.mark.parametrize("allow", [True, False])
def test_profile_lists_what_it_leaves_out(tmp_path, allow):
    write_images(tmp_path / "i", *[f"A{n:02d}_DNA.tif" for n in range(1, 3 if allow else 7)], "overview.tif")
    arguments = [str(tmp_path / "i"), "--pattern", "{Well}_{Channel}.tif", "--mode", "image", "--device", "cpu"]
    assert main(["profile", *arguments, "--out", str(tmp_path / "o"), *(["--allow-unmatched"] if allow else [])]) == 0
    with (tmp_path / "o/skipped.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert row == {
        "File": str(tmp_path / "i/overview.tif"),
        "Files": "1",
        "Reason": "an image that does not fit the pattern '{Well}_{Channel}.tif'",
    }

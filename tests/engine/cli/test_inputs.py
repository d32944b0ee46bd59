"""The command inputs, and the list of what profile leaves out."""

import csv
import json
import re
import shutil
import zipfile
from pathlib import Path

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


def test_warnings_are_shown_but_for_what_is_printed_as_left_out(tmp_path, capsys, caplog):
    caplog.set_level("INFO")
    write_images(tmp_path, "A1_01_DAPI.tif", "A1_01_GFP.tif", "A1_01_GFP_flows.tif")
    assert main(["inputs", str(tmp_path)]) == 0
    assert "'A1_01_DAPI.tif' and 'A1_01_GFP.tif' seem to be channels of one field" in caplog.text
    assert "left out" not in caplog.text
    assert "left out: 1 file" in capsys.readouterr().out


@pytest.fixture
def archives(tmp_path):
    """A plate with an archive beside it, one that is cut off, and ROIs that look like one."""
    plate(tmp_path / "P")
    with zipfile.ZipFile(tmp_path / "P2.zip", "w") as file:
        file.write(next(tmp_path.glob("P/*/*.tif")), "P2/A01.tif")
    with zipfile.ZipFile(tmp_path / "P/RoiSet.zip", "w") as file:
        file.writestr("0001.roi", b"Iout")
    (tmp_path / "P3.zip").write_bytes((tmp_path / "P2.zip").read_bytes()[:-30])
    (tmp_path / "P4.tar.gz").write_bytes(b"")
    return tmp_path


def test_archives_are_named(archives, capsys):
    """A plate that is packed would be missing among the others."""
    assert main(["inputs", str(archives)]) == 0
    said = capsys.readouterr().out
    assert "3 files: an archive: unpack it to measure the images in it" in said
    assert f"1 file: not an image ('{archives / 'P/RoiSet.zip'}')" in said
    for name in ("P2.zip", "P3.zip", "P4.tar.gz"):
        assert main(["inputs", str(archives / name)]) == 1
        assert f"{name}' is an archive: unpack it" in capsys.readouterr().err
    shutil.rmtree(archives / "P")
    assert main(["inputs", str(archives)]) == 1
    assert "holds no images, but 'P2.zip' is an archive: unpack it" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/sys").is_dir(), reason="/sys is the folder of Linux in which nobody makes folders")
def test_a_folder_that_takes_no_files_is_named_with_what_to_do(tmp_path, capsys):
    out = "/sys/microsnoop-results"
    assert main(["profile", str(plate(tmp_path / "p")), "--mode", "image", "--out", out, "--quiet"]) == 1
    assert re.search(rf"'{out}': \w.*: choose another (place|folder)", capsys.readouterr().err)

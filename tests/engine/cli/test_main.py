"""Test the command as it is typed: its messages, files and exit codes."""

import argparse
import csv
import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from screens import write_screen

from microsnoop_engine import __version__
from microsnoop_engine.cli.main import build_parser, main, with_flags
from microsnoop_engine.tables.parquet_files import read_table

ABSENT = "cuda" if sys.platform == "darwin" else "mps"
FAST = ["--device", "cpu", "--precision", "float32", "--rescale-constant", "3"]


def microsnoop(*arguments, **options):
    command = [sys.executable, "-m", "microsnoop_engine", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def test_profile_prints_its_files_and_their_content(tmp_path):
    done = microsnoop("profile", write_screen(tmp_path, 3), "--out", tmp_path / "out", "--csv", *FAST)
    assert done.returncode == 0, done.stderr
    assert "measured 3 of 3 image sets" in done.stdout
    assert "6 rows (Nuclei) with 512 features of the channels DNA, GFP" in done.stdout
    for name in ("profiles.parquet", "profiles.csv", "images.csv"):
        assert str(tmp_path / "out" / name) in done.stdout
    table = read_table(tmp_path / "out").to_pandas()
    with (tmp_path / "out" / "profiles.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == list(table.columns)
    assert len(rows) == 7
    np.testing.assert_allclose(float(rows[1][-1]), table.iloc[0, -1], rtol=1e-6)
    again = microsnoop("profile", tmp_path / "LoadData.csv", "--out", tmp_path / "out", *FAST)
    assert "measured 3 of 3 image sets (3 in an earlier run)" in again.stdout


def test_failed_image_sets_are_listed_and_exit_with_1(tmp_path):
    path = write_screen(tmp_path, 3, FileName_GFP=["GFP0.tif", "gone.tif", "GFP1.tif"])
    done = microsnoop("profile", path, "--out", tmp_path / "out", "--json", *FAST)
    assert done.returncode == 1
    summary = json.loads(done.stdout)
    assert (summary["image_sets"], summary["done"], summary["rows"]) == (3, 2, 4)
    (failure,) = summary["failures"]
    assert (failure["number"], failure["channel"]) == (2, "GFP")
    assert failure["file"].endswith("gone.tif")
    with (tmp_path / "out" / "images.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["Status"] for row in rows] == ["done", "failed", "done"]
    assert rows[1]["File"].endswith("gone.tif")
    assert rows[0]["Metadata_Well"] == "A01"
    text = microsnoop("profile", path, "--out", tmp_path / "out", *FAST)
    assert "1 image set could not be measured" in text.stderr
    assert "channel 'GFP': there is no such file" in text.stderr
    strict = microsnoop("profile", path, "--out", tmp_path / "strict", "--strict", *FAST)
    assert strict.returncode == 1
    assert "no such file" in strict.stderr


def test_quiet_prints_nothing(tmp_path):
    done = microsnoop("profile", write_screen(tmp_path, 1), "--out", tmp_path / "out", "--quiet", *FAST)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("mode", "prefix", "count"), [("tile", "Image", 1), ("image", "Image", 1), ("single-cell", "Cells", 1)]
)
def test_the_modes_without_labels(tmp_path, mode, prefix, count):
    for name in ("a", "b"):
        tifffile.imwrite(
            tmp_path / f"{name}.tif", np.random.default_rng(0).integers(0, 255, (100, 90)).astype(np.uint8)
        )
    done = microsnoop("profile", tmp_path, "--mode", mode, "--out", tmp_path / "out", "--precision", "float32")
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "out").to_pandas()
    assert table.shape[0] == 2 * count
    assert f"{prefix}_Microsnoop_E255_Image" in table.columns
    assert list(table["Metadata_File"]) == ["a.tif", "b.tif"]


def test_a_folder_with_a_pattern_and_nuclei_that_are_found(tmp_path):
    spots = np.zeros((128, 128))
    spots[20:40, 20:40] = spots[70:95, 60:85] = 900
    noise = np.random.default_rng(0).normal(100, 10, (2, 128, 128))
    for channel, image in zip(("DAPI", "ER"), noise + np.stack([spots, 0 * spots]), strict=True):
        (tmp_path / "in" / "P1").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(tmp_path / "in" / "P1" / f"B03_s2_{channel}.tif", image.astype(np.uint16))
    pattern = "{Plate}/{Well}_s{Site}_{Channel}.tif"
    done = microsnoop("profile", tmp_path / "in", "--pattern", pattern, "--channels", "ER", "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    table = read_table(tmp_path / "out").to_pandas()
    assert table[["Metadata_Plate", "Metadata_Well", "Metadata_Site"]].to_numpy().tolist() == [["P1", "B03", 2]] * 2
    centers = table[["Nuclei_Location_Center_X", "Nuclei_Location_Center_Y"]].to_numpy()
    np.testing.assert_allclose(centers, [[29.5, 29.5], [72, 82]], atol=1)
    assert not any(column.endswith("_DAPI") for column in table.columns)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["profile", "nowhere", "--out", "out"], 1, "no file or folder 'nowhere'"),
        (["profile", "LoadData.csv", "--out", "out", "--channels", "DNA,ER"], 1, "no channel 'ER'; there are DNA, GFP"),
        (["profile", "LoadData.csv", "--out", "out", "--channels", "DNA,DNA"], 1, "--channels: 'DNA' is listed twice"),
        (
            ["profile", "LoadData.csv", "--out", "out", "--objects", "Cells"],
            1,
            "no label images of 'Cells', only of Nuclei",
        ),
        (["profile", "LoadData.csv", "--out", "out", "--segment", "cells"], 1, "segmentation 'cells' is unknown"),
        (
            ["profile", "LoadData.csv", "--out", "out", "--mode", "tile", "--objects", "X"],
            1,
            "--objects goes with --mode cells",
        ),
        (
            ["profile", "LoadData.csv", "--out", "out", "--segment", "nuclei", "--segment-channel", "ER"],
            1,
            "--segment-channel: there is no channel 'ER'",
        ),
        (
            ["profile", "LoadData.csv", "--out", "out", "--rescale-constant", "0"],
            1,
            "is 0.0: it must be a number from 0.1 to 20",
        ),
        (
            ["profile", "LoadData.csv", "--out", "out", "--scale", "99"],
            1,
            "is 99.0: it must be a number from 0.01 to 16",
        ),
        (["profile", "LoadData.csv", "--out", "out", "--model", "resnet"], 1, "no weights named 'resnet'"),
        (["profile", "LoadData.csv", "--out", "out", "--device", ABSENT], 1, f"no '{ABSENT}' device"),
        (["profile", "LoadData.csv", "--out", "LoadData.csv"], 1, "--out: 'LoadData.csv' is a file; choose a folder"),
        (["profile", "LoadData.csv", "--out", "out", "--labels", "nowhere"], 1, "no file or folder 'nowhere'"),
        (["profile", "LoadData.csv", "--out", "out", "--pattern", "{Channel}.tif"], 1, "--pattern goes with a folder"),
        (["profile", "LoadData.csv"], 2, "-o/--out --inside-input is required"),
        (["profile", "LoadData.csv", "--out", "out", "--resize", "128"], 2, "--resize is called --scale each now"),
        (["profile", "LoadData.csv", "--out", "out", "--batch-size", "0"], 2, "it must be 1 or more"),
        (["profile", "LoadData.csv", "--out", "out", "--memory", "-1"], 2, "it must be above 0"),
        (["profile", "LoadData.csv", "--out", "out", "--mode", "cell"], 2, "invalid choice: 'cell'"),
        (["weights", "info", "nowhere.safetensors"], 1, "no weights file at 'nowhere.safetensors'"),
        (["weights", "import", "nowhere.pth"], 1, "no weights file at 'nowhere.pth'"),
        (["install", "cellprofiler", "LoadData.csv"], 1, "LoadData.csv' is a file; name a folder"),
        ([], 2, "COMMAND"),
    ],
)
def test_mistakes_are_named_in_one_line(tmp_path, monkeypatch, capsys, arguments, code, message):
    write_screen(tmp_path, 1)
    monkeypatch.chdir(tmp_path)
    try:
        found = main(arguments)
    except SystemExit as usage_error:
        found = usage_error.code
    said = capsys.readouterr()
    assert found == code, said.err
    assert message in said.err
    assert said.out == ""


@pytest.mark.parametrize("quiet", [[], ["--quiet"]])
def test_every_failure_is_printed_once(tmp_path, quiet):
    path = write_screen(tmp_path, 3, FileName_GFP=["GFP0.tif", "gone.tif", "GFP1.tif"])
    done = microsnoop("profile", path, "--out", tmp_path / "out", *FAST, *quiet)
    assert done.returncode == 1
    assert done.stderr.count("gone.tif") == 1
    assert done.stderr.count("1 image set could not be measured") == 1


def test_of_many_failures_the_first_are_printed(tmp_path):
    path = write_screen(tmp_path, 25, FileName_GFP=["gone.tif"] * 25)
    done = microsnoop("profile", path, "--out", tmp_path / "out", *FAST)
    assert sum("gone.tif" in line for line in done.stderr.splitlines() if line.startswith("ERROR")) == 20
    assert f"further failures are only listed in {tmp_path / 'out' / 'images.csv'}" in done.stderr
    assert "25 image sets could not be measured" in done.stderr
    with (tmp_path / "out" / "images.csv").open() as file:
        assert [row["Status"] for row in csv.DictReader(file)] == ["failed"] * 25


def test_any_gpu_may_be_chosen():
    parser = build_parser()
    options = parser.parse_args(["profile", "images", "-o", "out", "--device", "cuda:1"])
    assert options.device == "cuda:1"
    assert parser.parse_args(["worker", "--device", "cuda:0"]).device == "cuda:0"
    for device in ("cuda:", "cuda:x", "gpu"):
        with pytest.raises(SystemExit) as stop:
            parser.parse_args(["worker", "--device", device])
        assert stop.value.code == 2


def commands_of(parser, name=""):
    """Parsers of all commands by name, sub-commands included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for choice, command in action.choices.items():
                yield f"{name} {choice}".strip(), command
                yield from commands_of(command, f"{name} {choice}".strip())


def test_every_out_has_a_short_form():
    outs = {
        name: action.option_strings
        for name, command in commands_of(build_parser())
        for action in command._actions
        if action.dest == "out"
    }
    assert {"profile", "report", "demo", "aggregate", "sphere", "train"} < set(outs)
    assert {name: strings for name, strings in outs.items() if strings != ["-o", "--out"]} == {}


def test_parameters_in_messages_become_flags():
    parser = build_parser()
    options = parser.parse_args(["profile", "images", "--out", "x", "--shard", "1/2"])
    message = "`segment_channel`: no 'ER'; set `model`, `out` or `input`, not `crops`"
    expected = "--segment-channel: no 'ER'; set --model, --out or INPUT, not `crops`"
    assert with_flags(message, parser, options) == expected
    options = parser.parse_args(["install", "cellprofiler", "here"])
    assert (
        with_flags("`folder` is a file; `set_plugin_folder`", parser, options) == "DIR is a file; --set-plugin-folder"
    )


def test_parameters_in_warnings_become_flags(tmp_path):
    lines = ["Metadata_Well,Metadata_Donor,ImageNumber,ObjectNumber,Cells_AreaShape_Area"]
    lines += [f"A01,d{number},{number},1,{number}" for number in (1, 2)]
    (tmp_path / "t.csv").write_text("\n".join(lines))
    words = [sys.executable, "-m", "microsnoop_engine", "aggregate", "t.csv", "--out", "w.csv"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert "to keep them apart: --plates Metadata_Donor" in done.stderr


def test_a_reader_of_the_output_may_stop_early():
    command = f"{sys.executable} -m microsnoop_engine weights info | head -n 1"
    done = subprocess.run(["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("{\n", "")
    script = (
        "import os, sys\nos.close(0)\nreader, writer = os.pipe()\nos.dup2(writer, 1)\nos.close(reader)\n"
        "from microsnoop_engine.cli.main import main\nsys.exit(main(['weights', 'info']))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (141, "")


def test_weights_info():
    card = json.loads(microsnoop("weights", "info").stdout)
    assert card["name"] == "microsnoop-fast"
    assert card["dimension"] == 256
    assert card["license"]


def test_help_explains_the_rescale_constant():
    text = " ".join(microsnoop("profile", "--help").stdout.split())
    assert "half width of the crop in units of the object's longer side" in text
    assert "0.6 suits whole cells" in text


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom microsnoop_engine.cli.main import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'torch', 'openvino', 'ray', 'sklearn', 'anndata', 'scipy', 'skimage', 'pandas', 'pyarrow'}\n"
        "heavy = (heavy | {'tifffile', 'appose', 'zarr'}) & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "profile" in done.stdout


def test_version():
    assert microsnoop("--version").stdout.strip() == f"microsnoop {__version__}"


def test_british_spelling_of_options(tmp_path, capsys):
    pd.DataFrame({"Metadata_A": list("aabb"), "Nuclei_Microsnoop_E000_DNA": [1.0, 1.1, -1.0, -1.1]}).to_csv(
        tmp_path / "t.csv", index=False
    )
    words = ["evaluate", str(tmp_path / "t.csv"), "--label", "Metadata_A", "--json"]
    results = []
    for spelling in ("--neighbors", "--neighbours"):
        assert main([*words, spelling, "1"]) == 0
        results.append(capsys.readouterr().out)
    assert results[0] == results[1]

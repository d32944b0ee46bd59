"""The example macro over a folder of images, by one command, against ``microsnoop profile`` on the same nuclei."""

import os
import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import tifffile
from imagej_host import (
    CHANNELS,
    IJ_JAR,
    NEW_IJ_JAR,
    REPOSITORY,
    maven_jars,
    press,
    save_hyperstack,
    window,
)
from real_crops import FIELDS, real_field
from waiting import PATIENCE, wait_for

from microsnoop_engine.cli.main import main
from microsnoop_engine.images.synthetic import render_field

MACRO = REPOSITORY / "examples" / "fiji" / "measure_folder.ijm"


def run_macro(home, images, results, channel="DNA"):
    """What the macro says."""
    command = ["java", f"-Duser.home={home}", "-jar", IJ_JAR, "-ijpath", str(home / "ImageJ"), "-batch", str(MACRO)]
    done = subprocess.run([*command, f"{images},{results},{channel}"], capture_output=True, text=True, timeout=PATIENCE)
    assert "Measured" in done.stdout, done.stdout + done.stderr
    return done.stdout


def compare(cells, images, results, out):
    """Every row of the macro's table with that of the engine on the macro's label images."""
    command = ["profile", str(images), "--labels", str(results / "labels"), "--scale", "each", "--out", str(out)]
    assert main([*command, "--quiet"]) == 0
    engine = pd.read_parquet(out / "profiles.parquet")
    engine["Metadata_Image"] = engine["Metadata_File"].str.removesuffix(".tif")
    keys = ["Metadata_Image", "ObjectNumber"]
    engine, plugin = (table.set_index(keys).sort_index() for table in (engine, cells))
    assert engine.index.equals(plugin.index)
    features = [name for name in engine if "_Microsnoop_E" in name]
    assert features == [name for name in plugin if "_Microsnoop_E" in name]
    np.testing.assert_allclose(engine[features], plugin[features], atol=1e-4)
    boxes = [name for name in engine if name.startswith(("Metadata_Crop_", "Metadata_Object_", "Nuclei_Location"))]
    assert len(boxes) == 7
    np.testing.assert_allclose(engine[boxes], plugin[boxes], atol=1e-3)


def test_the_command_for_folders_is_recorded_and_measures(java, ij, screen, tmp_path):
    recorder = java.jimport("ij.plugin.frame.Recorder")()
    ij.log("\\Clear")
    ij.doCommand("Measure Folder")
    dialog = wait_for(lambda: window(java, "Measure Folder"))
    images, results, channel = dialog.getStringFields()
    images.setText(str(screen))
    results.setText(str(tmp_path / "results"))
    channel.setText("DNA")
    press(java, dialog, "OK")
    wait_for(lambda: "Measured 2 images" in str(ij.getLog() or ""))
    assert len(pd.read_csv(tmp_path / "results" / "cells.csv")) > 4
    line = f'run("Measure Folder", "images={screen} results={tmp_path / "results"} channel=DNA");'
    wait_for(lambda: line in str(recorder.getText()).replace("[", "").replace("]", ""))
    recorder.close()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ("images=/nowhere results={out}", 'There is no folder of images "/nowhere". Choose one.'),
        ("images=[{images}]", "The folder for the results is missing. Choose another one."),
        ("images=[{images}] results=[{images}]", "The folder for the results is that of the images."),
        ("images=[{images}] results=[{out}]", "The ROI Manager holds 1 ROIs, and this command needs it."),
    ],
)
def test_what_the_command_for_folders_refuses(batch, screen, tmp_path, options, said):
    before = 'newImage("any", "8-bit ramp", 64, 64, 1); makeRectangle(9, 9, 30, 30); roiManager("add");\n'
    options = options.format(images=screen, out=tmp_path / "out")
    done = batch(f'{before}run("Measure Folder", "{options}");\nprint("went on");\n')
    assert said in done.stdout
    assert "went on" not in done.stdout


@pytest.fixture
def screen(tmp_path):
    """Three drawn fields, one of them empty, and the first also with a file per channel."""
    images = tmp_path / "images"
    images.mkdir()
    for seed, name in enumerate(("A01", "A02")):
        image, _ = render_field("control", 0, np.random.default_rng(seed), shape=(200, 200), n_cells=6)
        save_hyperstack(images / f"{name}.tif", image, "CYX", CHANNELS)
    save_hyperstack(images / "A03.tif", np.zeros((3, 200, 200), np.uint16), "CYX", CHANNELS)
    return images


def test_the_table_is_that_of_the_engine_on_the_same_nuclei(home, screen, tmp_path):
    results = tmp_path / "results"
    said = run_macro(home, screen, results)
    assert "No nuclei: A03" in said
    assert "Measured 2 images" in said
    cells = pd.read_csv(results / "cells.csv")
    assert cells["Metadata_Image"].unique().tolist() == ["A01", "A02"]
    assert cells["ImageNumber"].unique().tolist() == [1, 2]
    assert 8 <= len(cells) <= 14
    (screen / "A03.tif").unlink()
    compare(cells, screen, results, tmp_path / "out")


def test_images_that_cannot_be_measured_are_counted(home, screen, tmp_path):
    """The macro goes on to the next image; the second one has another channel than the table."""
    image, _ = render_field("control", 0, np.random.default_rng(3), shape=(200, 200), n_cells=6)
    save_hyperstack(screen / "A02.tif", image[:2], "CYX", ["DNA", "Tubulin"])
    said = run_macro(home, screen, tmp_path / "results")
    assert "Measured 1 images" in said
    assert "(1 without nuclei, 1 failed, 0 files skipped" in said
    assert re.search(r"Failed: A02.tif \(.*cells.csv' has other columns than the new rows", said)
    assert pd.read_csv(tmp_path / "results" / "cells.csv")["Metadata_Image"].unique().tolist() == ["A01"]


def test_one_bad_image_does_not_stop_the_batch(home, screen, tmp_path):
    """Files that are broken, cut off, no images or of another channel come before and after the good ones."""
    good = (screen / "A01.tif").read_bytes()
    (screen / "A00 broken.tif").write_bytes(b"no image")
    (screen / "A01 empty.tif").write_bytes(b"")
    (screen / "A04 cut.tif").write_bytes(good[: len(good) // 2])
    tifffile.imwrite(screen / "A05 cut.tif", np.full((3, 200, 200), 7, np.uint16), photometric="minisblack")
    whole = (screen / "A05 cut.tif").read_bytes()
    (screen / "A05 cut.tif").write_bytes(whole[: len(whole) * 2 // 3])
    tifffile.imwrite(screen / "A06 color.tif", np.zeros((200, 200, 3), np.uint8), photometric="rgb")
    save_hyperstack(screen / "A07 other.tif", np.zeros((2, 200, 200), np.uint16), "CYX", ["ER", "Actin"])
    for name in ("notes.txt", "table.csv", "._A01.tif"):
        (screen / name).write_bytes(b"stray")
    said = run_macro(home, screen, tmp_path / "results")
    assert "Measured 2 images" in said
    assert "(1 without nuclei, 6 failed, 2 files skipped that are no TIFF images)" in said, said
    for name, why in (
        ("A00 broken.tif", '"A00 broken.tif" cannot be read as an image'),
        ("A01 empty.tif", '"A01 empty.tif" cannot be read as an image'),
        ("A04 cut.tif", '"A04 cut.tif" is cut off: it lacks pixels. Copy it again.'),
        ("A05 cut.tif", '"A05 cut.tif" is cut off: it lacks pixels. Copy it again.'),
        ("A06 color.tif", "a color picture"),
        ("A07 other.tif", 'no channel "DNA": give its number'),
    ):
        assert said.count(f"Failed: {name} ({why}") == 1, said
    assert pd.read_csv(tmp_path / "results" / "cells.csv")["Metadata_Image"].unique().tolist() == ["A01", "A02"]


def test_commas_and_blanks_in_the_names_of_folders(home, screen, tmp_path):
    images, results = tmp_path / "a, b" / "1,2", tmp_path / "results, all"
    images.mkdir(parents=True)
    screen.rename(images / "images, mine")
    said = run_macro(home, images / "images, mine", results, "2")
    assert "Measured 2 images" in said
    assert len(pd.read_csv(results / "cells.csv")) > 4


def test_a_channel_that_does_not_belong(home, tmp_path):
    """A file of another channel without that of the nuclei, and one of another size."""
    images = tmp_path / "images"
    images.mkdir()
    image, _ = render_field("control", 0, np.random.default_rng(3), shape=(200, 200), n_cells=6)
    for name, plane in (("A01_DNA", image[0]), ("A01_ER", image[1]), ("A02_DNA", image[0]), ("A02_ER", image[1, 9:])):
        tifffile.imwrite(images / f"{name}.tif", plane)
    tifffile.imwrite(images / "A03_ER.tif", image[1])
    said = run_macro(home, images, tmp_path / "results")
    assert "Measured 1 images" in said
    assert "Failed: A02_DNA.tif (A02_ER.tif is not one plane of 200 x 200 pixels as A02_DNA.tif)" in said
    assert "Failed: A03_ER.tif (there is no file of the channel DNA that belongs to it)" in said


def test_a_file_per_channel_gives_the_same_rows(home, screen, tmp_path):
    run_macro(home, screen, tmp_path / "together")
    apart = tmp_path / "apart"
    (apart / "Plate1").mkdir(parents=True)
    with tifffile.TiffFile(screen / "A01.tif") as tiff:
        image = tiff.asarray()
    for channel, plane in zip(CHANNELS, image, strict=True):
        tifffile.imwrite(apart / "Plate1" / f"A01_s1_{channel}.tif", plane)
    said = run_macro(home, apart, tmp_path / "results")
    assert "Measured 1 images" in said
    cells = pd.read_csv(tmp_path / "results" / "cells.csv")
    want = pd.read_csv(tmp_path / "together" / "cells.csv").query("Metadata_Image == 'A01'")
    for channel in CHANNELS:
        names = [f"Nuclei_Microsnoop_E{index:03d}_{channel}" for index in range(256)]
        np.testing.assert_allclose(cells[names], want[names], atol=1e-4)


@pytest.fixture
def planes():
    """Two channels of two fields with nuclei."""
    fields = [render_field("control", 0, np.random.default_rng(n), shape=(200, 200), n_cells=6)[0] for n in (3, 4)]
    return [dict(zip(("DNA", "ER"), field, strict=False)) for field in fields]


def write(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    tifffile.imwrite(path, array, **options)


def test_folders_beside_images_and_files_without_an_ending(home, planes, tmp_path):
    """The results may lie in the folder of images, also those of an earlier run."""
    images = tmp_path / "images"
    write(images / "A01.tif", planes[0]["DNA"])
    write(images / "more" / "A02.tif", planes[1]["DNA"])
    (images / "README").write_text("no ending")
    for _ in range(2):
        said = run_macro(home, images, images / "results")
        assert "Skipped: results/ (results of this macro)" in said
        assert "Measured 2 images" in said
        assert "(0 without nuclei, 0 failed, 1 files skipped" in said
        cells = pd.read_csv(images / "results" / "cells.csv")
        assert cells["Metadata_Image"].unique().tolist() == ["A01", "more_A02"]


def test_names_of_fields_that_begin_alike(home, planes, tmp_path):
    """A channel goes with the nuclei that have most of its name; a folder may hold the channels of one field."""
    images = tmp_path / "images"
    for field, channels in (("A01", planes[0]), ("A01_s2", planes[1])):
        write(images / f"{field}_DNA.tif", channels["DNA"])
        write(images / f"{field}_ER_488.TIF", channels["ER"])
    write(images / "A02" / "DNA.tif", planes[0]["DNA"])
    write(images / "A02" / "ER_488.tif", planes[0]["ER"])
    said = run_macro(home, images, tmp_path / "results")
    assert "Measured 3 images" in said
    assert "(0 without nuclei, 0 failed, 0 files skipped" in said
    cells = pd.read_csv(tmp_path / "results" / "cells.csv")
    assert [name for name in cells if "E000" in name] == [f"Nuclei_Microsnoop_E000_{c}" for c in ("DNA", "ER_488")]
    features = {name: rows.filter(like="_Microsnoop_E") for name, rows in cells.groupby("Metadata_Image")}
    assert list(features) == ["A01_DNA", "A01_s2_DNA", "A02_DNA"]
    np.testing.assert_allclose(features["A01_DNA"], features["A02_DNA"], atol=1e-5)
    assert np.isfinite(features["A01_s2_DNA"]).all(axis=None)


def test_stacks_and_results_of_one_name_are_refused(home, planes, tmp_path):
    images = tmp_path / "images"
    axes_of = {"depths": "ZYX", "times": "TYX", "both": "ZCYX"}
    images.mkdir()
    for name, axes in axes_of.items():
        plane = np.stack(list(planes[0].values())) if "C" in axes else planes[0]["DNA"]
        save_hyperstack(images / f"{name}.tif", np.stack([plane] * 3), axes)
    write(images / "P1" / "A01.tif", planes[0]["DNA"])
    write(images / "P1_A01.tif", planes[1]["DNA"])
    said = run_macro(home, images, tmp_path / "results")
    assert "Measured 1 images" in said
    assert "(0 without nuclei, 4 failed" in said
    for name, size in (
        ("depths", "3 slices and 1 frames"),
        ("times", "1 slices and 3 frames"),
        ("both", "3 slices and 1"),
    ):
        assert f"Failed: {name}.tif (a stack of {size}" in said
    assert "Failed: P1_A01.tif (the results of another image are called P1_A01 too" in said


def test_real_fields(home, tmp_path):
    images, results = tmp_path / "images", tmp_path / "results"
    images.mkdir()
    for well in ("A01", "D05"):
        field = real_field(f"bbbc013_{well}")[:, :220, :220]
        save_hyperstack(images / f"{well}.tif", field, "CYX", list(FIELDS[f"bbbc013_{well}"]))
    run_macro(home, images, results)
    cells = pd.read_csv(results / "cells.csv")
    assert len(cells) > 25
    compare(cells, images, results, tmp_path / "out")


def test_the_python_script(field):
    script = REPOSITORY / "examples" / "fiji" / "pyimagej_measure.py"
    command = [sys.executable, str(script), str(field[0]), IJ_JAR]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert re.search(r"\n(?:[5-9]|1\d) nuclei x 768 features, weights microsnoop-fast\n", done.stdout)
    assert "field.tif:0001" in done.stdout


def with_gateway(script, arguments, tmp_path, classpath):
    """Run an example with a stand-in for PyImageJ, whose gateway cannot start here."""
    helpers = REPOSITORY / "tests" / "helpers"
    (tmp_path / "imagej.py").write_bytes((helpers / "imagej_gateway.py").read_bytes())
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "GATEWAY_CLASSPATH": os.pathsep.join(map(str, classpath)),
        "MICROSNOOP_PYTHON": sys.executable,
    }
    command = [sys.executable, str(REPOSITORY / "examples" / "fiji" / script), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=REPOSITORY, env=environment)


def test_the_python_script_ends_with_a_gateway(field, tmp_path):
    """Where a thread of Java never ends, Python would wait for it."""
    done = with_gateway("pyimagej_measure.py", [field[0]], tmp_path, [IJ_JAR])
    assert done.returncode == 0, done.stderr
    assert re.search(r"\n(?:[5-9]|1\d) nuclei x 768 features", done.stdout)


def test_the_tour_of_a_gateway(jar, stand_ins, tmp_path):
    pytest.importorskip("xarray")
    classpath = [NEW_IJ_JAR, jar, stand_ins, *maven_jars("imglib2")]
    done = with_gateway("check_gateway.py", [], tmp_path, classpath)
    lines = done.stdout.splitlines()
    assert lines[-1] == "all is well", done.stdout + done.stderr
    assert len([line for line in lines if line.startswith("ok ")]) == 16
    assert done.returncode == 0

"""End to end: the example pipelines, headless, in analysis workers, in groups and batches, and with broken engines."""

import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from cellprofiler_core.setting import ValidationError
from cellprofiler_host import run_engine_script, wait_until_busy
from cellprofiler_runs import (
    EXAMPLES,
    WELLS,
    analysis,
    completed,
    csv_features,
    database_features,
    engine_features,
    example,
    headless,
    insert,
    read_csv,
    save,
    save_labels,
    write_wells,
)
from engine_processes import cmdline
from waiting import assert_gone

REAL = ["GFP", "DNA"]
SYNTHETIC = ["DNA", "ER", "Actin"]


@pytest.fixture(scope="module")
def wells(tmp_path_factory):
    """Folder with three wells of the real plate."""
    return write_wells(tmp_path_factory.mktemp("real") / "input")


@pytest.fixture(scope="module")
def screen(engine_python, tmp_path_factory):
    """Folder with two wells of a screen drawn by the engine."""
    folder = tmp_path_factory.mktemp("drawn") / "input"
    script = (
        "import sys; from microsnoop_engine.images.synthetic import write_screen; "
        "write_screen(sys.argv[1], plates=1, shape=(160, 160), n_cells=4)"
    )
    run_engine_script(engine_python, script, folder)
    table = folder / "LoadData.csv"
    table.write_text("".join(table.read_text().splitlines(keepends=True)[:3]))
    return folder


@pytest.fixture(scope="module")
def real_run(wells, engine_python, tmp_path_factory):
    """Output folder of the example pipeline, run headless on the real wells; the nuclei's labels are saved too."""
    folder = tmp_path_factory.mktemp("headless")
    pipeline = save(save_labels(example("dna-gfp.cppipe"), "GFP"), folder / "pipeline.cppipe")
    return completed(headless(folder / "run", pipeline, wells))


def assert_same_tables(out, expected, wells=WELLS):
    """Both tables of a run hold the expected features for these wells and no others."""
    for name in ("Nuclei", "Image"):
        reference = csv_features(expected / f"{name}.csv", REAL)
        found = csv_features(out / f"{name}.csv", REAL)
        assert set(found) == set(wells)
        for well in wells:
            np.testing.assert_allclose(found[well], reference[well], atol=1e-4, err_msg=f"{name} of {well}")


def test_real_images(real_run, wells, engine_python, tmp_path):
    expected = engine_features(engine_python, wells / "images", real_run, tmp_path / "expected.npz")
    tables = {
        "csv": [csv_features(real_run / f"{name}.csv", REAL) for name in ("Nuclei", "Image")],
        "database": [database_features(real_run / "profiles.db", name, REAL) for name in ("Nuclei", "Image")],
    }
    for kind, (nuclei, image) in tables.items():
        assert set(nuclei) == set(image) == set(WELLS)
        for well in WELLS:
            assert len(nuclei[well]) >= 3
            assert np.isfinite(nuclei[well]).all()
            # CellProfiler's pixels are 0 to 1, and the network rounds its numbers to bfloat16 on some processors
            np.testing.assert_allclose(nuclei[well], expected[well][0], atol=2e-3, err_msg=f"{kind}: nuclei of {well}")
            np.testing.assert_allclose(image[well], expected[well][1], atol=1e-4, err_msg=f"{kind}: image of {well}")


def test_classical_and_learned_features_share_the_tables(real_run):
    names, _ = read_csv(real_run / "Nuclei.csv")
    assert {"ImageNumber", "ObjectNumber", "Metadata_Well", "Intensity_MeanIntensity_GFP"} <= set(names)
    names, _ = read_csv(real_run / "Image.csv")
    assert {"ImageNumber", "Metadata_Plate", "Metadata_Well", "Count_Nuclei"} <= set(names)


def test_the_tables_say_which_engine_made_them(real_run):
    _, rows = read_csv(real_run / "Experiment.csv")
    noted = {row["Key"]: row["Value"] for row in rows}
    assert noted["Microsnoop_Weights"] == "microsnoop-fast"
    assert len(noted["Microsnoop_WeightsSHA256"]) == 64
    assert noted["Microsnoop_Version"]


def test_two_analysis_workers(real_run, wells, engine_python, tmp_path):
    out = completed(analysis(tmp_path, EXAMPLES / "dna-gfp.cppipe", wells))
    assert_same_tables(out, real_run)
    for name in ("Nuclei", "Image"):
        here, there = (database_features(folder / "profiles.db", name, REAL) for folder in (out, real_run))
        for well in WELLS:
            np.testing.assert_allclose(here[well], there[well], atol=1e-4)


@pytest.mark.parametrize("end", ["cancelled", "killed"])
def test_engines_end_with_their_workers(screen, engine_python, tmp_path, end):
    run = analysis(tmp_path, EXAMPLES / "demo-screen.cppipe", screen)
    run.read_until("Running module MeasureMicrosnoopFeatures")
    run.read_until("Started the microsnoop engine")
    workers = [process for process in run.processes() if "--work-announce" in cmdline(process)]
    assert len(workers) == 2
    (engine,) = [engine for engine in run.engines() if engine.parent() in workers]
    if end == "cancelled":
        run.process.stdin.write("cancel\n")
        run.process.stdin.flush()
        run.wait()
        return
    for worker in workers:
        worker.kill()
    assert_gone([engine])
    run.process.kill()
    run.process.communicate()
    run.assert_nothing_remains()


def test_groups_and_batch(real_run, wells, engine_python, tmp_path):
    pipeline = example("dna-gfp.cppipe")
    load = pipeline.modules()[0]
    load.wants_image_groupings.value = True
    load.metadata_fields.value = "Row"
    insert(pipeline, 6, "CreateBatchFiles")
    pipeline.remove_module(7)
    making = headless(tmp_path / "make", save(pipeline, tmp_path / "batch.cppipe"), wells)
    text = making.wait()
    batch = making.out / "Batch_data.h5"
    assert batch.exists(), text
    by_group = completed(headless(tmp_path / "group", batch, wells, arguments=["-g", "Metadata_Row=A"]))
    assert_same_tables(by_group, real_run, ("A01", "A06"))
    by_number = completed(headless(tmp_path / "number", batch, wells, arguments=["-f", "3", "-l", "3"]))
    assert_same_tables(by_number, real_run, ("B12",))


@pytest.mark.parametrize("name", ["demo-screen.cppipe", "dna-gfp.cppipe"])
def test_examples_show_what_they_find_and_explain_their_triangle(name, engine_python):
    modules = {module.module_name: module for module in example(name).modules()}
    open_eyes = [name for name, module in modules.items() if module.show_window]
    assert open_eyes == ["IdentifyPrimaryObjects", "MeasureMicrosnoopFeatures"]
    pipeline, warned = example(name), []
    for module in pipeline.modules():
        try:
            module.test_module_warnings(pipeline)
        except ValidationError:
            warned.append(module.module_name)
    assert warned == ["ExportToDatabase"]
    assert "The yellow triangle only says" in " ".join(modules["ExportToDatabase"].notes)


def test_a_missing_engine_ends_the_run_with_the_install_command(screen, tmp_path):
    run = headless(
        tmp_path, EXAMPLES / "demo-screen.cppipe", screen, environment={"MICROSNOOP_PYTHON": str(tmp_path / "nowhere")}
    )
    text = run.wait()
    assert run.process.returncode not in (0, None), text
    assert "MICROSNOOP_PYTHON says" in text
    assert "microsnoop install cellprofiler" in text
    assert not (run.out / "Nuclei.csv").exists()


def test_an_engine_that_crashes_shows_its_last_lines(screen, engine_python, tmp_path):
    run = headless(tmp_path, EXAMPLES / "demo-screen.cppipe", screen, environment={"PYTHONFAULTHANDLER": "1"})
    run.read_until("module LoadData")
    (engine,) = run.engines()
    engine.suspend()
    (folder,) = run.temporary.glob("microsnoop-worker-*")
    wait_until_busy(folder)
    os.kill(engine.pid, signal.SIGSEGV)
    engine.resume()
    text = run.wait()
    assert run.process.returncode not in (0, None), text
    assert "The microsnoop engine stopped while it measured objects: it crashed (signal 11)" in text
    assert "Its last words: Fatal Python error: Segmentation fault" in text
    assert "The engine ended with exit code -11. It was run with" in text, "the log has the rest"


def test_a_drawn_screen_with_the_module_as_the_engine_installs_it(screen, engine_python, tmp_path):
    plugins = tmp_path / "my plugins"
    done = subprocess.run(
        [engine_python, "-m", "microsnoop_engine", "install", "cellprofiler", str(plugins)],
        stdout=subprocess.PIPE,
        universal_newlines=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert str(plugins) in done.stdout
    environment = {"MICROSNOOP_PYTHON": "", "PATH": os.path.dirname(sys.executable) + os.pathsep + os.defpath}
    assert shutil.which("microsnoop", path=environment["PATH"]) is None
    pipeline = EXAMPLES / "demo-screen.cppipe"
    out = completed(headless(tmp_path / "run", pipeline, screen, plugins=plugins, environment=environment))
    for name in ("Nuclei", "Image"):
        table = csv_features(out / f"{name}.csv", SYNTHETIC)
        stored = database_features(out / "profiles.db", name, SYNTHETIC)
        assert set(table) == set(stored) == {"A01", "A02"}
        for well, values in table.items():
            assert np.isfinite(values).all()
            np.testing.assert_allclose(values, stored[well], atol=1e-6)

"""Test a run over many image sets: order, failures, the results folder, resuming after a kill, and memory."""

import csv
import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tifffile
from filelock import FileLock
from screens import write_screen
from several_workers import assert_same_table, table_of
from waiting import wait_for

from microsnoop_engine import CropSettings
from microsnoop_engine.distributor.compute import ComputeSettings
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.merge import merge
from microsnoop_engine.distributor.run import profile, run_job
from microsnoop_engine.errors import ImageError, InputError, ResumeError
from microsnoop_engine.images.image_set_file import read_image_sets
from microsnoop_engine.images.load_data import from_load_data
from microsnoop_engine.modes.measure import measure

JOB = Job(("DNA", "GFP"), "Nuclei", CropSettings(rescale_constant=3.0))


def test_every_row_is_the_measurement_of_its_own_object(tmp_path, embedder):
    sets = from_load_data(write_screen(tmp_path, 7))
    report = run_job(sets, JOB, embedder, tmp_path / "out", part_bytes=1)
    table = table_of(tmp_path / "out")
    assert list(table["ImageNumber"]) == [n for n in range(1, 8) for _ in range(2)]
    assert list(table["ObjectNumber"]) == [1, 2] * 7
    assert list(table["Metadata_Plate"][::2]) == ["P0", "P1", "P0", "P1", "P0", "P1", "P0"]
    features = table.filter(like="_Microsnoop_").to_numpy()
    labels = tifffile.imread(tmp_path / "labels.tif")
    for n in range(7):
        image = np.stack(
            [tifffile.imread(tmp_path / f"DNA{n % 4}.tif"), tifffile.imread(tmp_path / f"GFP{n // 2 % 4}.tif")]
        )
        alone = measure(embedder, image, labels, JOB.settings).features
        assert np.isfinite(alone).all()
        # another size of batch rounds otherwise, and whitening magnifies that; other objects differ by 0.01 and more
        np.testing.assert_allclose(features[2 * n : 2 * n + 2], alone, atol=2e-5)
    assert (report.rows, report.crops, report.failures, report.empty) == (14, 28, [], 0)


def test_the_order_of_the_columns_is_that_of_the_channels_asked_for(tmp_path, embedder):
    sets = from_load_data(write_screen(tmp_path, 1))
    run_job(sets, JOB, embedder, tmp_path / "a")
    run_job(sets, Job(("GFP", "DNA"), "Nuclei", JOB.settings), embedder, tmp_path / "b")
    a, b = table_of(tmp_path / "a"), table_of(tmp_path / "b")
    assert list(a.columns) != list(b.columns)
    np.testing.assert_allclose(a[b.columns].filter(like="_Microsnoop_"), b.filter(like="_Microsnoop_"), atol=1e-6)


def test_bad_image_sets_are_reported_and_the_run_continues(tmp_path, embedder):
    names = ["DNA0.tif", "missing.tif", "broken.tif", "small.tif", "DNA1.tif", "nan.tif"]
    path = write_screen(tmp_path, 6, FileName_DNA=names)
    (tmp_path / "broken.tif").write_bytes((tmp_path / "DNA0.tif").read_bytes()[:-3000])
    tifffile.imwrite(tmp_path / "small.tif", np.zeros((50, 96), np.uint16))
    tifffile.imwrite(tmp_path / "nan.tif", np.full((96, 96), np.nan, np.float32))
    report = run_job(from_load_data(path), JOB, embedder, tmp_path / "out")
    assert sorted(report.images) == [1, 5]
    assert [failure.number for failure in report.failures] == [2, 3, 4, 6]
    messages = [str(failure) for failure in report.failures]
    assert all("DNA" in line or "GFP" in line for line in messages)
    for line, name, reason in zip(
        messages, names[1:4] + names[5:], ["no such file", "incomplete", "50", "NaN"], strict=True
    ):
        assert reason in line
        assert name in line or reason == "50"
    assert set(table_of(tmp_path / "out")["ImageNumber"]) == {1, 5}

    (tmp_path / "missing.tif").write_bytes((tmp_path / "DNA2.tif").read_bytes())
    again = run_job(from_load_data(path), JOB, embedder, tmp_path / "out")
    assert (again.resumed, sorted(again.images)) == (2, [1, 2, 5])
    assert sorted(table_of(tmp_path / "out")["ImageNumber"]) == [1, 1, 2, 2, 5, 5]


def test_strict_stops_at_once_and_keeps_its_rows(tmp_path, embedder):
    names = ["DNA0.tif", "DNA1.tif", "missing.tif", "DNA3.tif"]
    sets = from_load_data(write_screen(tmp_path, 4, FileName_DNA=names))
    with pytest.raises(ImageError, match=r"image set 3, file '.*missing.tif', channel 'DNA': there is no such file"):
        run_job(sets, JOB, embedder, tmp_path / "out", strict=True)
    (tmp_path / "missing.tif").write_bytes((tmp_path / "DNA2.tif").read_bytes())
    report = run_job(sets, JOB, embedder, tmp_path / "out", strict=True)
    assert sorted(table_of(tmp_path / "out")["ImageNumber"]) == [1, 1, 2, 2, 3, 3, 4, 4]
    assert report.rows == 8


def test_images_without_objects_and_crops_without_contrast_are_counted(tmp_path, embedder):
    path = write_screen(tmp_path, 3, ObjectsFileName_Nuclei=["labels.tif", "none.tif", "labels.tif"])
    tifffile.imwrite(tmp_path / "none.tif", np.zeros((96, 96), np.uint8))
    flat = tifffile.imread(tmp_path / "GFP1.tif")
    flat[:, :40] = 7
    tifffile.imwrite(tmp_path / "GFP1.tif", flat)
    report = run_job(from_load_data(path), JOB, embedder, tmp_path / "out")
    assert (report.rows, report.empty, report.unmeasured) == (4, 1, 1)
    assert report.problems == {"GFP: constant": 1}
    table = table_of(tmp_path / "out")
    bad = table["ImageNumber"].eq(3) & table["ObjectNumber"].eq(1)
    assert table.loc[bad].filter(regex="_Microsnoop_.*_GFP").isna().all(axis=None)
    assert table.loc[~bad].filter(like="_Microsnoop_").notna().all(axis=None)
    assert table.loc[bad].filter(regex="_Microsnoop_.*_DNA").notna().all(axis=None)


def test_a_plate_without_any_object_leaves_a_table_without_rows(tmp_path, embedder):
    path = write_screen(tmp_path, 2, objects=0)
    assert run_job(from_load_data(path), JOB, embedder, tmp_path / "out").empty == 2
    table = table_of(tmp_path / "out")
    assert table.shape[0] == 0
    assert "Nuclei_Microsnoop_E255_GFP" in table.columns


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda sets: (sets, Job(("DNA",), "Nuclei", JOB.settings)), "channels"),
        (
            lambda sets: (sets, Job(JOB.channels, "Nuclei", CropSettings(rescale_constant=0.6))),
            "different: rescale_constant",
        ),
        (lambda sets: ([replace(s, channels=s.labels) for s in sets], JOB), "holds the results of other images"),
    ],
)
def test_the_folder_of_another_run_is_refused(tmp_path, embedder, change, message):
    sets = from_load_data(write_screen(tmp_path, 3))
    run_job(sets, JOB, embedder, tmp_path / "out")
    before = table_of(tmp_path / "out")
    with pytest.raises(ResumeError, match=f"{message}.*Choose another folder|{message}"):
        run_job(*change(sets), embedder, tmp_path / "out")
    assert table_of(tmp_path / "out").equals(before)


def test_the_folder_of_an_earlier_version_is_continued(tmp_path, embedder, monkeypatch, caplog):
    """Settings that it had not do nothing unless they are set; columns that it had not stay away."""
    sets = from_load_data(write_screen(tmp_path, 3))
    with monkeypatch.context() as earlier:
        earlier.setattr("microsnoop_engine.distributor.run._rates_objects", lambda folder: False)
        run_job(sets[:2], JOB, embedder, tmp_path / "out")
    manifest = tmp_path / "out" / "manifest.jsonl"
    first, *parts = manifest.read_text().splitlines(keepends=True)
    run = json.loads(first)["run"]
    del run["where"], run["classical"], run["segmentation"]["segment_pixel_size"], run["settings"]["magnifications"]
    manifest.write_text("".join([json.dumps({"run": run}) + "\n", *parts]))
    with pytest.raises(ResumeError, match=r"different: classical \(before not set, now true\)\. Choose"):
        run_job(sets, replace(JOB, classical=True), embedder, tmp_path / "out")
    summary = run_job(sets, JOB, embedder, tmp_path / "out")
    assert (summary.resumed, sorted(summary.images)) == (2, [1, 2, 3])
    assert "was begun by an earlier version, without the quality of objects" in caplog.text
    table = table_of(tmp_path / "out")
    assert (len(table), table.isna().sum().sum()) == (6, 0)
    assert not [name for name in table if "_QC_" in name]


def test_only_what_changed_is_measured_again(tmp_path, embedder):
    """A mended name, an added row, a replaced file, a changed well, a removed row."""
    path = write_screen(tmp_path, 6, FileName_DNA=[f"own{n}.tif" for n in range(6)], FileName_GFP=["GFP0.tif"] * 6)
    for n in range(6):
        (tmp_path / f"own{n}.tif").write_bytes((tmp_path / f"DNA{n % 4}.tif").read_bytes())
    complete = path.read_text()
    lines = complete.splitlines(keepends=True)
    path.write_text("".join(lines[:6]).replace("own1", "typo").replace("A04", "D04"))
    first = run_job(from_load_data(path), JOB, embedder, tmp_path / "out")
    assert sorted(first.images) == [1, 3, 4, 5]
    path.write_text(complete)
    (tmp_path / "own2.tif").write_bytes((tmp_path / "DNA1.tif").read_bytes())
    second = run_job(from_load_data(path), JOB, embedder, tmp_path / "out")
    assert (second.resumed, second.crops, sorted(second.images)) == (2, 16, [1, 2, 3, 4, 5, 6])
    run_job(from_load_data(path), JOB, embedder, tmp_path / "whole")
    found, expected = (
        table_of(tmp_path / name).sort_values(["ImageNumber", "ObjectNumber"], ignore_index=True)
        for name in ("out", "whole")
    )
    pd.testing.assert_frame_equal(found, expected, rtol=1e-4, atol=2e-5)
    third = run_job(from_load_data(path)[:4], JOB, embedder, tmp_path / "out")
    assert (third.crops, sorted(third.images)) == (0, [1, 2, 3, 4])
    assert sorted(table_of(tmp_path / "out")["ImageNumber"]) == [1, 1, 2, 2, 3, 3, 4, 4]


def test_rows_that_change_places_keep_their_measurements(tmp_path, embedder):
    """Rows before and between the others, one row less, the order turned round: ImageNumber follows the CSV."""
    path = write_screen(tmp_path, 8, FileName_DNA=[f"own{n}.tif" for n in range(8)], FileName_GFP=["GFP0.tif"] * 8)
    random = np.random.default_rng(3)
    for n in range(8):
        image = np.zeros((96, 96), np.uint16)
        image[:32, :80] = random.integers(0, 4000, (32, 80))
        tifffile.imwrite(tmp_path / f"own{n}.tif", image)
    header, *rows = path.read_text().splitlines(keepends=True)
    path.write_text("".join([header, *rows[1:4], *rows[5:7]]))
    first = run_job(from_load_data(path), JOB, embedder, tmp_path / "out", part_bytes=1)
    assert first.crops == 20
    for order, crops in (([0, 1, 2, 3, 4, 5, 6, 7], 12), ([0, 1, 2, 4, 5, 6, 7], 0), ([7, 6, 5, 4, 3, 2, 1, 0], 4)):
        path.write_text("".join([header, *(rows[n] for n in order)]))
        found = run_job(from_load_data(path), JOB, embedder, tmp_path / "out", part_bytes=1)
        assert (found.crops, sorted(found.images)) == (crops, list(range(1, len(order) + 1)))
        run_job(from_load_data(path), JOB, embedder, tmp_path / f"whole{order}")
        tables = [
            table_of(tmp_path / name).sort_values(["ImageNumber", "ObjectNumber"], ignore_index=True)
            for name in ("out", f"whole{order}")
        ]
        pd.testing.assert_frame_equal(*tables, rtol=1e-4, atol=2e-5)
        assert statuses(tmp_path / "out") == ["done"] * len(order)
        sets = [(tmp_path / name / "image_sets.json").read_text() for name in ("out", f"whole{order}")]
        assert sets[0] == sets[1]


def test_two_runs_never_write_to_one_folder(tmp_path, embedder):
    sets = from_load_data(write_screen(tmp_path, 1))
    (tmp_path / "out").mkdir()
    with FileLock(tmp_path / "out" / ".lock"), pytest.raises(ResumeError, match="another run is writing to"):
        run_job(sets, JOB, embedder, tmp_path / "out")
    assert run_job(sets, JOB, embedder, tmp_path / "out").rows == 2


def statuses(folder):
    with (folder / "images.csv").open(newline="") as file:
        return [row["Status"] for row in csv.DictReader(file)]


def test_profile_leaves_a_complete_folder(tmp_path, embedder):
    path = write_screen(tmp_path, 3, FileName_DNA=["DNA0.tif", "missing.tif", "DNA2.tif"])
    summary = profile(path, tmp_path / "out", JOB.settings, channels=["GFP", "DNA"], embedder=embedder, csv=True)
    assert (summary.rows, summary.image_sets, summary.dimension, summary.features) == (4, 3, 256, 512)
    assert [failure.number for failure in summary.failures] == [2]
    assert summary.csv == tmp_path / "out" / "profiles.csv"
    assert summary.table.is_dir()
    assert statuses(tmp_path / "out") == ["done", "failed", "done"]
    image_sets, channels = read_image_sets(tmp_path / "out")
    assert (list(image_sets), channels) == ([1, 2, 3], ["GFP", "DNA"])
    sets = from_load_data(path)
    again = profile(sets, str(tmp_path / "out"), JOB.settings, channels=["GFP", "DNA"], embedder=embedder)
    assert (again.resumed, again.crops) == (2, 0)


def test_a_strict_stop_leaves_a_complete_folder(tmp_path, embedder):
    path = write_screen(tmp_path, 4, FileName_DNA=["DNA0.tif", "DNA1.tif", "missing.tif", "DNA3.tif"])
    with pytest.raises(ImageError, match="image set 3"):
        profile(path, tmp_path / "out", JOB.settings, embedder=embedder, strict=True)
    assert statuses(tmp_path / "out") == ["done", "done", "failed", "not reached"]
    assert list(read_image_sets(tmp_path / "out")[0]) == [1, 2, 3, 4]
    assert len(table_of(tmp_path / "out")) == 4


def test_an_interrupt_leaves_a_complete_folder(tmp_path, embedder):
    def interrupt(done, total):
        raise KeyboardInterrupt

    path = write_screen(tmp_path, 4)
    for shard in ("1/2", "2/2"):
        with pytest.raises(KeyboardInterrupt):
            profile(path, tmp_path / "out", JOB.settings, embedder=embedder, on_progress=interrupt, shard=shard)
    assert statuses(tmp_path / "out" / "shard-0002-of-0002") == ["done", "not reached"]
    with pytest.raises(InputError, match=r"shard 1/2 in .* is not finished: run it again"):
        merge(tmp_path / "out")
    for shard in ("1/2", "2/2"):
        profile(path, tmp_path / "out", JOB.settings, embedder=embedder, shard=shard)
    assert merge(tmp_path / "out").rows == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"pattern": "{Channel}.tif"}, "`pattern` goes with a path as `input`"),
        ({"out": None}, "`out` is missing: it is needed where `input` is a list"),
        ({"compute": ComputeSettings()}, "`embedder` and `compute` exclude each other"),
        ({"labels": "labels", "segment": "nuclei"}, "`labels` goes with `mode` cells, and without `segment`"),
        ({"rois": "rois", "labels": "labels"}, "`rois` goes with `mode` cells, and without `segment` and `labels`"),
        ({"channels": ["ER"]}, "`channels`: there is no channel 'ER'; there are DNA, GFP"),
        ({"shard": "4/3"}, "shard '4/3' must be I/N"),
    ],
)
def test_arguments_that_cannot_be_used_are_named(tmp_path, embedder, arguments, message):
    sets = from_load_data(write_screen(tmp_path, 1))
    with pytest.raises(InputError, match=message):
        profile(sets, **{"out": tmp_path / "out", "embedder": embedder, **arguments})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"executor": "dask"}, "`executor` is 'dask': it must be one of local, ray"),
        ({"ray_address": "auto"}, "`ray_address` goes with `executor` ray"),
        ({"executor": "ray", "devices": ["cpu"]}, "`devices` are those of this machine"),
        ({"device": "cuda:1", "devices": ["0"]}, "`device` is for a single process"),
        ({"executor": "ray", "threads": 2}, "`threads` is for this machine"),
        ({"worker_timeout": 0}, "`worker_timeout` is 0: it must be above 0"),
    ],
)
def test_compute_settings_that_exclude_each_other_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        ComputeSettings(**settings)


SCRIPT = """
import resource, sys
from pathlib import Path
from microsnoop_engine import CropSettings, Embedder
from microsnoop_engine.distributor.job import Job
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.images.load_data import from_load_data
path, out, channels, memory, part_bytes = sys.argv[1:]
embedder = Embedder(device="cpu", precision="float32", batch_size=8, threads=2)
job = Job(tuple(channels.split(",")), "Nuclei", CropSettings(rescale_constant=3.0))
report = run_job(from_load_data(Path(path)), job, embedder, Path(out), int(memory), part_bytes=int(part_bytes))
print(report.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def start(path, out, channels="DNA,GFP", memory=1 << 30, part_bytes=1):
    arguments = [sys.executable, "-c", SCRIPT, str(path), str(out), channels, str(memory), str(part_bytes)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_a_killed_run_continues_with_the_same_table(tmp_path, embedder):
    path = write_screen(tmp_path, 30)
    killed, manifest = start(path, tmp_path / "killed"), tmp_path / "killed" / "manifest.jsonl"
    for parts in (3, 12):
        wait_for(lambda parts=parts: manifest.exists() and len(manifest.read_text().splitlines()) > parts)
        os.kill(killed.pid, signal.SIGKILL)
        assert killed.wait() == -signal.SIGKILL
        killed = start(path, tmp_path / "killed")
    killed.communicate()
    run_job(from_load_data(path), JOB, embedder, tmp_path / "whole")
    whole = table_of(tmp_path / "whole")
    assert_same_table(tmp_path / "killed", whole)
    assert len(whole) == 60
    entries = [json.loads(line) for line in manifest.read_text().splitlines()[1:]]
    assert sorted(image["number"] for entry in entries for image in entry["images"]) == list(range(1, 31))


def test_memory_does_not_grow_with_the_number_of_images(tmp_path):
    peaks = []
    for count in (50, 250):
        path = write_screen(tmp_path / str(count), count, size=1024, objects=1)
        process = start(path, tmp_path / f"out{count}", "DNA", memory=64 << 20, part_bytes=256 << 10)
        rows, peak = process.communicate()[0].split()
        assert int(rows) == count
        peaks.append(int(peak) * (1 if sys.platform == "darwin" else 1024))
    all_images = 250 * 1024 * 1024 * 2
    assert peaks[1] - peaks[0] < 0.1 * all_images

"""Test that several processes make the same table as one, also when workers are killed or hang."""

import json
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import psutil
import pytest
import tifffile
from screens import write_screen
from several_workers import JOB, READER, SETTINGS, assert_same_table, at, table_of
from waiting import wait_for

from microsnoop_engine import errors
from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.executors.device_slots import device_slots
from microsnoop_engine.distributor.executors.machine import usable_cores
from microsnoop_engine.distributor.executors.processes import ProcessExecutor
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.errors import DeviceError, InputError
from microsnoop_engine.images.load_data import from_load_data

TWO = partial(ProcessExecutor, devices=["cpu", "cpu"], settings=SETTINGS, timeout=1800)
OPTIONS = ["--channels", "DNA", "--rescale-constant", "3", "--precision", "float32", "--batch-size", "8"]


def test_two_processes_write_the_same_as_one(tmp_path, slow_embedder):
    names = [f"DNA{n % 4}.tif" for n in range(12)]
    names[5] = "missing.tif"
    sets = from_load_data(write_screen(tmp_path, 12, FileName_DNA=names))
    reports = [
        run_job(sets, JOB, executor, tmp_path / name, part_bytes=8_000)
        for name, executor in (("one", slow_embedder), ("two", TWO))
    ]
    assert_same_table(tmp_path / "two", table_of(tmp_path / "one"))
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "manifest.jsonl").read_text().splitlines()]
        for name in ("one", "two")
    )
    assert one == two
    assert len(one) > 3
    assert reports[0] == reports[1]
    assert "missing.tif" in str(reports[1].failures[0])


def test_the_command_resumes_in_any_engine_and_shards_go_with_devices(tmp_path, capsys):
    path = write_screen(tmp_path, 6, FileName_DNA=["DNA0.tif", "late.tif", "DNA2.tif", "DNA3.tif", "DNA0.tif", "x.tif"])
    run = ["profile", str(path), *OPTIONS, "--quiet", "--out", str(tmp_path / "out"), "--shard", "2/2"]
    assert main([*run, "--devices", "cpu,cpu"]) == 1
    assert "2 image sets could not be measured" in capsys.readouterr().err
    (tmp_path / "late.tif").write_bytes((tmp_path / "DNA1.tif").read_bytes())
    assert main(run) == 1
    share = tmp_path / "out" / "shard-0002-of-0002"
    assert sorted(set(table_of(share)["ImageNumber"])) == [2, 4]
    listed = pd.read_csv(share / "images.csv")
    assert list(listed["Status"]) == ["done", "done", "failed"]
    assert "x.tif" in listed["File"][2]


def test_a_screen_file_may_name_devices(tmp_path):
    write_screen(tmp_path, 3)
    settings = "input: LoadData.csv, channels: DNA, precision: float32, devices: [cpu, cpu]"
    (tmp_path / "screen.yaml").write_text(f"profile: {{{settings}}}\n")
    assert main(["run", str(tmp_path / "screen.yaml"), "--quiet"]) == 0
    assert len(table_of(tmp_path / "results" / "profiles")) == 6


def test_messages_of_workers_are_shown_by_the_command(tmp_path, caplog):
    """There they are in the words of the command: --min-contrast, not the name of a parameter."""
    for well in ("A01", "A02"):
        tifffile.imwrite(tmp_path / f"{well}.tif", np.zeros((64, 64), np.uint16))
    run = ["profile", str(tmp_path), "--segment", "nuclei", "--out", str(tmp_path / "out"), "--diameter", "9"]
    assert main([*run, "--devices", "cpu,cpu"]) == 0
    said = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert sorted(message.partition(" in channel")[0] for message in said if "no objects" in message) == [
        "image set 1: no objects",
        "image set 2: no objects",
    ]


def test_a_killed_worker_costs_no_row(tmp_path, thirty_sets, table_of_thirty, caplog):
    report = run_job(
        thirty_sets, JOB, TWO, tmp_path, on_progress=at(5, lambda: multiprocessing.active_children()[0].kill())
    )
    assert report.failures == []
    assert "SIGKILL" in caplog.text
    assert_same_table(tmp_path, table_of_thirty)


def test_a_hung_worker_is_replaced(tmp_path, thirty_sets, table_of_thirty, caplog):
    def stop():
        os.kill(multiprocessing.active_children()[0].pid, signal.SIGSTOP)

    report = run_job(thirty_sets, JOB, partial(TWO, timeout=20), tmp_path, on_progress=at(5, stop))
    assert report.failures == []
    assert "no progress for 20 s" in caplog.text
    assert_same_table(tmp_path, table_of_thirty)


def test_an_image_set_that_kills_its_workers_fails_alone(tmp_path, monkeypatch):
    """A reader in C that crashes, in the place of bioio, of whose formats many are read by such libraries."""
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "bioio.py").write_text(READER)
    (tmp_path / "modules" / "bioio_bioformats.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path / "modules")
    names = [f"DNA{n % 4}.tif" for n in range(12)]
    names[6] = "crash.vsi"
    sets = from_load_data(write_screen(tmp_path, 12, FileName_DNA=names))
    (tmp_path / "crash.vsi").write_bytes(b"any bytes")
    report = run_job(sets, JOB, TWO, tmp_path / "out")
    assert [(f.number, f.error) for f in report.failures] == [(7, "killed the worker 3 times: signal SIGSEGV")]
    assert list(report.images) == [1, 2, 3, 4, 5, 6, 8, 9, 10, 11, 12]


def family(pid):
    return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]


COMMAND = """
import sys
import microsnoop_engine.cli.main, microsnoop_engine.distributor.results
microsnoop_engine.distributor.results.PART_SECONDS = 0.2
sys.exit(microsnoop_engine.cli.main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGKILL"])
def test_an_ended_run_leaves_no_process_and_keeps_its_rows(tmp_path, name):
    path = write_screen(tmp_path, 400)
    arguments = ["profile", str(path), *OPTIONS, "--out", str(tmp_path / "out"), "--devices", "cpu,cpu"]
    run = subprocess.Popen(
        [sys.executable, "-c", COMMAND, *arguments],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),  # tests in the background have it ignored
    )
    manifest = tmp_path / "out" / "manifest.jsonl"
    wait_for(lambda: manifest.exists() and len(manifest.read_text().splitlines()) > 1)
    processes = family(run.pid)
    assert len(processes) >= 3
    if name == "SIGINT":
        os.killpg(run.pid, signal.SIGINT)  # Ctrl-C in a terminal reaches every process
    else:
        os.kill(run.pid, getattr(signal, name))
    stderr = run.communicate()[1]
    assert run.returncode == {"SIGINT": 1, "SIGTERM": 143, "SIGKILL": -9}[name]
    assert "Traceback" not in stderr
    wait_for(lambda: not any(map(psutil.pid_exists, processes)))
    assert len(table_of(tmp_path / "out")) > 0


def test_devices_that_are_not_there_are_named(tmp_path, thirty_sets, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5")
    assert [slot.device for slot in device_slots(["0", "1"])] == ["4", "5"]
    for devices in (["2"], ["gpu"], [""], []):
        with pytest.raises(InputError, match="`devices`"):
            device_slots(devices)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(DeviceError, match=r"device '99': .*cuda"):
        run_job(thirty_sets, JOB, partial(ProcessExecutor, devices=["99"], settings={}, timeout=60), tmp_path)
    assert main(["profile", "x", "--out", "y", "--devices", "cpu", "--executor", "ray"]) == 1


def test_processes_share_the_cores():
    cores = usable_cores()
    found = device_slots(["cpu"] * len(cores))
    assert sorted(core for slot in found for core in slot.cores) == sorted(cores)
    assert {slot.threads for slot in found} == {1}
    assert [slot.threads for slot in device_slots(["cpu", "cpu"], threads=6)] == [3, 3]
    assert [len(slot.cores) for slot in device_slots(["cpu"])] == [len(cores)]


@pytest.mark.parametrize(
    "error",
    [
        errors.ImageError("is damaged", "a.tif", "DNA"),
        errors.StorageError("s3://bucket/a.tif", "there is no such file"),
        errors.MissingExtraError("cellpose", "cellpose", "segmentation"),
        errors.DeviceError("no GPU"),
    ],
)
def test_errors_of_workers_keep_their_messages(error):
    arrived = pickle.loads(pickle.dumps(error))
    assert type(arrived) is type(error)
    assert (str(arrived), vars(arrived)) == (str(error), vars(error))

"""Arrays that the worker refuses, and shared memory that it leaves to nobody."""

import json
import signal
import sys
from pathlib import Path

import appose
import numpy as np
import psutil
import pytest
from appose.util import message
from waiting import PATIENCE
from worker_process import COMMAND, IMAGE, Raw, shared


def header_only(path, shape, dtype="<f4", size=0):
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
        file.truncate(file.tell() + size)
    return {"npy": str(path)}


def test_arrays_larger_than_announced_or_allowed_are_refused(raw, tmp_path):
    side = 50_000
    truly_large = header_only(tmp_path / "large.npy", (side, side), size=side * side * 4)
    assert "9.3 GB" in raw.execute("measure_image", image=truly_large)["error"]
    announced_only = header_only(tmp_path / "short.npy", (400, 400))
    assert "announces 640000 bytes" in raw.execute("measure_image", image=announced_only)["error"]
    names = {"name": "no-such-memory", "rsize": side * side * 4, "appose_type": "shm"}
    memory = {"appose_type": "ndarray", "dtype": "float32", "shape": [side, side], "shm": names}
    assert "9.3 GB" in raw.execute("measure_image", image=memory)["error"]
    memory["shape"] = [10, 10]
    assert "no shared memory 'no-such-memory'" in raw.execute("measure_image", image=memory)["error"]
    assert psutil.Process(raw.process.pid).memory_info().rss < 3 << 30


LINUX = pytest.mark.skipif(sys.platform != "linux", reason="looks at shared memory as Linux shows it")


def numbers_of(results):
    """Copy results out of shared memory, which is closed."""
    found = np.array([result.ndarray().copy() for result in results])
    for result in results:
        result.shm.close()
    return found


@LINUX
def test_shared_results_are_freed_while_the_worker_lives():
    """Two requests later; those that the host still holds keep their numbers."""
    names, kept = [], []
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service, shared(IMAGE) as image:
        for _ in range(6):
            outputs = service.task("measure_image", {"image": image}).wait_for().outputs
            names.append(outputs["features"].shm.name)
            kept.append(outputs["features"])
        there = [Path("/dev/shm", name).exists() for name in names]
        found = numbers_of(kept)
    np.testing.assert_array_equal(found, found[:1].repeat(6, axis=0))
    assert there == [False] * 4 + [True] * 2
    service.wait_for()
    assert not any(Path("/dev/shm", name).exists() for name in names)


def test_results_of_requests_that_were_sent_at_once_are_all_there():
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service, shared(IMAGE) as image:
        tasks = [service.task("measure_image", {"image": image}).start() for _ in range(6)]
        features = [task.wait_for().outputs["features"] for task in tasks]
        found = numbers_of(features)
    np.testing.assert_array_equal(found, found[:1].repeat(6, axis=0))


@LINUX
def test_shared_results_go_with_the_worker():
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service, shared(IMAGE) as image:
        outputs = service.task("measure_image", {"image": image}).wait_for().outputs
        name = outputs["features"].shm.name
        assert Path("/dev/shm", name).exists()
        outputs["features"].shm.close()
    service.wait_for()
    assert not Path("/dev/shm", name).exists()


def kill_with_results(folder, monkeypatch):
    """Kill a worker between two tasks; its folder and the shared memory of its results."""
    monkeypatch.setenv("TMPDIR", str(folder))
    worker = Raw()
    with shared(IMAGE) as image:
        reply = worker.execute("measure_image", image=json.loads(message.encode(image)))
        (left,) = folder.glob("microsnoop-worker-*")
        (left / "image.npy").write_bytes(b"an input of the host")
        worker.process.kill()
        assert worker.process.wait(PATIENCE) == -signal.SIGKILL
        worker.process.stdout.close()
        worker.process.stderr.close()
        worker.process.stdin.close()
    return left, Path("/dev/shm", reply["outputs"]["features"]["shm"]["name"])


@LINUX
def test_what_a_killed_worker_left_is_removed_by_the_next_one(tmp_path, monkeypatch):
    folder, memory = kill_with_results(tmp_path, monkeypatch)
    assert folder.exists()
    assert memory.exists()
    other = tmp_path / "microsnoop-worker-of-an-older-version"
    other.mkdir()
    with Raw() as living, Raw() as next_one:
        kept = Path(living.execute("info")["outputs"]["folder"])
        next_one.execute("info")
        with Raw() as third:
            third.execute("info")
        assert kept.exists()
        assert not folder.exists()
        assert not memory.exists()
        assert other.exists()
    assert [path.name for path in tmp_path.iterdir()] == [other.name]


@LINUX
def test_links_and_folders_of_nobody_are_left_alone(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    aim = tmp_path / "aim"
    aim.mkdir()
    (aim / ".lock").touch()
    (tmp_path / "microsnoop-worker-link").symlink_to(aim)
    with Raw() as worker:
        worker.execute("info")
    assert (aim / ".lock").exists()

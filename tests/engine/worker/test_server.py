"""The worker, driven as its hosts drive it: by the real Appose client, and by raw lines."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import appose
import numpy as np
import psutil
import pytest
from appose import NDArray

from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.modes.measure import measure
from microsnoop_engine.modes.settings import CropSettings

COMMAND = [sys.executable, "-m", "microsnoop_engine", "worker", "--device", "cpu", "--precision", "float32"]
RANDOM = np.random.default_rng(0)
IMAGE = RANDOM.integers(0, 4000, (2, 120, 120)).astype(np.uint16)
LABELS = np.zeros((120, 120), np.int32)
LABELS[20:40, 20:40], LABELS[60:90, 70:90] = 1, 5
MANY = np.arange(1, 14401, dtype=np.int32).reshape(120, 120)


@pytest.fixture(scope="module")
def embedder():
    return Embedder(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def service():
    """The real Appose client of one worker."""
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service:
        yield service
    assert service.invalid_lines() == []


class Raw:
    """A worker with its lines laid open."""

    def __init__(self, *options):
        self.process = subprocess.Popen(
            [*COMMAND, *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def send(self, line):
        data = line if isinstance(line, bytes) else (json.dumps(line) if isinstance(line, dict) else line).encode()
        self.process.stdin.write(data + b"\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def answer(self, line):
        """The terminal response to a line."""
        self.send(line)
        while (reply := self.receive())["responseType"] in ("LAUNCH", "UPDATE"):
            pass
        return reply

    def execute(self, script, **inputs):
        return self.answer({"task": "t", "requestType": "EXECUTE", "script": script, "inputs": inputs})

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(5) == 0
        assert self.process.stdout.read() == b""
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture(scope="module")
def raw():
    with Raw("--memory", "1") as worker:
        yield worker


def npy(folder, name, array):
    np.save(folder / f"{name}.npy", array)
    return {"npy": str(folder / f"{name}.npy")}


def shared(array):
    memory = NDArray(array.dtype.name, list(array.shape))
    memory.ndarray()[...] = array
    return memory


def expected(embedder, **settings):
    return measure(embedder, IMAGE, LABELS, CropSettings(**settings))


def test_info(service):
    outputs = service.task("info").wait_for().outputs
    assert outputs["protocol"] == 1
    assert (outputs["weights"], outputs["dimension"], outputs["device"]) == ("microsnoop-base", 256, "cpu")
    assert len(outputs["sha256"]) == 64
    assert Path(outputs["folder"]).is_dir()
    assert Path(outputs["folder"]).stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("settings", [{"rescale_constant": 1.5}, {"resize": 96}], ids=str)
def test_objects_in_files(service, embedder, tmp_path, settings):
    inputs = {"image": npy(tmp_path, "i", IMAGE), "labels": npy(tmp_path, "l", LABELS), **settings}
    outputs = service.task("measure_objects", inputs).wait_for().outputs
    arrays = {name: np.load(value["npy"]) for name, value in outputs.items() if isinstance(value, dict)}
    wanted = expected(embedder, **settings)
    np.testing.assert_allclose(arrays["features"], wanted.features, atol=1e-6)
    assert arrays["features"].dtype == np.float32
    assert arrays["object_number"].tolist() == [1, 5]
    assert arrays["box"].tolist() == wanted.regions.box.tolist()
    assert arrays["border"].tolist() == [False, False]
    assert arrays["center"].tolist() == [[29.5, 29.5], [74.5, 79.5]]
    assert outputs["failed"] == []
    assert outputs["seconds"] > 0


def test_objects_in_shared_memory(service, embedder):
    with shared(IMAGE) as image, shared(LABELS) as labels:
        outputs = service.task("measure_objects", {"image": image, "labels": labels}).wait_for().outputs
    features = outputs["features"]
    np.testing.assert_allclose(features.ndarray(), expected(embedder).features, atol=1e-6)
    assert outputs["object_number"].ndarray().tolist() == [1, 5]
    for value in outputs.values():
        if isinstance(value, NDArray):
            value.shm.unlink_on_dispose(True)
            value.shm.dispose()


@pytest.mark.parametrize("mode", ["tile", "image"])
def test_whole_images(service, embedder, tmp_path, mode):
    image = RANDOM.random((1, 300, 260)).astype(np.float32)
    outputs = service.task("measure_image", {"image": npy(tmp_path, "i", image), "mode": mode}).wait_for().outputs
    alone = measure(embedder, image, settings=CropSettings(mode=mode)).features
    np.testing.assert_allclose(np.load(outputs["features"]["npy"]), alone.mean(0, keepdims=True), atol=1e-6)


def test_tiles(service, embedder, tmp_path):
    image = RANDOM.random((2, 300, 260)).astype(np.float32)
    outputs = service.task("measure_tiles", {"image": npy(tmp_path, "i", image)}).wait_for().outputs
    wanted = measure(embedder, image, settings=CropSettings(mode="tile"))
    np.testing.assert_allclose(np.load(outputs["features"]["npy"]), wanted.features, atol=1e-6)
    assert np.load(outputs["box"]["npy"]).tolist() == wanted.regions.box.tolist()


def test_what_cannot_be_measured_is_nan_and_named(service, tmp_path):
    image = IMAGE.copy()
    image[1, :60, :60] = 9
    inputs = {"image": npy(tmp_path, "i", image), "labels": npy(tmp_path, "l", LABELS), "rescale_constant": 1.0}
    outputs = service.task("measure_objects", inputs).wait_for().outputs
    assert outputs["failed"] == [{"object_number": 1, "channel": 1, "reason": "constant"}]
    features = np.load(outputs["features"]["npy"])
    assert np.isnan(features[0, 256:]).all()
    assert np.isfinite(features[0, :256]).all()


def test_cancel_between_batches_and_while_waiting(service, tmp_path):
    inputs = {"image": npy(tmp_path, "i", IMAGE), "labels": npy(tmp_path, "l", MANY), "rescale_constant": 20}
    running = service.task("measure_objects", inputs)
    waiting = service.task("measure_objects", inputs)
    updated = threading.Event()
    running.listen(lambda event: updated.set() if event.response_type.value == "UPDATE" else None)
    running.start()
    waiting.start()
    assert updated.wait(60)
    waiting.cancel()
    running.cancel()
    for task in (waiting, running):
        with pytest.raises(appose.TaskException, match="canceled"):
            task.wait_for()
    assert service.task("info").wait_for().outputs["protocol"] == 1


REQUEST = {"task": "t", "requestType": "EXECUTE", "script": "info"}


@pytest.mark.parametrize(
    ("line", "task", "said"),
    [
        ("garbage", None, "not JSON.*garbage"),
        (b"\xff\xfe\x00", None, "not JSON"),
        ("[" * 100_000, None, "not JSON"),
        ("[1, 2]", None, "not a JSON object"),
        ({"requestType": "EXECUTE", "script": "info"}, None, "'task' must be text"),
        ({**REQUEST, "task": 7}, None, "'task' must be text"),
        ({**REQUEST, "requestType": "RUN"}, "t", "requestType is 'RUN': give EXECUTE or CANCEL"),
        (
            {**REQUEST, "script": "import os"},
            "t",
            "no task 'import os'; there are info, measure_objects",
        ),
        ({**REQUEST, "script": None}, "t", "no task None"),
        ({**REQUEST, "inputs": [1]}, "t", "not a JSON object"),
        ({**REQUEST, "inputs": {"image": 1}}, "t", "info has no input image; it has none"),
        ({**REQUEST, "script": "measure_objects", "inputs": {"image": 1}}, "t", "needs the input labels"),
        ({**REQUEST, "script": "measure_image", "inputs": {"image": 1, "rescale_constant": 2}}, "t", "has no input"),
        ({**REQUEST, "script": "measure_image", "inputs": {"image": 1}}, "t", "image is not an array"),
        ({**REQUEST, "script": "measure_image", "inputs": {"image": {"npy": "nowhere.npy"}}}, "t", "nowhere.npy"),
        (b"x" * (17 << 20), None, "more than 16 MB"),
    ],
)
def test_bad_lines_are_answered_and_survived(raw, line, task, said):
    reply = raw.answer(line)
    assert (reply["responseType"], reply["task"]) == ("FAILURE", task)
    assert re.search(said, reply["error"])
    assert raw.execute("info")["responseType"] == "COMPLETION"


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


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"image": np.array([["a"]])}, "array of numbers"),
        ({"image": np.array([{}], object)}, "array of numbers|pickle"),
        ({"image": np.zeros((2, 3, 4, 5))}, r"shape \(2, 3, 4, 5\): give numbers of shape \(channels"),
        ({"labels": LABELS[:50]}, "labels are 120 x 50, but the image is 120 x 120"),
        ({"labels": LABELS.astype(float)}, "labels are float64.*give integers"),
        ({"labels": LABELS - 1}, "labels run from -1"),
        ({"rescale_constant": "large"}, "rescale_constant is 'large': give a number"),
        ({"rescale_constant": 0}, "rescale_constant is 0"),
        ({"mask": "circle"}, "mask is 'circle': give one of box, object"),
        ({"normalize": 3}, "normalize is '3'"),
    ],
)
def test_bad_inputs_are_refused_by_name(raw, tmp_path, inputs, said):
    given = {"image": IMAGE, "labels": LABELS, **inputs}
    given = {
        name: npy(tmp_path, name, value) if isinstance(value, np.ndarray) else value for name, value in given.items()
    }
    reply = raw.execute("measure_objects", **given)
    assert reply["responseType"] == "FAILURE"
    assert re.search(said, reply["error"])


def test_unknown_weights_are_said_when_a_task_needs_them():
    with Raw("--weights", "no-such-weights") as worker:
        for _ in range(2):
            assert "no weights named 'no-such-weights'" in worker.execute("info")["error"]


def test_stray_prints_never_reach_the_protocol(tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import threading, os, time\n"
        "def noise():\n"
        "    while True:\n"
        "        print('stray'); os.write(1, b'stray\\n'); time.sleep(0.01)\n"
        "import microsnoop_engine.worker.tasks as tasks\n"
        "info = tasks.Tasks._info\n"
        "def noisy(*a):\n"
        "    threading.Thread(target=noise, daemon=True).start(); time.sleep(0.3); return info(*a)\n"
        "tasks.Tasks._info = noisy\n"
    )
    process = subprocess.Popen(
        COMMAND,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    timer = threading.Timer(20, process.kill)
    timer.start()
    process.stdin.write(json.dumps(REQUEST).encode() + b"\n")
    process.stdin.flush()
    replies = [json.loads(process.stdout.readline())["responseType"] for _ in range(2)]
    output, errors = process.communicate()
    timer.cancel()
    assert replies == ["LAUNCH", "COMPLETION"]
    assert output == b""
    assert b"stray" in errors


HOST = """
import json, subprocess, sys, numpy as np
worker = subprocess.Popen(json.loads(sys.argv[1]), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def ask(script, **inputs):
    request = {"task": script, "requestType": "EXECUTE", "script": script, "inputs": inputs}
    worker.stdin.write(json.dumps(request).encode() + b"\\n"); worker.stdin.flush()
def until(kind):
    while True:
        reply = json.loads(worker.stdout.readline())
        if reply["responseType"] == kind:
            return reply
ask("info")
folder = until("COMPLETION")["outputs"]["folder"]
np.save(folder + "/image.npy", np.random.rand(1, 120, 120).astype("float32"))
np.save(folder + "/labels.npy", np.arange(1, 14401, dtype="int32").reshape(120, 120))
if sys.argv[2] == "busy":
    image, labels = ({"npy": folder + name} for name in ("/image.npy", "/labels.npy"))
    ask("measure_objects", image=image, labels=labels, rescale_constant=20)
    until("UPDATE")
print(worker.pid, folder, flush=True)
sys.stdin.read()
"""


def seconds_to_outlive_its_host(state):
    """Kill a host with kill -9; how long its worker, which leaves nothing, is there after that."""
    command = [sys.executable, "-c", HOST, json.dumps(COMMAND), state]
    host = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, folder = host.stdout.readline().split()
    worker = psutil.Process(int(pid))
    assert Path(folder).is_dir()
    began = time.monotonic()
    os.kill(host.pid, signal.SIGKILL)
    gone, _ = psutil.wait_procs([worker], timeout=10)
    seconds = time.monotonic() - began
    host.communicate()
    assert gone
    assert list(Path(folder).parent.glob(f"{Path(folder).name}*")) == []
    return seconds


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_the_worker_goes_with_its_host_and_leaves_nothing(state):
    # a machine busy with other things may hold up any process for seconds, but hardly three times
    assert any(seconds_to_outlive_its_host(state) < 2 for _ in range(3))


def test_a_worker_that_is_told_to_end_leaves_nothing():
    worker = Raw()
    folder = Path(worker.execute("info")["outputs"]["folder"])
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(5) == 0
    assert not folder.exists()
    for stream in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
        stream.close()


@pytest.mark.skipif(sys.platform != "linux", reason="looks at shared memory as Linux shows it")
def test_shared_results_go_with_the_worker():
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service, shared(IMAGE) as image:
        outputs = service.task("measure_image", {"image": image}).wait_for().outputs
        name = outputs["features"].shm.name
        assert Path("/dev/shm", name).exists()
        outputs["features"].shm.close()
    service.wait_for()
    assert not Path("/dev/shm", name).exists()

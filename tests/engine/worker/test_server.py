"""The protocol of the worker: its lines, its end, and that nothing else comes between them."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import appose
import numpy as np
import psutil
import pytest
from waiting import PATIENCE, assert_gives_up
from worker_process import COMMAND, IMAGE, Raw, npy

MANY = np.zeros((120, 120), np.int32)
MANY[::2, ::2] = np.arange(1, 3601).reshape(60, 60)


def test_cancel_between_batches_and_while_waiting(service, tmp_path):
    inputs = {"image": npy(tmp_path, "i", IMAGE), "labels": npy(tmp_path, "l", MANY), "rescale_constant": 20}
    running = service.task("measure_objects", inputs)
    waiting = service.task("measure_objects", inputs)
    updated = threading.Event()
    running.listen(lambda event: updated.set() if event.response_type.value == "UPDATE" else None)
    running.start()
    waiting.start()
    assert updated.wait(PATIENCE)
    waiting.cancel()
    running.cancel()
    for task in (waiting, running):
        with pytest.raises(appose.TaskException, match="canceled"):
            task.wait_for()
    assert service.task("info").wait_for().outputs["protocol"] == 1


REQUEST = {"task": "t", "requestType": "EXECUTE", "script": "info"}


@pytest.mark.parametrize(
    ("line", "task", "message"),
    [
        ("garbage", None, "not JSON.*garbage"),
        (b"\xff\xfe\x00", None, "not JSON"),
        ("[" * 100_000, None, "not JSON"),
        ("[1, 2]", None, "not a JSON object"),
        ({"requestType": "EXECUTE", "script": "info"}, None, "'task' must be a text"),
        ({**REQUEST, "task": 7}, None, "'task' must be a text"),
        ({**REQUEST, "requestType": "RUN"}, "t", "requestType is 'RUN': it must be EXECUTE or CANCEL"),
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
        ({**REQUEST, "script": "measure_image", "inputs": {"image": 1}}, "t", "^image is not an array: send"),
        ({**REQUEST, "script": "measure_image", "inputs": {"image": {"npy": "nowhere.npy"}}}, "t", "nowhere.npy"),
        (b"x" * (17 << 20), None, "more than 16 MB"),
    ],
)
def test_bad_lines_are_answered_and_survived(raw, line, task, message):
    reply = raw.answer(line)
    assert (reply["responseType"], reply["task"]) == ("FAILURE", task)
    assert re.search(message, reply["error"])
    assert raw.execute("info")["responseType"] == "COMPLETION"


def test_unknown_weights_are_named_when_a_task_needs_them():
    with Raw("--model", "no-such-weights") as worker:
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
    timer = threading.Timer(PATIENCE, process.kill)
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
labels = np.zeros((120, 120), "int32")
labels[::2, ::2] = np.arange(1, 3601).reshape(60, 60)
np.save(folder + "/labels.npy", labels)
if sys.argv[2] == "busy":
    image, labels = ({"npy": folder + name} for name in ("/image.npy", "/labels.npy"))
    ask("measure_objects", image=image, labels=labels, rescale_constant=20)
    until("UPDATE")
print(worker.pid, folder, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("state", ["idle", "busy"])
def test_the_worker_goes_with_its_host_and_leaves_nothing(state):
    command = [sys.executable, "-c", HOST, json.dumps(COMMAND), state]
    host = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    pid, folder = host.stdout.readline().split()
    worker = psutil.Process(int(pid))
    assert Path(folder).is_dir()
    os.kill(host.pid, signal.SIGKILL)
    assert_gives_up(worker)
    host.communicate()
    assert list(Path(folder).parent.glob(f"{Path(folder).name}*")) == []


@pytest.mark.skipif(sys.platform == "win32", reason="Windows cannot tell a host that has died")
def test_tasks_are_finished_when_the_host_closes_its_end(tmp_path):
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service:
        inputs = {"image": npy(tmp_path, "i", IMAGE), "labels": npy(tmp_path, "l", MANY * (MANY <= 600))}
        tasks = [service.task("measure_objects", inputs) for _ in range(2)]
        updated = threading.Event()
        tasks[0].listen(lambda event: updated.set() if event.response_type.value == "UPDATE" else None)
        for task in tasks:
            task.start()
        assert updated.wait(PATIENCE)
        service.close()
        for task in tasks:
            task.wait_for()
            assert task.status.name == "COMPLETE"
        assert service.wait_for() == 0


def test_a_worker_that_is_terminated_leaves_nothing():
    worker = Raw()
    folder = Path(worker.execute("info")["outputs"]["folder"])
    worker.process.send_signal(signal.SIGTERM)
    assert worker.process.wait(PATIENCE) == 0
    assert not folder.exists()
    for stream in (worker.process.stdin, worker.process.stdout, worker.process.stderr):
        stream.close()

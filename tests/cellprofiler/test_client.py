"""The client: finding, starting, losing and ending the engine's process."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import _microsnoop_client as client
import long_request
import numpy as np
import psutil
import pytest
from cellprofiler_host import PLUGINS, kill_once_busy, run_engine_script, wait_until_busy
from engine_processes import engines_of
from waiting import PATIENCE, assert_gives_up, assert_gone, wait_for

IMAGE = np.random.RandomState(0).rand(1, 60, 60).astype(np.float32)
LABELS = np.zeros((60, 60), np.int32)
LABELS[20:30, 20:30] = 1
HELPERS = str(Path(long_request.__file__).parent)


@pytest.fixture(autouse=True)
def no_engine_known(monkeypatch, tmp_path):
    """Nothing but the setting leads to an engine, unless a test says so."""
    monkeypatch.delenv("MICROSNOOP_PYTHON", raising=False)
    monkeypatch.setattr(client, "RECORD", str(tmp_path / "record.txt"))


def program(folder, name):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return str(path)


def test_the_order_in_which_the_engine_is_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    on_path = program(tmp_path / "path", "microsnoop")
    assert client.find_engine() == (on_path,)
    recorded = program(tmp_path / "recorded", "python3.11")
    (tmp_path / "record.txt").write_text(recorded + "\n")
    assert client.find_engine() == (recorded, "-m", "microsnoop_engine")
    variable = program(tmp_path / "variable", "python")
    monkeypatch.setenv("MICROSNOOP_PYTHON", variable)
    assert client.find_engine() == (variable, "-m", "microsnoop_engine")
    chosen = program(tmp_path / "with space", "microsnoop")
    assert client.find_engine(f'  "{chosen}" ') == (chosen,)


def test_a_folder_stands_for_the_python_in_it(tmp_path):
    python = program(tmp_path / "env" / "bin", "python")
    assert client.find_engine(str(tmp_path / "env")) == (python, "-m", "microsnoop_engine")


def test_a_record_that_leads_nowhere_is_passed_over(monkeypatch, tmp_path):
    (tmp_path / "record.txt").write_text(str(tmp_path / "gone" / "python"))
    monkeypatch.setenv("PATH", str(tmp_path / "path"))
    on_path = program(tmp_path / "path", "microsnoop")
    assert client.find_engine() == (on_path,)


@pytest.mark.parametrize("where", ["setting", "variable"])
def test_a_named_engine_that_does_not_exist_is_an_error_and_not_replaced(monkeypatch, tmp_path, where):
    monkeypatch.setenv("PATH", str(tmp_path))
    program(tmp_path, "microsnoop")
    missing = str(tmp_path / "empty")
    os.mkdir(missing)
    if where == "variable":
        monkeypatch.setenv("MICROSNOOP_PYTHON", missing)
    with pytest.raises(client.EngineError, match=f"{'MICROSNOOP_PYTHON' if where == 'variable' else 'setting'}.*empty"):
        client.find_engine(missing if where == "setting" else "")


def test_environment_of_the_engine():
    environment = client.clean_environment(
        {"PYTHONPATH": "a", "PYTHONHOME": "b", "__PYVENV_LAUNCHER__": "c", "PATH": "d", "LD_LIBRARY_PATH": "e"}
    )
    assert environment == {"PATH": "d", "LD_LIBRARY_PATH": "e", "PYTHONNOUSERSITE": "1"}


def test_the_bundled_application_restores_the_library_path(monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    frozen = {"LD_LIBRARY_PATH": "bundle", "LD_LIBRARY_PATH_ORIG": "mine"}
    assert client.clean_environment(frozen)["LD_LIBRARY_PATH"] == "mine"
    assert "LD_LIBRARY_PATH" not in client.clean_environment({"LD_LIBRARY_PATH": "bundle"})


@pytest.mark.parametrize(
    ("body", "seconds", "message"),
    [
        (
            "import sys; sys.exit('No module named microsnoop_engine')",
            PATIENCE,
            "it ended with an error.*No module named microsnoop_engine",
        ),
        (
            "print('hello, I am no engine')",
            PATIENCE,
            "it ended at once, as a program that is not the engine.*hello, I am",
        ),
        ("import time; time.sleep(60)", 1, "it did not answer in time"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", PATIENCE, r"it crashed \(signal 11\)"),
        (
            "import os, signal; os.kill(os.getpid(), signal.SIGKILL)",
            PATIENCE,
            "ended from outside, usually because memory",
        ),
        ("import sys; print('line\\n' * 500, file=sys.stderr); [][0]", PATIENCE, "IndexError: list index out of range"),
    ],
)
def test_a_program_that_is_no_engine(stub, body, seconds, message, caplog):
    path = stub(body)
    with pytest.raises(client.EngineError, match=f"(?s)stopped while it started: .*{message}") as caught:
        client.Engine([path, "--device", "cpu"], start_seconds=seconds)
    assert "microsnoop install cellprofiler" in str(caught.value)
    assert lines_of(caught.value) <= 8
    assert "--device" not in str(caught.value)
    assert f"{path} --device cpu worker" in caplog.text, "the log says how it was run"
    assert not engines_of(os.getpid())


def lines_of(error):
    """Lines that a message takes in a dialog."""
    return sum(max(1, len(textwrap.wrap(line, 96))) for line in str(error).splitlines())


@pytest.mark.parametrize(
    "text", ["short", "\n".join("abcdefgh"), "a\n" * 30, "word " * 500, "x" * 3000, "a\n" * 6 + "b " * 900]
)
def test_a_message_fits_into_a_dialog(text, caplog):
    error = client.EngineError(text)
    assert lines_of(error) <= 8
    assert str(error) == text or ("The log has the rest" in str(error) and text in caplog.text)
    assert str(error)[:5] == text[:5]


@pytest.mark.parametrize(
    ("code", "words"),
    [(-9, "memory ran out"), (137, "memory ran out"), (-11, "signal 11"), (0xC0000005, "0xC0000005"), (3, "an error")],
)
def test_exit_codes_are_explained(code, words):
    assert words in client.explained_exit(code)


@pytest.mark.parametrize("options", [("--device", "mps"), ("--device", "cpu", "--model", "no-such-weights")])
def test_settings_that_the_engine_refuses_are_named_in_the_words_of_a_user(engine_command, options):
    with pytest.raises(client.EngineError, match=options[-1]) as caught:
        client.Engine(engine_command, options)
    assert "--" not in str(caught.value)
    assert " info" not in str(caught.value)
    assert lines_of(caught.value) <= 8


def test_a_file_that_is_no_program(tmp_path):
    path = tmp_path / "engine"
    path.write_text("nothing to run")
    path.chmod(0o755)
    with pytest.raises(client.EngineError, match="could not be started"):
        client.Engine([str(path)])


def test_an_engine_of_another_protocol(stub):
    path = stub(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    task = json.loads(line)['task']\n"
        "    outputs = {'version': '9.9', 'protocol': 2}\n"
        "    print(json.dumps({'task': task, 'responseType': 'COMPLETION', 'outputs': outputs}), flush=True)"
    )
    with pytest.raises(client.EngineError, match=r"9\.9 and this program are of different versions .*\nUpdate both"):
        client.Engine([path])


def test_the_engine_says_what_it_is(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    assert engine.info["dimension"] == 256
    assert len(engine.info["sha256"]) == 64
    for part in (engine.info["version"], engine.info["weights"], "cpu"):
        assert str(part) in engine.describe()


def test_one_engine_for_a_command_and_its_options(engine_command):
    first = client.get_engine(engine_command, ["--device", "cpu"])
    assert client.get_engine(list(engine_command), ("--device", "cpu")) is first
    assert len(engines_of(os.getpid())) == 1
    processes = engines_of(os.getpid())
    client.close_engines()
    assert_gone(processes)


def test_the_engine_starts_no_processes_and_calls_nobody(engine_python):
    script = (
        "import sys, time\n"
        "def watch(event, _):\n"
        "    if event in ('os.fork', 'os.posix_spawn', 'subprocess.Popen', 'socket.connect'):\n"
        "        print(event, flush=True)\n"
        "sys.addaudithook(watch)\n"
        "from microsnoop_engine import Embedder\n"
        "Embedder(device='cpu')\n"
        "time.sleep(1)\n"
    )
    assert run_engine_script(engine_python, script) == ""


def test_a_refused_request_leaves_the_engine_usable_and_no_files(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    with pytest.raises(client.EngineError, match=r"refused a request \(measure nothing\)"):
        engine.run("measure_nothing", image=IMAGE)
    result = engine.run("measure_objects", image=IMAGE, labels=LABELS)
    assert result["features"].shape == (1, 256)
    assert os.listdir(engine.info["folder"]) == [".lock"]


def test_an_error_of_the_engine_is_in_plain_words(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    with pytest.raises(client.EngineError, match=r"\nrescale constant is 50: it must be a number"):
        engine.run("measure_objects", image=IMAGE, labels=LABELS, rescale_constant=50)


def test_a_killed_engine_is_an_error_and_the_next_one_works(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    folder = engine.info["folder"]
    os.kill(engine.pid, signal.SIGKILL)
    with pytest.raises(client.EngineError, match="stopped while it measured objects: it was ended from outside"):
        engine.run("measure_objects", image=IMAGE, labels=LABELS)
    assert not engine.alive
    again = client.get_engine(engine_command, ["--device", "cpu"])
    assert again is not engine
    assert again.run("measure_objects", image=IMAGE, labels=LABELS)["features"].shape == (1, 256)
    assert again.info["folder"] != folder


def test_an_engine_killed_in_the_middle_of_a_request_leaves_no_files(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    killer = threading.Thread(target=kill_once_busy, args=(engine.pid, engine.info["folder"]))
    killer.start()
    with pytest.raises(client.EngineError, match="stopped while it measured objects: it was ended from outside"):
        engine.run("measure_objects", **long_request.LONG)
    killer.join()
    assert not os.path.exists(engine.info["folder"])


def test_an_idle_engine_that_is_killed_leaves_no_files(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    assert os.path.isdir(engine.info["folder"])
    os.kill(engine.pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(engine.info["folder"]))


def test_engines_that_are_no_longer_needed_are_ended(engine_command):
    needed = client.get_engine(engine_command, ["--device", "cpu"])
    other = client.get_engine(engine_command, ["--device", "auto"])
    client.close_engines(keep=[(tuple(engine_command), ("--device", "cpu"))])
    assert needed.alive
    assert not other.alive
    assert [process.pid for process in engines_of(os.getpid())] == [needed.pid]


def test_a_task_is_watched_and_cancelled(engine_command):
    engine = client.get_engine(engine_command, ["--device", "cpu"])
    seen = []

    def watch(done, total):
        seen.append((done, total))
        return done > 0

    with pytest.raises(client.EngineCancelled):
        engine.run("measure_objects", watch=watch, **long_request.LONG)
    assert seen[0] == (0, 0)
    done, total = seen[-1]
    assert 0 < done < total
    assert engine.run("measure_objects", image=IMAGE, labels=LABELS)["features"].shape == (1, 256)


def test_a_start_is_cancelled(stub):
    with pytest.raises(client.EngineCancelled):
        client.Engine([stub("import time; time.sleep(60)")], watch=lambda done, total: True)
    assert not engines_of(os.getpid())


@pytest.mark.parametrize("busy", [False, True])
def test_the_engine_dies_with_its_host(engine_command, busy):
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import _microsnoop_client as client, long_request\n"
        "engine = client.get_engine(sys.argv[3:], ['--device', 'cpu'])\n"
        "print(engine.pid, engine.info['folder'], flush=True)\n"
        + ("engine.run('measure_objects', **long_request.LONG)" if busy else "sys.stdin.read()")
    )
    host = subprocess.Popen(
        [sys.executable, "-c", script, str(PLUGINS), HELPERS, *engine_command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    pid, folder = host.stdout.readline().decode().split()
    engine = psutil.Process(int(pid))
    if busy:
        wait_until_busy(folder)
    host.kill()
    host.communicate()
    assert_gives_up(engine)
    assert not os.path.exists(folder)

"""Test that a local Ray cluster of several nodes makes the same table as one process, also when workers are lost."""

import json
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from importlib.util import find_spec

import psutil
import pytest
from screens import write_screen
from several_workers import JOB, READER, SETTINGS, assert_same_table, at, table_of
from waiting import wait_for

from microsnoop_engine.cli.main import main
from microsnoop_engine.distributor.executors.ray_executor import RayExecutor
from microsnoop_engine.distributor.run import run_job
from microsnoop_engine.errors import DeviceError
from microsnoop_engine.images.load_data import from_load_data

if not find_spec("ray"):  # not imported here, as the engine is to set it up first
    pytest.skip("needs Ray, the extra 'cluster'", allow_module_level=True)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A head and a node, each with one core; on them, a module 'bioio' that crashes as a reader in C may."""
    from microsnoop_engine.distributor.executors.ray_cluster import import_ray

    import_ray()
    from ray.cluster_utils import Cluster

    modules = tmp_path_factory.mktemp("modules")
    (modules / "bioio.py").write_text(READER)
    (modules / "bioio_bioformats.py").write_text("")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(modules))
        started = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
        started.add_node(num_cpus=1)
        yield started
    started.shutdown()


@pytest.fixture
def executor(cluster):
    """Leaves no actor to the next test, not even one that was stopped while it ended."""
    yield partial(RayExecutor, address=cluster.address, settings=SETTINGS, timeout=1800)
    left = actors()
    for process in left:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(left, timeout=30)


def actors():
    return [process for process in psutil.process_iter(["name", "cmdline"]) if "Embedding" in str(process.info)]


def test_a_cluster_writes_the_same_as_one_process_but_for_a_reader_that_crashes(
    tmp_path, executor, slow_embedder, capfd
):
    names = [f"DNA{n % 4}.tif" for n in range(12)]
    names[3], names[6] = "missing.tif", "crash.vsi"
    sets = from_load_data(write_screen(tmp_path, 12, FileName_DNA=names))
    (tmp_path / "crash.vsi").write_bytes(b"any bytes")
    report = run_job(sets, JOB, executor, tmp_path / "ray", part_bytes=8_000)
    assert [failure.number for failure in report.failures] == [4, 7]
    assert "missing.tif" in str(report.failures[0])
    assert report.failures[1].error.startswith("killed the worker 3 times: WorkerCrashedError")
    assert capfd.readouterr().out == ""

    others = [image_set for image_set in sets if image_set.number not in (4, 7)]
    run_job(others, JOB, slow_embedder, tmp_path / "one", part_bytes=8_000)
    assert_same_table(tmp_path / "ray", table_of(tmp_path / "one"))
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "manifest.jsonl").read_text().splitlines()[1:]]
        for name in ("one", "ray")
    )
    assert one == two
    assert len(one) > 1


def test_the_command_segments_on_a_cluster_and_continues_elsewhere(tmp_path, cluster, monkeypatch, capfd):
    write_screen(tmp_path, 4, FileName_DNA=["DNA0.tif", "late.tif", "DNA2.tif", "DNA3.tif"])
    monkeypatch.chdir(tmp_path)
    run = ["profile", "LoadData.csv", "--channels", "GFP", "--segment", "nuclei", "--segment-channel", "DNA", "--json"]
    run += ["--precision", "float32", "--out", "out", "--quiet"]
    assert main([*run, "--executor", "ray", "--ray-address", cluster.address]) == 1
    summary = json.loads(capfd.readouterr().out)
    assert (summary["done"], summary["failures"][0]["number"]) == (3, 2)
    (tmp_path / "late.tif").write_bytes((tmp_path / "DNA1.tif").read_bytes())
    assert main(run) == 0
    assert json.loads(capfd.readouterr().out)["resumed"] == 3


def test_killed_actors_cost_no_row(tmp_path, executor, thirty_sets, table_of_thirty, caplog):
    def kill():  # all: one of them may still be starting, and the run would end before it is missed
        for process in actors():
            process.kill()

    report = run_job(thirty_sets, JOB, executor, tmp_path, on_progress=at(1, kill))
    assert report.failures == []
    assert "worker lost (ActorDiedError" in caplog.text
    assert_same_table(tmp_path, table_of_thirty)


def test_a_hung_actor_is_replaced(tmp_path, executor, thirty_sets, table_of_thirty, caplog):
    def stop():
        for process in actors():
            process.suspend()

    report = run_job(thirty_sets, JOB, partial(executor, timeout=20), tmp_path, on_progress=at(1, stop))
    assert report.failures == []
    assert "no progress for 20 s" in caplog.text
    assert_same_table(tmp_path, table_of_thirty)


def test_a_lost_node_costs_no_row(tmp_path, executor, cluster, thirty_sets, table_of_thirty):
    node = cluster.add_node(num_cpus=1)

    def lose_node():
        wait_for(lambda: len(actors()) == 3)
        cluster.remove_node(node, allow_graceful=False)
        wait_for(lambda: len(actors()) < 3)

    report = run_job(thirty_sets, JOB, executor, tmp_path, on_progress=at(1, lose_node))
    assert report.failures == []
    assert_same_table(tmp_path, table_of_thirty)


def test_an_address_without_a_cluster_is_named(tmp_path, thirty_sets):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    for wrong in (address, f"ray://{address}", "nowhere"):
        with pytest.raises(DeviceError, match=wrong):
            run_job(thirty_sets, JOB, partial(RayExecutor, address=wrong, settings={}, timeout=60), tmp_path)


def test_without_ray_the_extra_is_named(tmp_path):
    write_screen(tmp_path, 1)
    script = (
        "import sys; sys.modules['ray'] = None; from microsnoop_engine.cli.main import main; "
        "sys.exit(main(sys.argv[1:]))"
    )
    arguments = ["profile", str(tmp_path / "LoadData.csv"), "--executor", "ray", "--out", str(tmp_path / "out")]
    done = subprocess.run([sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert 'pip install "microsnoop[cluster]"' in done.stderr

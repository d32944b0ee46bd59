"""Workers that run, and the engine in this process to compare them with."""

import appose
import numpy as np
import pytest
from worker_process import COMMAND, Raw

from microsnoop_engine.model.embedder import Embedder
from microsnoop_engine.worker.arrays import ArrayTransport
from microsnoop_engine.worker.classes import class_tasks
from microsnoop_engine.worker.table_files import table_tasks


@pytest.fixture(scope="module")
def embedder():
    """The engine as the worker runs it."""
    return Embedder(device="cpu", precision="float32")


@pytest.fixture(scope="module")
def service():
    """One worker, driven by the real Appose client."""
    with appose.system().service([COMMAND[0]], *COMMAND[1:]) as service:
        yield service
    assert service.invalid_lines() == []


@pytest.fixture(scope="module")
def raw():
    """A worker that accepts arrays of at most 1 GB."""
    with Raw("--memory", "1") as worker:
        yield worker


@pytest.fixture
def ask(tmp_path):
    """Run a task with arrays as files, of features whose provenance is given."""
    exchange = ArrayTransport(1 << 30)

    def run(task, provenance=(), **inputs):
        tasks = {**table_tasks(exchange, lambda: provenance), **class_tasks(exchange, lambda: provenance)}
        for name, value in inputs.items():
            if isinstance(value, np.ndarray):
                np.save(tmp_path / f"{name}.npy", value)
                inputs[name] = {"npy": str(tmp_path / f"{name}.npy")}
        outputs = tasks[task][0](inputs, lambda *_: None)
        is_array = {name for name, value in outputs.items() if isinstance(value, dict)}
        return {name: np.load(value["npy"]) if name in is_array else value for name, value in outputs.items()}

    yield run
    exchange.close()
